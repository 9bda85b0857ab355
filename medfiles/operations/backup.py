"""Back up a running installation: its database, documents and secret key.

A folder holds any number of backups. Content is stored once under its SHA-256 and shared by all backups. Each backup is
a folder with the database, the list of objects it needs and, written last, its manifest.
"""

import fcntl
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, create_engine, func, select, text
from sqlalchemy.engine import Engine

from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import SKEW, now
from medfiles.database.session import db, transaction
from medfiles.errors import BlobMissing, NotFound, StorageError
from medfiles.jobs import last_runs
from medfiles.models import EntityFile, Patient
from medfiles.operations.database_dump import copy_database
from medfiles.storage import AttachedFolder, Storages, digest
from medfiles.storage.base import make_folder
from medfiles.storage.durable import publish, sha256_of, write_private, written

RUN = "backup"
FORMAT = 1
FAR_FEWER = 2  # keep a backup with more than this many times as many documents as the newest
OBJECTS, DATABASE, LIST, SECRET, MANIFEST = "objects", "database", "objects.jsonl", "secret-key", "manifest.json"
SOURCE_DATABASE, SOURCE = "source-database", "source"  # from an import; not restored
NAMED = "%Y%m%dT%H%M%S.%fZ"  # a backup is named after the time it began
NAME, SUM = re.compile(r"\d{8}T\d{6}\.\d{6}Z"), re.compile(r"[0-9a-f]{64}")
ROWS = "SELECT id, storage, file_path, sha256, file_size FROM entity_files ORDER BY id"
PHOTOS = "SELECT id, photo_storage, photo_key FROM patients WHERE photo_key IS NOT NULL ORDER BY id"
REVISION = "SELECT version_num FROM alembic_version"
PARTS = (DATABASE, LIST, SECRET, SOURCE_DATABASE)

Report = Callable[[int], None]


@dataclass(frozen=True)
class Entry:
    """An object in a backup. `place` names its storage or attached folder, or is SOURCE for an import."""

    sha256: str
    size: int
    place: str
    key: str


@dataclass
class Saved:
    """The result of a backup. `purged` lists documents permanently deleted while it ran; `problems` are sentences."""

    name: str
    documents: int = 0
    files: int = 0
    bytes: int = 0
    copied: int = 0
    purged: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ImportSource:
    """Another installation, whose database and files are backed up before they are imported."""

    engine: Engine
    folder: AttachedFolder


def back_up(
    storages: Storages,
    folder: Path,
    secret: str,
    report: Report = lambda done: None,
    *,
    mend: bool = False,
    source: ImportSource | None = None,
) -> Saved:
    """Add a backup to `folder`. Raises StorageError if it cannot be written.

    With `mend`, content that is already in `folder` is verified, and copied again if damaged, which repairs all backups
    that need it. `report` receives the number of documents processed.
    """
    saved = Saved(now().strftime(NAMED))
    place = folder / saved.name
    try:
        with _alone(folder):
            make_folder(place)
            with (place / f"{LIST}.part").open("w") as lines:
                copier = Copier(folder, lines, saved, report, mend)
                facts = copier.copy_installation(storages, place / DATABASE)
                if source:
                    copy_database(source.engine, place / SOURCE_DATABASE)
                    copier.copy_files(source.folder, SOURCE)
            publish(place / f"{LIST}.part", place / LIST)
            write_private(place / SECRET, secret)
            facts |= {"format": FORMAT, "made_at": now().isoformat(), "documents": saved.documents}
            facts |= {"bytes": saved.bytes, "purged": saved.purged, "problems": saved.problems}
            facts["sums"] = {part: sha256_of(place / part) for part in PARTS if (place / part).exists()}
            write_private(place / MANIFEST, json.dumps(facts, indent=1))  # last: without it, the backup is incomplete
    except OSError as error:
        raise StorageError(f"The backup cannot be written to {folder}: {error.strerror}.") from error
    with transaction():
        event_log.record(None, "backup", AuditTarget(), documents=saved.documents)
    last_runs.record(RUN, documents=saved.documents, bytes=saved.bytes, problems=len(saved.problems))
    return saved


