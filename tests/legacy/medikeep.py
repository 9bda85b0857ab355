"""Makes MediKeep installations of both schemas, with what goes wrong in real ones, and remembers what is true of every
file: tests compare with that and with raw SQL, never with what a command says of itself."""

import hashlib
import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import bcrypt
from sqlalchemy import Engine, create_engine, event, text

from tests.support import samples

PASSWORD = "correct horse 7"
SHARED = """
CREATE TABLE practitioners (id INTEGER PRIMARY KEY, name TEXT, practice TEXT, phone_number TEXT);
CREATE TABLE lab_results (id INTEGER PRIMARY KEY, patient_id INTEGER, practitioner_id INTEGER, test_name TEXT,
    test_code TEXT, test_category TEXT, test_type TEXT, facility TEXT, status TEXT, labs_result TEXT,
    ordered_date DATE, completed_date DATE, notes TEXT, tags TEXT, created_at TIMESTAMP);
CREATE TABLE insurances (id INTEGER PRIMARY KEY, patient_id INTEGER, insurance_type TEXT, company_name TEXT,
    member_name TEXT, member_id TEXT, effective_date DATE, expiration_date DATE, status TEXT, is_primary BOOLEAN,
    contact_info TEXT, coverage_details TEXT, notes TEXT, created_at TIMESTAMP);
CREATE TABLE encounters (id INTEGER PRIMARY KEY, patient_id INTEGER, practitioner_id INTEGER, reason TEXT, date DATE,
    visit_type TEXT, diagnosis TEXT, location TEXT, duration_minutes INTEGER, priority TEXT, notes TEXT,
    created_at TIMESTAMP);
CREATE TABLE procedures (id INTEGER PRIMARY KEY, patient_id INTEGER, practitioner_id INTEGER, procedure_name TEXT,
    procedure_type TEXT, date DATE, outcome TEXT, facility TEXT, anesthesia_type TEXT, created_at TIMESTAMP);
CREATE TABLE medications (id INTEGER PRIMARY KEY, patient_id INTEGER, medication_name TEXT,
    effective_period_start DATE);
CREATE TABLE allergies (id INTEGER PRIMARY KEY, patient_id INTEGER, allergen TEXT, reaction TEXT, severity TEXT);
CREATE TABLE vitals (id INTEGER PRIMARY KEY, patient_id INTEGER, heart_rate INTEGER);
CREATE TABLE activity_logs (id INTEGER PRIMARY KEY, description TEXT);
CREATE TABLE alembic_version (version_num VARCHAR(32));
"""
USERS = """
CREATE TABLE users (id INTEGER PRIMARY KEY, username TEXT, email TEXT, password_hash TEXT, full_name TEXT,
    role TEXT, auth_method TEXT{});
CREATE TABLE patients (id INTEGER PRIMARY KEY, user_id INTEGER{}, first_name TEXT, last_name TEXT, birth_date DATE,
    gender TEXT, address TEXT, blood_type TEXT, height FLOAT, weight FLOAT, physician_id INTEGER, created_at TIMESTAMP);
"""
OLD_FILES = """
CREATE TABLE lab_result_files (id INTEGER PRIMARY KEY, lab_result_id INTEGER, file_name TEXT, file_path TEXT,
    file_type TEXT, file_size INTEGER, description TEXT, uploaded_at TIMESTAMP);
"""
NEW_FILES = """
CREATE TABLE entity_files (id INTEGER PRIMARY KEY, entity_type TEXT, entity_id INTEGER, file_name TEXT, file_path TEXT,
    file_type TEXT, file_size INTEGER, description TEXT, category TEXT, uploaded_at TIMESTAMP, storage_backend TEXT,
    sync_status TEXT, invented_by_a_later_version TEXT);
CREATE TABLE patient_shares (id INTEGER PRIMARY KEY, patient_id INTEGER, shared_by_user_id INTEGER,
    shared_with_user_id INTEGER, permission_level TEXT, is_active BOOLEAN, expires_at TIMESTAMP);
CREATE TABLE lab_test_components (id INTEGER PRIMARY KEY, lab_result_id INTEGER, test_name TEXT, value FLOAT,
    unit TEXT);
CREATE TABLE patient_photos (id INTEGER PRIMARY KEY, patient_id INTEGER, file_path TEXT);
"""
AT = "2024-03-05 10:20:30"
UNREADABLE = "unreadable"  # part of the names of files that tests refuse to open
OF_ALL = ("missing", "outside", "link", "dangling", "inside", "orphan", UNREADABLE)
FAULTS = (*OF_ALL, "unknown-type", "remote", "nameless")  # files that cannot be moved; the last ones in newer versions
TURNS = (  # entity types as files name them, with the table and what they become
    ("lab-result", "lab_results", "lab-result"), ("visit", "encounters", "visit"), ("encounter", "encounters", "visit"),
    ("insurance", "insurances", "insurance"), ("procedure", "procedures", "procedure"),
    ("medication", "medications", "patient"),
)  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """A file, and what is true of it. `fault`: why it cannot be moved."""

    table: str
    id: int
    kind: str
    patient: int
    name: str
    sha256: str
    fault: str | None = None


