"""Chain audit events with HMACs, so that any later change is detected.

Each event gets a position and an HMAC-SHA256 over the event and the previous HMAC: altering, removing, inserting or
truncating events breaks the chain. Events are sealed a few seconds after their transaction, in the order in which they
became visible, because chaining them inside each transaction would serialize all writers.
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
from sqlalchemy import Select, func, not_, select, true
from sqlalchemy.exc import SQLAlchemyError

from medfiles.audit import event_log
from medfiles.audit.checkpoint import Anchor, Head
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import is_within, now
from medfiles.database.session import db, read, transaction
from medfiles.errors import MedfilesError, error_code
from medfiles.jobs import last_runs
from medfiles.models import AuditEvent, AuditPrivate, AuditSeal

log = structlog.get_logger("medfiles.audit.chain")
SEAL, VERIFY = "audit-seal", "audit-verify"  # names in `last_runs`
BATCH = 500
EVERY = 4.0  # seconds; events are sealed within five
OVERLAP = 1000  # how far below the last sealed id an event may still appear
LATE = timedelta(minutes=2)  # age at which an unsealed event becomes a finding
GENESIS = "0" * 64  # replaces the previous HMAC in the first seal
COLUMNS = list(AuditEvent.__table__.columns)
PRIVATE = (AuditPrivate.salt, AuditPrivate.content)
# The columns that each seal format covers. A new column requires a new format, because existing seals do not change.
FORMATS = {
    2: (
        "id", "at", "actor_id", "token_id", "action", "outcome", "reason", "patient_id", "entity_type", "entity_id",
        "file_id", "request_id", "details", "private_hash",
    ),
}  # fmt: skip
FORMAT = max(FORMATS)
KINDS = {
    "altered": "this event or the order of events was changed after sealing",
    "altered-private": "the personal part of this event was changed",
    "unknown-format": "this event was sealed by a newer version of medfiles",
    "deleted": "this event is missing",
    "cut-off": "the checkpoint is ahead of the chain",
    "other-chain": "the checkpoint does not match the chain",
    "no-anchor": "there is no checkpoint to compare with",
    "not-sealed": "this event was never sealed: it was inserted, or sealing does not run",
}


@dataclass(frozen=True)
class Sealer:
    """The HMAC key, and the anchor that stores the head of the chain outside the database."""

    key: bytes
    anchor: Anchor


@dataclass(frozen=True)
class Violation:
    """The first problem found in the chain. `kind` is a key of KINDS."""

    kind: str
    event_id: int | None = None
    position: int | None = None

    @property
    def text(self) -> str:
        places = {"event": self.event_id, "position": self.position}
        where = ", ".join(f"{name} {number}" for name, number in places.items() if number is not None)
        return f"{where}: {KINDS[self.kind]}" if where else KINDS[self.kind]


@dataclass(frozen=True)
class ChainStatus:
    """Figures for the status page: the last seal, the number of unsealed events, and the last verification."""

    sealed: int
    sealed_at: datetime | None
    waiting: int
    checked: last_runs.Run | None


def derive_key(secret: str) -> bytes:
    """Derive the chain's HMAC key from a secret. The key is used for nothing else."""
    return HKDF(SHA256(), 32, salt=None, info=b"medfiles audit trail").derive(secret.encode())


def seal(sealer: Sealer, *, everything: bool = False) -> int:
    """Seal all waiting events, anchor the new head and any changed accounts, and return the number of events sealed.

    With `everything`, also look for unsealed events well before the end of the chain.
    """
    count, accounts = 0, set[int]()
    while rows := _seal_batch(sealer, everything):
        count += len(rows)
        accounts |= {account for row in rows if (account := event_log.changed_account(row)) is not None}
    if accounts:
        sealer.anchor.write_changed(accounts, now())
    if count and (head := _head()):
        sealer.anchor.write(head)
    return count


def renew_anchor(sealer: Sealer) -> Head | None:
    """Accept the current chain, for example after a restore, and record this in the audit log."""
    with transaction():
        event_log.record(None, "renew-anchor", AuditTarget())
    seal(sealer)
    return _head()


def verify(sealer: Sealer, head: Head | None = None) -> Violation | None:
    """Check the whole chain, record the run, and return the first violation, or None.

    `head` is the checkpoint to compare with, for example one stored elsewhere. The default is the anchor's checkpoint.
    """
    found = _check(sealer, head)
    db.session.rollback()
    last_runs.record(VERIFY, finding=found.text if found else None)
    return found


def status() -> ChainStatus:
    last = _head()
    return ChainStatus(
        sealed=last.position if last else 0,
        sealed_at=datetime.fromisoformat(last.at) if last else None,
        waiting=db.session.scalar(_unsealed().with_only_columns(func.count(AuditEvent.id))) or 0,
        checked=last_runs.last(VERIFY),
    )


def export(
    patient_id: int | None = None, since: datetime | None = None, until: datetime | None = None
) -> Iterator[str]:
    """Yield events as JSON lines in chain order, followed by unsealed events.

    `position`, `mac` and `format` allow anyone who holds the key to verify the events. `private` is the personal part,
    unless it was erased, and `salt` is the salt of its hash. Only events with `since` <= at < `until` are exported.
    """
    query = (
        select(AuditSeal.position, AuditSeal.mac, AuditSeal.format, *PRIVATE, *COLUMNS)
        .select_from(AuditEvent)
        .outerjoin(AuditSeal, AuditSeal.event_id == AuditEvent.id)
        .outerjoin(AuditPrivate, AuditPrivate.event_id == AuditEvent.id)
        .order_by(AuditSeal.position.is_(None), AuditSeal.position, AuditEvent.id)
    )
    if patient_id is not None:
        query = query.where(AuditEvent.patient_id == patient_id)
    if since:
        query = query.where(AuditEvent.at >= since)
    if until:
        query = query.where(AuditEvent.at < until)
    with db.session.execute(query.execution_options(yield_per=BATCH)) as rows:
        for position, mac, sealed_as, salt, private, *values in rows:
            chained = {"position": position, "mac": mac, "format": sealed_as, "salt": salt, "private": private}
            yield json.dumps({**chained, **_event_fields(values)})
    db.session.rollback()


