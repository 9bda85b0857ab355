"""The trash is emptied when the clock and the rounds of housekeeping agree, so that a wrong clock deletes nothing."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.jobs import rounds
from medfiles.models import EntityFile, HousekeepingRound, Visit
from medfiles.operations import housekeeping
from medfiles.operations import worker as operation_worker
from tests.support.clocks import RIGHT, YEAR, SetClock, flask
from tests.support.factories import World

pytestmark = pytest.mark.database

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def trashed(world: World) -> tuple[Any, int]:
    """A record in the trash with one document, and another document in the trash; the record and the latter's id."""
    patient = world.patient()
    record, other = world.record(patient=patient), world.record(patient=patient)
    world.store(record, "with-record.txt")
    world.records().delete(world.kind(), record.id)
    [alone] = world.store(other, "alone.txt")
    world.documents().trash(alone)
    return record, alone


def left() -> tuple[int, int]:
    """Documents, and records in the trash."""
    db.session.rollback()
    records = select(func.count(Visit.id)).where(Visit.deleted_at.is_not(None))
    return db.session.scalar(select(func.count(EntityFile.id))) or 0, db.session.scalar(records) or 0


def purge(world: World, days: int = 30) -> housekeeping.Purged:
    return housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta(days=days))


def row(file_id: int) -> EntityFile:
    db.session.rollback()
    return db.session.get_one(EntityFile, file_id, populate_existing=True)


def change(row: Any, **values: Any) -> None:
    with transaction() as session:
        for name, value in values.items():
            setattr(session.merge(row), name, value)


# --- attacks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", ["30", "1"])
def test_a_worker_started_with_its_clock_a_year_ahead_purges_nothing(
    make_world: Any, set_clock: SetClock, days: str
) -> None:
    world = make_world(TRASH_DAYS=days)
    world.keep_house()
    trashed(world)
    set_clock(YEAR)
    world.keep_house()
    world.keep_house()
    set_clock(RIGHT)
    world.keep_house()
    assert left() == (2, 1)


def test_a_worker_process_a_year_ahead_purges_nothing(world: World) -> None:
    trashed(world)
    operation_worker.schedule_recurring()
    environ = {name: str(world.app.config[name]) for name in ("MEDFILES_INSTANCE", "MEDFILES_DATABASE_URL")}
    ran = flask(environ, YEAR, "medfiles", "worker", "--once")
    assert "0 failed" in ran.stdout
    db.session.rollback()
    newest = db.session.scalar(select(func.max(HousekeepingRound.at)))
    assert newest
    assert newest > now() + YEAR - HOUR  # its purge ran, and with that clock
    assert left() == (2, 1)


def test_the_purge_command_a_year_ahead_purges_nothing(world: World) -> None:
    trashed(world)
    environ = {name: str(world.app.config[name]) for name in ("MEDFILES_INSTANCE", "MEDFILES_DATABASE_URL")}
    assert "deleted 0 documents, 0 records and 0 patients" in flask(environ, YEAR, "medfiles", "trash", "purge").stdout
    assert left() == (2, 1)


def test_what_a_clock_behind_trashed_stays_for_its_full_time(world: World, set_clock: SetClock) -> None:
    record = world.record()
    [file] = world.store(record, "letter.txt")
    set_clock(-YEAR)
    world.records().delete(world.kind(), record.id)
    set_clock(RIGHT)
    world.keep_house()
    assert now() - row(file).deleted_at < HOUR  # type: ignore[operator]
    assert left() == (1, 1)


# --- rounds ---------------------------------------------------------------------------------------------------------


def test_a_round_begins_at_least_20_hours_after_the_last(world: World, set_clock: SetClock) -> None:
    first, found = rounds.begin(), []
    for hours in (1, 19, 21, 39, 40, 42):
        set_clock(hours * HOUR)
        found.append(rounds.begin() - first)
    assert found == [0, 0, 1, 1, 1, 2]


