"""Importing a whole MediKeep installation, of both schemas."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from sqlalchemy import create_engine, inspect, select, text

from medfiles.accounts import passwords
from medfiles.accounts import service as accounts
from medfiles.database.session import db
from medfiles.legacy.folder import LegacyFolder
from medfiles.legacy.medikeep.schema import WORDS
from medfiles.models import EntityFile, LabResult, LegacyId, Patient, PatientShare, User, Visit
from medfiles.operations import housekeeping
from medfiles.search import checking
from tests.legacy import killed, medikeep
from tests.legacy.commands import run, said
from tests.legacy.installation import LATER
from tests.legacy.killed import Runner
from tests.legacy.medikeep import AT, PASSWORD, TURNS, Installation
from tests.legacy.test_crashes import KILLED, settings_of
from tests.rules.matrix import stored as everything
from tests.support.api_client import problem, script
from tests.support.extent import Extent
from tests.support.factories import World

pytestmark = pytest.mark.database
REASONS = {"dangling": "link", "inside": "link", "nameless": "remote"}  # faults that are reported as another one
BECOMES = {kind: new for kind, _, new in TURNS}


@pytest.fixture
def empty(tmp_path: Path) -> Installation:
    """A newer version that was upgraded, without any rows."""
    return medikeep.create(f"sqlite:///{tmp_path}/medikeep.db", tmp_path / "medikeep", newer=True, both=True)


@pytest.fixture(params=[False, True], ids=["older", "newer"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    return medikeep.plant(f"sqlite:///{tmp_path}/medikeep.db", tmp_path / "medikeep", newer=request.param, files=12)


@pytest.fixture(autouse=True)
def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to open some files, as the system does for files of others; root may open every file."""
    inner = LegacyFolder.open

    def refuse(folder: LegacyFolder, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        if medikeep.UNREADABLE in key:
            raise PermissionError(key)
        return inner(folder, key, start, end)

    monkeypatch.setattr(LegacyFolder, "open", refuse)


def imported(world: World, there: Installation, *words: str) -> Mapping[str, Any]:
    result = run(world, *there.command, "--json", *words)
    found: Mapping[str, Any] = said(result)
    assert result.exit_code == (0 if found["good"] else 1), result.output
    return found


def new(kind: str, old: int) -> int:
    """The number here of a row of the source."""
    db.session.rollback()
    found = db.session.scalars(select(LegacyId.new_id).where(LegacyId.kind == kind, LegacyId.old_id == old)).one()
    assert found is not None
    return found


def contents(there: Installation) -> Mapping[str, Any]:
    """Everything that is in the source: rows and bytes."""
    with there.engine.connect() as connection:
        tables = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars().all()
        rows = {table: connection.execute(text(f"SELECT * FROM {table}")).all() for table in tables}
    there.engine.dispose()
    files = {str(path): path.read_bytes() for path in there.uploads.rglob("*") if path.is_file()}
    return {**rows, **files}


DIFFERING = {"begun_at", "ended_at", "dry_run", "backup", "not_backed_up", "verification", "report"}


def assert_accounted_for(there: Installation, found: Mapping[str, Any]) -> None:
    """Every row of every table has exactly one outcome, or its table is named as not brought along."""
    with there.engine.connect() as connection:
        names = set(inspect(connection).get_table_names()) - {"alembic_version"}
        rows = {name: connection.execute(text(f"SELECT COUNT(*) FROM {name}")).scalar_one() for name in names}
    there.engine.dispose()
    outcomes = {name: sum(found["outcomes"].get(name, {}).values()) for name in found["rows"]}
    left = {name: found["not_brought_along"].get(WORDS.get(name, name), 0) for name in names - set(outcomes)}
    assert outcomes | left == rows


def test_everything_comes_over_once_and_is_accounted_for(world: World, there: Installation) -> None:
    before, nothing = contents(there), everything(world)
    tried = imported(world, there, "--dry-run")
    assert everything(world) == nothing
    found = imported(world, there)
    assert {name: value for name, value in tried.items() if name not in DIFFERING} == {
        name: value for name, value in found.items() if name not in DIFFERING
    }
    assert found["verification"]["passed"]
    assert found["left_behind"] == len(there.files) - len(there.movable)
    here = Counter((kind, sha256) for kind, _, sha256 in medikeep.stored(world))
    assert here == Counter((BECOMES[file.kind], file.sha256) for file in there.movable)
    assert_accounted_for(there, found)
    reasons = {(one["source"], number): one["kind"] for one in found["findings"] for number in one["ids"]}
    table = "entity_files" if there.newer else "lab_result_files"
    assert {file.id: reasons[table, file.id] for file in there.files if file.fault} == {
        file.id: REASONS.get(file.fault or "", file.fault) for file in there.files if file.fault
    }
    for file in there.movable:
        kind = "entity-file" if there.newer else "file"
        document = db.session.get_one(EntityFile, new(kind, file.id))
        assert document.patient_id == new("patient", file.patient)
        assert (document.sha256, document.uploaded_at.isoformat()) == (file.sha256, f"{AT.replace(' ', 'T')}+00:00")
    again = imported(world, there)
    assert (again["moved_now"], len(world.files())) == (0, len(there.movable))
    assert again["verification"]["documents"] == len(there.movable)
    assert contents(there) == before
    assert checking.check(world.parts.registry).problems == []
    world.assert_settled()


def test_rolled_back_an_import_leaves_nothing_and_can_be_repeated(world: World, there: Installation) -> None:
    before = contents(there)
    imported(world, there)
    result = run(world, *there.command, "--roll-back", "--json")
    assert (result.exit_code, said(result)["documents"]) == (0, len(there.movable))
    left = everything(world)
    tables = ("users", "patients", "patient_shares", "lab_results", "visits", "entity_files", "legacy_ids")
    emptied = (*tables, "legacy_sources", "storage_journal", "search_entries")
    assert {table: left[table] for table in emptied} == {table: [] for table in emptied}
    assert list(world.uploads.glob("files/*/*")) == []
    assert contents(there) == before
    assert imported(world, there)["moved_now"] == len(there.movable)
    world.assert_settled()


def test_rollback_keeps_what_has_been_used_since(world: World, empty: Installation) -> None:
    patient = empty.patient(empty.account("nora"))
    visit = empty.record("encounters", patient)
    gone, kept = empty.file("visit", visit, patient), empty.file("visit", visit, patient)
    imported(world, empty)
    place = next(path for path in empty.uploads.rglob("*.txt") if path.read_bytes() != b"" and _is(path, kept.sha256))
    place.unlink()
    result = run(world, *empty.command, "--roll-back", "--json")
    told = said(result)
    assert (result.exit_code, told["documents"], len(told["kept"])) == (1, 1, 1)
    assert [file.sha256 for file in world.files()] == [kept.sha256]
    assert {kind for kind, _ in told["people"]} == {"visit", "patient", "user"}
    assert gone.sha256 != kept.sha256
    assert checking.check(world.parts.registry).problems == []


def _is(path: Path, sha256: str) -> bool:
    return hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def test_access_is_as_it_was(world: World, empty: Installation) -> None:
    nora, otto, hans = (empty.account(name) for name in ("nora", "otto", "hans"))
    patient = empty.patient(nora, owner_user_id=otto)
    states = ((hans, "full", True, None), (nora, "view", False, None))
    for reader, level, active, ends in states:
        empty.add(
            "patient_shares", patient_id=patient, shared_by_user_id=otto, shared_with_user_id=reader,
            permission_level=level, is_active=active, expires_at=ends,
        )  # fmt: skip
    found = imported(world, empty)
    assert [one["ids"] for one in found["findings"] if one["kind"] == "owner-differs"] == [[patient]]
    assert db.session.get_one(Patient, new("patient", patient)).user_id == new("user", otto)
    [share] = db.session.scalars(select(PatientShare)).all()
    assert (share.user_id, share.level, share.accepted_at is not None) == (new("user", hans), "edit", True)
    assert found["outcomes"]["patient_shares"] == {"brought": 1, "left out: it is inactive": 1}
    db.session.add(
        PatientShare(
            patient_id=share.patient_id, user_id=new("user", nora), address="nora@sample.example",
            address_key="nora@sample.example", level="view", accepted_at=share.accepted_at,
        )
    )  # fmt: skip
    share.user_id = None
    share.accepted_at = None
    db.session.commit()
    verdict = imported(world, empty)["verification"]
    assert (len(verdict["leaks"]), len(verdict["losses"])) == (0, 1)  # the new share was given here


def sign_in(world: World, name: str, password: str) -> int:
    client = world.client(None)
    page = client.get("/sign-in").text
    token = page.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    return client.post("/sign-in", data={"csrf_token": token, "email": name, "password": password}).status_code


def test_passwords_work_once_with_bcrypt_and_then_with_argon2(world: World, empty: Installation) -> None:
    long = "pässword " * 12
    hashed = bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()
    number = empty.account("nora", password_hash=hashed)
    empty.account("otto", is_active=False)
    empty.account("boss", role="admin")
    imported(world, empty)
    assert sign_in(world, "nora", "wrong password") == 200
    assert sign_in(world, "nora", long) == 302
    user = db.session.get_one(User, new("user", number))
    assert (user.password or "").startswith("$argon2")
    assert (user.username, user.full_name) == ("nora", "Nora")
    assert sign_in(world, "nora@sample.example", long) == 302
    assert sign_in(world, "otto@sample.example", PASSWORD) == 200
    assert sign_in(world, "nobody", PASSWORD) == 200
    boss = db.session.scalars(select(User).where(User.username == "boss")).one()
    assert [role.name for role in boss.roles] == ["admin"]


def test_a_refused_sign_in_costs_a_bcrypt_check_whoever_tries(
    world: World, empty: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty.account("nora")
    imported(world, empty)
    accounts.create("own@sample.example", "a password of one’s own")
    checks: list[str] = []

    def matches(password: str, hashed: str) -> bool:
        checks.append(hashed)
        return False

    monkeypatch.setattr(passwords, "_matches", matches)
    for name in ("nora@sample.example", "own@sample.example", "nobody@sample.example", "nora", "nobody"):
        checks.clear()
        assert sign_in(world, name, "wrong password") == 200
        assert len(checks) == 1, name


def test_addresses_that_differ_in_case_only_leave_nothing_behind(world: World, empty: Installation) -> None:
    first, second = empty.account("nora"), empty.account("twin", email="NORA@sample.example")
    patient = empty.patient(second)
    empty.file("visit", empty.record("encounters", patient), patient)
    empty.account("odd", email="not an address")
    found = imported(world, empty)
    assert found["verification"]["passed"]
    assert db.session.get_one(User, new("user", first)).email == "nora@sample.example"
    assert db.session.get_one(User, new("user", second)).email == f"NORA+medikeep-{second}@sample.example"
    assert {"case-twin", "address"} <= {one["kind"] for one in found["findings"]}
    assert len(world.files()) == 1


def test_what_has_no_place_is_in_the_notes(world: World, empty: Installation) -> None:
    doctor = empty.add("practitioners", name="Dr. Sample", practice="Health center", phone_number="555 0100")
    patient = empty.patient(
        empty.account("nora"), height=70.0, blood_type="0+", physician_id=doctor, birth_date=None, last_name="S" * 120
    )
    empty.add("allergies", patient_id=patient, allergen="Penicillin", reaction="Rash", severity="mild")
    result = empty.record("lab_results", patient, facility="F" * 300, practitioner_id=doctor, tags='["fasting"]')
    empty.add("lab_test_components", lab_result_id=result, test_name="Hemoglobin", value=13.5, unit="g/dl")
    visit = empty.record("encounters", patient, reason=None, date=None, duration_minutes=20, notes="Came late")
    found = imported(world, empty)
    person = db.session.get_one(Patient, new("patient", patient))
    assert person.allergies == "Penicillin (Reaction: Rash; Severity: mild)"
    for words in ("Blood type: 0+", "Height: 70 in (178 cm)", "Physician: Dr. Sample, Health center", "S" * 120):
        assert words in (person.notes or "")
    lab = db.session.get_one(LabResult, new("lab-result", result))
    assert (len(lab.facility or ""), lab.practitioner) == (255, "Dr. Sample, Health center")
    for words in (
        "Laboratory: " + "F" * 300,
        "Tags: fasting",
        "Component: Hemoglobin 13.5 g/dl",
        "Phone number: 555 0100",
    ):
        assert words in (lab.notes or "")
    seen = db.session.get_one(Visit, new("visit", visit))
    assert (seen.reason, seen.date.isoformat(), seen.notes) == ("Unknown", AT[:10], "Came late\n\nDuration minutes: 20")
    assert {"shortened", "filled"} <= {one["kind"] for one in found["findings"]}


def test_files_of_other_kinds_of_records_become_documents_of_the_patient(world: World, empty: Installation) -> None:
    patient = empty.patient(empty.account("nora"))
    medication = empty.record("medications", patient)
    empty.record("medications", patient, medication_name="Without files")
    empty.file("medication", medication, patient, description="Package leaflet", category="Instructions")
    found = imported(world, empty)
    [file] = world.files()
    assert (file.entity_type, file.entity_id) == ("patient", new("patient", patient))
    assert (file.category, file.description) == (
        None, "Category: Instructions · Medication: Lisinopril — Package leaflet",
    )  # fmt: skip
    assert found["not_brought_along"]["medications without files"] == 1
    assert found["outcomes"]["medications"] == {"left out: it has no files to import": 1, "only its files": 1}


def upgraded(there: Installation) -> tuple[int, Any]:
    """A file that the upgrade copied, and one that was deleted afterwards; return the older number of the former."""
    patient = there.patient(there.account("nora"))
    lab = there.record("lab_results", patient)
    copied = there.file("lab-result", lab, patient)
    path = there.uploads / "lab_result_files" / "deleted.txt"
    path.write_bytes(b"deleted")
    with there.engine.connect() as connection:
        [new_path] = connection.execute(text("SELECT file_path FROM entity_files")).scalars().all()
    said = {"lab_result_id": lab, "file_name": "letter.txt", "uploaded_at": AT, "file_type": "text/plain"}
    number = there.add("lab_result_files", id=41, file_path=new_path, **said)
    there.add("lab_result_files", file_path="uploads/lab_result_files/deleted.txt", **said)
    return number, copied


def test_a_file_deleted_in_the_newer_version_does_not_come_back(world: World, empty: Installation) -> None:
    number, copied = upgraded(empty)
    found = imported(world, empty)
    assert [file.sha256 for file in world.files()] == [copied.sha256]
    assert sorted(found["outcomes"]["lab_result_files"].values()) == [1, 1]
    assert world.files()[0].legacy_id == number
    world._users["nora@sample.example"] = db.session.scalars(select(User.id)).one()
    answer = world.client().get(f"/api/v1/lab-result-files/{number}/download", buffered=True)
    assert hashlib.sha256(answer.data).hexdigest() == copied.sha256


def test_an_upgrade_between_two_imports_makes_no_second_document(world: World, tmp_path: Path) -> None:
    there = medikeep.plant(
        f"sqlite:///{tmp_path}/medikeep.db", tmp_path / "medikeep", newer=False, files=5, faults=None
    )
    imported(world, there)
    with there.engine.begin() as connection:
        for statement in filter(str.strip, medikeep.NEW_FILES.split(";")):
            connection.execute(text(statement))
        columns = "file_name, file_path, file_type, file_size, uploaded_at"
        connection.execute(
            text(
                f"INSERT INTO entity_files (entity_type, entity_id, {columns}) "
                f"SELECT 'lab-result', lab_result_id, {columns} FROM lab_result_files"
            )
        )
    for words in (("--dry-run",), (), ()):
        found = imported(world, there, *words)
        assert (found["moved_now"], found["outcomes"]["entity_files"]) == (0, {"earlier": 5})
    assert found["verification"]["documents"] == len(world.files()) == 5


def test_a_number_of_the_source_never_answers_for_another_lab_result(world: World, empty: Installation) -> None:
    mine = world.record("lab-result").id
    patient = empty.patient(empty.account("nora"))
    empty.record("lab_results", patient, id=mine, test_name="Of the source")
    imported(world, empty)
    client, stranger = script(world), script(world, "stranger@sample.example")
    moved = new("lab-result", mine)
    db.session.rollback()
    answer = client.get(f"/lab-results/{mine}/files")
    assert problem(answer, 410, "renumbered")
    assert f"/api/v1/lab-result/{moved}/files" in answer.headers["Link"]
    assert client.upload(f"/lab-results/{mine}/files", "letter.txt", b"letter").status_code == 410
    assert client.get(f"/lab-result/{mine}/files").status_code == 200
    assert stranger.get(f"/lab-results/{mine}/files").status_code == 404
    assert world.files() == []


def test_one_patient_can_be_imported_before_the_others(world: World, tmp_path: Path) -> None:
    there = medikeep.plant(
        f"sqlite:///{tmp_path}/medikeep.db", tmp_path / "medikeep", newer=True, files=12, faults=None
    )
    first = imported(world, there, "--patient", "2")
    assert first["outcomes"]["patients"] == {"brought": 1, "left out": 3}
    assert len(world.files()) == sum(file.patient == 2 for file in there.files)
    assert imported(world, there)["outcomes"]["patients"] == {"brought": 3, "earlier": 1}
    assert len(world.files()) == len(there.files)


def test_older_commands_point_to_this_one(world: World, empty: Installation) -> None:
    result = run(
        world, "migrate-lab-results", "--source-url", empty.url, "--source-uploads", str(empty.uploads), "--dry-run"
    )
    assert (result.exit_code, "import medikeep" in result.output) == (1, True)


def test_what_is_not_medikeep_is_refused(world: World, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    url = world.app.config["MEDFILES_DATABASE_URL"]
    result = run(world, "import", "medikeep", "--source-url", url, "--source-uploads", str(tmp_path))
    assert (result.exit_code, "not of MediKeep" in result.output) == (1, True)
    (tmp_path / "files").rmdir()
    result = run(world, "import", "medikeep", "--source-url", url, "--source-uploads", str(tmp_path))
    assert (result.exit_code, "not an upload folder" in result.output) == (1, True)


MEDIKEEP = "medfiles.legacy.medikeep."
STEPS = [
    (MEDIKEEP + "bringing", "Step._bring", 9),
    (MEDIKEEP + "importing", "Import._back_up", 1),
    ("medfiles.storage.journal", "expect", 2),
    ("medfiles.storage", "DiskStorage._publish", 3),
    (MEDIKEEP + "files", "FileMover.lock", 2),
    ("medfiles.storage.journal", "settle", 2),
    (MEDIKEEP + "verification", "Verifier.verify", 1),
]


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with killed.runner() as runner:
        yield runner


def test_killed_anywhere_the_next_run_completes_it(
    world: World, runner: Runner, extent: Extent, tmp_path: Path
) -> None:
    there = medikeep.plant(
        f"sqlite:///{tmp_path}/medikeep.db", tmp_path / "medikeep", newer=True, files=12, faults=["missing", "remote"]
    )
    environ, words = settings_of(world.app), [*there.command, "--batch", "7"]
    db.session.remove()
    points = [(module, name, when, call) for module, name, call in STEPS for when in ("before", "after")]
    chosen = sorted(extent.chance("medikeep").sample(range(len(points)), extent.of(len(points), 3)))
    for point in chosen:
        assert runner.run(environ, *words, at=points[point]) in (KILLED, 1)
    assert imported(world, there)["verification"]["passed"]
    here = Counter((kind, sha256) for kind, _, sha256 in medikeep.stored(world))
    assert here == Counter((BECOMES[file.kind], file.sha256) for file in there.movable)
    assert len(world.events(action="migrate")) == len(there.movable)
    for staged in (world.uploads / "staged").glob("*"):
        staged.unlink()  # housekeeping clears them by age
    world.sweep(at=LATER)
    world.assert_settled()


@pytest.mark.only_postgres
def test_a_medikeep_in_postgresql_comes_over(world: World, new_database: Callable[[Path], str], tmp_path: Path) -> None:
    url = new_database(tmp_path)
    emptied = create_engine(url)
    with emptied.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    emptied.dispose()
    there = medikeep.plant(url, tmp_path / "medikeep", newer=True, files=6)
    tried, found = imported(world, there, "--dry-run"), imported(world, there)
    assert {name: value for name, value in tried.items() if name not in DIFFERING} == {
        name: value for name, value in found.items() if name not in DIFFERING
    }
    assert found["verification"]["passed"]
    assert_accounted_for(there, found)
    here = Counter((kind, sha256) for kind, _, sha256 in medikeep.stored(world))
    assert here == Counter((BECOMES[file.kind], file.sha256) for file in there.movable)


def test_texts_as_long_as_their_columns_are_kept_and_longer_ones_shortened(world: World, empty: Installation) -> None:
    """The same on both databases, although SQLite would store any length. A character may be several bytes."""
    names = {length: "ä" * length for length in (100, 101)}
    account = empty.account("nora", full_name="é" * 256)
    patients = {length: empty.patient(account, name) for length, name in names.items()}
    results = {length: empty.record("lab_results", patients[100], test_name="日" * length) for length in (255, 256)}
    found = imported(world, empty)
    assert found["verification"]["passed"]
    stored = {length: db.session.get_one(Patient, new("patient", old)) for length, old in patients.items()}
    assert (stored[100].first_name, stored[100].notes) == (names[100], None)
    assert (stored[101].first_name, stored[101].notes) == ("ä" * 99 + "…", f"First name: {names[101]}")
    tests = {length: db.session.get_one(LabResult, new("lab-result", old)) for length, old in results.items()}
    assert {length: len(one.test_name) for length, one in tests.items()} == {255: 255, 256: 255}
    assert tests[256].notes == "Test name: " + "日" * 256
    shortened = {one["source"]: one["ids"] for one in found["findings"] if one["kind"] == "shortened"}
    assert shortened == {"users": [account], "patients": [patients[101]], "lab_results": [results[256]]}


def test_files_over_the_limits_come_over(make_world: Callable[..., World], empty: Installation, tmp_path: Path) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text("[visit]\nmax_files = 1\nmax_size_mb = 0.001\naccepts = ['.pdf']\n")
    world, patient = make_world(ENTITIES=str(limits)), empty.patient(empty.account("nora"))
    visit = empty.record("encounters", patient)
    for content in (b"short", b"long " * 1000):
        empty.file("visit", visit, patient, content=content)
    assert imported(world, empty)["verification"]["passed"]
    assert sorted(sha256 for _, _, sha256 in medikeep.stored(world)) == sorted(file.sha256 for file in empty.files)


def test_what_was_deleted_here_since_is_not_brought_back(world: World, empty: Installation) -> None:
    nora, otto = empty.account("nora"), empty.account("otto")
    kept, gone = empty.patient(nora, "Kept"), empty.patient(nora, "Gone")
    for patient in (kept, gone):
        empty.add("patient_shares", patient_id=patient, shared_by_user_id=nora, shared_with_user_id=otto,
                  permission_level="view", is_active=True)  # fmt: skip
        empty.file("visit", empty.record("encounters", patient), patient)
        empty.add("allergies", patient_id=patient, allergen="Penicillin")
    imported(world, empty)
    owner = db.session.get_one(User, new("user", nora)).email
    world._users[owner] = new("user", nora)
    world.records(owner).delete_patient(new("patient", gone))
    housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta(), force=True)
    db.session.delete(db.session.scalars(select(PatientShare)).one())
    db.session.commit()
    again = imported(world, empty)
    deleted = "left out: deleted here since an earlier run"
    assert again["outcomes"]["patients"] == {"earlier": 1, deleted: 1}
    assert again["outcomes"]["encounters"] == {"earlier": 1, deleted: 1}
    assert again["outcomes"]["patient_shares"] == {deleted: 2}
    assert again["outcomes"]["allergies"]["earlier, unless added since"] == 1
    assert (len(world.files()), again["moved_now"], again["verification"]["passed"]) == (1, 0, True)


def test_a_deleted_file_stays_away_when_only_one_patient_is_imported(world: World, empty: Installation) -> None:
    number, _ = upgraded(empty)
    other = empty.patient(empty.account("otto"), "Emil")
    lab = empty.record("lab_results", other)
    path = empty.uploads / "lab_result_files" / "other.txt"
    path.write_bytes(b"deleted too")
    left = empty.add(
        "lab_result_files", id=number + 10, lab_result_id=lab, file_name="other.txt", uploaded_at=AT,
        file_path="uploads/lab_result_files/other.txt", file_type="text/plain",
    )  # fmt: skip
    found = imported(world, empty, "--patient", str(other))
    assert [one["ids"] for one in found["findings"] if one["kind"] == "deleted"] == [[left]]
    assert world.files() == []


def test_the_report_says_what_becomes_of_each_column(world: World, empty: Installation) -> None:
    empty.record("encounters", empty.patient(empty.account("nora")), duration_minutes=20)
    found = run(world, *empty.command, "--dry-run")
    lines = [line.strip() for line in found.output.splitlines()]
    first = lines.index("Visits (encounters): 1 rows: 1 brought") + 1
    kept, as_text = (lines[first + number].partition(": ")[2].split(", ") for number in (0, 1))
    assert {"reason", "date", "diagnosis", "practitioner_id", "notes"} <= set(kept)
    assert {"duration_minutes", "priority"} <= set(as_text)
    assert (
        lines[lines.index("Accounts (users): 1 rows: 1 brought") + 2] == "Not brought along: auth_method, external_id"
    )
    columns = imported(world, empty, "--dry-run")["columns"]
    with empty.engine.connect() as connection:
        for table, found_columns in columns.items():
            named = [name for names in found_columns.values() for name in names]
            assert sorted(named) == sorted(one["name"] for one in inspect(connection).get_columns(table))
    empty.engine.dispose()
