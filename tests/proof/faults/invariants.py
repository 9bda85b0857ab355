"""What must be true after every fault, read from the database and the folder of documents by themselves.

Nothing of the product is used here: the tables are asked with plain SQL and the files are opened, so that a mistake in
the product cannot hide itself.
"""

import hashlib
import os
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

DOCUMENTS = (
    "SELECT f.id, file_path, file_size, sha256, coalesce(f.deleted_at, p.deleted_at), file_name, description,"
    " entity_id, patient_id FROM entity_files f JOIN patients p ON p.id = patient_id ORDER BY f.id"
)
PICTURES = (
    "SELECT key, size FROM renditions WHERE key IS NOT NULL"
    " UNION ALL SELECT key, size FROM smart_links WHERE key IS NOT NULL"
)
JOURNAL = "SELECT key FROM storage_journal"
CHANGES = (
    "SELECT patient_id, entity_id, file_id, action FROM audit_events WHERE outcome = 'done' AND action IN"
    " ('attach', 'delete', 'restore', 'purge', 'cancel', 'delete-record', 'restore-record', 'delete-patient',"
    " 'restore-patient', 'file', 'move-in', 'take-back') ORDER BY id"
)
PLACED = ("attach", "file", "move-in", "take-back")  # where a document belongs from then on
STATES = {**dict.fromkeys(PLACED, "live"), "restore": "live", "delete": "trashed", "purge": "gone", "cancel": "gone"}
Change = tuple[int, int | None, int | None, str]  # patient, record, document, action
Paper = tuple[str, bool, str, str, int, int]  # SHA-256, in the trash, name, description, patient, record


@dataclass(frozen=True)
class Document:
    id: int
    key: str
    size: int
    sha256: str
    trashed: bool
    name: str
    description: str
    record: int
    patient: int

    @property
    def state(self) -> str:
        return "trashed" if self.trashed else "live"

    @property
    def places(self) -> frozenset[tuple[int, str]]:
        """The document and action of the events that say where it belongs."""
        return frozenset((self.id, action) for action in PLACED)

    def told(self, changes: Iterable["Change"]) -> str:
        """What the trail says of it: live, trashed or gone. All records are of one type."""
        own, with_record, with_patient = "gone", False, False
        for patient, record, number, action in changes:
            if number == self.id and action in ("file", "move-in"):
                continue  # it stays in the trash if it is moved with its record
            if number == self.id:
                own, with_record = STATES[action], False
            elif number is None and patient == self.patient and action in ("delete-patient", "restore-patient"):
                with_patient = action == "delete-patient"
            elif number is None and record == self.record and own == "live" and action == "delete-record":
                own, with_record = "trashed", True
            elif number is None and record == self.record and with_record and action == "restore-record":
                own, with_record = "live", False
        return "trashed" if with_patient and own == "live" else own


@dataclass(frozen=True)
class Objects:
    """Where bytes lie: the SHA-256 and size of each by its key, and what else is there."""

    found: Mapping[str, tuple[str, int]]
    strange: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Findings:
    """Sentences about what should not be. `lost`: a row without its bytes; `unknown`: bytes nobody names; `half`: a
    change that is neither there nor gone."""

    lost: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    half: tuple[str, ...] = ()

    def __add__(self, other: "Findings") -> "Findings":
        return Findings(self.lost + other.lost, self.unknown + other.unknown, self.half + other.half)

    def __bool__(self) -> bool:
        return bool(self.lost or self.unknown or self.half)


