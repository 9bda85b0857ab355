"""The audit log: one row per operation, including refused ones."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db

LINK = "share-link"  # the entity type of events about share links
OF_LINK = text(f"entity_type = '{LINK}'")


class AuditEvent(db.Model):  # type: ignore[name-defined,misc]
    """An audit event. Append-only and without foreign keys, because events outlive their subjects.

    This table contains no personal data: names, addresses and former values are in `audit_private`, and `private_hash`
    is their salted hash.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index(None, "patient_id", "id"),
        Index(None, "file_id", "action", "at"),
        Index(None, "entity_id", "id", sqlite_where=OF_LINK, postgresql_where=OF_LINK),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    actor_id: Mapped[int | None] = mapped_column(Id)
    token_id: Mapped[int | None] = mapped_column(Id)  # the API token used instead of a session
    action: Mapped[str] = mapped_column(String(50))
    outcome: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str | None] = mapped_column(String(50))
    patient_id: Mapped[int | None] = mapped_column(Id)
    entity_type: Mapped[str | None] = mapped_column(String(50))
    entity_id: Mapped[int | None] = mapped_column(Id)
    file_id: Mapped[int | None] = mapped_column(Id)
    request_id: Mapped[str | None] = mapped_column(String(64))
    details: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    private_hash: Mapped[str | None] = mapped_column(String(64))

    private: Mapped["AuditPrivate | None"] = relationship(
        primaryjoin="foreign(AuditEvent.id) == AuditPrivate.event_id", viewonly=True, uselist=False
    )

    @property
    def personal(self) -> dict[str, Any]:
        """The content of `private`; empty once erased."""
        return self.private.content if self.private else {}


class AuditPrivate(db.Model):  # type: ignore[name-defined,misc]
    """An event's personal data. Permanent deletion erases the row and its salt; the chain can still be verified.

    `content` has these keys if they apply: `name` (of the document, record, patient or account at that time), `token`
    (its name), `address` (that the request came from), `reader` (the name that the reader of a share link gave) and
    `changes` ({field: [before, after]}).
    """

    __tablename__ = "audit_private"

    event_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    salt: Mapped[str] = mapped_column(String(32))
    content: Mapped[dict[str, Any]] = mapped_column(JSON)


class AuditSeal(db.Model):  # type: ignore[name-defined,misc]
    """A link of the hash chain: `mac` covers the event and the previous seal.

    This way, no event can be changed, removed or inserted unnoticed. `format` identifies the columns that `mac` covers.
    """

    __tablename__ = "audit_seals"
    __table_args__ = {"sqlite_autoincrement": True}

    position: Mapped[int] = mapped_column(Id, primary_key=True)
    event_id: Mapped[int] = mapped_column(Id, unique=True)
    mac: Mapped[str] = mapped_column(String(64))
    sealed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    format: Mapped[int] = mapped_column(default=2)
