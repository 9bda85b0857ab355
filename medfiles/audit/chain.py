"""Chains the events of the trail, so that none can be changed, taken out, put in or cut off without being noticed.

Each event gets a position and a code over itself and the code before (HMAC-SHA256). Events are written in the
transactions of what they record and sealed a few seconds later, in the order in which they became visible: one chain in
every transaction would let everybody wait for everybody.
"""

import hmac
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Select, func, select
from sqlalchemy.exc import SQLAlchemyError

from medfiles.audit import event_log
from medfiles.audit.checkpoint import Anchor, Head
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import MedfilesError
from medfiles.jobs import last_runs
from medfiles.models import AuditEvent, AuditSeal

log = structlog.get_logger("medfiles.audit.chain")
SEAL, VERIFY = "audit-seal", "audit-verify"  # names of runs
BATCH = 500
EVERY = 4.0  # seconds; events are sealed within five
OVERLAP = 1000  # numbers before the last sealed one that may still become visible
LATE = timedelta(minutes=2)  # after which an event without a seal is a finding
START = "0" * 64  # what stands before the first seal
COLUMNS = list(AuditEvent.__table__.columns)
KINDS = {
    "altered": "this event or the order of events was changed after sealing",
    "deleted": "this event is missing",
    "cut-off": "the checkpoint is ahead of the chain",
    "other-chain": "the checkpoint does not match the chain",
    "no-anchor": "there is no checkpoint to compare with",
    "not-sealed": "this event was never sealed: it was inserted, or sealing does not run",
}


@dataclass(frozen=True)
class Sealer:
    """`key` is for the codes alone; `anchor` keeps the head."""

    key: bytes
    anchor: Anchor


@dataclass(frozen=True)
class Bad:
    """`kind` is one of KINDS; `event_id` and `position` where there are such."""

    kind: str
    event_id: int | None = None
    position: int | None = None

    @property
    def words(self) -> str:
        event = f"event {self.event_id}" if self.event_id is not None else ""
        place = f"position {self.position}" if self.position is not None else ""
        where = ", ".join(filter(None, (event, place)))
        return f"{where}: {KINDS[self.kind]}" if where else KINDS[self.kind]


@dataclass(frozen=True)
class Condition:
    """For the status page: up to when all is sealed, how many events wait, what the last check said."""

    sealed: int
    sealed_at: datetime | None
    waiting: int
    checked: last_runs.Run | None


def key_from(secret: str) -> bytes:
    """A key for nothing but this."""
    return HKDF(SHA256(), 32, salt=None, info=b"medfiles audit trail").derive(secret.encode())


def seal(sealer: Sealer, *, all_of_it: bool = False) -> int:
    """Seal what is not sealed yet, then anchor the head; how many events."""
    count = 0
    while batch := _seal_batch(sealer, all_of_it):
        count += batch
    if count and (head := _head()):
        sealer.anchor.drop(head)
    return count


def renew_anchor(sealer: Sealer) -> Head | None:
    """Take the chain as it is now for right, as after a backup was restored; that it was done is in the trail."""
    with transaction():
        event_log.record(None, "renew-anchor", AuditTarget())
    seal(sealer)
    return _head()


def verify(sealer: Sealer, head: Head | None = None) -> Bad | None:
    """The first event that is not as it was sealed; `head`: what somebody kept elsewhere, instead of the anchor."""
    found = _check(sealer, head)
    db.session.rollback()
    last_runs.ended(VERIFY, finding=found.words if found else None)
    return found


def condition() -> Condition:
    last = _head()
    return Condition(
        sealed=last.position if last else 0,
        sealed_at=datetime.fromisoformat(last.at) if last else None,
        waiting=db.session.scalar(select(func.count()).select_from(_unsealed().subquery())) or 0,
        checked=last_runs.last(VERIFY),
    )


def export(
    patient_id: int | None = None, since: datetime | None = None, until: datetime | None = None
) -> Iterator[str]:
    """Events as lines of JSON in the order of the chain, those not sealed yet last; `position` and `mac` let whoever
    has the key check them."""
    query = (
        select(AuditSeal.position, AuditSeal.mac, *COLUMNS)
        .select_from(AuditEvent)
        .outerjoin(AuditSeal, AuditSeal.event_id == AuditEvent.id)
        .order_by(AuditSeal.position.is_(None), AuditSeal.position, AuditEvent.id)
    )
    if patient_id is not None:
        query = query.where(AuditEvent.patient_id == patient_id)
    if since:
        query = query.where(AuditEvent.at >= since)
    if until:
        query = query.where(AuditEvent.at < until)
    with db.session.execute(query.execution_options(yield_per=BATCH)) as rows:
        for position, mac, *values in rows:
            yield json.dumps({"position": position, "mac": mac, **_said(values)})
    db.session.rollback()


