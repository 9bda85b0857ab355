"""Tables of the older lab-results feature, exactly as they exist in installations, and tables for its migration."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class LabResultFile(db.Model):  # type: ignore[name-defined,misc]
    """A file of the older feature. `uploaded_at` is naive, as that feature stored it. Our limits do not apply to it."""

    __tablename__ = "lab_result_files"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    lab_result_id: Mapped[int] = mapped_column(ForeignKey("lab_results.id"), index=True)
    file_name: Mapped[str] = mapped_column(String(255))
    file_path: Mapped[str] = mapped_column(String(500))
    file_type: Mapped[str] = mapped_column(String(100))
    file_size: Mapped[int | None] = mapped_column(Integer)
    description: Mapped[str | None] = mapped_column(Text)
    uploaded_at: Mapped[datetime | None]


class LegacySource(db.Model):  # type: ignore[name-defined,misc]
    """A source of older files and the state of its migration."""

    __tablename__ = "legacy_sources"
    __table_args__ = (CheckConstraint("current = 1", name="current"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    place: Mapped[str] = mapped_column(String(500), unique=True)  # "own", or the database URL without its password
    # 1 for the current source. NULL: rolled back, kept so that permanently deleted files are not moved again.
    current: Mapped[int | None] = mapped_column(unique=True)
    timezone: Mapped[str] = mapped_column(String(64))
    begun_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    backup: Mapped[str | None] = mapped_column(Text)
    backed_up_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finishing_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LegacyId(db.Model):  # type: ignore[name-defined,misc]
    """The new id of an older user, patient, lab result or file; NULL if it was deleted permanently.

    `brought`: created by the migration rather than matched with an existing row.
    """

    __tablename__ = "legacy_ids"
    __table_args__ = (Index(None, "kind", "new_id"),)

    source_id: Mapped[int] = mapped_column(ForeignKey("legacy_sources.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), primary_key=True)  # user, patient, lab-result or file
    old_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    new_id: Mapped[int | None] = mapped_column(Id)
    brought: Mapped[bool] = mapped_column(default=False)
