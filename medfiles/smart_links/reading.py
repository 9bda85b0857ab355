"""SMART Health Links as apps see them: fetch the encrypted copy, directly or by a manifest.

Every request looks at the link as it is at that moment. Each fetch is logged before the first byte, as an opening of
the share link by the recipient and as a download of each document.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select

from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.database.session import db, end_read, transaction
from medfiles.database.sqlite import ASYNCHRONOUS
from medfiles.errors import NotFound, WrongPasscode
from medfiles.i18n import gettext
from medfiles.links import rules
from medfiles.links import states as link_states
from medfiles.links.reading import LinkReader
from medfiles.links.states import State
from medfiles.models import EntityFile, ShareLink, SmartLink
from medfiles.models.audit import LINK
from medfiles.smart_links import building, states
from medfiles.storage import Readable

DOWNLOAD = event_log.BY_LINK["download"]


@dataclass(frozen=True)
class EncryptedCopy:
    """An encrypted copy that the recipient may fetch. `opening` is the key of this opening of the share link."""

    storage: Readable
    key: str
    size: int
    smart_id: int
    opening: str
    built_at: datetime
    may_change: bool

    def read(self) -> Iterator[bytes]:
        return self.storage.open(self.key)


@dataclass(frozen=True)
class Found:
    """A link that works now, with the documents in its copy. `fingerprint` is of what the copy should hold."""

    smart: SmartLink
    link: ShareLink
    documents: Sequence[EntityFile]
    fingerprint: str

    @property
    def is_direct(self) -> bool:
        """Whether the link names one file, without a manifest."""
        return "U" in self.smart.flags

    @property
    def asks_passcode(self) -> bool:
        return "P" in self.smart.flags


@dataclass(frozen=True)
class SmartLinkReader(LinkReader):
    def find_smart(self, token: str) -> Found:
        """Return a link. Nothing is logged.

        Raises NotFound, alike for links that never existed, are paused, are not ready or have ended.
        """
        return self._found(SmartLink.token_hash == rules.digest_of(token))

    def open_smart(
        self, found: Found, recipient: str, passcode: str | None = None, *, downloads: bool
    ) -> EncryptedCopy:  # fmt: skip
        """Log that a recipient opens the link; return the copy.

        downloads  whether the recipient gets the copy at once, so that its documents count as downloaded

        Raises WrongPasscode; PasscodeBusy if all tries that are left are in use by parallel requests.
        """
        smart_id, name = found.smart.id, recipient_name(recipient)
        if found.asks_passcode:
            if found.link.passcode_hash is None:
                raise NotFound()
            if not passcode:  # an app that did not know: no try is used up
                raise WrongPasscode(remaining=max(0, rules.MOST_TRIES - found.link.wrong_passcodes))
            self.check_passcode(found.link, found.link.passcode_hash, passcode)
            found = self._found(SmartLink.id == smart_id)
        opening, link = secrets.token_hex(8), found.link
        target = AuditTarget(
            link.patient_id, LINK, link.id, name=link.label, reader=name, address=rules.shortened(self.address)
        )
        targets = _targets(found) if downloads else []
        with transaction():
            self.record("open-link", target, opening, smart_link=smart_id)
            for one in targets:
                self.record(DOWNLOAD, one, opening)
        found = self._found(SmartLink.id == smart_id)
        if building.refresh(found.smart, found.fingerprint):
            found = self._found(SmartLink.id == smart_id)
        return self._copy(found, opening)

    def fetch(self, smart_id: int, opening: str) -> EncryptedCopy:
        """Log a download from an address that a manifest named, at most once a minute; return the copy."""
        found = self._found(SmartLink.id == smart_id)
        targets = [
            one for one in _targets(found) if not event_log.is_known_reading(DOWNLOAD, one.file_id or 0, opening)
        ]
        end_read()
        if targets:
            with transaction(ASYNCHRONOUS):
                for one in targets:
                    self.record(DOWNLOAD, one, opening)
        return self._copy(self._found(SmartLink.id == smart_id), opening)

    def _found(self, which: ColumnElement[bool]) -> Found:
        end_read()
        query = select(SmartLink).where(which, states.lasts(), SmartLink.key.is_not(None))
        smart = db.session.scalar(query.execution_options(populate_existing=True))
        if smart is None:
            raise NotFound()
        link, patient, is_allowed, lasts = db.session.execute(
            link_states.with_state().where(ShareLink.id == smart.link_id)
        ).one()  # fmt: skip
        if link_states.state_of(link, bool(is_allowed), bool(lasts)) != State.ACTIVE or not link.allow_download:
            raise NotFound()
        shown = link_states.shown_documents([link.id])[link.id]
        held = set(states.held_documents(smart.id))
        if not held <= {file.id for file in shown}:
            raise NotFound()
        fingerprint = building.fingerprint_of(smart, link, patient, shown)
        return Found(smart, link, [file for file in shown if file.id in held], fingerprint)

    def _copy(self, found: Found, opening: str) -> EncryptedCopy:
        smart = found.smart
        storage, key, size, built_at = smart.storage, smart.key, smart.size, smart.built_at
        if storage is None or key is None or size is None or built_at is None:
            raise NotFound()
        end_read()
        return EncryptedCopy(
            self.storages[storage], key, size, smart.id, opening, built_at, may_change="L" in smart.flags
        )  # fmt: skip


def recipient_name(recipient: str) -> str | None:
    """Return what an app calls whom it fetches for, shortened; None if it says nothing."""
    shortened = " ".join(recipient.split())[: rules.NAME_LIMIT]
    return rules.checked_name("recipient", shortened, gettext("The name"))


def _targets(found: Found) -> list[AuditTarget]:
    """Return what the downloads of the documents in a copy are about."""
    link = found.link
    return [AuditTarget(link.patient_id, LINK, link.id, file.id, file.file_name) for file in found.documents]
