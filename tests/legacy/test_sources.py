"""Moving from another installation: it is only read, and its people are matched or created."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select, text

from medfiles.accounts import service as accounts
from medfiles.database.session import db
from medfiles.models import EntityFile, LabResult, LegacyId, Patient, User
from medfiles.operations import backup
from tests.legacy import installation
from tests.legacy.commands import FINDINGS, MISUSE, migrate, roll_back, said, url_of
from tests.legacy.installation import Older
from tests.support.factories import World


@pytest.fixture
def other(world: World, tmp_path: Path, new_database: Callable[[Path], str]) -> Older:
    """Another installation, with numbers that start where none of ours does; on PostgreSQL in a schema of its own."""
    if db.engine.dialect.name == "sqlite":
        return plant(f"sqlite:///{tmp_path / 'old.db'}", tmp_path / "old")
    url = new_database(tmp_path)
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
        connection.commit()
    engine.dispose()
    return plant(url, tmp_path / "old")


def plant(url: str, uploads: Path) -> Older:
    return installation.plant(url, uploads, own=False, first_id=501, users=3, patients=5, results=20, files=45)


def of(other: Older) -> tuple[str, ...]:
    url = other.engine.url.render_as_string(hide_password=False)
    return "--source-url", url, "--source-uploads", str(other.uploads)


@pytest.mark.database
def test_another_installation_is_imported_and_not_changed(world: World, other: Older) -> None:
    before = installation.state(other)
    result = migrate(world, "--json", *of(other))
    assert result.exit_code == FINDINGS
    assert said(result)["verification"]["passed"]
    installation.assert_all_moved(other, url_of(world), world.uploads)
    assert installation.state(other) == before
    assert (count(User), count(Patient), count(LabResult)) == (3, 5, 20)
    world.assert_settled()


def count(model: Any) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(model.id))) or 0


def existing(world: World, email: str = "user501@sample.example", **values: Any) -> Patient:
    """A patient of this installation who is like one of the other's."""
    same = {"first_name": "First501", "last_name": "Sample", "birth_date": date(2001, 2, 3)}
    patient = Patient(user_id=world.user(email).id, **(same | values))
    db.session.add(patient)
    db.session.commit()
    return patient


def mapped(kind: str) -> dict[int, int]:
    query = select(LegacyId.old_id, LegacyId.new_id).where(LegacyId.kind == kind)
    return {old: new or 0 for old, new in db.session.execute(query).all()}


@pytest.mark.database
def test_people_who_exist_already_are_matched(world: World, other: Older) -> None:
    patient = existing(world, "USER501@sample.example", first_name="first501", last_name=" SAMPLE")
    record = LabResult(patient_id=patient.id, test_name="Test 501", completed_date=date(2019, 2, 3))
    db.session.add(record)
    db.session.commit()
    migrate(world, *of(other))
    assert mapped("user")[501] == patient.user_id
    assert mapped("patient")[501] == patient.id
    assert mapped("lab-result")[501] == record.id
    assert (count(User), count(Patient), count(LabResult)) == (3, 5, 20)


@pytest.mark.parametrize(
    "value", [{"last_name": "Somebody"}, {"birth_date": date(2001, 2, 4)}, {"first_name": "First50"}]
)
def test_patient_with_other_name_or_birthday_is_not_matched(world: World, other: Older, value: dict[str, Any]) -> None:
    patient = existing(world, **value)
    migrate(world, *of(other))
    assert mapped("patient")[501] != patient.id
    assert count(Patient) == 6


def test_ambiguous_patients_are_not_matched(world: World, other: Older) -> None:
    for _ in range(2):
        existing(world)
    migrate(world, *of(other))
    assert count(Patient) == 7


def test_the_same_name_under_another_account_is_not_matched(world: World, other: Older) -> None:
    patient = existing(world, "otto@sample.example")
    migrate(world, *of(other))
    assert patient.id not in mapped("patient").values()
    assert not db.session.scalars(select(EntityFile).where(EntityFile.patient_id == patient.id)).all()


def test_two_source_accounts_with_one_email_are_not_merged(world: World, other: Older) -> None:
    with other.engine.connect() as connection:
        connection.execute(text("UPDATE users SET email = 'USER501@sample.example' WHERE id = 502"))
        connection.commit()
    other.engine.dispose()
    report = said(migrate(world, "--json", *of(other)))
    assert [one["numbers"] for one in report["findings"] if one["kind"] == "user"] == [[502]]
    assert 502 not in mapped("user")
    assert report["verification"]["passed"]
    theirs = {file.id for file in other.files if file.user == 502}
    assert not theirs & set(installation.moved(url_of(world), world.uploads))


def test_imported_accounts_have_no_usable_password(world: World, other: Older) -> None:
    migrate(world, *of(other))
    assert not any(accounts.has_password("user501@sample.example", word) for word in ("", "!", "password"))
    accounts.set_password("user501@sample.example", "a long enough password")
    assert accounts.has_password("user501@sample.example", "a long enough password")


def test_a_second_run_continues_the_import(world: World, other: Older) -> None:
    migrate(world, *of(other))
    report = said(migrate(world, "--json", *of(other)))
    assert (report["moved_now"], report["verification"]["passed"]) == (0, True)
    assert (count(User), count(Patient), count(LabResult)) == (3, 5, 20)


