"""Move files: copy their bytes to new keys, read the copies back, then insert the rows in one transaction.

A file that cannot be moved is reported and stays where it is. Other files are still moved.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import DataError, IntegrityError, StatementError

from medfiles.audit import event_log
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.documents import detection, lifecycle
from medfiles.documents.detection import Found
from medfiles.documents.lifecycle import CHANGED
from medfiles.documents.rules import require_document
from medfiles.errors import Conflict, IntegrityFailed, MedfilesError, StorageError
from medfiles.jobs import rounds
from medfiles.legacy import log, unmigrated
from medfiles.legacy.folder import FILES
from medfiles.legacy.inventory import STAYS, Inventory
from medfiles.legacy.source import LegacyFile, Source
from medfiles.models import EntityFile, LabResult, LegacySource
from medfiles.record_types.declared import RecordType
from medfiles.sandbox.pool import Busy
from medfiles.search import index
from medfiles.services import Services
from medfiles.storage import Staged, digest, journal, live_key, trash_key
from medfiles.storage.base import EXTENSION

ANY_SIZE = 2**62
TRIES = 3


class Stays(Exception):
    """Raised if a file cannot be moved. `kind` and `words` give the reason."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind, self.words = kind, words


@dataclass(frozen=True)
class Prepared:
    """A file that has been read and hashed, with its future row."""

    old: LegacyFile
    staged: Staged
    row: EntityFile


@dataclass(frozen=True)
class Here:
    """This installation's lab results, patients and users, keyed by their older ids."""

    results: Mapping[int | None, LabResult]
    patients: Mapping[int | None, int | None]
    users: Mapping[int | None, int | None]

    def record_of(self, old: LegacyFile) -> LabResult:
        """Return a file's lab result. Raises `Stays` if it is missing or belongs to a different patient than before."""
        record = self.results.get(old.lab_result)
        if record is None:
            raise Stays("orphan", "its lab result is missing here")
        if record.patient_id != self.patients.get(old.patient):
            raise Stays("broken-chain", "its lab result belongs to another patient here")
        return record


