"""Makes installations of the older lab-results feature, with what goes wrong in real ones, and remembers what is true
of every file: tests compare with that, never with what a command says of itself."""

import hashlib
import json
import os
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text

from medfiles.models import FIRST_FILE_ID
from tests.support import samples

FIRST = datetime(2019, 1, 7, 8, 15)
LATER = datetime(2099, 1, 1, tzinfo=UTC)  # every lease has run out
STAYS = ("missing", "outside", "link", "orphan", "broken-chain", "number")
ODD_NAMES = (
    "../../etc/passwd.txt", "C:\\scans\\knee.txt", "blood\r\ncount.txt", "\u202etxt.exe.txt", "a" * 251 + ".txt",
    " .txt", "con.txt", "Bericht\x07.txt", "日本\u2028.txt", "e\u0301tude.txt",
)  # fmt: skip
ELSEWHERE = """
CREATE TABLE users (id INTEGER PRIMARY KEY, email VARCHAR(255), password_hash VARCHAR(255));
CREATE TABLE patients (id INTEGER PRIMARY KEY, user_id INTEGER, first_name VARCHAR(100), last_name VARCHAR(100),
    birth_date DATE, gender VARCHAR(50));
CREATE TABLE lab_results (id INTEGER PRIMARY KEY, patient_id INTEGER, test_name VARCHAR(255), test_code VARCHAR(50),
    ordered_date DATE, completed_date DATE, notes TEXT);
CREATE TABLE lab_result_files (id INTEGER PRIMARY KEY, lab_result_id INTEGER, file_name VARCHAR(255),
    file_path VARCHAR(500), file_type VARCHAR(100), file_size INTEGER, description TEXT, uploaded_at TIMESTAMP);
"""


@dataclass(frozen=True)
class Planted:
    """A row of the older table, and what is true of it. `sha256` is None where no file can be had."""

    id: int
    result: int
    patient: int | None
    user: int | None
    name: str
    path: str
    sha256: str | None
    size: int
    media_type: str
    description: str | None
    uploaded_at: datetime | None
    fault: str | None

    @property
    def stays(self) -> bool:
        return self.fault in STAYS


@dataclass
class Older:
    """An older installation: its database, its upload folder and every row that was planted."""

    engine: Engine
    uploads: Path
    own: bool
    files: list[Planted] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    trash: dict[str, str] = field(default_factory=dict)
    emails: dict[int, str] = field(default_factory=dict)

    def of(self, fault: str) -> list[int]:
        return [file.id for file in self.files if file.fault == fault]

    @property
    def movable(self) -> list[Planted]:
        return [file for file in self.files if not file.stays]


def plant(
    url: str,
    uploads: Path,
    *,
    users: int = 25,
    patients: int = 73,
    results: int = 1247,
    files: int = 3891,
    own: bool = True,
    faults: bool = True,
    seed: int = 6,
    first_id: int = 1,
) -> Older:
    """Fill a database with an older installation of this size, from `first_id` on."""
    older, chance = Older(create_engine(url), uploads, own), random.Random(seed)
    (uploads / "lab_result_files").mkdir(parents=True, exist_ok=True)
    if not own:
        _run(older.engine, [(statement, {}) for statement in ELSEWHERE.split(";") if statement.strip()])
    owners = {first_id + number: first_id + number % users for number in range(patients)}
    belongs = {first_id + number: first_id + number % patients for number in range(results)}
    statements = list(_people(older, range(first_id, first_id + users), owners, belongs, faults))
    kinds = _faults(files, chance) if faults else {}
    for number in range(files):
        result = first_id + chance.randrange(results)
        file = _file(older, first_id + number, result, belongs, owners, kinds.get(number), chance)
        older.files.append(file)
        statements.append((INSERT_FILE, _row(file)))
    _run(older.engine, statements)
    if faults:
        _strays(older)
    older.engine.dispose()
    return older


