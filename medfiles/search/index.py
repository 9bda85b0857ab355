"""Write the search index, in the transaction of the change that it follows.

Each token of an entry carries whom it belongs to: "p7_report" for patient 7, "o3_report" for all patients owned by
account 3. A search looks up only tokens of patients that the actor can see, so it never touches, or takes time for, the
words of others. The names of patients are indexed a second time with "=" in place of "_".
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased

from medfiles.database.session import db
from medfiles.models import EntityFile, PageText, Patient, RecordMixin, SearchEntry
from medfiles.record_types.declared import LABELS, RecordType, Registry
from medfiles.record_types.document_fields import DOCUMENT_FIELDS
from medfiles.record_types.fields import Field
from medfiles.text import tokens

DOCUMENT, RECORD, PATIENT = "document", "record", "patient"  # kinds of entries
ANY, NAME = "_", "="  # between a token and its owner or patient: any word, or a word of the patient's name
TEXT_LIMIT = 400_000  # bytes of tokens of a document's text: PostgreSQL indexes at most 1 MB for a row
BATCH = 100
INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
KEY = ("kind", "subject_id", "entity_type")
CONTENT = ("patient_id", "record_id", "day", "title", "words")  # what `put` writes, besides the key

Entry = dict[str, Any]  # the columns of a SearchEntry


def put_documents(
    registry: Registry, files: Sequence[EntityFile], record: RecordMixin | None = None, owner: int | None = None
) -> None:
    """Index documents that were added or changed, but not their texts.

    record  the record of all of them, if it is loaded
    owner   the account of its patient's owner, if it is known
    """
    for entry in document_entries(registry, files, record, owner, texts=False):
        put(entry)


def put_record(record_type: RecordType, record: RecordMixin) -> None:
    """Index a record that was added or changed."""
    put(record_entry(record_type, record, owners([record.patient_id])))


def put_changed_record(
    registry: Registry, record_type: RecordType, record: RecordMixin, changed: Collection[str]
) -> None:
    """Index a record whose fields `changed`, and its documents if they are found by one of them."""
    put_record(record_type, record)
    if {record_type.title_field, *record_type.date_fields} & set(changed):
        documents = select(EntityFile).where(EntityFile.entity_type == record_type.name)
        put_documents(registry, db.session.scalars(documents.where(EntityFile.entity_id == record.id)).all(), record)


def put_patient(patient: Patient) -> None:
    put(patient_entry(patient))


def drop_documents(ids: Collection[int]) -> None:
    """Remove documents that the open transaction deletes."""
    _drop(SearchEntry.kind == DOCUMENT, SearchEntry.subject_id.in_(ids))


def drop_records(record_type: RecordType, ids: Collection[int]) -> None:
    of_type = (SearchEntry.kind == RECORD, SearchEntry.entity_type == record_type.name)
    _drop(*of_type, SearchEntry.subject_id.in_(ids))


def drop_patient(patient_id: int) -> None:
    """Remove a patient and everything that is still indexed for the patient."""
    _drop(SearchEntry.patient_id == patient_id)


def _drop(*which: ColumnElement[bool]) -> None:
    db.session.execute(delete(SearchEntry).where(*which), execution_options={"synchronize_session": False})


def put_texts(sha256: str) -> None:
    """Index the text that was read from these bytes, for all documents that have them, in the open transaction.

    A text is indexed once all of its pages have been read.
    """
    db.session.flush()
    having = select(EntityFile.id).where(EntityFile.sha256 == sha256).order_by(EntityFile.id)
    ids = db.session.scalars(having.with_for_update(read=True)).all()  # none moves to another patient until the commit
    rows = select(EntityFile.id, EntityFile.patient_id, Patient.user_id).join(
        Patient, Patient.id == EntityFile.patient_id
    )
    found = db.session.execute(rows.where(EntityFile.id.in_(ids)).order_by(EntityFile.id)).all()
    words = _text_words([sha256]).get(sha256, ())
    for file_id, patient_id, owner in found:
        which = (SearchEntry.kind == DOCUMENT, SearchEntry.subject_id == file_id)
        change = update(SearchEntry).where(*which).values(text=scoped(words, patient_id, owner))
        db.session.execute(change, execution_options={"synchronize_session": False})


def put_texts_of(file_id: int) -> None:
    """Index the text of a document that has just been read, in the open transaction."""
    if sha256 := db.session.scalar(select(EntityFile.sha256).where(EntityFile.id == file_id)):
        put_texts(sha256)


def document_entries(
    registry: Registry,
    files: Sequence[EntityFile],
    record: RecordMixin | None = None,
    owner: int | None = None,
    *,
    texts: bool = True,
) -> list[Entry]:
    """Return the entries of documents, as `put_documents` does; without `texts`, leave out their texts."""
    keys = {(file.entity_type, file.entity_id) for file in files}
    records = dict.fromkeys(keys, record) if record is not None else _records(registry, keys)
    patients = {file.patient_id for file in files}
    owner_of = dict.fromkeys(patients, owner) if owner is not None else owners(patients)
    words = _text_words({file.sha256 for file in files}) if texts else {}
    found = []
    for file in files:
        entry = _document_entry(registry[file.entity_type], records[file.entity_type, file.entity_id], file, owner_of)
        if texts:
            entry["text"] = scoped(words.get(file.sha256, ()), file.patient_id, owner_of[file.patient_id])
        found.append(entry)
    return found


def _document_entry(record_type: RecordType, record: RecordMixin, file: EntityFile, owner: Mapping[int, int]) -> Entry:
    name = PurePosixPath(file.file_name)
    words = [name.stem, name.suffix]
    if record_type.name != PATIENT:  # names are looked up apart, for all of a patient's documents
        words += [record_type.title_of(record), *_dates(record_type.date_of(record))]
    for field in DOCUMENT_FIELDS:
        value = getattr(file, field.name)
        if field.kind == "category" and value:
            words += [value, LABELS.get(value, "")]
        elif field.kind == "date":
            words += _dates(value)
        elif field.kind != "file_name" and value:
            words.append(str(value))
    return {
        "kind": DOCUMENT, "entity_type": file.entity_type, "subject_id": file.id, "patient_id": file.patient_id,
        "record_id": file.entity_id, "day": file.dated_on, "title": _title(name.stem),
        "words": scoped(_words(words), file.patient_id, owner[file.patient_id]),
    }  # fmt: skip


def record_entry(record_type: RecordType, record: RecordMixin, owner: Mapping[int, int]) -> Entry:
    words = [word for field in record_type.fields for word in _values(field, getattr(record, field.name))]
    return {
        "kind": RECORD, "entity_type": record_type.name, "subject_id": record.id, "patient_id": record.patient_id,
        "record_id": record.id,
        "day": record_type.date_of(record) or record.created_at.astimezone(UTC).date(),
        "title": _title(record_type.title_of(record)),
        "words": scoped(_words(words), record.patient_id, owner[record.patient_id]),
    }  # fmt: skip


def patient_entry(patient: Patient) -> Entry:
    name = patient.full_name
    words = _words([name, *_dates(patient.birth_date)])
    names = scoped(_words([name]), patient.id, patient.user_id, NAME)
    return {
        "kind": PATIENT, "entity_type": PATIENT, "subject_id": patient.id, "patient_id": patient.id, "record_id": 0,
        "day": patient.birth_date, "title": _title(name),
        "words": f"{scoped(words, patient.id, patient.user_id)} {names}".strip(),
    }  # fmt: skip


def owners(patient_ids: Collection[int]) -> Mapping[int, int]:
    """Return the owners' account ids. A patient always has the same owner."""
    return dict(db.session.execute(select(Patient.id, Patient.user_id).where(Patient.id.in_(patient_ids))).all())