@dataclass
class Installation:
    """A MediKeep installation: its database, its upload folder and every file that was planted."""

    engine: Engine
    url: str
    uploads: Path
    newer: bool
    files: list[Planted] = field(default_factory=list)
    _next: dict[str, int] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        return ["import", "medikeep", "--source-url", self.url, "--source-uploads", str(self.uploads)]

    @property
    def movable(self) -> list[Planted]:
        return [file for file in self.files if file.fault is None]

    def add(self, table: str, **values: Any) -> int:
        """Insert a row and return its id."""
        number = values.setdefault("id", self._next.get(table, 1))
        self._next[table] = number + 1
        names = ", ".join(values)
        with self.engine.begin() as connection:
            marks = ", ".join(f":{name}" for name in values)
            connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)
        return int(number)

    def account(self, name: str, **values: Any) -> int:
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        said = {"username": name, "email": f"{name}@sample.example", "password_hash": hashed, "full_name": name.title()}
        return self.add("users", **(said | {"role": "user"} | ({"is_active": True} if self.newer else {}) | values))

    def patient(self, owner: int, first_name: str = "Ella", **values: Any) -> int:
        said = {"user_id": owner, "first_name": first_name, "last_name": "Sample", "birth_date": "2018-03-02"}
        said |= {"owner_user_id": owner} if self.newer else {}
        return self.add("patients", **(said | {"created_at": AT} | values))

    def record(self, table: str, patient: int, **values: Any) -> int:
        titles = {
            "lab_results": {"test_name": "Blood count", "completed_date": "2024-03-01", "created_at": AT},
            "encounters": {"reason": "Check-up", "date": "2024-03-01", "created_at": AT},
            "procedures": {"procedure_name": "Knee X-ray", "date": "2024-03-01", "created_at": AT},
            "insurances": {
                "insurance_type": "Medical", "company_name": "Sample Mutual", "member_name": "Ella Sample",
                "member_id": "42", "effective_date": "2024-01-01", "created_at": AT,
            },
            "medications": {"medication_name": "Lisinopril"},
        }  # fmt: skip
        return self.add(table, **({"patient_id": patient} | titles.get(table, {}) | values))

    def file(
        self, kind: str, record: int, patient: int, fault: str | None = None, content: bytes | None = None, **row: Any
    ) -> Planted:
        """Add a file of the version's own table: `kind` is an entity type, or lab-result in the older version."""
        content = f"Letter {uuid.uuid4()}".encode() if content is None else content
        path = self._place(kind, content, fault)
        said: dict[str, Any] = {"file_name": "letter.txt", "file_path": path, "file_type": "text/plain"}
        said |= {"file_size": len(content), "uploaded_at": AT}
        table = "entity_files" if self.newer else "lab_result_files"
        if self.newer:
            remote = {"remote": "paperless", "nameless": "papra"}.get(fault or "", "local")
            said |= {"entity_type": kind, "entity_id": record, "storage_backend": remote}
        else:
            said["lab_result_id"] = record
        number = self.add(table, **(said | row))
        file = Planted(table, number, kind, patient, said["file_name"], hashlib.sha256(content).hexdigest(), fault)
        self.files.append(file)
        return file

    def again(self, file: Planted) -> Planted:
        """Add one more row that names the same file."""
        with self.engine.connect() as connection:
            query = text(f"SELECT * FROM {file.table} WHERE id = :id")
            row = dict(connection.execute(query, {"id": file.id}).mappings().one())
        number = self.add(file.table, **(row | {"id": self._next[file.table]}))
        self.files.append(second := replace(file, id=number))
        return second

    def _place(self, kind: str, content: bytes, fault: str | None) -> str:
        folder = f"files/{kind}s" if self.newer else "lab_result_files"
        path = f"{folder}/{UNREADABLE if fault == UNREADABLE else ''}{uuid.uuid4()}.txt"
        place = self.uploads / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if fault in ("link", "dangling", "inside"):
            (place.parent / "other.txt").write_bytes(b"of no row")
            place.symlink_to({"link": "/etc/hostname", "dangling": "gone.txt", "inside": "other.txt"}[fault])
        elif fault not in ("missing", "outside", "remote", "nameless"):
            place.write_bytes(content)
        return {"outside": "../../etc/hostname", "nameless": ""}.get(fault or "", f"uploads/{path}")

    def respell(self, file: Planted, how: str) -> None:
        """Write the path of a file as other systems do: absolute in a container, or on Windows."""
        with self.engine.begin() as connection:
            row = {"id": file.id}
            path = connection.execute(text(f"SELECT file_path FROM {file.table} WHERE id = :id"), row).scalar_one()
            written = {
                "container": f"/app/{path}", "windows": path.replace("/", "\\"),
                "drive": "C:\\Users\\nora\\medikeep\\" + path.replace("/", "\\"), "bare": path.removeprefix("uploads/"),
            }[how]  # fmt: skip
            row["path"] = written
            connection.execute(text(f"UPDATE {file.table} SET file_path = :path WHERE id = :id"), row)