def _people(
    older: Older, users: Sequence[int], owners: Mapping[int, int], belongs: Mapping[int, int], faults: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    at = {"at": "2019-01-01 00:00:00"}
    for user in users:
        older.emails[user] = f"user{user}@sample.example"
        row = {"id": user, "email": older.emails[user], "unique": uuid.uuid4().hex, **at}
        yield INSERT_USER[older.own], row
    for patient, user in owners.items():
        row = {"id": patient, "user": user, "first": f"First{patient}", "last": "Sample", **at}
        yield INSERT_PATIENT[older.own], row
    for result, patient in belongs.items():
        yield INSERT_RESULT[older.own], {"id": result, "patient": patient, "name": f"Test {result}", **at}
    if not faults:
        return
    if older.own:  # a lab result whose patient is gone, and one whose patient's account is gone
        yield INSERT_RESULT[True], {"id": 900_001, "patient": 900_001, "name": "Of nobody", **at}
        lost = {"id": 900_002, "user": 900_002, "first": "Lost", "last": "Sample", **at}
        yield INSERT_PATIENT[True], lost
        yield INSERT_RESULT[True], {"id": 900_002, "patient": 900_002, "name": "Of no account", **at}
    else:
        yield INSERT_RESULT[False], {"id": 900_001, "patient": 900_001, "name": "Of nobody", **at}


INSERT_USER = {
    True: "INSERT INTO users (id, email, password, active, fs_uniquifier, create_datetime, update_datetime) "
    "VALUES (:id, :email, '!', true, :unique, :at, :at)",
    False: "INSERT INTO users (id, email, password_hash) VALUES (:id, :email, :unique)",
}
INSERT_PATIENT = {
    True: "INSERT INTO patients (id, user_id, first_name, last_name, birth_date, created_at, updated_at) "
    "VALUES (:id, :user, :first, :last, '2001-02-03', :at, :at)",
    False: "INSERT INTO patients (id, user_id, first_name, last_name, birth_date) "
    "VALUES (:id, :user, :first, :last, '2001-02-03')",
}
INSERT_RESULT = {
    True: "INSERT INTO lab_results (id, patient_id, test_name, created_at, updated_at) "
    "VALUES (:id, :patient, :name, :at, :at)",
    False: "INSERT INTO lab_results (id, patient_id, test_name, completed_date) "
    "VALUES (:id, :patient, :name, '2019-02-03')",
}
INSERT_FILE = (
    "INSERT INTO lab_result_files (id, lab_result_id, file_name, file_path, file_type, file_size, description, "
    "uploaded_at) VALUES (:id, :result, :name, :path, :type, :size, :description, :at)"
)


def _faults(files: int, chance: random.Random) -> dict[int, str]:
    """Which of the rows has which fault: each at least once where there are enough, in all about one in twenty."""
    each = max(1, files // 300)
    kinds = [*STAYS[:-1], "size", "empty", "time", "foreign", "lie"]
    wanted = [*(kind for kind in kinds for _ in range(each)), "number"]
    wanted += ["name"] * len(ODD_NAMES) + ["duplicate"] * each
    chance.shuffle(wanted)
    return dict(zip(chance.sample(range(1, files), min(files - 1, len(wanted))), wanted, strict=False))


def _file(
    older: Older,
    number: int,
    result: int,
    belongs: Mapping[int, int],
    owners: Mapping[int, int],
    fault: str | None,
    chance: random.Random,
) -> Planted:
    content, extension, media_type = _content(number, fault, chance)
    path = f"lab_result_files/{uuid.UUID(int=chance.getrandbits(128), version=4)}{extension}"
    patient = belongs[result]
    people: tuple[int, int | None, int | None] = (result, patient, owners[patient])
    name = f"Result {number}{extension}"
    place = older.uploads / path
    place.write_bytes(content)
    sha256: str | None = hashlib.sha256(content).hexdigest()
    if fault == "missing":
        place.unlink()
        sha256 = None
    elif fault == "outside":
        place.unlink()
        path, sha256 = chance.choice(["../secret-key", "/etc/hostname", "lab_result_files/../../medfiles.db"]), None
    elif fault == "link":
        place.unlink()
        place.symlink_to("/etc/hostname")
        sha256 = None
    elif fault == "orphan":
        people = (800_000 + number, None, None)
    elif fault == "broken-chain":
        gone = 900_001 + number % 2 if older.own else 900_001
        people = (gone, 900_002 if gone == 900_002 else None, None)
    elif fault == "name":
        name = ODD_NAMES[number % len(ODD_NAMES)]
    elif fault == "duplicate":
        twin = next((file for file in reversed(older.files) if file.fault is None), older.files[0])
        place.unlink()
        path, sha256, content, media_type = twin.path, twin.sha256, b"x" * twin.size, twin.media_type
        name = f"Result {number}{Path(path).suffix}"
    elif chance.random() < 0.1:
        path = chance.choice([f"uploads/{path}", str(place), place.name])
    number = FIRST_FILE_ID + number if fault == "number" else number
    at = None if fault == "time" else FIRST + timedelta(hours=5 * number) if number < FIRST_FILE_ID else FIRST
    words = None if number % 3 else f"Taken at “{number}”"
    return Planted(number, *people, name, path, sha256, len(content), media_type, words, at, fault)


def _content(number: int, fault: str | None, chance: random.Random) -> tuple[bytes, str, str]:
    """Bytes that no other file has, their extension, and the media type they are to be read as."""
    if fault == "empty":
        return b"", ".txt", "application/octet-stream"
    if fault == "foreign":
        return f"#!/bin/sh\necho {number}\n".encode(), ".sh", "application/octet-stream"
    if fault == "lie":
        return f"<html><script>{number}</script></html>".encode(), ".pdf", "application/octet-stream"
    draw = chance.random()
    if draw < 0.05:
        return samples.pdf(text=f"Result {number}"), ".pdf", "application/pdf"
    if draw < 0.1:
        return samples.encoded(samples.picture(16, 16, number % 256), "PNG") + b"", ".png", "image/png"
    return f"Result {number}: {chance.random()}\n".encode() * chance.randrange(1, 40), ".txt", "text/plain"


def _row(file: Planted) -> dict[str, Any]:
    size = file.size + 5 if file.fault == "size" else file.size
    at = file.uploaded_at and file.uploaded_at.isoformat(" ")
    claimed = "application/pdf" if file.fault == "lie" else "application/x-whatever"
    return {
        "id": file.id, "result": file.result, "name": file.name, "path": file.path, "type": claimed,
        "size": size, "description": file.description, "at": at,
    }  # fmt: skip


def _strays(older: Older) -> None:
    """Files that no row names, and what the older trash holds."""
    for number in range(5):
        path = f"lab_result_files/stray {number}.pdf"
        (older.uploads / path).write_bytes(samples.pdf(text=f"Stray {number}"))
        older.unnamed.append(path)
    for number in range(11):
        path = f"trash/2020-03-0{number % 3 + 1}/{number}_old.txt"
        (older.uploads / path).parent.mkdir(parents=True, exist_ok=True)
        (older.uploads / path).write_bytes(f"Deleted {number}".encode())
        older.trash[path] = hashlib.sha256(f"Deleted {number}".encode()).hexdigest()


def _run(engine: Engine, statements: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Without foreign keys being checked: older installations did not."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET session_replication_role = replica"))
        grouped: dict[str, list[dict[str, Any]]] = {}
        for statement, values in statements:
            grouped.setdefault(statement, []).append(values)
        for statement, rows in grouped.items():
            connection.execute(text(statement), rows if rows[0] else None)
        if engine.dialect.name == "postgresql" and INSERT_USER[True] in grouped:
            for name in ("users", "patients", "lab_results"):  # numbers given here do not count on by themselves
                last = f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT MAX(id) FROM {name}))"
                connection.execute(text(last))
        connection.commit()