def _values(field: Field, value: Any) -> list[str]:
    if isinstance(value, date):
        return _dates(value)
    if isinstance(value, dict):
        return [str(part) for part in value.values()]
    return [] if value is None or isinstance(value, bool) else [str(value)]


def _dates(day: date | None) -> list[str]:
    """Return a date as people write it."""
    if day is None:
        return []
    return [day.isoformat(), f"{day.day}.{day.month}.{day.year} {day:%d.%m.%Y} {day.day} {day:%B %b} {day.year}"]


def _words(texts: Iterable[str]) -> list[str]:
    """Return the tokens of these texts, each once."""
    return list(dict.fromkeys(token.text for text in texts for token in tokens(text)))


def _title(text: str) -> str:
    return " ".join(token.text for token in tokens(text))


def scoped(words: Iterable[str], patient_id: int, owner: int, mark: str = ANY) -> str:
    """Return the words as they are stored: each with the patient, and each with the patient's owner."""
    return " ".join(f"{scope}{mark}{word}" for scope in (f"p{patient_id}", f"o{owner}") for word in words)


def _text_words(hashes: Collection[str]) -> dict[str, list[str]]:
    """Return the tokens of the texts read from these bytes, each once, up to TEXT_LIMIT."""
    found: dict[str, dict[str, None]] = {}
    sizes: dict[str, int] = {}
    for sha256, _, text in db.session.execute(page_texts(hashes)):
        words = found.setdefault(sha256, {})
        size = sizes.get(sha256, 0)
        for token in tokens(text):
            if token.text not in words:
                size += len(token.text.encode()) + 24
                if size > TEXT_LIMIT:
                    break
                words[token.text] = None
        sizes[sha256] = size
    return {sha256: list(words) for sha256, words in found.items()}


def page_texts(hashes: Collection[str]) -> Any:
    """Return a query for (sha256, page, text) of these bytes, if all of their pages have been read."""
    last = aliased(PageText)
    is_read = exists().where(last.sha256 == PageText.sha256, last.page == last.pages)
    query = select(PageText.sha256, PageText.page, PageText.text).where(PageText.sha256.in_(hashes), is_read)
    return query.order_by(PageText.sha256, PageText.page)


def _records(registry: Registry, keys: Collection[tuple[str, int]]) -> Mapping[tuple[str, int], RecordMixin]:
    found: dict[tuple[str, int], RecordMixin] = {}
    for record_type in registry.every:
        if ids := [number for name, number in keys if name == record_type.name]:
            rows = db.session.scalars(select(record_type.model).where(record_type.model.id.in_(ids)))
            found |= {(record_type.name, row.id): row for row in rows}
    return found


def put(entry: Entry) -> None:
    """Write an entry. Without `text`, an existing entry keeps its text."""
    dialect = db.engine.dialect.name
    statement: Any = INSERT[dialect](SearchEntry.__table__).values({"text": "", **entry})
    changed = {name: statement.excluded[name] for name in CONTENT if name in entry}
    if "text" in entry:
        changed["text"] = statement.excluded.text
    db.session.connection().execute(statement.on_conflict_do_update(index_elements=KEY, set_=changed))
