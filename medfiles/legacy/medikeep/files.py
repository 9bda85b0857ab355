"""Find MediKeep's files and what they are attached to, and turn them into documents."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import select

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.documents import detection
from medfiles.documents.lifecycle import CHANGED
from medfiles.errors import Conflict, StorageError
from medfiles.jobs import rounds
from medfiles.legacy import log, unmigrated
from medfiles.legacy.batches import BatchMover, Content, Prepared
from medfiles.legacy.connection import text
from medfiles.legacy.folder import Unreachable
from medfiles.legacy.inventory import MOVES, STAYS
from medfiles.legacy.medikeep import mapping, schema
from medfiles.legacy.medikeep.bringing import PATIENT, Progress, Source
from medfiles.legacy.medikeep.ledger import BROUGHT, EARLIER, LEFT_OUT, Ledger
from medfiles.legacy.medikeep.mapping import Row
from medfiles.legacy.moving import named
from medfiles.models import FIRST_FILE_ID, EntityFile
from medfiles.record_types.declared import RecordType
from medfiles.storage import live_key, trash_key

BATCH = 500
KINDS: Mapping[str, str] = {schema.OLD_FILES: "file", schema.NEW_FILES: "entity-file"}  # kinds of LegacyId
WORDS = STAYS | {
    "orphan": "its record does not exist",
    "broken-chain": "its patient was not brought along or is missing",
    "unknown-type": "its kind of record is unknown",
    "remote": "it is kept in another application (Paperless or Papra), and only a link to it is here",
}
SAME, DELETED = "the same document as in entity_files", "deleted in the newer version, so it is not brought back"


@dataclass(frozen=True)
class SourceFile:
    """A file of MediKeep. `id` is its number in the ledger, `old_id` the id in its table."""

    id: int
    source: str
    old_id: int
    record_table: str
    record: int
    patient: int
    name: str
    path: str
    type: str
    size: int | None
    description: str | None
    category: str | None
    uploaded_at: datetime | None

    @property
    def extension(self) -> str:
        written = unmigrated.name_of(self.name, self.old_id)
        return detection.declared_extension(written) or detection.extension_of(self.path)


@dataclass(frozen=True)
class Attached:
    """The record that a file is attached to in the source: its table, id, patient and title."""

    table: str | None
    record: int | None
    patient: int | None = None
    title: str | None = None


@dataclass
class Collector:
    """Lists all files in the ledger, with those that cannot be moved and why."""

    source: Source
    is_copied: bool = False  # the newer version copies the older table's rows when it starts

    @property
    def ledger(self) -> Ledger:
        return self.source.ledger

    def run(self, report: Progress = lambda done: None) -> None:
        done = 0
        self.is_copied = self.source.medikeep.count(schema.NEW_FILES) > 0
        for table in (schema.NEW_FILES, schema.OLD_FILES):
            rows = self.source.medikeep.rows(table)
            while batch := list(islice(rows, BATCH)):
                self._collect(table, batch)
                report(done := done + len(batch))
        self._find_duplicates()
        self._find_unnamed()

    def _collect(self, table: str, rows: Sequence[Row]) -> None:
        known = log.ids(self.source.known, KINDS[table], [row["id"] for row in rows])
        db.session.expunge_all()
        copied = table == schema.OLD_FILES and self.is_copied
        for row, attached in zip(rows, self._attached(table, rows), strict=True):
            if self.source.only and attached.patient not in self.source.only:
                self.ledger.outcome(table, row["id"], LEFT_OUT)
            elif copied:
                self._pair(row, attached, known)
            else:
                self._add(table, row, attached, row["id"] in known)

    def _attached(self, table: str, rows: Sequence[Row]) -> list[Attached]:
        """Return what each file is attached to, with one query per table."""
        named: list[tuple[str | None, Any]]
        if table == schema.OLD_FILES:
            named = [("lab_results", row["lab_result_id"]) for row in rows]
        else:
            named = [(_table_of(row["entity_type"]), row["entity_id"]) for row in rows]
        found: dict[tuple[str, int], Row] = {}
        for name in {table for table, _ in named if table}:
            ids = {number for table, number in named if table == name and number is not None}
            found |= {(name, row["id"]): row for row in self.source.medikeep.of(name, "id", ids)}
        attached = []
        for name_, number in named:
            row = found.get((name_ or "", number))
            title = text(row.get(schema.LABELS[name_].title)) if row and name_ in schema.LABELS else None
            attached.append(Attached(name_, number if row else None, row["patient_id"] if row else None, title))
        return attached

    def _pair(self, row: Row, attached: Attached, known: Mapping[int, int | None]) -> None:
        """Account for a row of the older table whose file the newer table has taken over.

        If it was imported before the source was upgraded, the newer row stands for the same document.
        """
        query = """SELECT number FROM files
                   WHERE record_table = 'lab_results' AND record = ? AND base = ? AND source = ?
                   ORDER BY (SELECT COUNT(*) FROM files AS older WHERE older.same_as = files.number), number"""
        found = self.ledger.ask(query, row["lab_result_id"], _base(row["file_path"]), schema.NEW_FILES)
        if found and row["id"] in known:
            self._take_over(found[0][0], known[row["id"]])
        outcome = SAME if found else DELETED
        self.ledger.outcome(schema.OLD_FILES, row["id"], outcome)
        if not found:
            self.ledger.finding("deleted", schema.OLD_FILES, row["id"], f"it was {DELETED}")
        self._insert(schema.OLD_FILES, row, attached, "{}", found[0][0] if found else None, "paired")

    def _take_over(self, number: int, document_id: int | None) -> None:
        [(old_id, stays)] = self.ledger.ask("SELECT id, stays FROM files WHERE number = ?", number)
        if stays == EARLIER:
            return
        with self.source.batch():
            log.replace(self.source.known, KINDS[schema.NEW_FILES], old_id, document_id, brought=True)
        self.ledger.run("UPDATE files SET stays = ? WHERE number = ?", EARLIER, number)
        self.ledger.outcome(schema.NEW_FILES, old_id, EARLIER)

    def _add(self, table: str, row: Row, attached: Attached, is_earlier: bool) -> None:
        path, size, stays = self._place(row)
        stays = self._broken(table, row, attached) or stays
        details = _details(row, attached, self.source.medikeep.has(schema.NEW_FILES) and table == schema.NEW_FILES)
        number = self._insert(table, row, attached, json.dumps(details), None, None, size)
        if path is not None:
            self.ledger.run("INSERT OR IGNORE INTO named VALUES (?)", path)
            self.ledger.run("UPDATE files SET name = ? WHERE number = ?", path, number)
        if is_earlier:
            self.ledger.run("UPDATE files SET stays = ? WHERE number = ?", EARLIER, number)
            self.ledger.outcome(table, row["id"], EARLIER)
        elif stays:
            self.ledger.stay(number, stays, WORDS[stays])
        else:
            self.ledger.outcome(table, row["id"], BROUGHT)
        for kind in () if stays else _oddities(row, size):
            self.ledger.finding(kind, table, row["id"], MOVES[kind])

    def _insert(
        self, table: str, row: Row, at: Attached, details: str, same_as: int | None, stays: str | None, size: int = 0
    ) -> int:
        values = (
            table,
            row["id"],
            at.table,
            at.record,
            at.patient,
            None,
            _base(row["file_path"]),
            details,
            same_as,
            stays,
        )
        self.ledger.run(
            "INSERT INTO files (source, id, record_table, record, patient, name, base, details, same_as, stays, size) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *values, size,
        )  # fmt: skip
        return int(self.ledger.ask("SELECT last_insert_rowid()")[0][0])

    def _place(self, row: Row) -> tuple[str | None, int, str | None]:
        """Return the file's path below the upload folder, its size, and why it cannot be read, if so."""
        folder, is_remote = self.source.medikeep.folder, (row.get("storage_backend") or "local") != "local"
        try:
            path = folder.canonical(text(row["file_path"]) or "")
            return path, folder.stat(path).size, None
        except Unreachable as error:
            return None, 0, "remote" if is_remote else error.reason
        except StorageError:
            return None, 0, "unreadable"

    def _broken(self, table: str, row: Row, attached: Attached) -> str | None:
        if table == schema.OLD_FILES and row["id"] >= FIRST_FILE_ID:
            return "number"
        if attached.table is None:
            return "unknown-type"
        if attached.record is None:
            return "orphan"
        kind = schema.RECORDS.get(attached.table)
        if self.ledger.new(PATIENT, attached.patient) is None:
            return "broken-chain"
        return "orphan" if kind and self.ledger.new(kind, attached.record) is None else None

    def _find_duplicates(self) -> None:
        twice = "SELECT name FROM files WHERE name IS NOT NULL GROUP BY name HAVING COUNT(*) > 1"
        for table, number in self.ledger.ask(f"SELECT source, id FROM files WHERE name IN ({twice})"):
            self.ledger.finding("duplicate", table, number, MOVES["duplicate"])

    def _find_unnamed(self) -> None:
        """Count the files that no row names. Those of rows deleted in the newer version are among them."""
        for path in self.source.medikeep.folder.files():
            if not self.ledger.ask("SELECT 1 FROM named WHERE path = ?", path):
                self.ledger.finding("unnamed", "upload folder", None, "no row refers to it, so it is not brought along")


