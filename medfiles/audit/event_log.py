"""Audit events: who did what, or was refused what, to which document, record and patient.

An event's personal part is stored separately and can be erased. The event itself holds only a salted hash of that part.
"""

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, case, delete, func, insert, literal_column, or_, select
from sqlalchemy.orm import contains_eager

from medfiles.clock import SKEW, is_within, now
from medfiles.database.session import db, end_read, transaction
from medfiles.database.sqlite import ASYNCHRONOUS
from medfiles.models import AuditEvent, AuditPrivate, EntityFile, User
from medfiles.models.audit import LINK
from medfiles.permissions import Actor
from medfiles.record_types.declared import PATIENT

READ_ONCE_WITHIN = timedelta(minutes=1)
LOOKED = (
    "download", "download-by-link", "export-patient", "list", "list-records", "list-trash", "preview", "search", "view",
    "view-activity", "view-by-link", "view-history", "view-links", "view-patient", "view-people", "view-record",
)  # fmt: skip
BY_LINK = {"preview": "view-by-link", "download": "download-by-link"}  # what readers of share links do
OPENED = ("download", "preview", "view", *BY_LINK.values())
EDITS = ("edit", "edit-patient", "edit-record")
ACCESS = (
    "accept-share", "confirm-token", "create-link", "create-smart-link", "create-token", "decline-share",
    "end-smart-link", "open-link", "pause-link", "resume-link", "revoke-link", "revoke-token", "share", "unshare",
)  # fmt: skip
ACCOUNT_CHANGES = (  # restoring an earlier backup undoes these
    "change-password", "create-account", "disable-account", "enable-account", "make-admin", "revoke-token",
    "second-step-off", "second-step-on", "set-password", "unmake-admin", "unshare",
)  # fmt: skip
DONE = AuditEvent.outcome == "done"
KINDS = {
    "looked": DONE & AuditEvent.action.in_(LOOKED),
    "changed": DONE & AuditEvent.action.not_in(LOOKED + ACCESS),
    "access": DONE & AuditEvent.action.in_(ACCESS),
    "refused": AuditEvent.outcome != "done",
}


@dataclass
class AuditTarget:
    """What an event is about, filled in while the operation runs."""

    patient_id: int | None = None
    entity_type: str | None = None
    entity_id: int | None = None
    file_id: int | None = None
    name: str | None = None  # the document's, record's or patient's name at that time
    renamed_from: str | None = None  # the sender's name, if the document got another extension
    changes: Mapping[str, Sequence[Any]] | None = None  # [before, after] by field
    address: str | None = None  # the client's IP address, if there is no actor
    reader: str | None = None  # the name that the reader of a share link gave
    writes: bool = True  # whether the operation is refused if the patient is archived


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
    """Add one event to the open transaction, so that it is committed or rolled back together with the change."""
    record_each(actor, action, [(target, details)], outcome=outcome, reason=reason)


def record_each(
    actor: Actor | None,
    action: str,
    subjects: Iterable[tuple[AuditTarget, Mapping[str, Any]]],
    *,
    outcome: str = "done",
    reason: str | None = None,
) -> None:
    """Add one event per target, with its details, in one statement and without flushing the session."""
    _insert([(actor, action, target, details) for target, details in subjects], outcome, reason)


_ADD_EVENTS = insert(AuditEvent.__table__).returning(AuditEvent.private_hash, AuditEvent.id)
_ADD_PRIVATE = insert(AuditPrivate.__table__)


def _insert(
    events: Iterable[tuple[Actor | None, str, AuditTarget, Mapping[str, Any]]],
    outcome: str = "done",
    reason: str | None = None,
) -> None:
    rows: list[dict[str, Any]] = []
    private: dict[str, dict[str, Any]] = {}  # by hash, which is unique because of the salt
    for actor, action, target, details in events:
        content, salt, digest = _personal(actor, target), secrets.token_hex(16), None
        if content:
            digest = private_hash(salt, content)
            private[digest] = {"salt": salt, "content": content}
        rows.append(
            {
                "actor_id": actor.user_id if actor else None,
                "token_id": actor.token_id if actor else None,
                "request_id": actor.request_id if actor else None,
                "action": action,
                "outcome": outcome,
                "reason": reason,
                "patient_id": target.patient_id,
                "entity_type": target.entity_type,
                "entity_id": target.entity_id,
                "file_id": target.file_id,
                "details": dict(details) or None,
                "private_hash": digest,
            }
        )
    if not rows:
        return
    connection = db.session.connection()
    ids = dict(connection.execute(_ADD_EVENTS, rows).all())
    if private:
        connection.execute(_ADD_PRIVATE, [{"event_id": ids[digest], **row} for digest, row in private.items()])


