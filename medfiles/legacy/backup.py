"""A copy of the databases and of every older file, with a list of SHA-256 sums, made before anything is changed."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.engine import Engine

from medfiles.db import db
from medfiles.errors import BlobMissing, IntegrityFailed, StorageError
from medfiles.legacy.inventory import MOVES, Inventory
from medfiles.legacy.source import Source, plain
from medfiles.storage import digest
from medfiles.storage.base import CHUNK, make_folder, sync_folder

SUMS = "SHA256SUMS"  # as `sha256sum --check` reads it
SPARE = 64 * 1024 * 1024  # bytes left free on every disk
NO_DUMP = (
    "pg_dump, which copies PostgreSQL databases, was not found. Install the client programs of your server's version "
    "(on Debian and Ubuntu: the package postgresql-client)."
)


def check_space(needed: Mapping[Path, int]) -> None:
    """StorageError when a disk has not the bytes that are to go to its folders."""
    disks: dict[int, tuple[Path, int]] = {}
    for folder, size in needed.items():
        place = next(there for there in (folder, *folder.parents) if there.exists())
        disk = place.stat().st_dev
        disks[disk] = (place, disks.get(disk, (place, SPARE))[1] + size)
    for place, size in disks.values():
        if (free := shutil.disk_usage(place).free) < size:
            raise StorageError(f"{place} has {free:,} bytes free, and {size:,} are needed. Make room, then try again.")


def size_of_database(engine: Engine) -> int:
    """In bytes; 0 where the database does not say."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
        pages, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "page_size"))
        return int(pages or 0) * int(size or 0)


def back_up(source: Source, found: Inventory, folder: Path, report: Callable[[int], None] = lambda done: None) -> None:
    """Into `folder`: `database` (and `source-database`), `files/` and SHA256SUMS. What lies there already is checked
    and kept; StorageError when something cannot be copied."""
    try:
        make_folder(folder)
        _copy_databases(source, folder)
        _copy_files(source, found, folder, report)
    except OSError as error:
        raise StorageError(f"The backup cannot be written to {folder}: {error.strerror}.") from error


def is_whole(folder: Path) -> bool:
    """Whether a backup was ended there; its sums are written last."""
    return (folder / SUMS).is_file()


def _copy_databases(source: Source, folder: Path) -> None:
    _copy_database(db.engine, folder / "database")
    if not source.is_own:
        _copy_database(source.engine, folder / "source-database")


def _copy_database(engine: Engine, target: Path) -> None:
    if target.exists():
        return  # renamed to this name when it was whole
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    if engine.dialect.name == "postgresql":
        _dump(engine, part)
    else:
        with engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            with closing(sqlite3.connect(part)) as copy:
                raw.backup(copy)
    _publish(part, target)


def _dump(engine: Engine, part: Path) -> None:
    """By pg_dump: one consistent state, which pg_restore reads. The password is handed over unseen."""
    if (program := shutil.which("pg_dump")) is None:
        raise StorageError(NO_DUMP)
    command = [program, "--format=custom", "--no-password", f"--file={part}", plain(engine.url).render_as_string()]
    environment = {**os.environ, "PGPASSWORD": engine.url.password or os.environ.get("PGPASSWORD", "")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StorageError(f"The database was not copied. {done.stderr.strip()[-300:]}")


def _copy_files(source: Source, found: Inventory, folder: Path, report: Callable[[int], None]) -> None:
    part = folder / f"{SUMS}.part"
    with part.open("w") as sums:
        for name in ("database", "source-database"):
            if (folder / name).exists():
                sums.write(f"{_hash(folder / name)}  {name}\n")
        for done, path in enumerate(_paths(source, found), 1):
            try:
                sums.write(_line(_copied(source.folder.root / path, folder / "files" / path), f"files/{path}"))
            except BlobMissing:
                found.add("findings", "not-backed-up", None, f"{path}: {MOVES['not-backed-up']}")
            report(done)
    _publish(part, folder / SUMS)


def _paths(source: Source, found: Inventory) -> Iterator[str]:
    """Every file of the older feature, named by a row or not, and its trash; links are not followed."""
    for path in source.folder.paths():
        if not (source.folder.root / path).is_symlink():
            yield path
    for (path,) in found.each("SELECT path FROM trash ORDER BY path"):
        if not (source.folder.root / path).is_symlink():
            yield path


def _copied(source: Path, target: Path) -> str:
    """Copy a file, unless it lies there whole already; its SHA-256, which both have."""
    if target.exists() and _hash(target) == (known := _read(source)):
        return known
    make_folder(target.parent)
    part = target.with_name(f"{target.name}.part")
    written = _copy(source, part)
    if _hash(part) != written:
        raise IntegrityFailed(f"What was written to {part} is not what was read.")
    _publish(part, target)
    return written


def _copy(source: Path, part: Path) -> str:
    with part.open("wb") as writing:
        return digest(_written(_chunks(source), writing))[0]


def _read(source: Path) -> str:
    return digest(_chunks(source))[0]


def _written(chunks: Iterator[bytes], file: BinaryIO) -> Iterator[bytes]:
    """The same chunks, each written on its way."""
    for chunk in chunks:
        file.write(chunk)
        yield chunk


def _chunks(source: Path) -> Iterator[bytes]:
    """`BlobMissing` when it cannot be read, or not to its end."""
    try:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise BlobMissing() from error


def _publish(part: Path, target: Path) -> None:
    """Give a whole file its name, durably."""
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(target)
    sync_folder(target.parent)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(sha256: str, name: str) -> str:
    """A line of `sha256sum`, which marks names it had to escape."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{chr(92) if escaped != name else ''}{sha256}  {escaped}\n"
