"""The job queue, and the rounds of housekeeping."""

from datetime import datetime

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class Job(db.Model):  # type: ignore[name-defined,misc]
    """Background work on the document `subject`, or on the whole installation (0).

    A worker has it until `lease_until`. `tries` counts failed attempts, `failure` is the last one's error code.
    `due_at` is None when it was given up.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        UniqueConstraint("kind", "subject"),
        Index(None, "due_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(50))
    subject: Mapped[int] = mapped_column(Id, default=0)
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    holder: Mapped[str | None] = mapped_column(String(64))
    tries: Mapped[int] = mapped_column(default=0)
    failure: Mapped[str | None] = mapped_column(String(50))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class HousekeepingRound(db.Model):  # type: ignore[name-defined,misc]
    """A round of housekeeping and when it began: at most one in 20 hours (see `jobs.rounds`)."""

    __tablename__ = "housekeeping_rounds"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