@dataclass(frozen=True)
class Target:
    """The record here that a document is attached to. `deleted_at`: it is in the trash, and so is the document."""

    record_type: RecordType
    record_id: int
    patient_id: int
    deleted_at: datetime | None = None
    deleted_by: int | None = None
    created_at: datetime | None = None


@dataclass
class FileMover(BatchMover):
    found: Ledger
    source: Source

    def still_to_move(self, numbers: Sequence[int]) -> Sequence[SourceFile]:
        return [_source_file(row) for row in self.found.files(numbers)]

    def targets(self, files: Sequence[SourceFile]) -> Mapping[int, Target]:
        wanted = {old.id: self._target(old) for old in files}
        if self.source.dry_run:
            return wanted
        rows: dict[tuple[str, int], Any] = {}
        for record_type, ids in _by_type(wanted.values()):
            query = select(record_type.model).where(record_type.model.id.in_(ids))
            rows |= {(record_type.name, row.id): row for row in db.session.scalars(query)}
        db.session.expunge_all()
        db.session.rollback()
        found = {}
        for old in files:
            target = wanted[old.id]
            row = rows.get((target.record_type.name, target.record_id))
            if row is None or row.patient_id != target.patient_id:
                self.found.stay(old.id, "orphan", "its record is missing here or belongs to another patient")
            else:
                is_patient = target.record_type is self.services.registry.patient
                gone, by = (None, None) if is_patient else (row.deleted_at, row.deleted_by)
                found[old.id] = Target(target.record_type, row.id, row.patient_id, gone, by, row.created_at)
        return found

    def _target(self, old: SourceFile) -> Target:
        registry, patient_id = self.services.registry, self.found.new(PATIENT, old.patient)
        assert patient_id is not None
        if kind := schema.RECORDS.get(old.record_table):
            record_id = self.found.new(kind, old.record)
            assert record_id is not None
            return Target(registry[kind], record_id, patient_id)
        return Target(registry.patient, patient_id, patient_id)

    def extension(self, old: SourceFile) -> str:
        return old.extension

    def kind(self, target: Target) -> RecordType:
        return target.record_type

    def row(self, old: SourceFile, target: Target, content: Content) -> EntityFile:
        staged, found, gone, kind = content.staged, content.found, target.deleted_at, target.record_type
        written, at = unmigrated.name_of(old.name, old.old_id), old.uploaded_at or target.created_at or now()
        name, extension = named(written, old.extension, found)
        category, description = category_of(old, kind)
        return EntityFile(
            entity_type=kind.name, entity_id=target.record_id, patient_id=target.patient_id, file_name=name,
            original_name=detection.original_name(old.name) or None, renamed_from=written if name != written else None,
            file_path=trash_key(gone.date(), extension) if gone else live_key(kind.directory, extension),
            storage=self.services.storages.default.name, file_size=staged.size, sha256=staged.sha256,
            file_type=found.media_type if found else unmigrated.UNKNOWN, pages=found.pages if found else None,
            description=description, category=category, uploaded_at=at, created_at=at, updated_at=now(),
            deleted_at=gone, deleted_by=target.deleted_by, deleted_round=rounds.current() if gone else None,
            legacy_id=self._legacy_id(old), extra=_origin(old, name),
        )  # fmt: skip

    def _older(self, old: SourceFile) -> list[int]:
        """Return the ids of the file in the older table."""
        if old.source == schema.OLD_FILES:
            return [old.old_id]
        return [number for (number,) in self.found.ask("SELECT id FROM files WHERE same_as = ? ORDER BY id", old.id)]

    def _legacy_id(self, old: SourceFile) -> int | None:
        return next((number for number in self._older(old) if number < FIRST_FILE_ID), None)

    def lock(self, prepared: Sequence[Prepared]) -> None:
        targets: dict[tuple[str, int], EntityFile] = {
            (one.row.entity_type, one.row.entity_id): one.row for one in prepared
        }
        for kind in sorted({kind for kind, _ in targets}):
            record_type = self.services.registry[kind]
            ids = sorted(number for name, number in targets if name == kind)
            query = select(record_type.model).where(record_type.model.id.in_(ids)).order_by(record_type.model.id)
            rows = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
            is_patient = record_type is self.services.registry.patient
            found = {row.id: None if is_patient else row.deleted_at for row in rows}
            if any(found.get(number, CHANGED) != targets[kind, number].deleted_at for number in ids):
                raise Conflict(CHANGED)

    def record(self, one: Prepared) -> Mapping[str, Any]:
        old: SourceFile = one.old
        log.enter(self.source.known, KINDS[old.source], old.old_id, one.row.id)
        if old.source == schema.NEW_FILES:
            for number in self._older(old):
                log.enter(self.source.known, KINDS[schema.OLD_FILES], number, one.row.id)
        return {"old_id": old.old_id, "sha256": one.row.sha256}


