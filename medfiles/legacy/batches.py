"""Move files in batches: read and inspect them in parallel, copy them to new keys, then insert the rows at once.

A file that cannot be moved is reported and stays where it is. Other files are still moved.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.exc import DataError, IntegrityError, StatementError

from medfiles.audit import event_log
from medfiles.database.session import db, transaction
from medfiles.documents import detection, lifecycle
from medfiles.documents.detection import Found
from medfiles.documents.lifecycle import CHANGED
from medfiles.documents.rules import require_document
from medfiles.errors import Conflict, IntegrityFailed, MedfilesError, StorageError
from medfiles.legacy.folder import LegacyFolder
from medfiles.models import EntityFile
from medfiles.record_types.declared import RecordType
from medfiles.sandbox.pool import Busy
from medfiles.search import index
from medfiles.services import Services
from medfiles.storage import Staged, digest, journal

ANY_SIZE = 2**62
TRIES = 3
READERS = 4  # threads, so that waiting for the disk and for the sandbox overlap
UNREADABLE = "it cannot be read"


class Stays(Exception):
    """Raised if a file cannot be moved. `kind` and `words` give the reason."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(words)
        self.kind, self.words = kind, words


class Old(Protocol):
    """A file to move, as its row in the source describes it."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> str: ...


class Findings(Protocol):
    def stay(self, number: int, kind: str, words: str) -> None:
        """Record that a file cannot be moved."""


@dataclass(frozen=True)
class Content:
    """The bytes of a file, staged, with its detected type; None if it is unknown."""

    staged: Staged
    found: Found | None


@dataclass(frozen=True)
class Prepared:
    """A file that has been read and hashed, with its future row."""

    old: Any
    staged: Staged
    row: EntityFile


@dataclass
class BatchMover:
    """Moves a source's files. Subclasses say which files are left, which rows they become, and what is recorded."""

    services: Services
    folder: LegacyFolder
    found: Findings

    @abstractmethod
    def still_to_move(self, numbers: Sequence[int]) -> Sequence[Any]:
        """Return those of these files that have not been moved and can be moved."""

    @abstractmethod
    def targets(self, files: Sequence[Any]) -> Mapping[int, Any]:
        """Return what each file's document is attached to. Files that cannot be moved are left out and reported."""

    @abstractmethod
    def extension(self, old: Any) -> str:
        """Return the extension that says how to inspect the file."""

    @abstractmethod
    def kind(self, target: Any) -> RecordType:
        """Return the type of the record that a document is attached to."""

    @abstractmethod
    def row(self, old: Any, target: Any, content: Content) -> EntityFile:
        """Return the document that a file becomes."""

    @abstractmethod
    def lock(self, prepared: Sequence[Prepared]) -> None:
        """Lock the records in the open transaction. Raises Conflict if one was changed since it was read."""

    @abstractmethod
    def record(self, one: Prepared) -> Mapping[str, Any]:
        """Record the new id in the open transaction; return the details of the audit event."""

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

    def try_out(self, numbers: Sequence[int]) -> int:
        """Read and inspect files as `move` does, but store nothing; return how many can be moved."""
        prepared: list[Prepared] = []
        try:
            prepared.extend(self._prepared(numbers))
        finally:
            for one in prepared:
                one.staged.discard()
        return len(prepared)

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
            prepared.extend(self._prepared(numbers))
            if prepared:
                self._store(prepared)
        finally:
            for one in prepared:
                one.staged.discard()
        return len(prepared)

    def _prepared(self, numbers: Sequence[int]) -> Iterator[Prepared]:
        files = self.still_to_move(numbers)
        targets = self.targets(files)
        wanted = [old for old in files if old.id in targets]
        with ThreadPoolExecutor(READERS) as pool:
            reading = [(old, pool.submit(self._read, old, self.kind(targets[old.id]))) for old in wanted]
            try:
                while reading:
                    old, future = reading[0]
                    try:
                        content = future.result()
                    except Stays as error:
                        self.found.stay(old.id, error.kind, error.words)
                    else:
                        yield Prepared(old, content.staged, self.row(old, targets[old.id], content))
                    reading.pop(0)
            finally:
                _discard([future for _, future in reading])

    def _read(self, old: Old, record_type: RecordType) -> Content:
        """Stage and inspect a file. Runs in a thread, without the database."""
        staged = self.services.storages.default.stage(ANY_SIZE)
        try:
            for chunk in self._chunks(old):
                _write(staged, chunk)
            _finish(staged)
            return Content(staged, self._recognized(staged, old, record_type))
        except BaseException:
            staged.discard()
            raise

    def _chunks(self, old: Old) -> Iterator[bytes]:
        try:
            yield from self.folder.open(old.path)
        except (OSError, StorageError) as error:
            raise Stays("unreadable", UNREADABLE) from error

    def _recognized(self, staged: Staged, old: Old, record_type: RecordType) -> Found | None:
        """Detect the file type. Return None if it is unknown or the inspection fails; the file is moved anyway.

        Raises Busy if no worker is available, which says nothing about the file.
        """
        try:
            found = detection.recognise(staged.path, self.extension(old), self.services.sandbox)
            if found:
                require_document(record_type, old.name, found)
            return found
        except Busy:
            raise
        except MedfilesError:
            return None

    def _store(self, prepared: Sequence[Prepared]) -> None:
        storage, keys = self.services.storages.default, [one.row.file_path for one in prepared]
        failures = (MedfilesError, IntegrityError, DataError, StatementError)
        with lifecycle.storing(self.services.storages, {storage.name: keys}, failures):
            storage.commit_all([(one.staged, one.row.file_path) for one in prepared])
            for one in prepared:
                self._read_back(one)
            with transaction():
                self._insert(prepared)
                journal.settle(keys)

    def _read_back(self, one: Prepared) -> None:
        if digest(self.services.storages.default.open(one.row.file_path))[0] != one.staged.sha256:
            raise IntegrityFailed("The written content differs from what was read. Check the disk before you continue.")

    def _insert(self, prepared: Sequence[Prepared]) -> None:
        self.lock(prepared)
        db.session.add_all([one.row for one in prepared])
        db.session.flush()
        index.put_documents(self.services.registry, [one.row for one in prepared])
        found = [(event_log.subject_of(one.row), self.record(one)) for one in prepared]
        event_log.record_each(None, "migrate", found)


def _discard(reading: Sequence[Future[Content]]) -> None:
    """Delete what was staged for files that are not needed, because an earlier one failed."""
    for future in reading:
        future.cancel()
    for future in reading:
        if not future.cancelled() and future.exception() is None:
            future.result().staged.discard()


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
