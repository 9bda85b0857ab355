"""Findings of integrity checks, and the last runs of recurring work."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class FixityFinding(db.Model):  # type: ignore[name-defined,misc]
    """A problem with an object; deleted when a later check finds the object intact."""

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
    """When work of this name last started and last ended, in any process, with its results."""

    __tablename__ = "last_runs"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    begun_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON)