def object_count(storages: Storages, source: ImportSource | None = None) -> int:
    """Count the documents and files that a backup made now would contain."""
    folders = [*storages.attached.values(), *([source.folder] if source else [])]
    documents = db.session.scalar(select(func.count(EntityFile.id))) or 0
    db.session.rollback()
    return documents + sum(1 for folder in folders for _ in folder.paths())


def whole(folder: Path) -> Sequence[str]:
    """Return the names of complete backups, oldest first.

    Backups dated in the future, because the clock was ahead, count as the oldest.
    """
    names = [place.name for place in _places(folder) if (place / MANIFEST).is_file()]
    latest = (now() + SKEW).strftime(NAMED)
    return sorted(names, key=lambda name: (name <= latest, name))


def newest(folder: Path) -> str:
    """Return the name of the newest complete backup. Raises NotFound if there is none."""
    if not (names := whole(folder)):
        raise NotFound(f"There is no complete backup in {folder}.")
    return names[-1]


def manifest(folder: Path, name: str) -> dict[str, Any]:
    """Return a backup's manifest. Raises NotFound if it is missing, or StorageError if it is unreadable."""
    try:
        facts = json.loads((folder / name / MANIFEST).read_text())
    except FileNotFoundError as error:
        raise NotFound(f"There is no complete backup {name} in {folder}.") from error
    except (OSError, ValueError) as error:
        raise StorageError(f"{folder / name / MANIFEST} cannot be read.") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise StorageError(f"This version of medfiles cannot read the backup {folder / name}.")
    return facts


def entries(folder: Path, name: str) -> Iterator[Entry]:
    with (folder / name / LIST).open() as lines:
        for line in lines:
            yield Entry(*json.loads(line))


def object_path(folder: Path, sha256: str) -> Path:
    return folder / OBJECTS / sha256[:2] / sha256


def check(folder: Path, name: str, report: Report = lambda done: None) -> Iterator[str]:
    """Read a whole backup and verify its checksums. Yields a sentence for each missing or damaged part."""
    facts = manifest(folder, name)
    for part, sum_ in facts["sums"].items():
        if not _is(folder / name / part, sum_):
            yield f"{name}/{part} is missing or damaged"
            if part == LIST:
                return
    known: set[str] = set()
    for done, entry in enumerate(entries(folder, name), 1):
        if entry.sha256 not in known and not _is(object_path(folder, entry.sha256), entry.sha256):
            yield f"{OBJECTS}/{entry.sha256[:2]}/{entry.sha256}, the content of {entry.key}, is missing or damaged"
        known.add(entry.sha256)
        report(done)


def thin_out(folder: Path, keep: int) -> int:
    """Keep the newest `keep` backups; return how many others were removed.

    If earlier backups have far more documents than the newest, the last of these is kept as well, since documents may
    have been lost in between. Also removes the remains of interrupted backups, and content that no remaining backup
    needs.
    """
    with _alone(folder):
        names = whole(folder)
        counts = {name: int(manifest(folder, name)["documents"]) for name in names}
        fuller = [name for name in names if counts[name] > FAR_FEWER * counts[names[-1]]]
        stay = {*names[-keep:], *fuller[-1:]}
        for place in [place for place in _places(folder) if place.name not in stay]:
            (place / MANIFEST).unlink(missing_ok=True)  # first: without a manifest, the rest is not a backup
            shutil.rmtree(place)
        needed = {entry.sha256 for name in stay for entry in entries(folder, name)}
        for path in (folder / OBJECTS).glob("*/*"):
            if SUM.fullmatch(path.name) and path.name not in needed:
                path.unlink()
        return len([name for name in names if name not in stay])


