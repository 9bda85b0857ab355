"""What was deleted permanently is in no file of the database any more."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import DatabaseUnavailable
from medfiles.jobs import queue as jobs
from medfiles.models import Job
from medfiles.operations import erasure, worker
from tests.cli.test_commands import run
from tests.support.factories import World

pytestmark = pytest.mark.database
NAME = "unmistakable-9f2c.txt"


def files_of_the_database() -> bytes:
    path = Path(str(db.engine.url.database))
    return b"".join(place.read_bytes() for place in path.parent.glob(f"{path.name}*"))


def purged(world: World) -> None:
    file = world.attach(world.record(), NAME, b"Letter")
    world.documents().trash(file.id)
    world.documents().purge(file.id)
    db.session.remove()


@pytest.mark.only_sqlite
@pytest.mark.parametrize("by", ["command", "job"])
def test_a_purged_name_is_erased_from_the_files_of_the_database(world: World, by: str) -> None:
    purged(world)
    assert NAME.encode() in files_of_the_database()
    if by == "command":
        assert run(world, "erase", "--now").exit_code == 0
    else:
        with transaction() as session:
            session.scalars(select(Job).where(Job.kind == "erase")).one().due_at = now()
        while worker.run_next(world.app):
            pass
    assert NAME.encode() not in files_of_the_database()


@pytest.mark.only_sqlite
def test_erasing_fails_while_a_reader_needs_the_log(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medfiles.database.sqlite.TRUNCATE_SECONDS", 0)
    with db.engine.connect() as reader:
        reader.exec_driver_sql("SELECT count(*) FROM entity_files").scalar()
        purged(world)
        with pytest.raises(DatabaseUnavailable):
            erasure.erase(world.parts.registry)
    erasure.erase(world.parts.registry)


@pytest.mark.only_postgres
def test_tables_of_what_was_purged_are_vacuumed(world: World) -> None:
    purged(world)
    query = text("SELECT relname FROM pg_stat_user_tables WHERE vacuum_count > 0")
    erasure.erase(world.parts.registry)
    with db.engine.connect() as connection:
        connection.execute(text("SELECT pg_stat_clear_snapshot()"))
        vacuumed = set(connection.scalars(query))
    assert {"audit_private", "entity_files", "page_texts", "patients", "renditions"} <= vacuumed
    assert {"search_entries", "storage_journal", "upload_keys", "visits"} <= vacuumed  # flushes pending index entries


def test_a_permanent_deletion_is_erased_within_a_day(world: World) -> None:
    purged(world)
    due = db.session.scalars(select(Job.due_at).where(Job.kind == "erase")).one()
    assert timedelta(0) < (due or now()) - now() <= jobs.ERASE_AFTER <= timedelta(hours=24)


def test_the_command_erases_only_when_told_to(world: World) -> None:
    purged(world)
    result = run(world, "erase")
    assert (result.exit_code, "--now" in result.output) == (2, True)
    result = run(world, "erase", "--now", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"erased": True})
