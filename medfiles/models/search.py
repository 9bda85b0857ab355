"""The search index: what documents, records and patients are found by."""

from datetime import date
from typing import Any

from sqlalchemy import DDL, ForeignKey, Index, String, Text, UniqueConstraint, event
from sqlalchemy.orm import Mapped, mapped_column

from medfiles.database.session import Id, db

WORDS_TABLE = "search_words"  # on SQLite; its own tables begin with this name


class SearchEntry(db.Model):  # type: ignore[name-defined,misc]
    """A document, record or patient in the search index.

    `words` and `text` hold tokens, separated by spaces, each of which carries the patient or the patient's owner (see
    `search.index`). SQLite indexes them in the table `search_words`, which triggers keep up to date; PostgreSQL in an
    index of the expression `TOKENS`. The entry of a row in the trash stays, and searches leave it out.
    """

    __tablename__ = "search_entries"
    __table_args__ = (
        UniqueConstraint("kind", "subject_id", "entity_type"),
        Index(None, "entity_type", "record_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    patient_id: Mapped[int] = mapped_column(ForeignKey("patients.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(20))  # document, record or patient
    entity_type: Mapped[str] = mapped_column(String(50))  # of the record; "patient" for a patient
    subject_id: Mapped[int] = mapped_column(Id)  # of the document, record or patient
    record_id: Mapped[int] = mapped_column(Id)  # of the record, or the document's record; 0 for a patient
    day: Mapped[date]  # by which equally good hits are ordered
    title: Mapped[str] = mapped_column(Text)  # tokens of the name or title, in their order, without a patient
    words: Mapped[str] = mapped_column(Text)  # of the title and all details
    text: Mapped[str] = mapped_column(Text, default="")  # of the content of a document


TOKENS_INDEX = "ix_search_entries_tokens"  # on PostgreSQL
TOKENS = "((words || ' ' || text)::tsvector)"
TRIGGERS = {
    "insert": f"INSERT INTO {WORDS_TABLE} (rowid, words, text) VALUES (new.id, new.words, new.text);",
    "delete": f"INSERT INTO {WORDS_TABLE} ({WORDS_TABLE}, rowid, words, text) "
    "VALUES ('delete', old.id, old.words, old.text);",
}
SQLITE = (
    f"CREATE VIRTUAL TABLE {WORDS_TABLE} USING fts5(words, text, content='search_entries', content_rowid='id', "
    "detail=none, columnsize=0, tokenize=\"ascii tokenchars '_=-./,'\")",
    f"CREATE TRIGGER search_entries_insert AFTER INSERT ON search_entries BEGIN {TRIGGERS['insert']} END",
    f"CREATE TRIGGER search_entries_delete AFTER DELETE ON search_entries BEGIN {TRIGGERS['delete']} END",
    "CREATE TRIGGER search_entries_update AFTER UPDATE OF words, text ON search_entries "
    "WHEN old.words <> new.words OR old.text <> new.text "
    f"BEGIN {TRIGGERS['delete']} {TRIGGERS['insert']} END",
)
POSTGRESQL = (f"CREATE INDEX {TOKENS_INDEX} ON search_entries USING gin ({TOKENS})",)
for _dialect, _statements in (("sqlite", SQLITE), ("postgresql", POSTGRESQL)):
    for _statement in _statements:
        event.listen(
            SearchEntry.__table__,
            "after_create",
            DDL(_statement.replace("%", "%%")).execute_if(dialect=_dialect),  # type: ignore[no-untyped-call]
        )


def is_declared(_: Any, name: str | None, *__: Any) -> bool:
    """Return False for the tables and indexes of words, which Alembic cannot compare with the models."""
    return not (name or "").startswith(WORDS_TABLE) and name != TOKENS_INDEX
