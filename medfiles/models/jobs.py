"""The job queue, housekeeping rounds, and the last runs of recurring work."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class Job(db.Model):  # type: ignore[name-defined,misc]
    """A background job."""

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("kind", "subject"), Index(None, "due_at"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(50))
    subject: Mapped[int] = mapped_column(Id, default=0)  # a document or patient; 0: the whole installation
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # None: given up
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)  # held by a worker until then
    holder: Mapped[str | None] = mapped_column(String(64))
    tries: Mapped[int] = mapped_column(default=0)  # attempts since it was enqueued or last succeeded
    failure: Mapped[str | None] = mapped_column(String(50))  # error code of the last failure
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class HousekeepingRound(db.Model):  # type: ignore[name-defined,misc]
    """A housekeeping round and when it began. At most one begins every 20 hours (see `jobs.rounds`)."""

    __tablename__ = "housekeeping_rounds"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class LastRun(db.Model):  # type: ignore[name-defined,misc]
    """The last start and end of an operation, in any process, and its results."""

    __tablename__ = "last_runs"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)
    begun_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON)