@dataclass
class Mover:
    services: Services
    source: Source
    known: LegacySource
    found: Inventory

    def move(self, numbers: Sequence[int]) -> int:
        """Turn files that have not been moved yet into documents; return how many were moved."""
        for _ in range(TRIES):
            try:
                return self._move(numbers)
            except Conflict:
                continue  # a record was trashed or restored concurrently
            except (IntegrityError, DataError, StatementError):
                return self._move_halves(numbers)
        raise Conflict(CHANGED)

    def _move_halves(self, numbers: Sequence[int]) -> int:
        """Bisect the batch until only the files that cannot be stored are left out."""
        if len(numbers) == 1:
            self.found.stay(numbers[0], "unreadable", "its details in the table cannot be stored")
            return 0
        half = len(numbers) // 2
        return self.move(numbers[:half]) + self.move(numbers[half:])

    def _move(self, numbers: Sequence[int]) -> int:
        prepared: list[Prepared] = []
        try:
            prepared.extend(self._prepared(self._still_to_move(numbers)))
            if prepared:
                self._store(prepared)
        finally:
            for one in prepared:
                one.staged.discard()
        return len(prepared)

    def _still_to_move(self, numbers: Sequence[int]) -> Sequence[LegacyFile]:
        done = set(log.ids(self.known, "file", numbers))
        done |= set(db.session.scalars(select(EntityFile.legacy_id).where(EntityFile.legacy_id.in_(numbers))))
        db.session.rollback()
        stays = self.found.staying(numbers)
        return list(self.source.files([number for number in numbers if number not in done | stays]))

    def _prepared(self, files: Sequence[LegacyFile]) -> Iterator[Prepared]:
        """Prepare files one by one, so that the caller can discard the earlier ones if the disk is full."""
        here = self._here(files)
        for old in files:
            try:
                yield self._prepare(old, here)
            except Stays as error:
                self.found.stay(old.id, error.kind, error.words)

    def _prepare(self, old: LegacyFile, here: Here) -> Prepared:
        record = here.record_of(old)
        staged = self._read(old)
        try:
            return Prepared(old, staged, self._row(old, record, here.users.get(old.user), staged))
        except BaseException:
            staged.discard()
            raise

    def _here(self, files: Sequence[LegacyFile]) -> Here:
        results = log.new_ids(self.known, "lab-result", [old.lab_result for old in files])
        query = select(LabResult).where(LabResult.id.in_(results.values()))
        records = {record.id: record for record in db.session.scalars(query)}
        db.session.expunge_all()
        db.session.rollback()
        return Here(
            {old: records[new] for old, new in results.items() if new in records},
            log.new_ids(self.known, "patient", [old.patient for old in files]),
            log.new_ids(self.known, "user", [old.user for old in files]),
        )

    def _read(self, old: LegacyFile) -> Staged:
        staged = self.services.storages.default.stage(ANY_SIZE)
        try:
            for chunk in self._chunks(old):
                _write(staged, chunk)
            _finish(staged)
        except BaseException:
            staged.discard()
            raise
        return staged

    def _chunks(self, old: LegacyFile) -> Iterator[bytes]:
        try:
            yield from self.source.folder.open(old.path)
        except (OSError, StorageError) as error:
            raise Stays("unreadable", STAYS["unreadable"]) from error

    def _recognised(self, staged: Staged, name: str, extension: str) -> Found | None:
        """Detect the file type. Return None if it is unknown or the inspection fails; the file is moved anyway.

        Raises Busy if no worker is available, which says nothing about the file.
        """
        try:
            found = detection.recognise(staged.path, extension, self.services.sandbox)
            if found:
                require_document(self._kind, name, found)
            return found
        except Busy:
            raise
        except MedfilesError:
            return None

    def _row(self, old: LegacyFile, record: LabResult, user: int | None, staged: Staged) -> EntityFile:
        written, gone, kind = unmigrated.name_of(old.name, old.id), record.deleted_at, self._kind
        declared = detection.declared_extension(written) or detection.extension_of(old.path)
        found = self._recognised(staged, old.name, declared)
        name = detection.named(written, found.extension) if found else written
        extension = detection.extension_of(name) if found else declared
        extension = extension if re.fullmatch(EXTENSION, extension) else ".bin"
        at = _moment(old, self.known.timezone) or record.created_at
        return EntityFile(
            entity_type=kind.name, entity_id=record.id, patient_id=record.patient_id, file_name=name,
            original_name=detection.original_name(old.name) or None, renamed_from=written if name != written else None,
            file_path=trash_key(gone.date(), extension) if gone else live_key(kind.directory, extension),
            storage=self.services.storages.default.name, file_size=staged.size, sha256=staged.sha256,
            file_type=found.media_type if found else unmigrated.UNKNOWN, pages=found.pages if found else None,
            description=old.description, category=unmigrated.CATEGORY, uploaded_at=at, created_at=at, updated_at=now(),
            deleted_at=gone, deleted_by=record.deleted_by, deleted_round=rounds.current() if gone else None,
            legacy_id=old.id, extra=_origin(old, name, record, user),
        )  # fmt: skip

    @property
    def _kind(self) -> RecordType:
        return self.services.registry[unmigrated.KIND]

    def _store(self, prepared: Sequence[Prepared]) -> None:
        storage, keys = self.services.storages.default, [one.row.file_path for one in prepared]
        failures = (MedfilesError, IntegrityError, DataError, StatementError)
        with lifecycle.storing(self.services.storages, {storage.name: keys}, failures):
            for one in prepared:
                storage.commit(one.staged, one.row.file_path)
                self._read_back(one)
            with transaction():
                self._insert(prepared)
                journal.settle(keys)

    def _read_back(self, one: Prepared) -> None:
        if digest(self.services.storages.default.open(one.row.file_path))[0] != one.staged.sha256:
            raise IntegrityFailed("The written content differs from what was read. Check the disk before you continue.")

    def _insert(self, prepared: Sequence[Prepared]) -> None:
        """Lock the records and insert the documents.

        Raises Conflict if a record was trashed or restored since the files were prepared.
        """
        results = sorted({one.row.entity_id for one in prepared})
        query = select(LabResult).where(LabResult.id.in_(results)).order_by(LabResult.id)
        locked = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
        records: Mapping[int, LabResult] = {record.id: record for record in locked}
        for one in prepared:
            record = records.get(one.row.entity_id)
            if record is None or record.deleted_at != one.row.deleted_at:
                raise Conflict(CHANGED)
        db.session.add_all([one.row for one in prepared])
        db.session.flush()
        index.put_documents(self.services.registry, [one.row for one in prepared])
        for one in prepared:
            log.enter(self.known, "file", one.old.id, one.row.id)
        found = [(event_log.subject_of(one.row), {"old_id": one.old.id, "sha256": one.row.sha256}) for one in prepared]
        event_log.record_each(None, "migrate", found)


def _origin(old: LegacyFile, name: str, record: LabResult, user: int | None) -> dict[str, Any]:
    """Return a document's origin, and details of the older row that are not stored elsewhere."""
    origin: dict[str, Any] = {
        "user_id": user, "patient_id": record.patient_id, "migrated_from": FILES, "migrated_at": now().isoformat(),
        "old_id": old.id, "old_path": old.path, "old_type": old.type, "old_size": old.size,
    }  # fmt: skip
    return origin | ({"old_name": old.name} if old.name != name else {})


def _moment(old: LegacyFile, zone: str) -> datetime | None:
    """Return the upload time in UTC. The older feature stored local times without a time zone."""
    at = old.uploaded_at
    if at is None:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)


def _write(staged: Staged, chunk: bytes) -> None:
    try:
        staged.write(chunk)
    except OSError as error:
        raise StorageError(f"Documents cannot be written: {error.strerror}.") from error


def _finish(staged: Staged) -> None:
    try:
        staged.finish()
    except OSError as error:
        raise StorageError(f"Documents cannot be written: {error.strerror}.") from error