def category_of(old: SourceFile, record_type: RecordType) -> tuple[str | None, str | None]:
    """Return the category here and the description, which takes in a category that does not exist here."""
    written = (old.category or "").strip()
    name = written.lower().replace(" ", "_").replace("-", "_")
    if name in record_type.categories:
        return name, old.description
    if old.source == schema.OLD_FILES:
        return unmigrated.CATEGORY, old.description
    return None, " · ".join(filter(None, (f"Category: {written}" if written else None, old.description))) or None


def _by_type(targets: Any) -> Iterator[tuple[RecordType, list[int]]]:
    found: dict[str, tuple[RecordType, list[int]]] = {}
    for target in targets:
        found.setdefault(target.record_type.name, (target.record_type, []))[1].append(target.record_id)
    yield from found.values()


def _table_of(entity_type: Any) -> str | None:
    name = (text(entity_type) or "").strip().lower().replace("_", "-")
    singular = name.removesuffix("s") if name not in schema.TABLE_OF else name
    by_table = name.replace("-", "_")
    if by_table in schema.TABLE_OF.values():
        return by_table
    return schema.TABLE_OF.get(singular)


def _details(row: Row, attached: Attached, is_newer: bool) -> dict[str, Any]:
    description, size = mapping.clean(row.get("description"), many_lines=True), row.get("file_size")
    size = size if isinstance(size, int) else None
    if attached.table in schema.LABELS:
        source = f"{schema.LABELS[attached.table].label}: {attached.title or mapping.UNKNOWN}"
        description = " — ".join(filter(None, (source, description)))
    at = mapping.in_utc(row.get("uploaded_at"))
    return {
        "name": text(row["file_name"]) or "", "path": text(row["file_path"]) or "",
        "type": text(row.get("file_type")) or "", "size": size, "description": description,
        "category": mapping.clean(row.get("category")) if is_newer else None,
        "uploaded_at": at and at.isoformat(),
    }  # fmt: skip


