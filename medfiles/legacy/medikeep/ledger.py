"""What happens to each row of the source during a run: outcomes, findings and new ids.

Kept in a temporary database, so that memory use does not grow with the size of the source. A dry run keeps one too,
because the ids it makes are rolled back.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TABLES = """
CREATE TABLE outcomes (source TEXT, id INTEGER, outcome TEXT, PRIMARY KEY (source, id));
CREATE TABLE findings (kind TEXT, source TEXT, id INTEGER, words TEXT);
CREATE TABLE ids (kind TEXT, old INTEGER, new INTEGER, PRIMARY KEY (kind, old));
CREATE TABLE files (number INTEGER PRIMARY KEY, source TEXT, id INTEGER, record_table TEXT, record INTEGER,
    patient INTEGER, name TEXT, base TEXT, details TEXT, same_as INTEGER, stays TEXT, size INTEGER);
CREATE INDEX by_record ON files (record_table, record, base);
CREATE INDEX by_twin ON files (same_as);
CREATE INDEX by_name ON files (name);
CREATE INDEX by_patient ON files (patient);
CREATE TABLE named (path TEXT PRIMARY KEY);
CREATE TABLE practitioners (id INTEGER PRIMARY KEY, outcome TEXT);
"""
BROUGHT, MATCHED, EARLIER, LEFT_OUT = "brought", "matched", "earlier", "left out"


@dataclass(frozen=True)
class Finding:
    kind: str
    source: str  # table
    words: str
    count: int
    ids: Sequence[int]  # those of rows


class Ledger:
    def __init__(self) -> None:
        self._db = sqlite3.connect("", check_same_thread=False)  # a temporary file that SQLite deletes
        self._db.executescript(TABLES)

    def run(self, statement: str, *values: Any) -> None:
        self._db.execute(statement, values)

    def ask(self, query: str, *values: Any) -> list[Any]:
        return self._db.execute(query, values).fetchall()

    def outcome(self, source: str, number: int, outcome: str) -> None:
        """Note what became of a row; the last outcome counts."""
        self.run("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)", source, number, outcome)

    def outcome_of(self, source: str, number: int | None) -> str | None:
        query = "SELECT outcome FROM outcomes WHERE source = ? AND id = ?"
        return next((outcome for (outcome,) in self.ask(query, source, number)), None)

    def finding(self, kind: str, source: str, number: int | None, words: str) -> None:
        self.run("INSERT INTO findings VALUES (?, ?, ?, ?)", kind, source, number, words)

    def forget(self, source: str, number: int) -> None:
        """Drop the findings of a row, which is tried again."""
        self.run("DELETE FROM findings WHERE source = ? AND id = ?", source, number)

    def fails(self, kind: str, source: str, number: int, words: str) -> None:
        """Note that a row cannot be brought along, and why."""
        self.outcome(source, number, f"not brought: {words}")
        self.finding(kind, source, number, words)

    def enter(self, kind: str, old: int, new: int | None) -> None:
        self.run("INSERT OR REPLACE INTO ids VALUES (?, ?, ?)", kind, old, new)

    def new(self, kind: str, old: int | None) -> int | None:
        return next((new for (new,) in self.ask("SELECT new FROM ids WHERE kind = ? AND old = ?", kind, old)), None)

    def news(self, kind: str) -> Mapping[int, int]:
        return dict(self.ask("SELECT old, new FROM ids WHERE kind = ? AND new IS NOT NULL", kind))

    def name_practitioner(self, number: int, outcome: str) -> None:
        """Note that a row with this outcome names a practitioner; a row of this run counts before earlier ones."""
        verb = "REPLACE" if outcome == BROUGHT else "IGNORE"
        self.run(f"INSERT OR {verb} INTO practitioners VALUES (?, ?)", number, outcome)

    def outcomes(self) -> Mapping[str, Mapping[str, int]]:
        """Count the rows of each table by outcome."""
        counts: dict[str, dict[str, int]] = {}
        query = "SELECT source, outcome, COUNT(*) FROM outcomes GROUP BY source, outcome ORDER BY source, outcome"
        for source, outcome, count in self.ask(query):
            counts.setdefault(source, {})[outcome] = count
        return counts

    def findings(self) -> Iterator[Finding]:
        query = "SELECT kind, source, words, COUNT(*) FROM findings GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        for kind, source, words, count in self.ask(query):
            which = "SELECT id FROM findings WHERE kind = ? AND source = ? AND words = ? ORDER BY id"
            ids = [number for (number,) in self.ask(which, kind, source, words) if number is not None]
            yield Finding(kind, source, words, count, ids)

    def numbers(self, size: int) -> Iterator[Sequence[int]]:
        """Yield the numbers of the files that may be moved, up to `size` at a time."""
        after = 0
        query = (
            "SELECT number FROM files WHERE number > ? AND stays IS NULL AND same_as IS NULL ORDER BY number LIMIT ?"
        )
        while found := [number for (number,) in self.ask(query, after, size)]:
            yield found
            after = found[-1]

    def files(self, numbers: Sequence[int]) -> Sequence[Any]:
        """Return these files, except those that cannot be moved."""
        query = (
            "SELECT number, source, id, record_table, record, patient, name, details FROM files "
            f"WHERE number IN ({', '.join('?' * len(numbers))}) AND stays IS NULL ORDER BY number"
        )
        return self.ask(query, *numbers)

    def stay(self, number: int, kind: str, words: str) -> None:
        """Note that a file cannot be moved."""
        self.run("UPDATE files SET stays = ? WHERE number = ?", kind, number)
        [(source, old_id)] = self.ask("SELECT source, id FROM files WHERE number = ?", number)
        self.fails(kind, source, old_id, words)