def test_a_last_round_in_the_future_is_set_to_now(world: World, set_clock: SetClock) -> None:
    set_clock(YEAR)
    ahead = rounds.begin()
    set_clock(RIGHT)
    assert rounds.begin() == ahead
    set_clock(19 * HOUR)
    assert rounds.begin() == ahead
    set_clock(21 * HOUR)
    assert rounds.begin() == ahead + 1


@pytest.mark.parametrize(("days", "needed"), [(0, 0), (1, 2), (2, 2), (4, 2), (5, 3), (30, 15), (365, 183)])
def test_half_as_many_rounds_are_needed_as_the_retention_has_days(days: int, needed: int) -> None:
    assert rounds.needed(timedelta(days=days)) == needed


def test_the_trash_is_emptied_when_time_and_rounds_have_passed(world: World, set_clock: SetClock) -> None:
    trashed(world)
    rounds.begin()
    for day in range(1, 30):
        set_clock(day * DAY)
        purge(world)
    assert left() == (2, 1)
    set_clock(30 * DAY + HOUR)
    assert purge(world) == housekeeping.Purged(2, 1, 0)


def test_a_machine_that_is_often_off_keeps_its_trash_longer(world: World, set_clock: SetClock) -> None:
    trashed(world)
    for week in range(1, 15):
        set_clock(7 * week * DAY)
        purge(world)
    assert left() == (2, 1)
    set_clock(7 * 15 * DAY)
    purge(world)
    assert left() == (0, 0)


def test_restored_documents_and_records_forget_their_round(world: World) -> None:
    record, alone = trashed(world)
    assert (row(alone).deleted_round, db.session.get_one(Visit, record.id).deleted_round) == (rounds.current(),) * 2
    world.documents().restore(alone)
    world.records().restore(world.kind(), record.id)
    db.session.rollback()
    rows: tuple[Any, ...] = (*world.files(), db.session.get_one(Visit, record.id, populate_existing=True))
    assert [(one.deleted_at, one.deleted_by, one.deleted_round) for one in rows] == [(None, None, None)] * 3


# --- impossible deletion times --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [YEAR, -YEAR, None])
def test_an_impossible_deletion_time_is_replaced_once(world: World, wrong: timedelta | None) -> None:
    _, alone = trashed(world)
    change(row(alone), **({"deleted_round": None} if wrong is None else {"deleted_at": now() + wrong}))
    assert housekeeping.mend_deletion_times(world.parts.registry) == 1
    mended = row(alone)
    assert mended.deleted_at
    assert now() - mended.deleted_at < HOUR
    assert mended.deleted_round == rounds.current()
    assert housekeeping.mend_deletion_times(world.parts.registry) == 0
    assert row(alone).deleted_at == mended.deleted_at


@pytest.mark.parametrize("wrong", [YEAR, -YEAR])
def test_a_record_is_still_restored_with_its_documents_afterwards(
    world: World, set_clock: SetClock, wrong: timedelta
) -> None:
    record = world.record()
    [before] = world.store(record, "before.txt")
    world.documents().trash(before)
    change(row(before), deleted_at=now() + wrong)
    [together] = world.store(record, "together.txt")
    set_clock(wrong)
    world.records().delete(world.kind(), record.id)
    set_clock(RIGHT)
    assert housekeeping.mend_deletion_times(world.parts.registry) == 3
    _, count = world.records().restore(world.kind(), record.id)
    assert (count, row(together).deleted_at) == (1, None)
    assert row(before).deleted_at


def test_a_document_from_a_clock_ahead_keeps_its_right_deletion_time(world: World) -> None:
    [file] = world.store(world.record(), "a.txt", uploaded_at=now() + YEAR)
    world.documents().trash(file)
    deleted_at = row(file).deleted_at
    assert housekeeping.mend_deletion_times(world.parts.registry) == 0
    assert row(file).deleted_at == deleted_at


def test_trash_views_promise_no_more_than_the_retention(world: World) -> None:
    record = world.record()
    [file] = world.store(record, "a.txt")
    world.documents().trash(file)
    change(row(file), deleted_at=now() + YEAR)
    page = world.client().get(f"/patients/{record.patient_id}/trash").text
    assert "30 days left" in page
    assert "395" not in page