def _personal(actor: Actor | None, target: AuditTarget) -> dict[str, Any]:
    content = {
        "name": target.name,
        "renamed_from": target.renamed_from,
        "changes": target.changes
        and {name: [_plain(value) for value in pair] for name, pair in target.changes.items()},
        "token": actor and actor.token,
        "address": actor.address if actor else target.address,
        "reader": target.reader,
    }
    return {name: value for name, value in content.items() if value}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def private_hash(salt: str, content: Mapping[str, Any]) -> str:
    """Return the salted hash that an event stores for its personal part.

    Once the salt is erased, the hash reveals nothing about the personal part.
    """
    return hashlib.sha256(f"{salt}\n{json.dumps(content, sort_keys=True, separators=(',', ':'))}".encode()).hexdigest()


def erase_private(which: ColumnElement[bool]) -> None:
    """Erase the personal parts of these events, in the transaction that permanently deletes their subject."""
    events = select(AuditEvent.id).where(which)
    db.session.execute(delete(AuditPrivate).where(AuditPrivate.event_id.in_(events)))


Read = tuple[Actor, str, AuditTarget]
_pending: ContextVar[list[Read] | None] = ContextVar("pending reads", default=None)


@contextmanager
def batched_reads() -> Iterator[None]:
    """Collect the read events in the block and write them in one batch when it ends."""
    reads: list[Read] = []
    before = _pending.set(reads)
    try:
        yield
    finally:
        _pending.reset(before)
        if reads:
            _write_reads(reads)


def record_read(actor: Actor, action: str, target: AuditTarget) -> None:
    """Record a read at most once per target, account and minute, so that a series of range requests logs one event.

    Inside `batched_reads`, the event is written when that block ends. Otherwise, this function ends the session's
    transaction, which must not have changed anything, and writes the event in a separate one. The read itself therefore
    needs no write lock, and nothing waits for fsync.
    """
    pending = _pending.get()
    if pending is None:
        _write_reads([(actor, action, target)])
    else:
        pending.append((actor, action, replace(target)))


def _write_reads(reads: Sequence[Read]) -> None:
    unique = {_key(action, target): (actor, action, target) for actor, action, target in reads}
    known = _known_reads(reads[0][0], list(unique))
    end_read()
    fresh: list[tuple[Actor, str, AuditTarget, Mapping[str, Any]]] = [
        (*read, {}) for key, read in unique.items() if key not in known
    ]
    if fresh:
        with transaction(ASYNCHRONOUS):
            _insert(fresh)


ReadKey = tuple[str, int | None, str | None, int | None, int | None]
KEY = ("action", "patient_id", "entity_type", "entity_id", "file_id")


def _key(action: str, target: AuditTarget) -> ReadKey:
    """Return the key that is the same for repeated reads. A document's key omits its record, which it implies."""
    if target.file_id is not None:
        return action, target.patient_id, None, None, target.file_id
    return action, target.patient_id, target.entity_type, target.entity_id, None


def _known_reads(actor: Actor, keys: Sequence[ReadKey]) -> set[ReadKey]:
    """Return which of these reads were already recorded within the last minute."""
    start, end = now() - READ_ONCE_WITHIN, now() + SKEW
    values: dict[str, Any] = {"actor_id": actor.user_id, "token_id": actor.token_id, "start": start, "end": end}
    for number, key in enumerate(keys):
        values |= {f"{name}_{number}": value for name, value in zip(KEY, key, strict=True)}
    shape = tuple(tuple(value is not None for value in key) for key in keys)
    rows = db.session.execute(_same_reads(actor.token_id is not None, shape), values)
    return {_key(row.action, AuditTarget(*row[1:])) for row in rows}


@lru_cache(256)
def _same_reads(by_token: bool, shape: tuple[tuple[bool, ...], ...]) -> Select[Any]:
    """Return the query for events with the given keys. Executed in every request, so it is built once for each shape.

    shape  for each key, which of its values are not None
    """
    column = AuditEvent.__table__.c

    def same(number: int, given: tuple[bool, ...]) -> ColumnElement[bool]:
        of_document = given[-1]
        compared = [name for name in KEY if not of_document or name not in ("entity_type", "entity_id")]
        known = dict(zip(KEY, given, strict=True))
        return and_(
            *(
                column[name] == bindparam(f"{name}_{number}") if known[name] else column[name].is_(None)
                for name in compared
            )
        )

    return select(*(column[name] for name in KEY)).where(
        column.at >= bindparam("start"),
        column.at <= bindparam("end"),
        column.actor_id == bindparam("actor_id"),
        column.token_id == bindparam("token_id") if by_token else column.token_id.is_(None),
        column.outcome == "done",
        or_(*(same(number, given) for number, given in enumerate(shape))),
    )


