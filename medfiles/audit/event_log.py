"""The trail: who did, or was refused, what to which document, record and patient. Written in the open transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, bindparam, insert, select

from medfiles.clock import now
from medfiles.database.session import db, end_reading, transaction
from medfiles.database.sqlite import SOON
from medfiles.models import AuditEvent, EntityFile, User
from medfiles.permissions import Actor

READ_ONCE_WITHIN = timedelta(minutes=1)
LOOKED = (
    "download", "list", "list-records", "list-trash", "preview", "print", "view", "view-activity", "view-patient",
    "view-people", "view-record",
)  # fmt: skip
ACCESS = ("create-token", "revoke-token", "share", "unshare")
DONE = AuditEvent.outcome == "done"
KINDS = {
    "looked": DONE & AuditEvent.action.in_(LOOKED),
    "changed": DONE & AuditEvent.action.not_in(LOOKED + ACCESS),
    "access": DONE & AuditEvent.action.in_(ACCESS),
    "refused": AuditEvent.outcome != "done",
}


@dataclass
class AuditTarget:
    """What an event speaks of; filled in as the verb finds out."""

    patient_id: int | None = None
    entity_type: str | None = None
    entity_id: int | None = None
    file_id: int | None = None
    name: str | None = None  # the document's, record's or patient's name at that time, for the trail only


def subject_of(file: EntityFile) -> AuditTarget:
    return AuditTarget(file.patient_id, file.entity_type, file.entity_id, file.id, file.file_name)


def record(
    actor: Actor | None,
    action: str,
    target: AuditTarget,
    *,
    outcome: str = "done",
    reason: str | None = None,
    **details: Any,
) -> None:
    """Add one event to the open transaction: it stands or falls with what it records."""
    record_each(actor, action, [(target, details)], outcome=outcome, reason=reason)


def record_each(
    actor: Actor | None,
    action: str,
    subjects: Iterable[tuple[AuditTarget, Mapping[str, Any]]],
    *,
    outcome: str = "done",
    reason: str | None = None,
) -> None:
    """As `record`, one event for each subject and its details, by one statement. It flushes nothing of the session."""
    alike = {
        "actor_id": actor.user_id if actor else None,
        "request_id": actor.request_id if actor else None,
        "address": actor.address if actor else None,
        "action": action,
        "outcome": outcome,
        "reason": reason,
    }
    token = {"token": actor.token} if actor and actor.token else {}
    rows = [{**alike, **_about(subject, {**details, **token})} for subject, details in subjects]
    if rows:
        db.session.connection().execute(_ADD, rows)


_ADD = insert(AuditEvent.__table__)


def _about(target: AuditTarget, details: dict[str, Any]) -> dict[str, Any]:
    if target.name:
        details["name"] = target.name
    return {
        "patient_id": target.patient_id,
        "entity_type": target.entity_type,
        "entity_id": target.entity_id,
        "file_id": target.file_id,
        "details": details or None,
    }


def record_read(actor: Actor, action: str, target: AuditTarget) -> None:
    """A read, once per subject, account and minute: a video-like series of ranges is one opening, not a hundred.

    Ends the session's transaction, which must have changed nothing, and writes in one of its own: who only looks waits
    for nobody who writes unless there is an event, and for no disk.
    """
    known = _was_read(actor, action, target)
    end_reading()
    if not known:
        with transaction(SOON):
            record(actor, action, target)


def _was_read(actor: Actor, action: str, target: AuditTarget) -> bool:
    asked = {"actor": actor.user_id, "action": action, "since": now() - READ_ONCE_WITHIN, "patient": target.patient_id}
    if target.file_id is not None:
        return db.session.execute(_SAME_FILE, {**asked, "file": target.file_id}).first() is not None
    asked |= {"kind": target.entity_type, "record": target.entity_id}
    return db.session.execute(_SAME_RECORD, asked).first() is not None


# Of every read, so they are built once. A document's kind and record never change.
_SAME = (
    select(AuditEvent.id)
    .where(
        AuditEvent.action == bindparam("action"),
        AuditEvent.at > bindparam("since"),
        AuditEvent.actor_id == bindparam("actor"),
        AuditEvent.patient_id == bindparam("patient"),
        AuditEvent.outcome == "done",
    )
    .limit(1)
)
_SAME_FILE = _SAME.where(AuditEvent.file_id == bindparam("file"))
_SAME_RECORD = _SAME.where(
    AuditEvent.file_id.is_(None),
    AuditEvent.entity_type.is_not_distinct_from(bindparam("kind")),
    AuditEvent.entity_id.is_not_distinct_from(bindparam("record")),
)


def record_reads(actor: Actor, action: str, files: Sequence[EntityFile]) -> None:
    """Reads of many documents, each as `record_read` would, with one question about all."""
    known = set(db.session.scalars(_recent(actor, action).where(AuditEvent.file_id.in_([file.id for file in files]))))
    record_each(actor, action, [(subject_of(file), {}) for file in files if file.id not in known])


def is_known_refusal(actor: Actor, action: str, target: AuditTarget, reason: str) -> bool:
    """Whether the same was refused within the last minute: trying again and again fills no page."""
    same = _recent(actor, action, "refused").where(
        AuditEvent.reason == reason,
        AuditEvent.patient_id == target.patient_id,
        AuditEvent.entity_type == target.entity_type,
        AuditEvent.entity_id == target.entity_id,
        AuditEvent.file_id == target.file_id,
    )
    return db.session.execute(same.limit(1)).first() is not None


def _recent(actor: Actor, action: str, outcome: str = "done") -> Select[int | None]:
    return select(AuditEvent.file_id).where(
        AuditEvent.actor_id == actor.user_id,
        AuditEvent.action == action,
        AuditEvent.outcome == outcome,
        AuditEvent.at > now() - READ_ONCE_WITHIN,
    )


@dataclass(frozen=True)
class ActivityFilter:
    """What of a patient's events is asked for: about one document, by one account, of one kind (a key of KINDS)."""

    document: int | None = None
    who: int | None = None
    kind: str = ""


