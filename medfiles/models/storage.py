"""The storage journal, and the findings of integrity checks."""

from datetime import datetime

from sqlalchemy import CheckConstraint, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class StorageJournal(db.Model):  # type: ignore[name-defined,misc]
    """A storage key that is not yet, or no longer, used by a document."""

    __tablename__ = "storage_journal"
    __table_args__ = (CheckConstraint("action IN ('attach', 'remove')", name="action"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(500), unique=True)
    storage: Mapped[str] = mapped_column(String(50))
    action: Mapped[str] = mapped_column(String(10))
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class FixityFinding(db.Model):  # type: ignore[name-defined,misc]
    """A problem with an object. Deleted when a later check finds the object intact."""

    __tablename__ = "fixity_findings"
    __table_args__ = (UniqueConstraint("storage", "key", "kind"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    storage: Mapped[str] = mapped_column(String(50))
    key: Mapped[str] = mapped_column(String(500))
    file_id: Mapped[int | None] = mapped_column(Id, index=True)  # the document; None: no row names the object
    first_seen: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    last_seen: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