def _by(actor: Actor) -> tuple[ColumnElement[bool], ...]:
    """Return conditions for the actor's events. Reads by a token are separate from reads by its owner."""
    return AuditEvent.actor_id == actor.user_id, AuditEvent.token_id.is_not_distinct_from(actor.token_id)


def record_reads(actor: Actor, action: str, files: Sequence[EntityFile]) -> None:
    """Record reads of many documents in the open transaction, each at most once per minute, using one query."""
    known = set(db.session.scalars(_recent(actor, action).where(AuditEvent.file_id.in_([file.id for file in files]))))
    record_each(actor, action, [(subject_of(file), {}) for file in files if file.id not in known])


def changed_account(event: Any) -> int | None:
    """Return the id of the account whose sign-in, roles, tokens or shares an event changed, or None."""
    if event.action not in ACCOUNT_CHANGES or event.outcome != "done":
        return None
    account: int | None = (event.details or {}).get("account", event.actor_id)
    return account


def is_known_refusal(actor: Actor, action: str, target: AuditTarget, reason: str) -> bool:
    """Return whether the same refusal was recorded within the last minute, so that retries do not fill the log."""
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
        *_by(actor),
        AuditEvent.action == action,
        AuditEvent.outcome == outcome,
        is_within(AuditEvent.at, READ_ONCE_WITHIN),
    )


@dataclass(frozen=True)
class ActivityFilter:
    """Filter for a patient's events: by document, account and kind (a key of KINDS)."""

    document: int | None = None
    who: int | None = None
    kind: str = ""


EVERYTHING = ActivityFilter()


def trail(
    patient_id: int | None, before: int | None = None, limit: int = 100, narrowed: ActivityFilter = EVERYTHING
) -> Sequence[tuple[AuditEvent, str | None]]:
    """Return a patient's events, each with the account's e-mail address, newest first.

    patient_id  None: those of all patients that the document of `narrowed` has belonged to
    before      id of the last event that was already shown
    """
    query = _with_private().order_by(AuditEvent.id.desc()).limit(limit)
    if patient_id is not None:
        query = query.where(AuditEvent.patient_id == patient_id)
    if before is not None:
        query = query.where(AuditEvent.id < before)
    if narrowed.document is not None:
        query = query.where(AuditEvent.file_id == narrowed.document)
    if narrowed.who is not None:
        query = query.where(AuditEvent.actor_id == narrowed.who)
    if narrowed.kind:
        query = query.where(KINDS[narrowed.kind])
    return [(event, email) for event, email in db.session.execute(query)]


def changes(
    patient_id: int, record: tuple[str, int] | None = None, before: int | None = None, limit: int = 100
) -> Sequence[tuple[AuditEvent, str | None]]:
    """Return edits to a patient or a record, and to the documents attached to it, newest first.

    Edits to a document that was moved here are included, also those from before the move. Each edit comes with the
    account's e-mail address.

    record  type and id of the record; None: the patient
    before  id of the last event that was already shown
    """
    entity_type, entity_id = record or (PATIENT.name, patient_id)
    about = and_(AuditEvent.entity_type == entity_type, AuditEvent.entity_id == entity_id)
    if record is None:
        about = or_(about, AuditEvent.entity_type.is_(None))
    attached = select(EntityFile.id).where(
        EntityFile.entity_type == entity_type, EntityFile.entity_id == entity_id, EntityFile.patient_id == patient_id
    )
    about = or_(and_(AuditEvent.patient_id == patient_id, about), AuditEvent.file_id.in_(attached))
    query = _with_private().where(about, AuditEvent.action.in_(EDITS), DONE).order_by(AuditEvent.id.desc()).limit(limit)
    if before is not None:
        query = query.where(AuditEvent.id < before)
    return [(event, email) for event, email in db.session.execute(query)]


def _with_private() -> Select[AuditEvent, str]:
    return (
        select(AuditEvent, User.email)
        .outerjoin(User, User.id == AuditEvent.actor_id)
        .outerjoin(AuditEvent.private)
        .options(contains_eager(AuditEvent.private))
    )