def create(url: str, uploads: Path, *, newer: bool, both: bool = False) -> Installation:
    """Create the tables of an older or newer version; `both`: a newer one that was upgraded."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    (uploads / "lab_result_files").mkdir(parents=True)
    extra = (", is_active BOOLEAN, external_id TEXT", ", owner_user_id INTEGER") if newer else ("", "")
    users, patients = USERS.split("CREATE TABLE patients")
    statements = SHARED + users.format(extra[0]) + "CREATE TABLE patients" + patients.format(extra[1])
    statements += (NEW_FILES if newer else "") + (OLD_FILES if both or not newer else "")
    with engine.begin() as connection:
        for statement in statements.split(";"):
            if statement.strip():
                connection.execute(text(statement))
    return Installation(engine, url, uploads, newer)


def plant(
    url: str,
    uploads: Path,
    *,
    newer: bool,
    files: int = 60,
    faults: Sequence[str] | None = FAULTS,
    patients: int = 4,
    seed: int = 7,
) -> Installation:
    """Fill an installation: accounts, patients with records of each kind, and files of all kinds in turn.

    :param faults: what is wrong with files that cannot be moved; None: leave out everything else unusual too
    """
    chance, there = random.Random(seed), create(url, uploads, newer=newer, both=newer)
    owners = [there.account(f"user{number}") for number in range(1, 4)]
    doctor = there.add("practitioners", name="Dr. Sample", practice="Health center", phone_number="555 0100")
    people = [there.patient(owners[number % 3], f"First{number}") for number in range(patients)]
    records: dict[tuple[str, int], int] = {}
    for patient in people:
        for table in dict.fromkeys(table for _, table, _ in TURNS):
            said = {"practitioner_id": doctor} if table in ("lab_results", "encounters", "procedures") else {}
            records[table, patient] = there.record(table, patient, **said)
        there.add("allergies", patient_id=patient, allergen="Penicillin", reaction="Rash", severity="mild")
        there.add("vitals", patient_id=patient, heart_rate=60)
    turns = TURNS if newer else TURNS[:1]
    for number in range(files):
        kind, table, _ = turns[number % len(turns)]
        patient = people[chance.randrange(patients)]
        content = samples.pdf() if number % 5 == 0 else f"Letter {number}".encode()
        name = f"Result {number}.{'pdf' if number % 5 == 0 else 'txt'}"
        there.file(kind, records[table, patient], patient, content=content, file_name=name)
    if faults is not None:
        _mess(there, people, records, [fault for fault in faults if newer or fault in OF_ALL])
    there.engine.dispose()
    return there


def _mess(
    there: Installation, people: Sequence[int], records: Mapping[tuple[str, int], int], faults: Sequence[str]
) -> None:
    patient = people[0]
    lab = records["lab_results", patient]
    for fault in faults:
        kind = "spaceship" if fault == "unknown-type" else "lab-result"
        there.file(kind, 999_999 if fault == "orphan" else lab, patient, fault)
    for how in ("container", "windows", "drive", "bare"):
        there.respell(there.file("lab-result", lab, patient), how)
    there.again(there.file("lab-result", lab, patient, file_name="twice.txt"))
    there.file("lab-result", lab, patient, content=b"", file_name="empty.txt")
    there.file("lab-result", lab, patient, file_name="e\u0301tude.txt")
    there.file("lab-result", lab, patient, file_name="a" * 251 + ".txt")
    there.file("lab-result", lab, patient, file_name="program.exe", content=b"MZ not a document")
    there.file("lab-result", lab, patient, file_size=7, description="D" * 3000)
    if not there.newer:
        return
    there.file("lab-result", lab, patient, storage_backend="paperless", sync_status="synced")  # its bytes are here too
    there.add("practitioners", name="Dr. Unnamed")
    there.record("medications", patient, medication_name="Without files")
    there.account("off", is_active=False)
    there.account("boss", role="admin")
    there.account("sso", password_hash="", auth_method="sso")
    twin = there.account("twin", email="USER1@sample.example")
    twins = there.patient(twin, "Twinny")
    there.file("visit", there.record("encounters", twins), twins, category="summary")
    differs = there.patient(1, "Handed", owner_user_id=2)
    there.file("visit", there.record("encounters", differs), differs, category="Somewhere else")
    states: Sequence[tuple[int, int, str, bool, str | None]] = (
        (patient, 2, "view", True, None), (patient, 3, "full", True, None),
        (people[1], 1, "edit", True, "2020-01-01 00:00:00"), (people[1], 3, "view", False, None),
        (people[2], 1, "view", True, "2099-01-01 00:00:00"),
    )  # fmt: skip
    for number, reader, level, active, ends in states:
        there.add("patient_shares", patient_id=number, shared_by_user_id=1, shared_with_user_id=reader,
                  permission_level=level, is_active=active, expires_at=ends)  # fmt: skip
    there.record("lab_results", patient, facility="F" * 300, test_name="Long")
    there.add("patient_photos", patient_id=patient, file_path="photo.jpg")
    there.add("lab_test_components", lab_result_id=lab, test_name="Hemoglobin", value=13.5, unit="g/dl")


def stored(world: Any) -> list[tuple[str, str, str]]:
    """Return what this installation holds by raw SQL and bytes: record type, name and SHA-256 of each document."""
    found = []
    for file in world.files():
        content = b"".join(world.parts.storages[file.storage].open(file.file_path))
        found.append((file.entity_type, file.file_name, hashlib.sha256(content).hexdigest()))
    return sorted(found)