EVERYTHING = ActivityFilter()


def trail(
    patient_id: int, before: int | None = None, limit: int = 100, narrowed: ActivityFilter = EVERYTHING
) -> Sequence[tuple[AuditEvent, str | None]]:
    """A patient's events with the account's address, newest first; `before` is the id of the last one already seen."""
    query = (
        select(AuditEvent, User.email)
        .outerjoin(User, User.id == AuditEvent.actor_id)
        .where(AuditEvent.patient_id == patient_id)
        .order_by(AuditEvent.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(AuditEvent.id < before)
    if narrowed.document is not None:
        query = query.where(AuditEvent.file_id == narrowed.document)
    if narrowed.who is not None:
        query = query.where(AuditEvent.actor_id == narrowed.who)
    if narrowed.kind:
        query = query.where(KINDS[narrowed.kind])
    return [(event, email) for event, email in db.session.execute(query)]


def people(patient_id: int) -> Sequence[tuple[int, str]]:
    """Accounts that stand in a patient's events, with their addresses."""
    theirs = select(AuditEvent.actor_id).where(AuditEvent.patient_id == patient_id).distinct()
    query = select(User.id, User.email).where(User.id.in_(theirs)).order_by(User.email)
    return [(number, email) for number, email in db.session.execute(query)]


def last_name_of(patient_id: int, file_id: int) -> str | None:
    """What a document of this patient was called last, also when it is gone; None when it never was one of theirs."""
    query = select(AuditEvent).where(AuditEvent.patient_id == patient_id, AuditEvent.file_id == file_id)
    for event in db.session.scalars(query.order_by(AuditEvent.id.desc()).limit(20)):
        if event.details and "name" in event.details:
            return str(event.details["name"])
    return None