def _source_file(row: Any) -> SourceFile:
    number, source, old_id, table, record, patient, _, said = row
    details = json.loads(said)
    at = details.pop("uploaded_at")
    return SourceFile(
        number,
        source,
        old_id,
        table,
        record,
        patient,
        **details,
        uploaded_at=datetime.fromisoformat(at) if at else None,
    )


def _oddities(row: Row, size: int) -> Iterator[str]:
    if size == 0:
        yield "empty"
    if isinstance(row.get("file_size"), int) and row["file_size"] != size:
        yield "size"
    name = text(row["file_name"]) or ""
    if unmigrated.name_of(name, row["id"]) != name:
        yield "name"
    if mapping.in_utc(row.get("uploaded_at")) is None:
        yield "time"


def _base(path: Any) -> str:
    return PurePosixPath((text(path) or "").replace("\\", "/")).name


def _origin(old: SourceFile, name: str) -> dict[str, Any]:
    """Return a document's origin, and details of the source's row that are not stored elsewhere."""
    said = asdict(old)
    kept = {key: said[key] for key in ("old_id", "path", "type", "size", "record_table", "record")}
    origin = {"migrated_from": f"medikeep {old.source}", "migrated_at": now().isoformat(), **kept}
    return origin | ({"old_name": old.name} if old.name != name else {})
