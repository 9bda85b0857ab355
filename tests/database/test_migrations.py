"""Migrations lead to the tables the models describe, and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect, select, text

from medfiles.database.session import db
from medfiles.jobs import rounds
from medfiles.models import FIRST_FILE_ID, Patient, Visit
from medfiles.models.search import POSTGRESQL, SQLITE, WORDS_TABLE, is_declared
from tests.support.factories import World

pytestmark = pytest.mark.database

NOON = "'2026-05-12 12:00:00.000000'"
VERSIONS = Path(__file__).parents[2] / "migrations"
# As installations of the older feature have it.
LAB_RESULT_FILES = {
    "id": False, "lab_result_id": False, "file_name": False, "file_path": False, "file_type": False, "file_size": True,
    "description": True, "uploaded_at": True,
}  # fmt: skip
ENTITY_FILES = """
id entity_type entity_id patient_id file_name file_path storage file_type file_size sha256 description category
uploaded_at uploaded_by created_at updated_at deleted_at deleted_by idempotency_key legacy_id metadata
"""


@pytest.fixture
def migrated(make_world: Callable[[], World]) -> World:
    """An installation of its own, whose database may be migrated up and down."""
    world = make_world()
    db.session.remove()
    return world


def differences() -> list[Any]:
    """Indexes of expressions, and tables that belong to one database alone, are compared in their own tests."""
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": is_declared})
        return list(compare_metadata(context, db.metadata))


def tables() -> set[str]:
    found = set(inspect(db.engine).get_table_names()) - {"alembic_version"}
    return {name for name in found if not name.startswith(WORDS_TABLE)}


@pytest.mark.usefixtures("migrated")
def test_the_index_of_words_is_as_the_model_creates_it() -> None:
    stored = {
        "sqlite": "SELECT sql FROM sqlite_master WHERE name = :name",
        "postgresql": "SELECT indexdef FROM pg_indexes WHERE indexname = :name",
    }
    for statement in {"sqlite": SQLITE, "postgresql": POSTGRESQL}[db.engine.dialect.name]:
        name = statement.split()[3] if statement.startswith("CREATE VIRTUAL") else statement.split()[2]
        found = db.session.scalar(text(stored[db.engine.dialect.name]), {"name": name})
        if db.engine.dialect.name == "sqlite":
            assert found.split() == statement.split()
        else:
            assert "USING gin" in found
            assert "tsvector" in found


@pytest.mark.usefixtures("migrated")
def test_the_upgraded_database_equals_the_models() -> None:
    assert differences() == []
    assert tables() == set(db.metadata.tables)


@pytest.mark.usefixtures("migrated")
def test_all_the_way_down_leaves_no_table_behind() -> None:
    downgrade(revision="base")
    assert tables() == set()


@pytest.mark.usefixtures("migrated")
def test_down_and_up_again_step_by_step_leads_to_the_same_tables() -> None:
    steps = [script.revision for script in ScriptDirectory(str(VERSIONS)).walk_revisions()]
    for _ in steps:
        downgrade(revision="-1")
    for _ in steps:
        upgrade(revision="+1")
    assert differences() == []


def test_file_ids_start_above_the_older_features_after_migrating_again(migrated: World) -> None:
    downgrade(revision="base")
    upgrade()
    assert migrated.attach(migrated.record()).id == FIRST_FILE_ID


def test_the_trash_of_an_earlier_version_begins_in_the_current_round(migrated: World) -> None:
    record = migrated.record()
    trashed, kept = migrated.store(record, "trashed.txt", "kept.txt")
    other = migrated.record()
    migrated.documents().trash(trashed)
    migrated.records().delete(migrated.kind(), other.id)
    db.session.remove()
    downgrade(revision="0011")
    upgrade()
    rows = {file.id: file.deleted_round for file in migrated.files()}
    assert rows == {trashed: rounds.current(), kept: None}
    assert db.session.get_one(Visit, other.id).deleted_round == rounds.current() == 1


def test_existing_patients_get_the_colors_of_each_owner_in_turn(migrated: World) -> None:
    owners = [migrated.user(email).id for email in ("nora@sample.example", "otto@sample.example")]
    downgrade(revision="0016")
    insert = "INSERT INTO patients (id, user_id, first_name, last_name, birth_date, created_at, updated_at) VALUES "
    rows = ", ".join(f"({n}, {owners[n % 3 == 0]}, 'A', 'B', '2000-01-01', {NOON}, {NOON})" for n in range(1, 16))
    with db.engine.begin() as connection:
        connection.exec_driver_sql(insert + rows)
    upgrade()
    patients = db.session.scalars(select(Patient).order_by(Patient.id)).all()
    hues = [[patient.hue for patient in patients if patient.user_id == owner] for owner in owners]
    assert hues == [[1, 2, 3, 4, 5, 6, 7, 8, 1, 2], [1, 2, 3, 4, 5]]


def test_there_is_one_line_of_migrations() -> None:
    assert len(ScriptDirectory(str(VERSIONS)).get_heads()) == 1


@pytest.mark.usefixtures("migrated")
def test_the_older_features_table_has_exactly_its_columns() -> None:
    columns = inspect(db.engine).get_columns("lab_result_files")
    assert {column["name"]: column["nullable"] for column in columns} == LAB_RESULT_FILES


@pytest.mark.usefixtures("migrated")
def test_documents_have_the_columns_others_rely_on() -> None:
    columns = {column["name"] for column in inspect(db.engine).get_columns("entity_files")}
    assert set(ENTITY_FILES.split()) - columns == set()


@pytest.mark.usefixtures("migrated")
def test_documents_are_indexed_by_what_they_are_looked_up_by() -> None:
    where = f"{db.engine.dialect.name}_where"
    indexed = {
        tuple(index["column_names"]): str(index["dialect_options"].get(where, "all")).strip("()")
        for index in inspect(db.engine).get_indexes("entity_files")
    }
    assert indexed == {
        ("entity_type", "entity_id", "deleted_at", "id"): "all",
        ("entity_type", "entity_id", "deleted_at", "uploaded_at", "id"): "deleted_at IS NULL",
        ("entity_type", "entity_id", "deleted_at", "sort_name", "id"): "deleted_at IS NULL",
        ("entity_type", "entity_id", "deleted_at", "dated_on", "id"): "deleted_at IS NULL",
        ("patient_id", "deleted_at", "uploaded_at", "id"): "all",
        ("patient_id", "deleted_at", "dated_on", "id"): "deleted_at IS NULL",
        ("document_date_suggested",): "document_date_suggested IS NOT NULL",
        ("to_file", "deleted_at", "patient_id", "id"): "to_file = 1" if where == "sqlite_where" else "to_file",
        ("category",): "deleted_at IS NULL",
        ("uploaded_at",): "deleted_at IS NULL",
        ("deleted_at",): "deleted_at IS NOT NULL",
        ("legacy_id",): "legacy_id IS NOT NULL",
        ("sha256",): "all",
        ("last_checked_at",): "all",
        ("scan",): "all",
    } | ({("file_path",): "all"} if db.engine.dialect.name == "postgresql" else {})


@pytest.mark.usefixtures("migrated")
def test_one_form_creates_one_record_of_a_patient() -> None:
    for table in ("lab_results", "insurances", "visits", "procedures"):
        unique = [index["column_names"] for index in inspect(db.engine).get_indexes(table) if index["unique"]]
        assert unique == [["creation_key", "patient_id"]], table
