"""The storage journal: keys that no document names yet or any longer."""

from datetime import datetime

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.database.session import Id, UtcDateTime, db


class StorageJournal(db.Model):  # type: ignore[name-defined,misc]
    __tablename__ = "storage_journal"
    __table_args__ = (
        CheckConstraint("action IN ('attach', 'remove')", name="action"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(500), unique=True)
    storage: Mapped[str] = mapped_column(String(50))
    action: Mapped[str] = mapped_column(String(10))
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
