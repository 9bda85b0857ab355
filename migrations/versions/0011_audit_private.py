"""Move the personal data of audit events to a table of its own, and seal the log again.

The seals cover the columns of events, so moving anything breaks them. The old chain is verified first, and the
migration stops if that fails. Then everything is sealed in the new format, after an event `reseal` that names the old
head.
"""

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from flask import current_app

from medfiles.audit.checkpoint import Head

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)
SEALED = ("audit_events", "audit_seals")
GENESIS = "0" * 64
BATCH = 500
SHARED = ("id", "at", "actor_id", "action", "outcome", "reason", "patient_id", "entity_type", "entity_id", "file_id",
          "request_id", "details")
OLD, NEW = (*SHARED, "address"), (*SHARED, "token_id", "private_hash")
ACCEPT = "accept-audit-finding"

events = sa.table(
    "audit_events",
    *(sa.column(name, ID) for name in ("id", "actor_id", "token_id", "patient_id", "entity_id", "file_id")),
    *(sa.column(name, sa.String()) for name in
      ("action", "outcome", "reason", "entity_type", "request_id", "address", "private_hash")),
    sa.column("at", MOMENT), sa.column("details", sa.JSON(none_as_null=True)),
)
private = sa.table("audit_private", sa.column("event_id", ID), sa.column("salt", sa.String()),
                   sa.column("content", sa.JSON()))
seals = sa.table("audit_seals", sa.column("position", ID), sa.column("event_id", ID), sa.column("mac", sa.String()),
                 sa.column("sealed_at", MOMENT), sa.column("format", sa.Integer()))


def upgrade() -> None:
    last = _verify(OLD)
    _allow_changes()
    op.create_table('audit_private',
    sa.Column('event_id', ID, autoincrement=False, nullable=False),
    sa.Column('salt', sa.String(length=32), nullable=False),
    sa.Column('content', sa.JSON(), nullable=False),
    sa.PrimaryKeyConstraint('event_id', name=op.f('pk_audit_private'))
    )
    op.add_column('audit_events', sa.Column('token_id', ID, nullable=True))
    op.add_column('audit_events', sa.Column('private_hash', sa.String(length=64), nullable=True))
    op.add_column('audit_seals', sa.Column('format', sa.Integer(), nullable=False, server_default="2"))
    gone = _deleted_for_good()
    for row in _batches(events, events.c.id, *(events.c[name] for name in OLD)):
        _separate(row, bool({("file", row.file_id), (row.entity_type, row.entity_id)} & gone))
    op.drop_column('audit_events', 'address')
    _seal_again(NEW, last)
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column('audit_seals', 'format', server_default=None)
    _refuse_changes(more=[("audit_private", ("UPDATE",))])


def downgrade() -> None:
    last = _verify(NEW)
    _allow_changes()
    op.add_column('audit_events', sa.Column('address', sa.String(length=64), nullable=True))
    for number, _, content in _batches(private, private.c.event_id, private.c.salt, private.c.content):
        _put_back(number, content)
    op.drop_column('audit_events', 'token_id')
    op.drop_column('audit_events', 'private_hash')
    op.drop_column('audit_seals', 'format')
    op.drop_table('audit_private')
    _seal_again(OLD, last)
    _refuse_changes()


def _deleted_for_good() -> set[tuple[str, int]]:
    """Return what was deleted permanently, whose personal data is not kept."""
    done = sa.select(events).where(events.c.outcome == "done")
    files = op.get_bind().execute(done.where(events.c.action.in_(["purge", "cancel"]), events.c.file_id.is_not(None)))
    records = op.get_bind().execute(done.where(events.c.action == "purge-record"))
    return {("file", row.file_id) for row in files} | {(row.entity_type, row.entity_id) for row in records}


def _separate(row: Any, gone: bool) -> None:
    """Move the name, token and address of an event to `audit_private`, or erase them."""
    details = dict(row.details or {})
    content = {"name": details.pop("name", None), "token": details.pop("token", None),
               "address": row.address or details.pop("address", None)}
    content = {name: value for name, value in content.items() if value}
    values: dict[str, Any] = {"details": details or None}
    if "token" in content:
        values["token_id"] = 0  # which one it was is not known any more
    if content:
        salt = secrets.token_hex(16)
        values["private_hash"] = hashlib.sha256(f"{salt}\n{_canonical(content)}".encode()).hexdigest()
    if content and not gone:
        op.get_bind().execute(private.insert().values(event_id=row.id, salt=salt, content=content))
    op.get_bind().execute(events.update().where(events.c.id == row.id).values(values))