def start_sealing(app: Any, stop: threading.Event | None = None) -> threading.Thread:
    """A thread that seals every few seconds; those of several processes take turns."""
    stop = stop or threading.Event()

    def rounds() -> None:
        while not stop.wait(EVERY):
            with app.app_context():
                try:
                    seal(app.extensions["medfiles"].sealer)
                except MedfilesError as error:
                    log.error("sealing failed", code=error.code)
                except (SQLAlchemyError, OSError) as error:  # what is away may be back in a few seconds
                    log.error("sealing failed", code=type(error).__name__)

    thread = threading.Thread(target=rounds, name="sealing", daemon=True)
    thread.start()
    return thread


def _seal_batch(sealer: Sealer, all_of_it: bool) -> int:
    if db.session.execute(_unsealed(all_of_it=all_of_it).limit(1)).first() is None:
        db.session.rollback()
        return 0
    with transaction() as session:
        last_runs.locked(SEAL)  # one at a time
        last = select(AuditSeal.position, AuditSeal.mac).order_by(AuditSeal.position.desc()).limit(1)
        first, before = session.execute(last).one_or_none() or (0, START)
        rows = session.execute(_unsealed(all_of_it=all_of_it).order_by(AuditEvent.id).limit(BATCH)).all()
        seals = []
        for position, row in enumerate(rows, first + 1):
            before = _code(sealer.key, before, row)
            seals.append({"position": position, "event_id": row[0], "mac": before, "sealed_at": now()})
        if seals:
            session.execute(AuditSeal.__table__.insert(), seals)
        return len(seals)


def _unsealed(*, all_of_it: bool = False) -> Select[Any]:
    """Their ids come first. Near the end of the chain, unless all of it: numbers become visible out of order, but not
    by much."""
    query = (
        select(*COLUMNS).outerjoin(AuditSeal, AuditSeal.event_id == AuditEvent.id).where(AuditSeal.event_id.is_(None))
    )
    if all_of_it:
        return query
    last = select(func.coalesce(func.max(AuditSeal.event_id), 0)).scalar_subquery()
    return query.where(AuditEvent.id > last - OVERLAP)


def _head() -> Head | None:
    query = select(AuditSeal.position, AuditSeal.mac, AuditSeal.sealed_at).order_by(AuditSeal.position.desc()).limit(1)
    row = db.session.execute(query).one_or_none()
    db.session.rollback()
    return Head(row[0], row[1], row[2].astimezone(UTC).isoformat()) if row else None


def _check(sealer: Sealer, head: Head | None) -> Bad | None:
    query = select(AuditSeal.position, AuditSeal.event_id, AuditSeal.mac, *COLUMNS)
    query = query.outerjoin(AuditEvent, AuditEvent.id == AuditSeal.event_id).order_by(AuditSeal.position)
    before, known, last = START, head or sealer.anchor.last(), 0
    with db.session.execute(query.execution_options(yield_per=BATCH)) as rows:
        for position, event_id, mac, *row in rows:
            if position != last + 1:
                return Bad("deleted", position=last + 1)
            if bad := _judged(sealer.key, before, position, event_id, mac, row):
                return bad
            if known and position == known.position and mac != known.mac:
                return Bad("other-chain", event_id, position)
            before, last = mac, position
    if known and known.position > last:
        return Bad("cut-off", position=last + 1)
    if last and known is None:
        return Bad("no-anchor")
    late = db.session.execute(_unsealed(all_of_it=True).where(AuditEvent.at < now() - LATE).limit(1)).first()
    return Bad("not-sealed", late[0]) if late else None


def _judged(key: bytes, before: str, position: int, event_id: int, mac: str, row: Sequence[Any]) -> Bad | None:
    if row[0] is None:
        return Bad("deleted", event_id, position)
    if hmac.compare_digest(_code(key, before, row), mac):
        return None
    return Bad("altered", event_id, position)


def _code(key: bytes, before: str, row: Sequence[Any]) -> str:
    content = json.dumps(_said(row), sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, f"{before}\n{content}".encode(), "sha256").hex()


def _said(row: Sequence[Any]) -> dict[str, Any]:
    """An event by its columns, written alike on every database."""
    return {column.name: _written(value) for column, value in zip(COLUMNS, row, strict=True)}


def _written(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value
