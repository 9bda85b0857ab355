"""A record with more than 50 documents goes to the trash and comes back in one transaction; the bytes follow."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from medfiles.database.session import db
from medfiles.documents import lifecycle
from medfiles.errors import Conflict
from medfiles.models import Patient, Visit
from medfiles.operations import housekeeping
from tests.support.factories import World

pytestmark = pytest.mark.database
MANY = lifecycle.LARGE + 1


def state(world: World) -> tuple[int, int]:
    """How many documents are in the trash, and how many have their bytes there."""
    files = world.files()
    return sum(file.deleted_at is not None for file in files), sum(
        file.file_path.startswith("trash/") for file in files
    )


def large(world: World) -> Visit:
    record: Visit = world.record()
    world.store(record, *["letter.txt"] * MANY)
    return record


def test_a_large_record_is_in_the_trash_at_once_and_its_bytes_follow(world: World) -> None:
    record = large(world)
    assert world.records().delete(world.kind(), record.id)[1] == MANY
    assert state(world) == (MANY, 0)
    assert world.documents().record_totals(world.kind(), record.id).trashed == MANY
    world.keep_house()
    assert state(world) == (MANY, MANY)
    world.assert_settled()


def test_a_record_with_few_documents_takes_their_bytes_along(world: World) -> None:
    record = world.record()
    world.store(record, *["letter.txt"] * 3)
    world.records().delete(world.kind(), record.id)
    assert state(world) == (3, 3)


def test_a_large_record_comes_back_at_once_without_what_was_trashed_before(world: World) -> None:
    record = large(world)
    before = world.files()[0].id
    world.store(record, "one-more.txt")
    world.documents().trash(before)
    world.records().delete(world.kind(), record.id)
    world.keep_house()
    assert world.records().restore(world.kind(), record.id)[1] == MANY
    assert state(world) == (1, MANY + 1)
    world.keep_house()
    assert state(world) == (1, 1)
    assert [file.id for file in world.files() if file.deleted_at] == [before]
    world.assert_settled()


def test_a_restore_cancels_the_moves_that_are_left(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record, storage, copies = large(world), world.parts.storages.default, 0
    copy = storage.copy
    world.records().delete(world.kind(), record.id)

    def restored_in_the_second_batch(key: str, new_key: str) -> object:
        nonlocal copies
        copies += 1
        if copies == 15:
            world.records().restore(world.kind(), record.id)
        return copy(key, new_key)

    monkeypatch.setattr(lifecycle, "BATCH", 10)
    monkeypatch.setattr(storage, "copy", restored_in_the_second_batch)
    world.keep_house()
    assert state(world) == (0, 0)
    assert copies < MANY
    world.assert_settled()


def test_a_large_record_is_one_event(world: World) -> None:
    record = large(world)
    world.records().delete(world.kind(), record.id)
    world.records().restore(world.kind(), record.id)
    assert [event.details for event in world.events(action="delete-record")] == [{"documents": MANY}]
    assert [event.details for event in world.events(action="restore-record")] == [{"documents": MANY}]
    assert world.events(action="delete") == world.events(action="restore") == []


def test_deleting_and_restoring_takes_as_many_statements_for_60_documents_as_for_240(
    world: World, statements: Callable[[], list[str]]
) -> None:
    heard, counts, patient = statements(), list[tuple[int, int]](), world.patient()
    for number in (60, 240):
        record = world.record(patient=patient)
        world.store(record, *["letter.txt"] * number)
        db.session.rollback()
        del heard[:]
        world.records().delete(world.kind(), record.id)
        deleting = len(heard)
        world.records().restore(world.kind(), record.id)
        counts.append((deleting, len(heard) - deleting))
    assert counts[0] == counts[1]
    assert max(counts[0]) <= 20


def test_deleting_a_patient_takes_as_many_statements_for_60_documents_as_for_240(
    world: World, statements: Callable[[], list[str]]
) -> None:
    heard, counts = statements(), list[int]()
    for number in (60, 240):
        record = world.record()
        world.store(record, *["letter.txt"] * number)
        db.session.rollback()
        del heard[:]
        world.records().delete_patient(record.patient_id)
        counts.append(len(heard))
    assert counts[0] == counts[1] <= 15


def test_a_document_that_appears_after_the_others_were_locked_is_a_conflict(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, lock_all = large(world), lifecycle.lock_all
    monkeypatch.setattr(lifecycle, "lock_all", lambda *arguments: lock_all(*arguments) - 1)
    with pytest.raises(Conflict):
        world.records().delete(world.kind(), record.id)
    assert state(world) == (0, 0)


def test_a_document_trashed_while_its_large_record_was_deleted_stays_with_the_record(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, storage, deleted = large(world), world.parts.storages.default, False
    copy = storage.copy

    def deleted_first(key: str, new_key: str) -> object:
        nonlocal deleted
        if not deleted:
            deleted = True
            world.records().delete(world.kind(), record.id)
        return copy(key, new_key)

    monkeypatch.setattr(storage, "copy", deleted_first)
    with pytest.raises(Conflict):
        world.documents().trash(world.files()[0].id)
    deleted_at = db.session.get_one(Visit, record.id, populate_existing=True).deleted_at
    assert {file.deleted_at for file in world.files()} == {deleted_at}


def test_an_expired_large_record_is_purged_wherever_its_bytes_are(world: World) -> None:
    record = large(world)
    world.records().delete(world.kind(), record.id)
    purged = housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta(), force=True)
    assert (purged.documents, purged.records) == (MANY, 1)
    world.keep_house()
    world.assert_settled()


def test_the_trash_of_a_patient_lists_a_record_and_not_its_documents(world: World) -> None:
    record = large(world)
    [alone] = world.store(world.record(patient=db.session.get_one(Patient, record.patient_id)), "alone.txt")
    world.documents().trash(alone)
    world.records().delete(world.kind(), record.id)
    assert [(found.id, number) for _, found, number in world.records().trashed(record.patient_id)] == [
        (record.id, MANY)
    ]
    assert [file.id for file in world.documents().trashed(record.patient_id).files] == [alone]
