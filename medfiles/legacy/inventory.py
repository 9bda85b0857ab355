"""Analyze a source: find the files to move and any problems with them. Changes nothing.

The result is kept in a temporary database, so that memory use does not grow with the number of files.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from medfiles.errors import StorageError
from medfiles.legacy import unmigrated
from medfiles.legacy.folder import Unreachable
from medfiles.legacy.source import LegacyFile, Source
from medfiles.models import FIRST_FILE_ID

TABLES = """
CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT);
CREATE TABLE patients (id INTEGER PRIMARY KEY, user INTEGER, name TEXT);
CREATE TABLE files (id INTEGER PRIMARY KEY, user INTEGER, patient INTEGER, path TEXT, size INTEGER, stays TEXT);
CREATE TABLE findings (kind TEXT, old_id INTEGER, words TEXT);
CREATE TABLE unnamed (path TEXT, size INTEGER);
CREATE TABLE trash (path TEXT, size INTEGER);
CREATE INDEX by_user ON files (user, id);
CREATE INDEX by_path ON files (path);
CREATE INDEX of_patient ON files (patient);
CREATE INDEX by_patient ON patients (user, id);
"""
# Reasons why a file cannot be moved, as worded in the report.
STAYS = {
    "missing": "the file is missing",
    "outside": "its path points outside the upload folder",
    "link": "its path is a link, not a file",
    "orphan": "its lab result does not exist",
    "broken-chain": "its lab result does not belong to a patient with an account",
    "number": f"its ID is {FIRST_FILE_ID:,} or higher",
    "unreadable": "it cannot be read",
}
# Findings about files that can be moved.
MOVES = {
    "duplicate": "another row has the same file: each becomes a separate document",
    "size": "its size differs from the one in the table",
    "empty": "it is empty",
    "name": "its name will be cleaned up",
    "time": "it has no upload time, so the time of its lab result is used",
    "unnamed": "no row refers to it, so it is not moved but is included in the backup",
}


@dataclass(frozen=True)
class Finding:
    """A finding about an older file. `kind` is a key of STAYS or MOVES, or belongs to a later step."""

    kind: str
    old_id: int | None
    words: str


class Inventory:
    def __init__(self) -> None:
        self._db = sqlite3.connect("")  # a temporary file that SQLite deletes
        self._db.executescript(TABLES)

    def add(self, table: str, *values: Any) -> None:
        self._db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)

    def ask(self, query: str, *values: Any) -> list[Any]:
        return self._db.execute(query, values).fetchall()

    def each(self, query: str, *values: Any) -> Iterator[Any]:
        return iter(self._db.execute(query, values))

    def users(self) -> Iterator[tuple[int, str]]:
        """Return the ids and e-mail addresses of the users who have files."""
        return self.each("SELECT id, email FROM users WHERE id IN (SELECT user FROM files) ORDER BY id")

    def batches(self, user: int | None, size: int) -> Iterator[Sequence[int]]:
        """Yield the ids of a user's files, up to `size` at a time. If `user` is None, yield those without a user."""
        after = -(2**63)
        query = "SELECT id FROM files WHERE user IS ? AND id > ? ORDER BY id LIMIT ?"
        while ids := [number for (number,) in self.ask(query, user, after, size)]:
            yield ids
            after = ids[-1]

    def count(self, user: int | None) -> int:
        return int(self.ask("SELECT COUNT(*) FROM files WHERE user IS ?", user)[0][0])

    def bytes_in_all(self) -> int:
        """Return the total size in bytes: one file per row, files that no row names, and the older trash."""
        tables = ("files", "unnamed", "trash")
        return sum(int(self.ask(f"SELECT COALESCE(SUM(size), 0) FROM {table}")[0][0]) for table in tables)

    def staying(self, numbers: Sequence[int]) -> set[int]:
        """Return which of these files cannot be moved."""
        marks = ", ".join("?" * len(numbers))
        query = f"SELECT id FROM files WHERE id IN ({marks}) AND stays IS NOT NULL"
        return {number for (number,) in self.ask(query, *numbers)}

    def stay(self, number: int, kind: str, words: str) -> None:
        """Record that a file cannot be moved."""
        self._db.execute("UPDATE files SET stays = ? WHERE id = ?", (kind, number))
        self.add("findings", kind, number, words)

    def findings(self) -> Iterator[Finding]:
        rows = self.each("SELECT kind, old_id, words FROM findings ORDER BY kind, old_id, words")
        return (Finding(*row) for row in rows)


def analyse(source: Source, report: Callable[[int], None] = lambda done: None) -> Inventory:
    """Examine every row and file of the source. `report` receives the number of files processed."""
    found = Inventory()
    for row in source.rows("users"):
        found.add("users", row["id"], row["email"])
    for row in source.rows("patients"):
        found.add("patients", row["id"], row["user_id"], f"{row['first_name']} {row['last_name']}")
    for done, file in enumerate(source.files(), 1):
        _look_at(file, source, found)
        report(done)
    _find_duplicates(found)
    _look_around(source, found)
    return found


def _look_at(file: LegacyFile, source: Source, found: Inventory) -> None:
    stays, path, size = _broken(file), None, 0
    try:
        path = source.folder.canonical(file.path)
        size = source.folder.stat(path).size
    except Unreachable as error:
        stays = stays or error.reason
    except StorageError:
        stays = stays or "unreadable"
    found.add("files", file.id, file.user, file.patient, path, size, stays)
    kinds = [stays] if stays else list(_oddities(file, size))
    for kind in kinds:
        found.add("findings", kind, file.id, (STAYS | MOVES)[kind])


def _broken(file: LegacyFile) -> str | None:
    if file.id >= FIRST_FILE_ID:
        return "number"
    if file.lab_result is None:
        return "orphan"
    return "broken-chain" if file.user is None else None


def _oddities(file: LegacyFile, size: int) -> Iterator[str]:
    if size == 0:
        yield "empty"
    if file.size is not None and file.size != size:
        yield "size"
    if unmigrated.name_of(file.name, file.id) != file.name:
        yield "name"
    if file.uploaded_at is None:
        yield "time"


def _find_duplicates(found: Inventory) -> None:
    shared = "SELECT path FROM files WHERE path IS NOT NULL GROUP BY path HAVING COUNT(*) > 1"
    for (number,) in found.ask(f"SELECT id FROM files WHERE path IN ({shared}) ORDER BY id"):
        found.add("findings", "duplicate", number, MOVES["duplicate"])


def _look_around(source: Source, found: Inventory) -> None:
    """Find the files in the older trash, and the files that no row names."""
    for path in source.folder.trash():
        found.add("trash", path, _size(source, path))
    for path in source.folder.files():
        if not found.ask("SELECT 1 FROM files WHERE path = ? LIMIT 1", path):
            found.add("unnamed", path, _size(source, path))
            found.add("findings", "unnamed", None, f"{path}: {MOVES['unnamed']}")


def _size(source: Source, path: str) -> int:
    place = source.folder.root / path
    return place.lstat().st_size if place.exists() else 0
