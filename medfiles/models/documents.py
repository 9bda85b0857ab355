"""Documents (without their bytes), their renditions and texts, upload keys and canceled uploads."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    DDL,
    JSON,
    BigInteger,
    ForeignKey,
    Identity,
    Index,
    String,
    Text,
    UniqueConstraint,
    event,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, validates

from medfiles.clock import now
from medfiles.database.session import Id, UtcDateTime, db
from medfiles.text import SORT_KEY_LIMIT, sort_key

FIRST_FILE_ID = 1_000_000_001  # lower ids are reserved for additional documents, so that the two never collide
CodePoints = String(SORT_KEY_LIMIT).with_variant(String(SORT_KEY_LIMIT, collation="C"), "postgresql")


def _partial(condition: str, *columns: str, unique: bool = False, on_sqlite: str | None = None) -> Index:
    """Return an index of the rows that meet a condition; other rows do not have to be written to it.

    SQLite uses the index only for queries with the same condition, word for word.
    """
    on_sqlite = on_sqlite or condition
    return Index(None, *columns, unique=unique, sqlite_where=text(on_sqlite), postgresql_where=text(condition))


def _dated_on(context: Any) -> date:
    given = context.get_current_parameters()
    day: date = given.get("document_date") or (given.get("uploaded_at") or now()).astimezone(UTC).date()
    return day


class EntityFile(db.Model):  # type: ignore[name-defined,misc]
    """A document. `storage` names its backend, `file_path` is its key there, `file_size` is in bytes.

    Setting a detail updates `search_text` (see `record_types.document_fields`); setting the name updates `sort_name`,
    and setting the document date updates `dated_on`.

    Moving a record to the trash changes the rows of all its documents, and with each row most of the table's indexes.
    Therefore indexes that serve only live documents leave out the trash.
    """

    __tablename__ = "entity_files"
    __table_args__ = (
        UniqueConstraint("file_path"),
        Index(None, "entity_type", "entity_id", "deleted_at", "id"),
        Index(None, "patient_id", "deleted_at", "uploaded_at", "id"),
        _partial("deleted_at IS NULL", "entity_type", "entity_id", "deleted_at", "uploaded_at", "id"),
        _partial("deleted_at IS NULL", "entity_type", "entity_id", "deleted_at", "sort_name", "id"),
        _partial("deleted_at IS NULL", "entity_type", "entity_id", "deleted_at", "dated_on", "id"),
        _partial("deleted_at IS NULL", "patient_id", "deleted_at", "dated_on", "id"),
        _partial("deleted_at IS NULL", "uploaded_at"),
        _partial("deleted_at IS NULL", "category"),
        _partial("deleted_at IS NOT NULL", "deleted_at"),
        _partial("document_date_suggested IS NOT NULL", "document_date_suggested"),
        _partial("to_file", "to_file", "deleted_at", "patient_id", "id", on_sqlite="to_file = 1"),
        _partial("legacy_id IS NOT NULL", "legacy_id", unique=True),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, Identity(start=FIRST_FILE_ID), primary_key=True)
    entity_type: Mapped[str] = mapped_column(String(50))
    entity_id: Mapped[int] = mapped_column(Id)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id"))
    file_name: Mapped[str] = mapped_column(String(255))
    original_name: Mapped[str | None] = mapped_column(String(255))  # as sent; None: uploaded before it was stored
    renamed_from: Mapped[str | None] = mapped_column(String(255))  # the original name if its extension did not fit
    file_path: Mapped[str] = mapped_column(String(500))
    storage: Mapped[str] = mapped_column(String(50))
    file_type: Mapped[str] = mapped_column(String(100))
    file_size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    pages: Mapped[int | None]
    description: Mapped[str | None] = mapped_column(Text)
    category: Mapped[str | None] = mapped_column(String(100))
    document_date: Mapped[date | None]
    document_date_suggested: Mapped[date | None]  # found in the content or the name; shown until there is a date
    date_declined: Mapped[bool] = mapped_column(default=False, server_default=false())  # cleared, so suggest none again
    # The document date, or else the UTC day of the upload. The server's default is for an earlier version of medfiles
    # that still runs during an upgrade.
    dated_on: Mapped[date] = mapped_column(default=_dated_on, server_default=text("CURRENT_DATE"))
    to_file: Mapped[bool] = mapped_column(default=False, server_default=false())  # in the inbox: not filed yet
    named_patient_id: Mapped[int | None] = mapped_column(Id)  # whom it names instead; 0: confirmed
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    uploaded_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_by: Mapped[int | None] = mapped_column(Id)
    deleted_round: Mapped[int | None] = mapped_column(Id)  # housekeeping round in which it was trashed
    idempotency_key: Mapped[str | None] = mapped_column(String(255))
    legacy_id: Mapped[int | None] = mapped_column(Id)
    last_checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)  # when the content was verified
    scan: Mapped[str | None] = mapped_column(String(20), index=True)  # a state of antivirus.policy; None: never scanned
    scan_words: Mapped[str | None] = mapped_column(String(255))  # the signature's name, or why it was not scanned
    scanned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    extra: Mapped[dict[str, Any] | None] = mapped_column("metadata", JSON)
    sort_name: Mapped[str] = mapped_column(CodePoints)
    search_text: Mapped[str] = mapped_column(Text)

    @property
    def is_additional(self) -> bool:
        """Whether the document belongs to another feature, so that it is listed here but never stored."""
        return self.id < FIRST_FILE_ID

    @validates("file_name")
    def _update_sort_name(self, _: str, value: str) -> str:
        self.sort_name = sort_key(value or "")
        return value

    @validates("document_date", "uploaded_at")
    def _update_dated_on(self, name: str, value: Any) -> Any:
        if name == "document_date" and value is None and self.document_date is not None:
            self.document_date_suggested, self.date_declined = None, True
        document_date = value if name == "document_date" else self.document_date
        uploaded_at = value if name == "uploaded_at" else self.uploaded_at
        self.dated_on = document_date or (uploaded_at or now()).astimezone(UTC).date()
        return value


event.listen(
    EntityFile.__table__,
    "after_create",
    DDL(  # type: ignore[no-untyped-call]
        f"INSERT INTO sqlite_sequence (name, seq) VALUES ('entity_files', {FIRST_FILE_ID - 1})"
    ).execute_if(dialect="sqlite"),
)


class Rendition(db.Model):  # type: ignore[name-defined,misc]
    """A rendition shared by all documents with this SHA-256. Only images have a `key`."""

    __tablename__ = "renditions"
    __table_args__ = (UniqueConstraint("sha256", "recipe", "page"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    recipe: Mapped[str] = mapped_column(String(32))
    page: Mapped[int]
    key: Mapped[str | None] = mapped_column(String(500), unique=True)
    storage: Mapped[str | None] = mapped_column(String(50))
    size: Mapped[int | None] = mapped_column(BigInteger)
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # description of the preview
    failure: Mapped[str | None] = mapped_column(Text)  # why rendering failed
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class PageText(db.Model):  # type: ignore[name-defined,misc]
    """The text of one page, shared by all documents with this SHA-256.

    A page has one row for each version of the recipe it was read with, and normally only that of the current one.
    Documents without pages, such as Word documents, are read as one page.
    """

    __tablename__ = "page_texts"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    page: Mapped[int] = mapped_column(primary_key=True)  # from 1
    recipe: Mapped[int] = mapped_column(primary_key=True)  # texts.store.RECIPE when it was read
    pages: Mapped[int]  # of the document: all of it is read once it has this many rows
    source: Mapped[str] = mapped_column(String(20))  # text-layer, ocr or none
    text: Mapped[str] = mapped_column(Text, default="")
    words: Mapped[str] = mapped_column(Text, default="[]")  # JSON: [[word, x, y, width, height], …], of 1 by 1
    failure: Mapped[str | None] = mapped_column(String(20), index=True)  # why there is no text: see texts.store
    read_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class UploadKey(db.Model):  # type: ignore[name-defined,misc]
    """The Idempotency-Key of a stored upload, with the record and the content it was sent for.

    Both stay the same if the document is moved. The row outlives the document, so that a late retry does not store it
    again; the hash is cleared when the document is deleted permanently.
    """

    __tablename__ = "upload_keys"
    __table_args__ = (UniqueConstraint("user_id", "idempotency_key"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    idempotency_key: Mapped[str] = mapped_column(String(255))
    entity_type: Mapped[str] = mapped_column(String(50))
    entity_id: Mapped[int] = mapped_column(Id)
    sha256: Mapped[str | None] = mapped_column(String(64))
    file_id: Mapped[int] = mapped_column(Id, index=True)


class CancelledUpload(db.Model):  # type: ignore[name-defined,misc]
    """An upload that was canceled while in progress. If it still arrives, it is not stored."""

    __tablename__ = "cancelled_uploads"
    __table_args__ = (UniqueConstraint("user_id", "idempotency_key"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    idempotency_key: Mapped[str] = mapped_column(String(255))
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)


class DocumentMove(db.Model):  # type: ignore[name-defined,misc]
    """A move of a document, or of a record with its documents, that can still be undone.

    `owner_id` is set if the patients have different owners: the source's owner, who can take the document back even
    without access to its new patient. Until then, the document cannot be deleted permanently.
    """

    __tablename__ = "document_moves"
    __table_args__ = (
        Index(None, "from_patient_id", "moved_at"),
        Index(None, "from_type", "from_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    file_id: Mapped[int | None] = mapped_column(Id, index=True)  # None: the record itself
    from_patient_id: Mapped[int] = mapped_column(Id)
    from_type: Mapped[str] = mapped_column(String(50))
    from_id: Mapped[int] = mapped_column(Id)
    from_category: Mapped[str | None] = mapped_column(String(100))
    to_patient_id: Mapped[int] = mapped_column(Id)
    to_type: Mapped[str] = mapped_column(String(50))
    to_id: Mapped[int] = mapped_column(Id)
    owner_id: Mapped[int | None] = mapped_column(Id)
    moved_by: Mapped[int] = mapped_column(Id)
    moved_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)
    moved_round: Mapped[int] = mapped_column(Id)  # housekeeping round in which it was moved
    from_inbox: Mapped[bool] = mapped_column(default=False, server_default=false())
