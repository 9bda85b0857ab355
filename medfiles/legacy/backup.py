"""A copy of the databases and of every older file, with a list of SHA-256 sums, made before anything is changed."""

from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy.engine import Engine

from medfiles.database.session import db
from medfiles.errors import BlobMissing, IntegrityFailed, StorageError
from medfiles.legacy.inventory import MOVES, Inventory
from medfiles.legacy.source import Source
from medfiles.operations.database_dump import copy_database
from medfiles.storage import digest
from medfiles.storage.base import CHUNK, make_folder
from medfiles.storage.durable import publish, sha256_of, written

SUMS = "SHA256SUMS"  # as `sha256sum --check` reads it


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
    if not target.exists():  # renamed to this name when it was whole
        copy_database(engine, target)


def _copy_files(source: Source, found: Inventory, folder: Path, report: Callable[[int], None]) -> None:
    part = folder / f"{SUMS}.part"
    with part.open("w") as sums:
        for name in ("database", "source-database"):
            if (folder / name).exists():
                sums.write(f"{sha256_of(folder / name)}  {name}\n")
        for done, path in enumerate(_paths(source, found), 1):
            try:
                sums.write(_line(_copied(source.folder.root / path, folder / "files" / path), f"files/{path}"))
            except BlobMissing:
                found.add("findings", "not-backed-up", None, f"{path}: {MOVES['not-backed-up']}")
            report(done)
    publish(part, folder / SUMS)


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
    if target.exists() and sha256_of(target) == (known := _read(source)):
        return known
    make_folder(target.parent)
    part = target.with_name(f"{target.name}.part")
    written = _copy(source, part)
    if sha256_of(part) != written:
        raise IntegrityFailed(f"{part} differs from what was written. Check the disk.")
    publish(part, target)
    return written


def _copy(source: Path, part: Path) -> str:
    with part.open("wb") as writing:
        return digest(written(_chunks(source), writing))[0]


def _read(source: Path) -> str:
    return digest(_chunks(source))[0]


def _chunks(source: Path) -> Iterator[bytes]:
    """`BlobMissing` when it cannot be read, or not to its end."""
    try:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as error:
        raise BlobMissing() from error


def _line(sha256: str, name: str) -> str:
    """A line of `sha256sum`, which marks names it had to escape."""
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{chr(92) if escaped != name else ''}{sha256}  {escaped}\n"