# --- the independent check ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Moved:
    """A document as raw SQL and the raw file have it."""

    entity_type: str
    record: int
    patient: int
    owner: str
    name: str
    category: str
    media_type: str
    size: int
    sha256: str
    bytes_sha256: str
    description: str | None
    uploaded_at: datetime
    told: dict[str, Any]


MOVED = """
SELECT f.legacy_id, f.entity_type, f.entity_id, f.patient_id, u.email, f.file_name, f.category, f.file_type,
       f.file_size, f.sha256, f.file_path, f.description, f.uploaded_at, f.metadata, r.test_name
FROM entity_files f JOIN patients p ON p.id = f.patient_id JOIN users u ON u.id = p.user_id
     JOIN lab_results r ON r.id = f.entity_id AND r.patient_id = f.patient_id
WHERE f.legacy_id IS NOT NULL ORDER BY f.legacy_id
"""


def moved(url: str, uploads: Path) -> dict[int, list[Moved]]:
    """What the new table and the new folder hold of older files, by older number."""
    found: dict[int, list[Moved]] = {}
    engine = create_engine(url)
    with engine.connect() as connection:
        for row in connection.execute(text(MOVED)).all():
            content = (uploads / row.file_path).read_bytes()
            assert len(content) == row.file_size
            at = row.uploaded_at if isinstance(row.uploaded_at, datetime) else datetime.fromisoformat(row.uploaded_at)
            told = row.metadata if isinstance(row.metadata, dict) else json.loads(row.metadata)
            found.setdefault(row.legacy_id, []).append(
                Moved(
                    row.entity_type, row.entity_id, row.patient_id, row.email, row.file_name, row.category,
                    row.file_type, row.file_size, row.sha256, hashlib.sha256(content).hexdigest(), row.description,
                    at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC), told,
                )
            )  # fmt: skip
    engine.dispose()
    return found


def assert_all_moved(older: Older, url: str, uploads: Path, zone: Any = UTC) -> None:
    """Each older file that can be had is one document, whole, of the same record, patient and account."""
    found = moved(url, uploads)
    differing = set(found) ^ {file.id for file in older.movable}
    assert not differing, [file for file in older.files if file.id in differing]
    for file in older.movable:
        [document] = found[file.id]
        assert document.sha256 == document.bytes_sha256 == file.sha256
        assert file.user is not None
        assert (document.entity_type, document.category) == ("lab-result", "result")
        assert document.owner == older.emails[file.user]
        assert (document.media_type, document.description) == (file.media_type, file.description)
        assert document.told["old_id"] == file.id
        assert document.told["old_path"] == file.path
        if older.own:
            assert (document.record, document.patient) == (file.result, file.patient)
        if file.uploaded_at is not None:
            assert document.uploaded_at == file.uploaded_at.replace(tzinfo=zone).astimezone(UTC)
        assert document.name.isprintable()
        assert not set("/\\") & set(document.name)
        if file.fault != "name":
            assert document.name == file.name


def state(older: Older) -> dict[str, Any]:
    """Everything of the older installation: its rows, its files with their bytes, its links."""
    with older.engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text("SELECT * FROM lab_result_files ORDER BY id"))]
    older.engine.dispose()
    places = [place for start in ("lab_result_files", "trash") for place in sorted((older.uploads / start).rglob("*"))]
    files = {
        str(place.relative_to(older.uploads)): os.readlink(place)
        if place.is_symlink()
        else hashlib.sha256(place.read_bytes()).hexdigest()
        for place in places
        if (place.is_symlink() or place.is_file()) and not place.name.startswith("mf-")
    }
    return {"rows": rows, "files": files}
