"""Compare the search index with the rows that it is made from, and rebuild it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, exists, not_, or_, select, text
from sqlalchemy.exc import DatabaseError

from medfiles.database.session import count, db, end_read, read, transaction
from medfiles.jobs.queue import TEXT
from medfiles.models import EntityFile, Job, Patient, SearchEntry
from medfiles.models.search import WORDS_TABLE
from medfiles.record_types.declared import Registry
from medfiles.search import index
from medfiles.search.index import DOCUMENT, PATIENT, RECORD, Entry

BATCH = 100
COMPARED = ("patient_id", "record_id", "day", "title", "words", "text")
MISSING, DIFFERENT, STRAY, WORDS = "missing", "different", "stray", "words"
KINDS = {
    MISSING: "it is not in the search index",
    DIFFERENT: "the search index has other words for it",
    STRAY: "it no longer exists, but is still in the search index",
    WORDS: "the index of words does not match the entries",
}
Report = Callable[[int], None]


@dataclass(frozen=True)
class Problem:
    """A difference between the index and a row. `kind` is a key of KINDS."""

    kind: str
    subject: str = ""  # "document 1000000001", "visit 7", "patient 3"; empty for the whole index

    @property
    def text(self) -> str:
        return f"{self.subject or 'search index'}: {KINDS[self.kind]}"


@dataclass
class Checked:
    """How many entries were compared, and what differed."""

    entries: int = 0
    problems: list[Problem] = field(default_factory=list)


def total(registry: Registry) -> int:
    """Count the rows that the index should have an entry for."""
    models: list[Any] = [Patient, EntityFile, *(record_type.model for record_type in registry)]
    return sum(count(model.id) for model in models)


def check(registry: Registry, report: Report = lambda done: None) -> Checked:
    """Compare every entry with its row. Each difference is looked at again, because the row may have just changed."""
    checked = Checked()
    for kind, name, model in _sources(registry):
        for ids in _batches(model):
            wrong = _wrong(registry, kind, name, ids)
            if wrong:
                wrong = _wrong(registry, kind, name, [number for number, _ in wrong])
            subject = DOCUMENT if kind == DOCUMENT else name
            checked.problems += [Problem(problem, f"{subject} {number}") for number, problem in wrong]
            checked.entries += len(ids)
            report(checked.entries)
    strays = select(SearchEntry.kind, SearchEntry.entity_type, SearchEntry.subject_id).where(_is_stray(registry))
    for kind, name, number in read(strays.order_by(SearchEntry.id)):
        checked.problems.append(Problem(STRAY, f"{DOCUMENT if kind == DOCUMENT else name} {number}"))
    if not _words_match():
        checked.problems.append(Problem(WORDS))
    return checked


def rebuild(registry: Registry, report: Report = lambda done: None) -> int:
    """Write all entries again, a batch in each transaction, and remove strays. Return how many were written.

    Searches find what has been written so far. An interrupted rebuild can simply be started again.
    """
    written = 0
    with transaction() as session:
        session.execute(
            delete(SearchEntry).where(_is_stray(registry)), execution_options={"synchronize_session": False}
        )
        _rebuild_words()
    for kind, name, model in _sources(registry):
        for ids in _batches(model):
            with transaction():
                entries = _expected(registry, kind, name, ids, lock=True)
                for entry in entries:
                    index.put(entry)
            written += len(entries)
            report(written)
    return written


def _sources(registry: Registry) -> Iterator[tuple[str, str, Any]]:
    """Return kind, record type and table of everything that is indexed."""
    yield PATIENT, PATIENT, Patient
    for record_type in registry:
        yield RECORD, record_type.name, record_type.model
    yield DOCUMENT, "", EntityFile


def _batches(model: Any) -> Iterator[Sequence[int]]:
    after, ids = 0, select(model.id).order_by(model.id).limit(BATCH)
    while found := [number for (number,) in read(ids.where(model.id > after))]:
        yield found
        after = found[-1]


def _expected(registry: Registry, kind: str, name: str, ids: Sequence[int], *, lock: bool = False) -> list[Entry]:
    """Return what the entries of these rows should be. With `lock`, the rows do not change until the commit."""
    model = {PATIENT: Patient, DOCUMENT: EntityFile}.get(kind) or registry[name].model
    query: Any = select(model).where(model.id.in_(ids)).order_by(model.id)  # type: ignore[attr-defined]
    query = query.execution_options(populate_existing=True)
    rows = db.session.scalars(query.with_for_update() if lock else query).all()
    if kind == DOCUMENT:
        return index.document_entries(registry, [row for row in rows if row.entity_type in registry])
    if kind == PATIENT:
        return [{**index.patient_entry(row), "text": ""} for row in rows]
    owner = index.owners({row.patient_id for row in rows})
    return [{**index.record_entry(registry[name], row, owner), "text": ""} for row in rows]


def _wrong(registry: Registry, kind: str, name: str, ids: Sequence[int]) -> list[tuple[int, str]]:
    """Return id and problem of the rows whose entries are missing or differ."""
    expected = _expected(registry, kind, name, ids)
    query = select(SearchEntry).where(SearchEntry.kind == kind, SearchEntry.subject_id.in_(ids))
    if kind == RECORD:
        query = query.where(SearchEntry.entity_type == name)
    query = query.execution_options(populate_existing=True)
    known = {(entry.entity_type, entry.subject_id): entry for entry in db.session.scalars(query)}
    found: list[tuple[int, str]] = []
    waiting = _being_read(ids) if kind == DOCUMENT else set()
    for entry in expected:
        unsettled = ("text",) if entry["subject_id"] in waiting else ()
        stored = known.get((entry["entity_type"], entry["subject_id"]))
        if stored is None:
            found.append((entry["subject_id"], MISSING))
        elif any(getattr(stored, column) != entry[column] for column in COMPARED if column not in unsettled):
            found.append((entry["subject_id"], DIFFERENT))
    end_read()
    return found


def _being_read(ids: Sequence[int]) -> set[int]:
    """Return those of these documents whose bytes a job is about to read, so that their texts may still differ."""
    pending = select(EntityFile.sha256).join(Job, (Job.kind == TEXT) & (Job.subject == EntityFile.id))
    query = select(EntityFile.id).where(EntityFile.id.in_(ids), EntityFile.sha256.in_(pending))
    return set(db.session.scalars(query))


def _is_stray(registry: Registry) -> Any:
    """Return the condition for entries whose row no longer exists, or is now attached to another type of record."""
    number, of_type = SearchEntry.subject_id, SearchEntry.entity_type
    known = [
        (SearchEntry.kind == PATIENT) & exists().where(Patient.id == number),
        (SearchEntry.kind == DOCUMENT) & exists().where(EntityFile.id == number, EntityFile.entity_type == of_type),
    ]
    for record_type in registry:
        has_row = exists().where(record_type.model.id == number)
        known.append((SearchEntry.kind == RECORD) & (of_type == record_type.name) & has_row)
    return not_(or_(*known))


def _words_match() -> bool:
    """Return whether SQLite's index of words matches the entries. PostgreSQL's is a part of the table."""
    if db.engine.dialect.name != "sqlite":
        return True
    try:
        with transaction() as session:
            session.execute(text(f"INSERT INTO {WORDS_TABLE} ({WORDS_TABLE}, rank) VALUES ('integrity-check', 1)"))
    except DatabaseError:
        db.session.rollback()
        return False
    return True


def _rebuild_words() -> None:
    if db.engine.dialect.name == "sqlite":
        db.session.execute(text(f"INSERT INTO {WORDS_TABLE} ({WORDS_TABLE}) VALUES ('rebuild')"))
