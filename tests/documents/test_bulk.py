"""Verbs on many documents of one record: what can be done is done, the rest says why, and the trail knows each."""

import io
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from math import ceil
from typing import Any
from unittest.mock import Mock

import pytest

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.documents import bulk
from medfiles.documents.bulk import CHUNK, GONE, BulkService, Result
from medfiles.documents.zip_archive import NOTE, archive
from medfiles.errors import (
    BlobMissing,
    Conflict,
    DatabaseUnavailable,
    IntegrityFailed,
    NotFound,
    Rejected,
    StorageError,
    TooMany,
)
from medfiles.storage import journal
from tests.support.factories import World, details_of, run_at_once

pytestmark = pytest.mark.database

NORA, STRANGER = "nora@sample.example", "stranger@sample.example"
ABSENT = 1_999_999_999
LATER = timedelta(hours=1)


def service(world: World, email: str = NORA) -> BulkService:
    return world.bulk(email)


def stored(world: World, record: Any, count: int, name: str = "Letter {}.txt") -> list[int]:
    return world.store(record, *(name.format(number) for number in range(count)))


def trashed(world: World, record: Any, count: int, kind: str = "visit") -> list[int]:
    ids = stored(world, record, count)
    service(world).trash_many(world.kind(kind), record.id, ids)
    return ids


def done(results: Sequence[Result]) -> list[int]:
    return [result.file_id for result in results if result.error is None]


def errors(results: Sequence[Result]) -> dict[int, type[Exception]]:
    return {result.file_id: type(result.error) for result in results if result.error}


def live(world: World) -> list[int]:
    return [file.id for file in world.files() if file.deleted_at is None]


def key_of(world: World, file_id: int) -> str:
    return next(file.file_path for file in world.files() if file.id == file_id)


@contextmanager
def meanwhile(patch: pytest.MonkeyPatch, name: str, job: Callable[[], Any]) -> Iterator[None]:
    """Once, right before the service does its change `name`, somebody else does `job`."""
    real, jobs = getattr(BulkService, name), [job]

    def change(self: BulkService, *arguments: Any) -> Any:
        if jobs:
            run_at_once([jobs.pop()])
        return real(self, *arguments)

    with patch.context() as patched:
        patched.setattr(BulkService, name, change)
        yield
    assert not jobs


def elsewhere(world: World, verb: str, file_id: int) -> Callable[[], None]:
    actor = world.actor()

    def job() -> None:
        with world.app.app_context():
            other = world.documents()
            other.actor = actor
            getattr(other, verb)(file_id)

    return job


def test_many_documents_go_to_the_trash_and_come_back_with_their_bytes(world: World) -> None:
    record, kind = world.record(), world.kind()
    ids = stored(world, record, 5)
    assert service(world).trash_many(kind, record.id, ids) == [Result(ids[n], f"Letter {n}.txt") for n in range(5)]
    assert live(world) == []
    assert all(file.file_path.startswith("trash/") for file in world.files())
    world.assert_settled()
    assert done(service(world).restore_many(kind, record.id, ids)) == ids
    assert live(world) == ids
    assert [b"".join(world.documents().open(at).read()) for at in ids] == [f"Letter {n}".encode() for n in range(5)]
    world.assert_settled()


def test_results_come_in_the_order_asked_for_and_once_for_each(world: World) -> None:
    record = world.record()
    first, second, third = stored(world, record, 3)
    results = service(world).trash_many(world.kind(), record.id, [third, first, third, second, first])
    assert [result.file_id for result in results] == [third, first, second]
    assert done(results) == [third, first, second]
    assert service(world).trash_many(world.kind(), record.id, []) == []


@pytest.mark.parametrize("verb", ["trash_many", "restore_many", "purge_many"])
def test_what_is_not_of_this_record_is_not_found_and_stays_untouched(world: World, verb: str) -> None:
    patient = world.patient()
    record, other = world.record(patient=patient), world.record(patient=patient)
    theirs = world.record(patient=world.patient(STRANGER), email=STRANGER)
    make = stored if verb == "trash_many" else trashed
    own, [of_other] = make(world, record, 2), make(world, other, 1)
    [foreign] = stored(world, theirs, 1)
    before = {file.id: (file.deleted_at, file.file_path) for file in world.files()}
    results = getattr(service(world), verb)(world.kind(), record.id, [own[0], foreign, ABSENT, of_other, own[1]])
    assert done(results) == own
    assert errors(results) == {foreign: NotFound, ABSENT: NotFound, of_other: NotFound}
    assert {result.file_name for result in results if result.error} == {None}
    after = {file.id: (file.deleted_at, file.file_path) for file in world.files()}
    assert {at: after[at] for at in (foreign, of_other)} == {at: before[at] for at in (foreign, of_other)}
    world.assert_settled()


