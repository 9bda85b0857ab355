"""The preview cache: images rendered from documents, and what can be shown of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db


class Rendition(db.Model):  # type: ignore[name-defined,misc]
    """A rendition of all documents with this SHA-256.

    An image has `key`, `storage` and `size`. `facts` say what can be shown, `failure` why rendering failed.
    """

    __tablename__ = "renditions"
    __table_args__ = (UniqueConstraint("sha256", "recipe", "page"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    recipe: Mapped[str] = mapped_column(String(32))
    page: Mapped[int]
    key: Mapped[str | None] = mapped_column(String(500), unique=True)
    storage: Mapped[str | None] = mapped_column(String(50))
    size: Mapped[int | None] = mapped_column(BigInteger)
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    failure: Mapped[str | None] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