def _places(folder: Path) -> Iterator[Path]:
    """Return the folders of all backups, complete or not, ignoring everything else."""
    return (place for place in folder.glob("*/") if NAME.fullmatch(place.name) and not place.is_symlink())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that only one backup runs at a time."""
    make_folder(folder)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(f"Another backup to {folder} is running.") from error
        yield


@dataclass(frozen=True)
class Copier:
    """Copies content into a backup and lists it. With `mend`, existing content is verified before it is reused."""

    folder: Path
    lines: IO[str]
    saved: Saved
    report: Report
    mend: bool

    def copy_installation(self, storages: Storages, database: Path) -> dict[str, Any]:
        """Copy the database, then the content that the copy refers to; return facts for the manifest."""
        with _snapshot(db.engine, database) as connection:
            facts = {"dialect": connection.dialect.name, "revision": connection.execute(text(REVISION)).scalar()}
            for row in connection.execution_options(yield_per=500).execute(text(ROWS)):
                self._copy_document(storages, *row)
                self.report(self.saved.documents)
            for row in connection.execute(text(PHOTOS)).all():
                self._copy_photo(storages, *row)
            for attached in storages.attached.values():
                self.copy_files(attached, attached.name)
        return facts

    def copy_files(self, folder: AttachedFolder, place: str) -> None:
        """Copy the files of another feature or installation."""
        for path in folder.paths():
            try:
                self._list(*self._copy(folder.read(path)), place, path)
            except StorageError as error:
                self.saved.problems.append(f"{path}: {_words(error)}")
            self.saved.files += 1
            self.report(self.saved.documents + self.saved.files)

    def _copy_document(self, storages: Storages, number: int, storage: str, key: str, sha256: str, size: int) -> None:
        """Copy a document. Follow it if it has moved; skip it if it has been purged."""
        self.saved.documents += 1
        place = (storage, key)
        while True:
            try:
                found = (sha256, size) if self._has(sha256, size) else self._copy(storages[place[0]].open(place[1]))
                break
            except StorageError as error:
                query = select(EntityFile.storage, EntityFile.file_path).where(EntityFile.id == number)
                there = db.session.execute(query).one_or_none()
                db.session.rollback()
                if there is None:
                    self.saved.documents -= 1
                    self.saved.purged.append(number)
                    return
                if place == tuple(there):
                    self.saved.problems.append(f"document {number}: {_words(error)}")
                    return
                place = (there[0], there[1])
        if found[0] != sha256:
            words = "its content differs from what was stored; backed up as is"
            self.saved.problems.append(f"document {number}: {words}")
        self._list(*found, storage, key)

    def _copy_photo(self, storages: Storages, patient_id: int, storage: str, key: str) -> None:
        """Copy the photo of a patient, unless it was replaced or removed since."""
        try:
            self._list(*self._copy(storages[storage].open(key)), storage, key)
        except StorageError as error:
            current = db.session.scalar(select(Patient.photo_key).where(Patient.id == patient_id))
            db.session.rollback()
            if current == key:
                self.saved.problems.append(f"photo of patient {patient_id}: {_words(error)}")

    def _copy(self, chunks: Iterator[bytes]) -> tuple[str, int]:
        """Copy content and read it back; return its SHA-256 and size."""
        make_folder(self.folder / OBJECTS)
        part = self.folder / OBJECTS / "part"
        with part.open("wb") as file:
            sha256, size = digest(written(chunks, file))
        if self._has(sha256, size):
            part.unlink()
            return sha256, size
        if not _is(part, sha256):
            raise StorageError(f"{part} differs from what was written. Check the disk.")
        target = object_path(self.folder, sha256)
        make_folder(target.parent)
        publish(part, target)
        self.saved.copied += 1
        return sha256, size

    def _has(self, sha256: str, size: int) -> bool:
        path = object_path(self.folder, sha256)
        return path.is_file() and path.stat().st_size == size and (not self.mend or _is(path, sha256))

    def _list(self, sha256: str, size: int, place: str, key: str) -> None:
        self.saved.bytes += size
        self.lines.write(json.dumps([sha256, size, place, key]) + "\n")


def _words(error: StorageError) -> str:
    return "its content is missing" if isinstance(error, BlobMissing) else "its content cannot be read"


@contextmanager
def _snapshot(engine: Engine, target: Path) -> Iterator[Connection]:
    """Copy the database to `target`; yield a connection that sees the same state."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
            copy_database(engine, target, connection.execute(text("SELECT pg_export_snapshot()")).scalar())
            yield connection
        return
    copy_database(engine, target)
    address = f"{target.absolute().as_uri()}?mode=ro&immutable=1"
    copy = create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True))
    with copy.connect() as connection:
        yield connection
    copy.dispose()


def _is(path: Path, sha256: str) -> bool:
    try:
        return sha256_of(path) == sha256
    except OSError:
        return False
