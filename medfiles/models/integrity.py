"""What checks of the store found, and when long work was last done."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class FixityFinding(db.Model):  # type: ignore[name-defined,misc]
    """Something about the object under `key`; it goes when a later check finds it well."""

    __tablename__ = "fixity_findings"
    __table_args__ = (UniqueConstraint("storage", "key", "kind"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    storage: Mapped[str] = mapped_column(String(50))
    key: Mapped[str] = mapped_column(String(500))
    file_id: Mapped[int | None] = mapped_column(Id, index=True)  # the document; None: no row names the object
    first_seen: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class LastRun(db.Model):  # type: ignore[name-defined,misc]
    """When work of this name was last begun, by whichever process, and last ended, with its figures."""

    __tablename__ = "last_runs"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    begun_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON)