@pytest.mark.database
def test_rollback_removes_imported_people(world: World, other: Older) -> None:
    before = installation.state(other)
    migrate(world, *of(other))
    assert roll_back(world, *of(other)).exit_code == 0
    assert (count(User), count(Patient), count(LabResult), world.files()) == (0, 0, 0, [])
    assert installation.state(other) == before
    world.assert_settled()
    migrate(world, *of(other))
    installation.assert_all_moved(other, url_of(world), world.uploads)


@pytest.mark.database
def test_rollback_keeps_and_reports_imported_people_in_use(world: World, other: Older) -> None:
    migrate(world, *of(other))
    record = db.session.get_one(LabResult, mapped("lab-result")[501])
    owner = db.session.get_one(User, db.session.get_one(Patient, record.patient_id).user_id)
    world._users[owner.email] = owner.id
    added = world.attach(record, email=owner.email).id
    stays = said(roll_back(world, "--json", *of(other)))["people"]
    assert stays == [["lab-result", record.id], ["patient", record.patient_id], ["user", owner.id]]
    assert [file.id for file in world.files()] == [added]


def test_rollback_needs_the_same_source(world: World, other: Older) -> None:
    migrate(world, *of(other))
    moved = len(world.files())
    result = roll_back(world)
    assert (result.exit_code, "It can have only one source" in result.output) == (1, True)
    assert len(world.files()) == moved


def test_finished_nothing_is_deleted_at_the_source(world: World, other: Older) -> None:
    before = installation.state(other)
    migrate(world, *of(other))
    assert migrate(world, "--finish").exit_code == 1  # which source?
    finished = migrate(world, "--finish", *of(other))
    assert (finished.exit_code, "nothing to finish" in finished.output) == (0, True)
    assert installation.state(other) == before
    installation.assert_all_moved(other, url_of(world), world.uploads)


@pytest.mark.database
def test_permanently_deleted_documents_are_not_imported_again(world: World, other: Older) -> None:
    migrate(world, *of(other))
    file = world.files()[0]
    owner = db.session.get_one(User, db.session.get_one(Patient, file.patient_id).user_id)
    world._users[owner.email] = owner.id
    number = file.legacy_id
    world.documents(owner.email).trash(file.id)
    world.documents(owner.email).purge(file.id)
    for words in (("migrate-lab-results",), ("rollback-lab-results",), ("migrate-lab-results",)):
        (migrate if "migrate" in words[0] else roll_back)(world, *of(other))
        assert number not in {one.legacy_id for one in world.files()}


def test_a_second_source_is_refused(world: World, other: Older, tmp_path: Path) -> None:
    migrate(world, *of(other))
    third = plant(f"sqlite:///{tmp_path / 'third.db'}", tmp_path / "third")
    result = migrate(world, *of(third))
    assert (result.exit_code, "It can have only one source" in result.output) == (1, True)
    assert migrate(world).exit_code == 1


def test_a_source_is_refused_where_there_are_older_files_already(world: World, other: Older) -> None:
    world.older_file(world.record("lab-result"))
    result = migrate(world, *of(other))
    assert (result.exit_code, "its own old files" in result.output) == (1, True)
    assert world.files() == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "SQLAlchemy URL"),
        ("oracle://host/db", "Only SQLite and PostgreSQL"),
        ("sqlite:////nowhere/old.db", "There is no database"),
        ("postgresql://nobody@127.0.0.1:1/none", "cannot be read"),
    ],
)
def test_an_unreadable_source_is_refused_with_a_sentence(world: World, tmp_path: Path, url: str, words: str) -> None:
    (tmp_path / "lab_result_files").mkdir()
    result = migrate(world, "--source-url", url, "--source-uploads", str(tmp_path))
    assert (result.exit_code, words in result.output, "Traceback" in result.output) == (1, True, False)


def test_a_database_of_something_else_is_refused_with_a_sentence(world: World, tmp_path: Path) -> None:
    path = tmp_path / "else.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE users (id INTEGER, name TEXT)"))
    engine.dispose()
    (tmp_path / "lab_result_files").mkdir()
    result = migrate(world, "--source-url", f"sqlite:///{path}", "--source-uploads", str(tmp_path))
    assert (result.exit_code, "users has no email" in result.output) == (1, True)


def test_source_url_and_uploads_must_be_given_together(world: World, tmp_path: Path) -> None:
    assert migrate(world, "--source-uploads", str(tmp_path)).exit_code == MISUSE
    assert migrate(world, "--source-url", "sqlite:///x").exit_code == MISUSE


def test_a_folder_without_lab_result_files_is_refused(world: World, other: Older, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = migrate(world, *of(other)[:2], "--source-uploads", str(tmp_path / "empty"))
    assert (result.exit_code, "lab_result_files" in result.output) == (1, True)


@pytest.mark.database
def test_the_backup_holds_both_databases(world: World, other: Older) -> None:
    place = Path(said(migrate(world, "--json", *of(other)))["backup"])
    assert (place / "database").is_file()
    assert (place / "source-database").is_file()
    kept = {entry.sha256 for entry in backup.entries(place.parent, place.name) if entry.place == backup.SOURCE}
    assert {file.sha256 for file in other.files if file.sha256} <= kept
    assert list(backup.check(place.parent, place.name)) == []


@pytest.mark.database
def test_no_password_of_the_source_is_shown_or_kept(world: World, other: Older) -> None:
    secret = other.engine.url.password
    result = migrate(world, "--json", *of(other))
    if secret:
        assert secret not in result.output
        assert secret not in Path(said(result)["report"]).read_text()
    assert "source" in said(result)
