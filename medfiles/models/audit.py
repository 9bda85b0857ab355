"""The audit log: one row for each operation, also for refused ones."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class AuditEvent(db.Model):  # type: ignore[name-defined,misc]
    """Append-only and without foreign keys: events outlive what they are about."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index(None, "patient_id", "id"),
        Index(None, "file_id", "action", "at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    actor_id: Mapped[int | None] = mapped_column(Id)
    action: Mapped[str] = mapped_column(String(50))
    outcome: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(50))
    patient_id: Mapped[int | None] = mapped_column(Id)
    entity_type: Mapped[str | None] = mapped_column(String(50))
    entity_id: Mapped[int | None] = mapped_column(Id)
    file_id: Mapped[int | None] = mapped_column(Id)
    request_id: Mapped[str | None] = mapped_column(String(64))
    address: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class AuditSeal(db.Model):  # type: ignore[name-defined,misc]
    """A link of the hash chain: `mac` covers the event and the previous seal.

    So no event can be changed, removed or inserted unnoticed.
    """

    __tablename__ = "audit_seals"
    __table_args__ = {"sqlite_autoincrement": True}

    position: Mapped[int] = mapped_column(Id, primary_key=True)
    event_id: Mapped[int] = mapped_column(Id, unique=True)
    mac: Mapped[str] = mapped_column(String(64))
    sealed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