def start_sealing(app: Any, stop: threading.Event | None = None) -> threading.Thread:
    """Start a thread that seals waiting events every few seconds. If several processes do, they take turns."""
    stop = stop or threading.Event()

    def rounds() -> None:
        while not stop.wait(EVERY):
            seal_waiting(app)

    thread = threading.Thread(target=rounds, name="sealing", daemon=True)
    thread.start()
    return thread


def seal_waiting(app: Any) -> None:
    """Seal waiting events, for example when a process ends. A failure is logged, not raised."""
    with app.app_context():
        try:
            seal(app.extensions["medfiles"].sealer)
        except (MedfilesError, SQLAlchemyError, OSError) as error:  # an outage may be over in a few seconds
            log.error("sealing failed", code=error_code(error))


def _seal_batch(sealer: Sealer, everything: bool) -> Sequence[Any]:
    """Seal the next batch of events and return their rows."""
    if not read(_unsealed(everything=everything).limit(1)):
        return ()
    with transaction() as session:
        last_runs.lock_row(SEAL)  # one process at a time
        last = select(AuditSeal.position, AuditSeal.mac).order_by(AuditSeal.position.desc()).limit(1)
        first, previous_mac = session.execute(last).one_or_none() or (0, GENESIS)
        rows: Sequence[Any] = session.execute(
            _unsealed(everything=everything).order_by(AuditEvent.id).limit(BATCH)
        ).all()
        seals = []
        for position, row in enumerate(rows, first + 1):
            previous_mac = _mac(sealer.key, previous_mac, row, FORMAT)
            seals.append(
                {
                    "position": position, "event_id": row[0], "mac": previous_mac, "sealed_at": now(),
                    "format": FORMAT,
                }
            )  # fmt: skip
        if seals:
            session.execute(AuditSeal.__table__.insert(), seals)
        return rows


def _unsealed(*, everything: bool = False) -> Select[Any]:
    """Return a query for unsealed events near the end of the chain, or for all of them. The first column is the id.

    Ids become visible out of order, but only within a short range.
    """
    query = select(*COLUMNS).outerjoin(AuditSeal, AuditSeal.event_id == AuditEvent.id)
    last = select(func.coalesce(func.max(AuditSeal.event_id), 0)).scalar_subquery()
    return query.where(AuditSeal.event_id.is_(None), true() if everything else AuditEvent.id > last - OVERLAP)


def _head() -> Head | None:
    query = select(AuditSeal.position, AuditSeal.mac, AuditSeal.sealed_at).order_by(AuditSeal.position.desc()).limit(1)
    return next((Head(position, mac, at.astimezone(UTC).isoformat()) for position, mac, at in read(query)), None)


def _check(sealer: Sealer, head: Head | None) -> Violation | None:
    query = (
        select(AuditSeal.position, AuditSeal.event_id, AuditSeal.mac, AuditSeal.format, *PRIVATE, *COLUMNS)
        .outerjoin(AuditEvent, AuditEvent.id == AuditSeal.event_id)
        .outerjoin(AuditPrivate, AuditPrivate.event_id == AuditSeal.event_id)
        .order_by(AuditSeal.position)
    )
    previous_mac, known, last = GENESIS, head or sealer.anchor.read(), 0
    with db.session.execute(query.execution_options(yield_per=BATCH)) as rows:
        for position, event_id, mac, sealed_as, salt, private, *row in rows:
            if position != last + 1:
                return Violation("deleted", position=last + 1)
            if row[0] is None:
                return Violation("deleted", event_id, position)
            if sealed_as not in FORMATS:
                return Violation("unknown-format", event_id, position)
            if not hmac.compare_digest(_mac(sealer.key, previous_mac, row, sealed_as), mac):
                return Violation("altered", event_id, position)
            if salt is not None and event_log.private_hash(salt, private) != _event_fields(row)["private_hash"]:
                return Violation("altered-private", event_id, position)
            if known and position == known.position and mac != known.mac:
                return Violation("other-chain", event_id, position)
            previous_mac, last = mac, position
    if known and known.position > last:
        return Violation("cut-off", position=last + 1)
    if last and known is None:
        return Violation("no-anchor")
    late = db.session.execute(_unsealed(everything=True).where(not_(is_within(AuditEvent.at, LATE))).limit(1)).first()
    return Violation("not-sealed", late[0]) if late else None


def _mac(key: bytes, previous_mac: str, row: Sequence[Any], sealed_as: int) -> str:
    fields = _event_fields(row)
    content = json.dumps({name: fields[name] for name in FORMATS[sealed_as]}, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, f"{previous_mac}\n{content}".encode(), "sha256").hex()


def _event_fields(row: Sequence[Any]) -> dict[str, Any]:
    """Return an event's columns in a form that is the same on every database."""
    return {
        column.name: value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value
        for column, value in zip(COLUMNS, row, strict=True)
    }
