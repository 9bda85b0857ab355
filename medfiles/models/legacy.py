"""The older lab-results-only feature's table, exactly as existing installations have it."""

from datetime import datetime

from sqlalchemy import ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.db import db


class LabResultFile(db.Model):  # type: ignore[name-defined,misc]
    """`uploaded_at` is naive here, as the older feature wrote it; no limit or type of ours applies to its rows."""

    __tablename__ = "lab_result_files"

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    lab_result_id: Mapped[int] = mapped_column(ForeignKey("lab_results.id"), index=True)
    file_name: Mapped[str] = mapped_column(String(255))
    file_path: Mapped[str] = mapped_column(String(500))
    file_type: Mapped[str] = mapped_column(String(100))
    file_size: Mapped[int | None] = mapped_column(Integer)
    description: Mapped[str | None] = mapped_column(Text)
    uploaded_at: Mapped[datetime | None]
