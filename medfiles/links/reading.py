"""Share links as their readers see them: find, open, and read documents, without an account.

Every request looks at the link as it is at that moment. Each view and download is logged before the first byte.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db, end_read, transaction
from medfiles.database.sqlite import ASYNCHRONOUS
from medfiles.documents.bulk import Bundle
from medfiles.documents.zip_archive import Member
from medfiles.errors import Forbidden, LinkPaused, NotFound, PasscodeBusy, WrongPasscode
from medfiles.i18n import N_, gettext
from medfiles.links import rules, states
from medfiles.links.states import State
from medfiles.models import EntityFile, Patient, ShareLink
from medfiles.models.audit import LINK
from medfiles.previews.renderer import Picture, Preview, Renderer
from medfiles.record_types.declared import Registry
from medfiles.sandbox.render.spec import THUMBNAIL, recipe
from medfiles.storage import Storages

WAIT_SECONDS, POLL_SECONDS = 5.0, 0.05  # for parallel requests that check passcodes of the same link
VIEW_ONLY = N_("These documents can be viewed here but not downloaded.")


@dataclass(frozen=True)
class Shared:
    """What a link shows now; `gone` is how many documents it no longer shows."""

    link: ShareLink
    patient: Patient
    documents: Sequence[EntityFile]
    gone: int

    @property
    def asks_passcode(self) -> bool:
        return self.link.passcode_hash is not None

    def document(self, file_id: int) -> EntityFile:
        """Return one of the documents. Raises NotFound for any other."""
        for file in self.documents:
            if file.id == file_id:
                return file
        raise NotFound()


@dataclass(frozen=True)
class LinkReader:
    registry: Registry
    storages: Storages
    renderer: Renderer
    address: str | None = None  # of the reader
    request_id: str | None = None

    def find(self, token: str) -> Shared:
        """Return what a link shows. Nothing is logged, because programs that show previews of addresses come here too.

        Raises NotFound, alike for links that never existed or have ended; LinkPaused.
        """
        end_read()
        query = states.with_state().where(ShareLink.token_hash == rules.digest_of(token))
        found = db.session.execute(query).one_or_none()
        if found is None:
            raise NotFound()
        link, patient, is_allowed, lasts = found
        state = states.state_of(link, bool(is_allowed), bool(lasts))
        if state == State.PAUSED:
            raise LinkPaused()
        if state != State.ACTIVE:
            raise NotFound()
        documents = states.shown_documents([link.id])[link.id]
        return Shared(link, patient, documents, states.named_documents([link.id]).get(link.id, 0) - len(documents))

    def open(self, token: str, passcode: str | None, reader: str | None, browser: str | None) -> tuple[Shared, str]:
        """Open a link, which is logged. Return what it shows, and the key of this opening.

        reader   what the reader calls themselves; may be empty
        browser  the family of the reader's browser

        Raises WrongPasscode; PasscodeBusy if all tries that are left are in use by parallel requests.
        """
        reader = rules.checked_name("reader", reader, gettext("The name"))
        shared, key = self.find(token), secrets.token_hex(8)
        if shared.link.passcode_hash is not None:
            self.check_passcode(shared.link, shared.link.passcode_hash, passcode or "")
            shared = self.find(token)
        target = AuditTarget(
            shared.link.patient_id, LINK, shared.link.id, name=shared.link.label, reader=reader,
            address=rules.shortened(self.address),
        )  # fmt: skip
        with transaction():
            self.record("open-link", target, key, browser=browser)
        return self.find(token), key

    def describe(
        self, shared: Shared, opening: str, file_id: int, encoding: str | None = None
    ) -> tuple[EntityFile, Preview]:
        """Return a document and its preview."""
        content = self._read(shared, opening, file_id, "preview")
        return content.file, self.renderer.describe(content, encoding)

    def picture(self, shared: Shared, opening: str, file_id: int, recipe_key: str, page: int) -> Picture:
        """Return one page of a document, numbered from 1, rendered according to the recipe."""
        return self.renderer.picture(self._read(shared, opening, file_id, "preview"), recipe_key, page)

    def thumbnail(self, shared: Shared, file_id: int) -> Picture:
        """Return a small image of the first page. Not logged, because it is part of the list."""
        content = self._content(shared.document(file_id))
        return self.renderer.picture(content, recipe(THUMBNAIL), 1)

    def content(self, shared: Shared, opening: str, file_id: int) -> DocumentContent:
        """Return a document's bytes. Raises Forbidden if the link is only for viewing."""
        self._require_download(shared)
        return self._read(shared, opening, file_id, "download")

    def bundle(self, shared: Shared, opening: str) -> Bundle:
        """Return all documents for one archive. Raises Forbidden if the link is only for viewing."""
        self._require_download(shared)
        contents = [self._read(shared, opening, file.id, "download") for file in shared.documents]
        members = [Member(one.file.file_name, one.file.file_size, one.file.uploaded_at, one.read) for one in contents]
        return Bundle(gettext("Documents"), members, ())

    def _require_download(self, shared: Shared) -> None:
        if not shared.link.allow_download:
            raise Forbidden(VIEW_ONLY)

    def _read(self, shared: Shared, opening: str, file_id: int, what: str) -> DocumentContent:
        """Log a view or download of a document, at most once a minute, and return its content."""
        file = shared.document(file_id)
        self.registry[file.entity_type].allow(what)
        link, action = shared.link, event_log.BY_LINK[what]
        target = AuditTarget(link.patient_id, LINK, link.id, file.id, file.file_name)
        content = self._content(file)
        known = event_log.is_known_reading(action, file.id, opening)
        end_read()
        if not known:
            with transaction(ASYNCHRONOUS):
                self.record(action, target, opening)
        return content

    def _content(self, file: EntityFile) -> DocumentContent:
        """Detach the document, so that no transaction stays open while it is read."""
        if file in db.session:
            db.session.expunge(file)
        return opened(file, self.storages)

    def record(self, action: str, target: AuditTarget, opening: str, **details: Any) -> None:
        given = {name: value for name, value in details.items() if value}
        event_log.record(None, action, target, opening=opening, **given)

    def _reserve_try(self, link_id: int) -> bool:
        """Use up a try, if any is left; False if all are in use by parallel requests. Raises NotFound if none is."""
        with transaction(ASYNCHRONOUS) as session:
            left = update(ShareLink).where(ShareLink.id == link_id, ShareLink.wrong_passcodes < rules.MOST_TRIES)
            counts = {
                "wrong_passcodes": ShareLink.wrong_passcodes + 1,
                "passcodes_in_check": ShareLink.passcodes_in_check + 1,
            }
            if session.execute(left.values(counts)).rowcount:
                return True
            link = session.get(ShareLink, link_id, populate_existing=True)
            if link is None or states.is_used_up(link):
                raise NotFound()
            return False

    def check_passcode(self, link: ShareLink, hashed: str, passcode: str) -> None:
        """Use up one of the tries that are left, and give it back if the passcode is right."""
        link_id, target = link.id, AuditTarget(link.patient_id, LINK, link.id, name=link.label)
        target.address = rules.shortened(self.address)
        deadline = time.monotonic() + WAIT_SECONDS
        while not self._reserve_try(link_id):
            if time.monotonic() >= deadline:
                raise PasscodeBusy()
            time.sleep(POLL_SECONDS)
        is_right = rules.is_passcode(passcode, hashed)
        with transaction() as session:
            given_back = 1 if is_right else 0
            session.execute(
                update(ShareLink)
                .where(ShareLink.id == link_id)
                .values(
                    wrong_passcodes=ShareLink.wrong_passcodes - given_back,
                    passcodes_in_check=ShareLink.passcodes_in_check - 1,
                )
            )
            if not is_right:
                event_log.record(None, "open-link", target, outcome="refused", reason=WrongPasscode.code)
                wrong = session.scalar(select(ShareLink.wrong_passcodes).where(ShareLink.id == link_id))
        if not is_right:
            raise WrongPasscode(remaining=max(0, rules.MOST_TRIES - (wrong or 0)))