@dataclass(frozen=True)
class Seen:
    """An installation at one instant."""

    documents: tuple[Document, ...]
    pictures: Mapping[str, int]
    journal: frozenset[str]
    changes: tuple[Change, ...]
    objects: Objects = field(repr=False)

    def papers(self) -> frozenset[Paper]:
        """The documents as a reader knows them, whatever their keys are."""
        return frozenset(
            (one.sha256, one.trashed, one.name, one.description, one.patient, one.record) for one in self.documents
        )

    def always(self) -> Findings:
        """What holds at every instant, also before anything was reconciled."""
        return Findings(lost=(*self._lost(),), unknown=(*self._unknown(),), half=(*self._untold(),))

    def settled(self) -> Findings:
        """And what holds once everything is reconciled."""
        left = (f"{key} is still in the journal" for key in sorted(self.journal))
        astray = (one for one in self.documents if one.trashed != one.key.startswith("trash/"))
        places = (f"document {one.id} is {one.state}, its bytes are at {one.key}" for one in astray)
        return self.always() + Findings(half=(*left, *places))

    def _lost(self) -> Iterable[str]:
        for one in self.documents:
            sha256, size = self.objects.found.get(one.key, ("nothing", 0))
            if (sha256, size) != (one.sha256, one.size):
                yield f"document {one.id} ({one.key}) has {size} bytes with SHA-256 {sha256[:12]}"
        for key, size in self.pictures.items():
            if self.objects.found.get(key, ("", -1))[1] != size:
                yield f"the picture {key} is not there"

    def _unknown(self) -> Iterable[str]:
        named = {one.key for one in self.documents} | self.pictures.keys() | self.journal
        yield from (f"{key} is named by nobody" for key in sorted(self.objects.found.keys() - named))
        yield from (f"{place} is no file of ours" for place in sorted(self.objects.strange))

    def _untold(self) -> Iterable[str]:
        """A change and its event are written together."""
        for one in self.documents:
            if (said := one.told(self.changes)) != one.state:
                yield f"document {one.id} is {one.state}, its trail says {said}"
            placed = [(patient, record) for patient, record, of, action in self.changes if (of, action) in one.places]
            if placed[-1:] != [(one.patient, one.record)]:
                yield f"document {one.id} is with {one.patient}, {one.record}, its trail says {placed[-1:]}"
        last = {number: action for _, _, number, action in self.changes if number is not None}
        here = {one.id for one in self.documents}
        yield from (
            f"document {number} is gone, its trail says {action}"
            for number, action in last.items()
            if number not in here and STATES[action] != "gone"
        )


def look(database: str, store: Path | Objects) -> Seen:
    """`database` is an SQLAlchemy address, `store` the folder of documents, or what lies in another store."""
    documents, pictures, entries, changes = ask(database, DOCUMENTS, PICTURES, JOURNAL, CHANGES)
    return Seen(
        tuple(_document(*row) for row in documents),
        dict(pictures),
        frozenset(key for (key,) in entries),
        (*changes,),
        objects_in(store) if isinstance(store, Path) else store,
    )


def _document(
    number: int, key: str, size: int, sha256: str, gone: Any, name: str, description: str | None, *above: int
) -> Document:
    return Document(number, key, size, sha256, gone is not None, name, description or "", *above)


def ask(database: str, *statements: str) -> list[list[Any]]:
    """The rows of each statement, all as of one instant."""
    if database.startswith("sqlite"):
        with closing(sqlite3.connect(file_of(database), isolation_level=None)) as connection:
            connection.execute("BEGIN")
            return [connection.execute(statement).fetchall() for statement in statements]
    with psycopg.connect(plain(database)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return [connection.execute(statement).fetchall() for statement in statements]


def file_of(database: str) -> str:
    """Where an SQLite database is."""
    return database.removeprefix("sqlite:///")


def plain(database: str) -> str:
    """As PostgreSQL's own programs write it."""
    return database.replace("postgresql+psycopg://", "postgresql://")


def objects_in(folder: Path) -> Objects:
    """Everything below the folder but the staging area, in which only uploads on their way may lie."""
    found, strange = {}, set()
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            key = path.relative_to(folder).as_posix()
            if key.startswith("staged/"):
                strange |= {key} if path.suffix != ".part" else set()
            else:
                found[key] = (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
    return Objects(found, frozenset(strange))
