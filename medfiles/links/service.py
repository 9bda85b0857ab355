"""Share links as their senders see them: create, list, pause, resume, revoke, and who opened what."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select

from medfiles import permissions
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.documents import smart_copies
from medfiles.errors import Conflict, NotFound, OutOfScope, Rejected
from medfiles.i18n import N_, gettext
from medfiles.links import rules, states
from medfiles.links.states import State
from medfiles.models import AuditEvent, EntityFile, Patient, ShareLink, ShareLinkDocument
from medfiles.models.audit import LINK
from medfiles.permissions import Action
from medfiles.records.sharing import NO_SHARING
from medfiles.service import Service

NEWEST = 200  # documents to choose from
MOST_OPENINGS = 100
ENDED = N_("This link has ended. Create a new one.")


@dataclass(frozen=True)
class NewLink:
    """A link that was just created. `token` cannot be retrieved later; None if the same form was sent before."""

    link: ShareLink
    token: str | None


@dataclass(frozen=True)
class LinkSummary:
    """A link with the documents it shows now; `gone` is how many it no longer shows."""

    link: ShareLink
    patient: Patient
    documents: Sequence[EntityFile]
    gone: int
    state: State
    openings: int
    last_opened_at: datetime | None


@dataclass
class Opening:
    """One time that a reader opened a link. `files` holds (id, name, downloaded) of each document once."""

    key: str
    at: datetime
    reader: str | None
    browser: str | None
    address: str | None
    files: list[tuple[int, str | None, bool]] = field(default_factory=list)


@dataclass
class LinkService(Service):
    def choices(self, patient_id: int, file_ids: Sequence[int] | None = None) -> Sequence[EntityFile]:
        """Return the patient's documents with these ids that can be shared, in that order; the newest if None."""
        query = select(EntityFile).where(*states.shareable(patient_id))
        if file_ids is None:
            with self.reading("list", patient_id=patient_id) as target:
                self.authorized_patient(patient_id, Action.EDIT, target)
                return db.session.scalars(query.order_by(EntityFile.dated_on.desc(), EntityFile.id).limit(NEWEST)).all()
        with self.operation("create-link", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
            found = {file.id: file for file in db.session.scalars(query.where(EntityFile.id.in_(file_ids)))}
            return [found[number] for number in dict.fromkeys(file_ids) if number in found]

    def create(
        self,
        patient_id: int,
        file_ids: Sequence[int],
        *,
        label: str | None = None,
        sender: str | None = None,
        note: str | None = None,
        expires_at: datetime | None = None,
        passcode: str | None = None,
        allow_download: bool = False,
        creation_key: str | None = None,
    ) -> NewLink:
        """Create a link to documents of one patient.

        label         whom the link is for; readers do not see it
        sender        who shares, as readers see it
        expires_at    by default, DEFAULT_DAYS from now
        passcode      None: the link opens without one
        creation_key  identifies a form, so that sending it again does not create a second link

        Raises Rejected, with the name of the invalid field; OutOfScope if the actor's token may not grant access.
        """
        token = rules.new_token()
        with self.operation("create-link", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
            if not self.actor.may_share:
                raise OutOfScope(NO_SHARING)
            link = ShareLink(
                patient_id=patient_id,
                created_by=self.actor.user_id,
                token_id=self.actor.token_id,
                token_hash=rules.digest_of(token),
                creation_key=creation_key,
                passcode_hash=rules.hashed_passcode(passcode),
                label=rules.checked_name("label", label, gettext("The name")),
                sender=rules.checked_name("sender", sender, gettext("The sender")),
                note=rules.checked_text("note", note, rules.NOTE_LIMIT, gettext("The note")),
                allow_download=allow_download,
                expires_at=rules.checked_expiry(expires_at),
            )
            with transaction() as session:
                self.authorized_patient(patient_id, Action.EDIT, target, lock=True)
                if earlier := self._created_before(creation_key):
                    return NewLink(earlier, None)
                files = self._checked_files(patient_id, file_ids)
                self._require_room(patient_id)
                session.add(link)
                session.flush()
                names = {"link_id": link.id}
                session.add_all(
                    ShareLinkDocument(**names, file_id=file.id, position=place) for place, file in enumerate(files)
                )
                details = {"documents": [file.id for file in files], "until": link.expires_at.isoformat()}
                self._record("create-link", link, target, download=allow_download, **details)
            return NewLink(link, token)

    def of_patient(self, patient_id: int) -> Sequence[LinkSummary]:
        """Return all links of a patient, newest first."""
        with self.reading("view-links", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
            return summaries(ShareLink.patient_id == patient_id)

    def all(self) -> Sequence[LinkSummary]:
        """Return the newest links of all patients that the actor can edit."""
        found = summaries(permissions.has_level(self.actor, ShareLink.patient_id, Action.EDIT))
        for patient in {summary.patient.id: summary.patient for summary in found}.values():
            event_log.record_read(self.actor, "view-links", AuditTarget(patient.id, name=patient.full_name))
        return found

    def created_by_token(self, token_id: int) -> Sequence[LinkSummary]:
        """Return the links that an API token created and that have not ended, of patients that the actor can edit."""
        allowed = permissions.has_level(self.actor, ShareLink.patient_id, Action.EDIT)
        created = summaries(and_(allowed, ShareLink.token_id == token_id))
        return [summary for summary in created if summary.state in (State.ACTIVE, State.PAUSED)]

    def get(self, link_id: int) -> LinkSummary:
        with self.reading("view-links") as target:
            self._authorized_link(link_id, target)
            return summaries(ShareLink.id == link_id)[0]

    def openings(self, link_id: int) -> Sequence[Opening]:
        """Return the newest openings of a link, newest first, each with the documents that were viewed."""
        with self.reading("view-links") as target:
            self._authorized_link(link_id, target)
            return _openings(link_id)

    def pause(self, link_id: int) -> LinkSummary:
        return self._change(link_id, "pause-link", paused_at=now())

    def resume(self, link_id: int) -> LinkSummary:
        return self._change(link_id, "resume-link", paused_at=None)

    def revoke(self, link_id: int) -> LinkSummary:
        """Permanently end a link. A second call changes nothing."""
        return self._change(link_id, "revoke-link", revoked_at=now())

    def _change(self, link_id: int, action: str, **values: datetime | None) -> LinkSummary:
        with self.operation(action) as target, transaction():
            link = self._authorized_link(link_id, target, lock=True)
            [(name, value)] = values.items()
            if link.revoked_at is not None and name != "revoked_at":
                raise Conflict(gettext(ENDED))
            if getattr(link, name) is None or value is None:
                setattr(link, name, value)
                if name == "revoked_at":
                    smart_copies.end_of_link(link.id)
                self._record(action, link, target)
        return summaries(ShareLink.id == link_id)[0]

    def _authorized_link(self, link_id: int, target: AuditTarget, *, lock: bool = False) -> ShareLink:
        link = db.session.get(ShareLink, link_id, populate_existing=True, with_for_update=lock)
        if link is None:
            raise NotFound()
        self.authorized_patient(link.patient_id, Action.EDIT, target)
        target.entity_type, target.entity_id, target.name = LINK, link.id, link.label
        return link

    def _record(self, action: str, link: ShareLink, target: AuditTarget, **details: Any) -> None:
        target.entity_type, target.entity_id, target.name = LINK, link.id, link.label
        event_log.record(self.actor, action, target, **details)

    def _created_before(self, creation_key: str | None) -> ShareLink | None:
        if creation_key is None:
            return None
        query = select(ShareLink).where(ShareLink.creation_key == creation_key)
        return db.session.scalar(query.where(ShareLink.created_by == self.actor.user_id))

    def _checked_files(self, patient_id: int, file_ids: Sequence[int]) -> Sequence[EntityFile]:
        """Return the documents in this order. Raises Rejected if any of them cannot be shared."""
        wanted = list(dict.fromkeys(file_ids))
        if not 1 <= len(wanted) <= rules.MOST_DOCUMENTS:
            message = gettext("Choose 1 to %(most)s documents.", most=rules.MOST_DOCUMENTS)
            raise Rejected.about("file_ids", message)
        query = select(EntityFile).where(EntityFile.id.in_(wanted), *states.shareable(patient_id))
        found = {file.id: file for file in db.session.scalars(query)}
        if len(found) < len(wanted):
            message = gettext("A document is no longer there. Choose the documents again.")
            raise Rejected.about("file_ids", message)
        for file in found.values():
            self.registry[file.entity_type].allow("preview")
        return [found[number] for number in wanted]

    def _require_room(self, patient_id: int) -> None:
        query = select(func.count(ShareLink.id)).where(ShareLink.patient_id == patient_id)
        open_links = db.session.scalar(query.where(ShareLink.revoked_at.is_(None), states.lasts()))
        if (open_links or 0) >= rules.MOST_LINKS:
            message = gettext("A patient can have %(most)s links. Revoke one first.", most=rules.MOST_LINKS)
            raise Rejected.about("file_ids", message)


def summaries(which: object) -> Sequence[LinkSummary]:
    rows = db.session.execute(
        states.with_state().where(which).order_by(ShareLink.id.desc()).limit(rules.MOST_LINKS)  # type: ignore[arg-type]
    ).all()
    ids = [link.id for link, *_ in rows]
    shown, named, opened = states.shown_documents(ids), states.named_documents(ids), _opened(ids)
    return [
        LinkSummary(
            link, patient, shown[link.id], named.get(link.id, 0) - len(shown[link.id]),
            states.state_of(link, bool(is_allowed), bool(lasts)), *opened.get(link.id, (0, None)),
        )
        for link, patient, is_allowed, lasts in rows
    ]  # fmt: skip


def _opened(link_ids: Sequence[int]) -> dict[int, tuple[int, datetime]]:
    """Return how often each link was opened, and when last."""
    query = select(AuditEvent.entity_id, func.count(), func.max(AuditEvent.at)).where(
        event_log.of_link_sql(), AuditEvent.entity_id.in_(link_ids), AuditEvent.action == "open-link", event_log.DONE
    )
    rows = db.session.execute(query.group_by(AuditEvent.entity_id))
    return {number: (count, at) for number, count, at in rows if number is not None}


def _openings(link_id: int) -> Sequence[Opening]:
    opened: dict[str, Opening] = {}
    for event in event_log.of_link(link_id, ("open-link",), MOST_OPENINGS):
        details, personal = event.details or {}, event.personal
        key = str(details.get("opening"))
        opened[key] = Opening(
            key, event.at, personal.get("reader"), details.get("browser"), personal.get("address")
        )  # fmt: skip
    for event in reversed(event_log.of_link(link_id, tuple(event_log.BY_LINK.values()))):
        opening = opened.get(str((event.details or {}).get("opening")))
        if opening is not None and event.file_id is not None:
            _add(opening, event)
    return list(opened.values())


def _add(opening: Opening, event: AuditEvent) -> None:
    downloaded = event.action == event_log.BY_LINK["download"]
    for place, (file_id, name, before) in enumerate(opening.files):
        if file_id == event.file_id:
            opening.files[place] = file_id, name, before or downloaded
            return
    opening.files.append((event.file_id or 0, event.personal.get("name"), downloaded))