def last_views(file_id: int, limit: int = 5) -> Sequence[tuple[AuditEvent, str | None]]:
    """Return the last time each account opened a document, newest first, each with the account's e-mail address."""
    opened = AuditEvent.action.in_(OPENED)
    latest = select(func.max(AuditEvent.id)).where(AuditEvent.file_id == file_id, opened, DONE)
    query = _with_private().where(AuditEvent.id.in_(latest.group_by(AuditEvent.actor_id)))
    return [(event, email) for event, email in db.session.execute(query.order_by(AuditEvent.id.desc()).limit(limit))]


def of_link(link_id: int, actions: Sequence[str], limit: int = 1000) -> Sequence[AuditEvent]:
    """Return what readers of a share link did, newest first."""
    query = _with_private().where(of_link_sql(), AuditEvent.entity_id == link_id, AuditEvent.action.in_(actions), DONE)
    return [event for event, _ in db.session.execute(query.order_by(AuditEvent.id.desc()).limit(limit))]


def of_link_sql() -> ColumnElement[bool]:
    """Return the condition that an event is about a share link, word for word as in the table's index."""
    return AuditEvent.entity_type == literal_column(f"'{LINK}'")


def is_known_reading(action: str, file_id: int, opening: str) -> bool:
    """Return whether the reader of a share link did this within the last minute, after opening it this time."""
    query = select(AuditEvent.details).where(
        AuditEvent.file_id == file_id, AuditEvent.action == action, is_within(AuditEvent.at, READ_ONCE_WITHIN)
    )
    return any((details or {}).get("opening") == opening for details in db.session.scalars(query))


def erase_readers(before: datetime) -> int:
    """Erase the names and addresses of readers of share links that opened them before this time; return how many."""
    old = of_link_sql() & (AuditEvent.action == "open-link") & (AuditEvent.at < before)
    held = select(AuditPrivate.event_id).where(AuditPrivate.event_id.in_(select(AuditEvent.id).where(old)))
    number = len(db.session.scalars(held).all())
    if number:
        erase_private(old)
    return number


def was_moved(file_id: int) -> bool:
    """Return whether a document was moved to another record, and not back."""
    moves = select(AuditEvent.action).where(
        AuditEvent.file_id == file_id, AuditEvent.action.in_(("file", "move-in", "take-back")), DONE
    )
    return db.session.scalar(moves.order_by(AuditEvent.id.desc()).limit(1)) in ("file", "move-in")


def seen_by(file_id: int) -> Sequence[Any]:
    """Return who opened a document, under any patient that it has belonged to, in the order of the first time.

    Each row holds the account's e-mail address, whether a token was used, the share link whose readers they are (or
    None), the action, how often, and the first and the last time. Repeats within a minute count once.
    """
    by_token = AuditEvent.token_id.is_not(None)
    link = case((AuditEvent.entity_type == LINK, AuditEvent.entity_id))
    first = func.min(AuditEvent.at)
    columns = (User.email, by_token, link, AuditEvent.action, func.count(AuditEvent.id), first, func.max(AuditEvent.at))
    query = select(*columns).select_from(AuditEvent).outerjoin(User, User.id == AuditEvent.actor_id)
    query = query.where(AuditEvent.file_id == file_id, AuditEvent.action.in_(OPENED), DONE)
    grouped = query.group_by(User.email, by_token, link, AuditEvent.action).order_by(first, User.email)
    return db.session.execute(grouped).all()


def people(patient_id: int) -> Sequence[tuple[int, str]]:
    """Return the ids and e-mail addresses of the accounts that appear in a patient's events."""
    theirs = select(AuditEvent.actor_id).where(AuditEvent.patient_id == patient_id).distinct()
    query = select(User.id, User.email).where(User.id.in_(theirs)).order_by(User.email)
    return [(number, email) for number, email in db.session.execute(query)]


def last_name_of(patient_id: int, file_id: int) -> str | None:
    """Return a document's last recorded name, or None if it never belonged to this patient or the name was erased."""
    query = (
        select(AuditPrivate.content)
        .join(AuditEvent, AuditEvent.id == AuditPrivate.event_id)
        .where(AuditEvent.patient_id == patient_id, AuditEvent.file_id == file_id)
        .order_by(AuditEvent.id.desc())
        .limit(20)
    )
    return next((content["name"] for content in db.session.scalars(query) if "name" in content), None)
