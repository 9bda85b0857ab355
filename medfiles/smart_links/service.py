"""SMART Health Links as their senders see them: create, list, end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select

from medfiles.database.session import db, transaction
from medfiles.documents import smart_copies
from medfiles.errors import Conflict, NotFound, OutOfScope, Rejected
from medfiles.i18n import N_, gettext
from medfiles.jobs import queue as jobs
from medfiles.links import states as link_states
from medfiles.links.rules import digest_of, new_token
from medfiles.links.service import ENDED, LinkService, summaries
from medfiles.links.states import State
from medfiles.models import EntityFile, ShareLink, SmartLink, SmartLinkDocument
from medfiles.records.sharing import NO_SHARING
from medfiles.smart_links import rules, states
from medfiles.smart_links.crypto import Wrapping, new_key
from medfiles.smart_links.states import SmartState

VIEW_ONLY = N_("A SMART Health Link hands over copies, and this link is only for viewing. Create one for downloading.")
PAUSED = N_("This link is paused. Resume it first.")


@dataclass(frozen=True)
class NewSmartLink:
    """A link that was just created. `text` (shlink:/…) cannot be retrieved later."""

    smart: SmartLink
    text: str = field(repr=False)


@dataclass(frozen=True)
class SmartSummary:
    smart: SmartLink
    state: SmartState


@dataclass
class SmartLinkService(LinkService):
    wrapping: Wrapping = field(kw_only=True)

    def create_smart(
        self, link_id: int, kind: str, address: str, *, each_document: bool = True
    ) -> NewSmartLink:  # fmt: skip
        """Create a SMART Health Link to the documents that a share link shows now. A job encrypts them.

        kind           a key of rules.KINDS
        address        what its URL begins with
        each_document  whether apps get each PDF also as a document of its own

        Raises Rejected, with the name of the invalid field; OutOfScope if the actor's token may not grant access;
        Conflict if the share link does not allow it.
        """
        token, key = new_token(), new_key()
        with self.operation("create-smart-link") as target, transaction() as session:
            link = self._authorized_link(link_id, target, lock=True)
            if not self.actor.may_share:
                raise OutOfScope(NO_SHARING)
            chosen = rules.kind_named(kind)
            files = self._held_files(link)
            flags, expires_at = rules.flags_of(chosen, link), rules.expiry(chosen, link)
            text = rules.payload(rules.url(address, token, flags), key, flags, expires_at)
            smart = SmartLink(
                link_id=link.id, token_hash=digest_of(token), kind=kind, flags=flags, each_document=each_document,
                expires_at=expires_at, key_wrapped=self.wrapping.wrap(key),
            )  # fmt: skip
            session.add(smart)
            session.flush()
            session.add_all(SmartLinkDocument(smart_link_id=smart.id, file_id=file.id) for file in files)
            jobs.enqueue(jobs.SMART, smart.id)
            details = {"documents": [file.id for file in files], "until": expires_at.isoformat()}
            self._record("create-smart-link", link, target, kind=kind, **details)
        return NewSmartLink(smart, text)

    def smart_links(self, link_id: int) -> Sequence[SmartSummary]:
        """Return those of a share link, newest first."""
        with self.reading("view-links") as target:
            self._authorized_link(link_id, target)
            return _summaries(link_id)

    def end_smart(self, link_id: int, smart_id: int) -> SmartSummary:
        """Permanently end one. A second call changes nothing."""
        with self.operation("end-smart-link") as target, transaction() as session:
            link = self._authorized_link(link_id, target)
            smart = session.get(SmartLink, smart_id, populate_existing=True)
            if smart is None or smart.link_id != link_id:
                raise NotFound()
            if smart.ended_at is None:
                smart_copies.end(SmartLink.id == smart_id)
                self._record("end-smart-link", link, target, kind=smart.kind)
        return next(one for one in _summaries(link_id) if one.smart.id == smart_id)

    def _held_files(self, link: ShareLink) -> Sequence[EntityFile]:
        """Return the documents to encrypt. Raises Conflict or Rejected if that is not possible."""
        [summary] = summaries(ShareLink.id == link.id)
        if summary.state == State.PAUSED:
            raise Conflict(gettext(PAUSED))
        if summary.state != State.ACTIVE:
            raise Conflict(gettext(ENDED))
        if not link.allow_download:
            raise Conflict(gettext(VIEW_ONLY))
        if not summary.documents:
            raise Conflict(gettext("There are no documents left in this link."))
        for file in summary.documents:
            self.registry[file.entity_type].allow("download")
        rules.require_size(sum(file.file_size for file in summary.documents))
        query = select(func.count(SmartLink.id)).where(SmartLink.link_id == link.id, states.lasts())
        if (db.session.scalar(query) or 0) >= rules.MOST_LINKS:
            message = gettext("A link can have %(most)s SMART Health Links. End one first.", most=rules.MOST_LINKS)
            raise Rejected.about("kind", message)
        return summary.documents


def _summaries(link_id: int) -> Sequence[SmartSummary]:
    link, _, is_allowed, lasts = db.session.execute(
        link_states.with_state().where(ShareLink.id == link_id)
    ).one()  # fmt: skip
    link_state = link_states.state_of(link, bool(is_allowed), bool(lasts))
    query = select(SmartLink).where(SmartLink.link_id == link_id).order_by(SmartLink.id.desc())
    rows = db.session.scalars(query.execution_options(populate_existing=True)).all()
    return [SmartSummary(row, states.state_of(row, link_state)) for row in rows]