def _put_back(number: int, content: dict[str, Any]) -> None:
    bind = op.get_bind()
    details = bind.scalar(sa.select(events.c.details).where(events.c.id == number)) or {}
    details |= {name: content[name] for name in ("name", "token", "changes") if name in content}
    values = {"details": details or None, "address": content.get("address")}
    bind.execute(events.update().where(events.c.id == number).values(values))


def _verify(columns: tuple[str, ...]) -> tuple[int, str] | None:
    """Return (position, MAC) of the last seal, or None if nothing is sealed. Stops if the chain is broken."""
    checkpoint, position, mac, broken = _sealer().anchor.read(), 0, GENESIS, None
    for row in _chain(columns):
        expected = _mac(mac, row, columns) if row.id is not None and row.position == position + 1 else ""
        differs = checkpoint and checkpoint.position == row.position and checkpoint.mac != row.mac
        if differs or not hmac.compare_digest(expected, row.mac):
            broken = broken or position + 1
        position, mac = row.position, row.mac
    if position and checkpoint and checkpoint.position > position:
        broken = broken or position + 1
    if broken and ACCEPT not in context.get_x_argument():
        raise SystemExit(
            f"The audit log does not verify from position {broken} on, so the database was not changed. Look into it "
            "with the version that was installed before: flask medfiles audit verify. To upgrade with the audit log "
            f"as it is: flask --app wsgi db upgrade -x {ACCEPT}"
        )
    return (position, mac) if position else None


def _seal_again(columns: tuple[str, ...], old: tuple[int, str] | None) -> None:
    """Recompute all seals, add an event that names the old head, and renew the checkpoint after the commit."""
    if old is None:
        return
    bind, mac = op.get_bind(), GENESIS
    at = datetime.now(UTC)
    event = {"action": "reseal", "outcome": "done", "at": at,
             "details": {"old_position": old[0], "old_mac": old[1]}}
    bind.execute(events.insert().values(event))
    number = bind.scalar(sa.select(sa.func.max(events.c.id)))
    bind.execute(seals.insert().values({"position": old[0] + 1, "event_id": number, "mac": "", "sealed_at": at}))
    for row in _chain(columns):
        mac = _mac(mac, row, columns)
        bind.execute(seals.update().where(seals.c.position == row.position).values(mac=mac))
    head = Head(old[0] + 1, mac, at.isoformat())
    bind.info.setdefault("after commit", []).append(lambda: _sealer().anchor.write(head))


def _sealer() -> Any:
    return current_app.extensions["medfiles"].sealer


def _chain(columns: tuple[str, ...]) -> Iterator[Any]:
    """Return the seals with their events, in the order of the chain."""
    joined = seals.outerjoin(events, events.c.id == seals.c.event_id)
    wanted = [seals.c.position, seals.c.mac, *(events.c[name] for name in columns)]
    return _batches(joined, seals.c.position, *wanted)


def _batches(table: Any, key: Any, *columns: Any) -> Iterator[Any]:
    """Yield rows ordered by a unique key. The table may change while they are read."""
    last = -1
    query = sa.select(key.label("_key"), *columns).select_from(table).order_by(key).limit(BATCH)
    while rows := op.get_bind().execute(query.where(key > last)).all():
        yield from rows
        last = rows[-1][0]


def _mac(before: str, row: Any, columns: tuple[str, ...]) -> str:
    fields = {name: getattr(row, name) for name in columns}
    at = fields["at"]
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    content = _canonical(fields | {"at": at.isoformat(timespec="microseconds")})
    return hmac.digest(_sealer().key, f"{before}\n{content}".encode(), "sha256").hex()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _allow_changes() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in SEALED:
            op.execute(f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}")
        return
    for table in SEALED:
        for change in ("update", "delete"):
            op.execute(f"DROP TRIGGER IF EXISTS {table}_no_{change}")


def _refuse_changes(more: Sequence[tuple[str, tuple[str, ...]]] = ()) -> None:
    """Make the tables append-only again. `more` names further tables, with the changes to refuse."""
    for table, changes in [*((table, ("UPDATE", "DELETE")) for table in SEALED), *more]:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(
                f"CREATE TRIGGER {table}_append_only BEFORE {' OR '.join(changes)} ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
            continue
        for change in changes:
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
