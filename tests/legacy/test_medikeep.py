"""Importing a whole MediKeep installation, of both schemas."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from sqlalchemy import select, text

from medfiles.accounts import passwords
from medfiles.accounts import service as accounts
from medfiles.database.session import db
from medfiles.models import EntityFile, LabResult, LegacyId, Patient, PatientShare, User, Visit
from tests.legacy import killed, medikeep
from tests.legacy.commands import run, said
from tests.legacy.installation import LATER
from tests.legacy.killed import Runner
from tests.legacy.medikeep import AT, PASSWORD, TURNS, Installation
from tests.legacy.test_crashes import KILLED, settings_of
from tests.rules.matrix import stored as everything
from tests.support.api_client import problem, script
from tests.support.factories import World

pytestmark = pytest.mark.database
BECOMES = {kind: new for kind, _, new in TURNS}


@pytest.fixture
def empty(tmp_path: Path) -> Installation:
    """A newer version that was upgraded, without any rows."""
    return medikeep.create(f"sqlite:///{tmp_path}/medikeep.db", tmp_path / "medikeep", newer=True, both=True)


@pytest.fixture(params=[False, True], ids=["older", "newer"])
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    return medikeep.plant(f"sqlite:///{tmp_path}/medikeep.db", tmp_path / "medikeep", newer=request.param, files=24)


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


def test_everything_comes_over_once_and_is_accounted_for(world: World, there: Installation) -> None:
    before, nothing = contents(there), everything(world)
    tried = imported(world, there, "--dry-run")
    assert everything(world) == nothing
    found = imported(world, there)
    differing = {"begun_at", "ended_at", "dry_run", "backup", "verification", "report"}
    assert {name: value for name, value in tried.items() if name not in differing} == {
        name: value for name, value in found.items() if name not in differing
    }
    assert found["verification"]["passed"]
    assert found["left_behind"] == len(there.files) - len(there.movable)
    here = Counter((kind, sha256) for kind, _, sha256 in medikeep.stored(world))
    assert here == Counter((BECOMES[file.kind], file.sha256) for file in there.movable)
    for table, rows in found["rows"].items():
        with there.engine.connect() as connection:
            assert connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one() == rows
        assert sum(found["outcomes"].get(table, {}).values()) == rows
    for file in there.movable:
        kind = "entity-file" if there.newer else "file"
        document = db.session.get_one(EntityFile, new(kind, file.id))
        assert document.patient_id == new("patient", file.patient)
        assert (document.sha256, document.uploaded_at.isoformat()) == (file.sha256, f"{AT.replace(' ', 'T')}+00:00")
    again = imported(world, there)
    assert (again["moved_now"], len(world.files())) == (0, len(there.movable))
    assert again["verification"]["documents"] == len(there.movable)
    assert contents(there) == before
    world.assert_settled()


def test_rolled_back_an_import_leaves_nothing_and_can_be_repeated(world: World, there: Installation) -> None:
    before = contents(there)
    imported(world, there)
    result = run(world, *there.command, "--roll-back", "--json")
    assert (result.exit_code, said(result)["documents"]) == (0, len(there.movable))
    left = everything(world)
    tables = ("users", "patients", "patient_shares", "lab_results", "visits", "entity_files", "legacy_ids")
    assert {table: left[table] for table in (*tables, "legacy_sources", "storage_journal")} == {
        table: [] for table in (*tables, "legacy_sources", "storage_journal")
    }
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
        f"sqlite:///{tmp_path}/medikeep.db", tmp_path / "medikeep", newer=False, files=5, faults=False
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
        f"sqlite:///{tmp_path}/medikeep.db", tmp_path / "medikeep", newer=True, files=12, faults=False
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


def test_killed_anywhere_the_next_run_completes_it(world: World, runner: Runner, tmp_path: Path) -> None:
    there = medikeep.plant(f"sqlite:///{tmp_path}/medikeep.db", tmp_path / "medikeep", newer=True, files=24)
    environ, words = settings_of(world.app), [*there.command, "--batch", "7"]
    db.session.remove()
    for module, name, call in STEPS:
        for when in ("before", "after"):
            assert runner.run(environ, *words, at=(module, name, when, call)) in (KILLED, 1)
    assert imported(world, there)["verification"]["passed"]
    here = Counter((kind, sha256) for kind, _, sha256 in medikeep.stored(world))
    assert here == Counter((BECOMES[file.kind], file.sha256) for file in there.movable)
    assert len(world.events(action="migrate")) == len(there.movable)
    for staged in (world.uploads / "staged").glob("*"):
        staged.unlink()  # housekeeping clears them by age
    world.sweep(at=LATER)
    world.assert_settled()