def test_a_document_in_the_wrong_state_does_not_hold_up_the_others(world: World) -> None:
    record, kind = world.record(), world.kind()
    first, second, third = stored(world, record, 3)
    world.documents().trash(first)
    results = service(world).trash_many(kind, record.id, [first, second])
    assert (errors(results), results[0].file_name) == ({first: Conflict}, "Letter 0.txt")
    assert errors(service(world).restore_many(kind, record.id, [first, third])) == {third: Conflict}
    results = service(world).purge_many(kind, record.id, [first, second, third])
    assert (errors(results), done(results)) == ({first: Conflict, third: Conflict}, [second])
    assert live(world) == [first, third]
    assert len(list(world.parts.storages.default.keys())) == 2
    world.assert_settled()


def test_as_many_are_restored_as_the_record_has_room_for_in_the_order_given(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, kind = world.record("insurance"), world.kind("insurance")
    ids = trashed(world, record, 4, "insurance")
    stored(world, record, 3)
    wanted = [ids[3], ABSENT, ids[1], ids[0], ids[2]]
    copy = Mock(wraps=world.parts.storages.default.copy)
    monkeypatch.setattr(world.parts.storages.default, "copy", copy)
    results = service(world).restore_many(kind, record.id, wanted)
    assert done(results) == [ids[3], ids[1]]
    assert errors(results) == {ABSENT: NotFound, ids[0]: TooMany, ids[2]: TooMany}
    assert "5 of 5" in str(results[-1].error)
    assert copy.call_count == 2  # none in vain
    world.assert_settled()


def test_a_place_taken_meanwhile_leaves_out_the_last_one_only(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record, kind = world.record("insurance"), world.kind("insurance")
    *ids, faster = trashed(world, record, 5, "insurance")
    stored(world, record, 1)
    with meanwhile(monkeypatch, "_restore", elsewhere(world, "restore", faster)):
        results = service(world).restore_many(kind, record.id, ids)
    assert done(results) == ids[:3]
    assert errors(results) == {ids[3]: TooMany}
    assert len(live(world)) == kind.max_files
    world.assert_settled()


def test_nothing_is_restored_to_a_record_that_is_in_the_trash_itself(world: World) -> None:
    record = world.record()
    ids = trashed(world, record, 2)
    world.records().delete(world.kind(), record.id)
    with pytest.raises(Conflict, match="This visit is in the trash"):
        service(world).restore_many(world.kind(), record.id, ids)
    assert live(world) == []
    world.assert_settled()


@pytest.mark.parametrize(
    ("verb", "change", "other"),
    [("trash_many", "_trash", "trash"), ("restore_many", "_restore", "restore"), ("restore_many", "_restore", "purge")],
)
def test_one_changed_by_somebody_else_meanwhile_fails_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str, change: str, other: str
) -> None:
    record = world.record()
    ids = (stored if verb == "trash_many" else trashed)(world, record, 7)
    with meanwhile(monkeypatch, change, elsewhere(world, other, ids[4])):
        results = getattr(service(world), verb)(world.kind(), record.id, ids)
    assert [result.file_id for result in results] == ids
    assert errors(results) == {ids[4]: NotFound if other == "purge" else Conflict}
    assert live(world) == {"trash": [], "restore": ids, "purge": ids[:4] + ids[5:]}[other]
    world.assert_settled()


@pytest.mark.parametrize("other", ["restore", "purge"])
def test_one_that_left_the_trash_meanwhile_is_not_purged(
    world: World, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    record = world.record()
    ids = trashed(world, record, 5)
    jobs = [elsewhere(world, other, ids[2])]

    def transaction_after() -> Any:
        if jobs:
            run_at_once([jobs.pop()])
        return transaction()

    with monkeypatch.context() as patched:
        patched.setattr(bulk, "transaction", transaction_after)
        results = service(world).purge_many(world.kind(), record.id, ids)
    assert errors(results) == {ids[2]: Conflict if other == "restore" else NotFound}
    assert [file.id for file in world.files()] == ([ids[2]] if other == "restore" else [])
    world.assert_settled()


def test_one_whose_bytes_are_lost_does_not_hold_up_the_others(world: World) -> None:
    record = world.record()
    ids = stored(world, record, 5)
    world.parts.storages.default.delete(key_of(world, ids[0]))
    results = service(world).trash_many(world.kind(), record.id, ids)
    assert errors(results) == {ids[0]: BlobMissing}
    assert live(world) == [ids[0]]
    [event] = world.events(action="delete", file_id=ids[0])
    assert (event.outcome, event.reason) == ("failed", "blob-missing")


def test_a_store_that_does_not_answer_ends_the_whole_and_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = world.record()
    ids = stored(world, record, 3)

    with monkeypatch.context() as broken, pytest.raises(StorageError):
        broken.setattr(world.parts.storages.default, "copy", Mock(side_effect=StorageError()))
        service(world).trash_many(world.kind(), record.id, ids)
    assert live(world) == ids
    world.assert_settled()


def test_a_category_is_given_to_all_that_are_not_in_the_trash(world: World) -> None:
    record, kind = world.record(), world.kind()
    ids = stored(world, record, 4)
    world.documents().trash(ids[3])
    results = service(world).categorise(kind, record.id, ids, "referral")
    assert errors(results) == {ids[3]: Conflict}
    assert [file.category for file in world.files()] == ["referral"] * 3 + [None]
    assert done(service(world).categorise(kind, record.id, ids[:2], None)) == ids[:2]
    assert [file.category for file in world.files()] == [None, None, "referral", None]
    with pytest.raises(Rejected, match="does not exist here"):
        service(world).categorise(kind, record.id, ids, "nonsense")
    assert [file.category for file in world.files()] == [None, None, "referral", None]
    events = world.events(action="edit", file_id=ids[0])
    said = {"name": "Letter 0.txt", "changed": ["category"]}
    pairs = [[None, "referral"], ["referral", None]]
    assert [details_of(event) for event in events] == [said | {"changes": {"category": pair}} for pair in pairs]


def test_documents_are_opened_for_one_archive_with_the_record_as_its_title(world: World) -> None:
    record = world.record(reason="Ear check")
    ids = stored(world, record, 3, name="Letter.txt")
    bundle = service(world).open_many(world.kind(), record.id, ids)
    assert (bundle.title, bundle.missing) == ("Ear check", [])
    made = archive(bundle.members, bundle.missing)
    with zipfile.ZipFile(io.BytesIO(b"".join(made))) as zipped:
        assert {name: zipped.read(name) for name in zipped.namelist()} == {
            "Letter.txt": b"Letter 0", "Letter (2).txt": b"Letter 1", "Letter (3).txt": b"Letter 2",
        }  # fmt: skip
    assert [member.modified for member in bundle.members] == [file.uploaded_at for file in world.files()]


def test_what_is_missing_or_damaged_is_named_and_the_rest_is_sent(world: World) -> None:
    record = world.record()
    ids = stored(world, record, 4)
    world.parts.storages.default.delete(key_of(world, ids[0]))
    (world.uploads / key_of(world, ids[2])).write_bytes(b"cut")
    bundle = service(world).open_many(world.kind(), record.id, ids)
    assert bundle.missing == ["Letter 0.txt", "Letter 2.txt"]
    assert [member.name for member in bundle.members] == ["Letter 1.txt", "Letter 3.txt"]
    with zipfile.ZipFile(io.BytesIO(b"".join(archive(bundle.members, bundle.missing)))) as zipped:
        assert b"- Letter 0.txt\n- Letter 2.txt\n" in zipped.read(NOTE)
    assert {event.file_id: event.reason for event in world.events(action="download", outcome="failed")} == {
        ids[0]: BlobMissing.code,
        ids[2]: IntegrityFailed.code,
    }


def test_the_trail_knows_each_download_before_its_first_byte_and_once_a_minute(world: World) -> None:
    record = world.record()
    ids = stored(world, record, 3)
    for _ in range(2):
        service(world).open_many(world.kind(), record.id, ids)
    events = world.events(action="download")
    assert [event.file_id for event in events] == ids
    assert {(event.outcome, event.entity_id, event.patient_id) for event in events} == {
        ("done", record.id, record.patient_id)
    }


def test_a_document_moved_after_it_was_opened_is_still_read_until_it_is_purged(world: World) -> None:
    record = world.record()
    ids = stored(world, record, 3)
    bundle = service(world).open_many(world.kind(), record.id, ids)
    world.documents().trash(ids[1])
    assert [b"".join(member.read()) for member in bundle.members] == [b"Letter 0", b"Letter 1", b"Letter 2"]
    world.documents().purge(ids[1])
    with pytest.raises(BlobMissing):
        b"".join(archive(bundle.members))


def test_what_is_not_there_any_more_is_told_without_a_name(world: World) -> None:
    record = world.record()
    theirs = world.record(patient=world.patient(STRANGER), email=STRANGER)
    [own], [foreign] = stored(world, record, 1), stored(world, theirs, 1, "Secret.txt")
    bundle = service(world).open_many(world.kind(), record.id, [foreign, own, ABSENT])
    assert bundle.missing == [GONE, GONE]
    assert [member.name for member in bundle.members] == ["Letter 0.txt"]
    with pytest.raises(NotFound):
        service(world).open_many(world.kind(), record.id, [foreign, ABSENT])


def test_trashed_documents_are_opened_for_editors_only(world: World) -> None:
    record = world.record()
    [kept], [gone] = stored(world, record, 1, "Kept.txt"), trashed(world, record, 1)
    world.share(world.records().patient(record.patient_id).patient, STRANGER)
    reader = service(world, STRANGER)
    bundle = reader.open_many(world.kind(), record.id, [kept, gone])
    assert ([member.name for member in bundle.members], bundle.missing) == (["Kept.txt"], [GONE])
    with pytest.raises(NotFound):
        reader.open_many(world.kind(), record.id, [gone])
    assert len(service(world).open_many(world.kind(), record.id, [kept, gone]).members) == 2


def test_the_trail_tells_each_document_as_the_single_verbs_do(world: World) -> None:
    record, kind = world.record(), world.kind()
    one, many = stored(world, record, 2, "Same.txt")
    single, several = world.documents(), service(world)
    single.edit(one, {"category": "referral"})
    several.categorise(kind, record.id, [many], "referral")
    for verb in ("trash", "restore", "trash", "purge"):
        getattr(single, verb)(one)
        getattr(several, f"{verb}_many")(kind, record.id, [many])
    assert told(world, one) == told(world, many)
    assert len(told(world, one)) == 5


def test_refusals_are_told_as_the_single_verbs_do(world: World) -> None:
    record = world.record()
    theirs = world.record(patient=world.patient(STRANGER), email=STRANGER)
    ids, [foreign] = stored(world, record, 2, "Same.txt"), stored(world, theirs, 1)
    for file_id, error in ((ids[0], Conflict), (foreign, NotFound), (ABSENT, NotFound)):
        with pytest.raises(error):
            world.documents().restore(file_id)
    service(world).restore_many(world.kind(), record.id, [ids[1], foreign, ABSENT])
    assert told(world, ids[0]) == told(world, ids[1])
    for unknown in (foreign, ABSENT):
        single, several = world.events(action="restore", file_id=unknown)
        assert (single.outcome, single.reason) == (several.outcome, several.reason) == ("refused", "not-found")
        assert (single.patient_id, single.entity_id) == (several.patient_id, several.entity_id)


def told(world: World, file_id: int) -> list[tuple[Any, ...]]:
    return [
        (event.action, event.outcome, event.reason, event.actor_id, event.patient_id, event.entity_type,
         event.entity_id, event.personal.get("address"), details_of(event))
        for event in world.events(file_id=file_id)
    ]  # fmt: skip


def test_many_documents_take_few_statements_and_one_admission(
    world: World, statements: Callable[[], list[str]]
) -> None:
    record = world.record()
    ids = stored(world, record, 250)
    several, kind, record_id = service(world), world.kind(), record.id
    executed = statements()
    assert done(several.categorise(kind, record_id, ids, "referral")) == ids
    chunks = ceil(len(ids) / CHUNK)
    for statement, most in (("SELECT visits", 1 + chunks), ("SELECT entity_files", 2 * chunks), ("UPDATE", chunks)):
        assert 0 < len([said for said in executed if said.startswith(statement)]) <= most


class Crash(BaseException):
    """The process dies here: no handler of ours runs any more."""


crash = Mock(side_effect=Crash)


def after(real: Callable[..., Any], times: int = 1) -> Callable[..., Any]:
    """Does it so many times, then dies."""
    left = [times]

    def then_die(*arguments: Any) -> Any:
        answer = real(*arguments)
        left[0] -= 1
        if not left[0]:
            raise Crash
        return answer

    return then_die


STEPS: dict[str, Callable[[World], tuple[Any, str, Any]]] = {
    "expecting": lambda world: (journal, "expect", after(journal.expect, 2)),
    "the first copy": lambda world: (world.parts.storages.default, "copy", crash),
    "a later copy": lambda world: (world.parts.storages.default, "copy", after(world.parts.storages.default.copy, 3)),
    "releasing": lambda world: (journal, "release", after(journal.release, 3)),
    "settling": lambda world: (journal, "settle", after(journal.settle, 2)),
    "removal": lambda world: (journal, "remove", crash),
    "deleting": lambda world: (world.parts.storages.default, "delete", after(world.parts.storages.default.delete, 3)),
}


@pytest.mark.parametrize(
    ("verb", "step"),
    [
        *[(verb, step) for verb in ("trash_many", "restore_many") for step in STEPS],
        *[("purge_many", step) for step in ("releasing", "removal", "deleting")],
    ],
)
def test_a_crash_anywhere_leaves_each_document_wholly_on_one_side(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str, step: str
) -> None:
    record = world.record()
    ids = (stored if verb == "trash_many" else trashed)(world, record, 5)
    place, name, die = STEPS[step](world)
    several, record_id = service(world), record.id
    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(bulk, "CHUNK", 2)
        patch.setattr(place, name, die)
        getattr(several, verb)(world.kind(), record_id, ids)
    world.assert_sound()
    world.sweep(now() + LATER)
    world.assert_settled()
    assert {file.file_path for file in world.files()} == {listed.key for listed in world.parts.storages.default.keys()}
    for file in world.files():
        assert b"".join(world.documents().open(file.id).read()) == f"Letter {ids.index(file.id)}".encode()
    assert getattr(service(world), verb)(world.kind(), record_id, ids)
    assert live(world) == (ids if verb == "restore_many" else [])
    world.assert_settled()


def test_a_commit_whose_answer_was_lost_ends_the_whole_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it took effect is not known: nothing is tried again, nothing is removed."""
    record = world.record()
    ids = stored(world, record, 3)
    session, real = db.session(), db.session().commit
    commits: list[int] = []

    def commit() -> None:
        real()
        commits.append(1)
        if len(commits) == 2:  # the journal entries are the first, the documents the second
            raise DatabaseUnavailable()

    several, record_id = service(world), record.id
    with monkeypatch.context() as patch, pytest.raises(DatabaseUnavailable):
        patch.setattr(session, "commit", commit)
        several.trash_many(world.kind(), record_id, ids)
    world.assert_sound()
    world.sweep(now() + LATER)
    assert live(world) == []
    assert errors(service(world).trash_many(world.kind(), record_id, ids)) == dict.fromkeys(ids, Conflict)
    world.assert_settled()


def test_two_who_move_the_same_documents_at_once_move_each_once(world: World) -> None:
    record, kind = world.record(), world.kind()
    ids = stored(world, record, 12)
    ready, actor, record_id = threading.Barrier(3), world.actor(), record.id
    moved: list[int] = []

    def race(wanted: list[int]) -> None:
        with world.app.app_context():
            several = service(world)
            several.actor = actor
            ready.wait()
            moved.extend(done(several.trash_many(kind, record_id, wanted)))

    run_at_once([partial(race, wanted) for wanted in (ids, ids[::-1], ids[3:9])])
    assert sorted(moved) == ids
    world.assert_settled()
