"""Uploads cancelled by their sender while in progress: what still arrives is not stored."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class CancelledUpload(db.Model):  # type: ignore[name-defined,misc]
    __tablename__ = "cancelled_uploads"
    __table_args__ = (UniqueConstraint("user_id", "idempotency_key"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    idempotency_key: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)
