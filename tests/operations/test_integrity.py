"""Documents against their objects: what is missing, altered or unknown is found, and nobody is accused wrongly."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice
from typing import Any

import pytest
from sqlalchemy import select

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import StorageError
from medfiles.jobs import last_runs
from medfiles.models import EntityFile, FixityFinding, LastRun, Visit
from medfiles.operations import integrity
from medfiles.storage import journal, live_key
from tests.support.factories import World

pytestmark = pytest.mark.database

DAY = timedelta(days=1)


def path(world: World, file: EntityFile) -> Any:
    return world.uploads / file.file_path


def found(world: World, *, deep: bool = False) -> list[tuple[str, int | None]]:
    done = integrity.verify(world.parts.storages)
    if deep:
        done += integrity.verify_deep(world.parts.storages)
    return sorted((one.kind, one.file_id) for one in done.findings)


def stray(world: World, content: bytes = b"left behind") -> str:
    """An object that nobody names."""
    storage, key = world.parts.storages.default, live_key("visits", ".txt")
    staged = storage.stage(100)
    staged.write(content)
    storage.commit(staged, key)
    return key


@pytest.fixture
def letters(world: World) -> list[EntityFile]:
    record = world.record()
    world.store(record, "One.txt", "Two.txt", "Three.txt")
    return world.files()


def test_a_store_that_is_well_has_no_findings(world: World, letters: list[EntityFile]) -> None:
    world.documents().trash(letters[0].id)
    assert found(world, deep=True) == []
    assert last_runs.last(integrity.VERIFY).facts["documents"] == 3  # type: ignore[union-attr]


def test_a_document_without_its_object_is_named_live_or_in_the_trash(world: World, letters: list[EntityFile]) -> None:
    trashed = world.documents().trash(letters[1].id)
    for file in (letters[0], trashed):
        path(world, file).unlink()
    assert found(world) == [("missing", letters[0].id), ("missing", trashed.id)]


def test_an_object_that_was_cut_off_is_named(world: World, letters: list[EntityFile]) -> None:
    path(world, letters[0]).write_bytes(b"Let")
    assert found(world) == [("wrong-size", letters[0].id)]


def test_only_reading_finds_altered_bytes(world: World, letters: list[EntityFile]) -> None:
    path(world, letters[2]).write_bytes(path(world, letters[2]).read_bytes()[::-1])
    assert found(world) == []
    assert found(world, deep=True) == [("altered", letters[2].id)]


def test_unreadable_object_is_named(world: World, letters: list[EntityFile], monkeypatch: pytest.MonkeyPatch) -> None:
    opened = type(world.parts.storages.default).open

    def broken(self: Any, key: str, *range: Any) -> Any:
        if key == letters[0].file_path:
            raise StorageError()
        return opened(self, key, *range)

    with monkeypatch.context() as away:
        away.setattr(type(world.parts.storages.default), "open", broken)
        assert found(world, deep=True) == [("unreadable", letters[0].id)]
        assert found(world) == [("unreadable", letters[0].id)]
        assert integrity.count_findings() == {"unreadable": 1}
    assert found(world) == []
    assert integrity.count_findings() == {}


def test_an_object_that_nobody_names_stays_until_it_is_set_aside_whole(world: World) -> None:
    key = stray(world)
    assert found(world) == [("unknown", None)]
    assert (world.uploads / key).read_bytes() == b"left behind"
    assert integrity.verify(world.parts.storages, quarantine=True).set_aside == 1
    assert (world.uploads / "lost+found" / key).read_bytes() == b"left behind"
    assert found(world) == []


def test_what_the_journal_names_is_on_its_way_and_known(world: World) -> None:
    journal.expect("disk", [stray(world)])
    assert found(world) == []


def test_files_of_other_names_are_none_of_its_business(world: World) -> None:
    lab = world.record("lab-result")
    world.older_file(lab)
    (world.uploads / "trash").mkdir(exist_ok=True)
    (world.uploads / "trash" / "old_Blood count.pdf").write_bytes(b"older")
    (world.uploads / "notes.txt").write_bytes(b"somebody's")
    assert found(world, deep=True) == []


def test_a_finding_goes_when_its_document_is_well_again(world: World, letters: list[EntityFile]) -> None:
    place, content = path(world, letters[0]), path(world, letters[0]).read_bytes()
    place.unlink()
    assert found(world, deep=True) == [("missing", letters[0].id)]
    first = db.session.scalars(select(FixityFinding)).one().first_seen
    found(world)
    assert db.session.scalars(select(FixityFinding)).one().first_seen == first
    place.write_bytes(content)
    found(world)
    assert integrity.count_findings() == {}


def test_a_finding_that_reading_made_goes_when_reading_finds_it_well(world: World, letters: list[EntityFile]) -> None:
    place, content = path(world, letters[0]), path(world, letters[0]).read_bytes()
    place.write_bytes(content[::-1])
    integrity.verify_deep(world.parts.storages)
    assert found(world) == [("altered", letters[0].id)]
    assert integrity.count_findings() == {"altered": 1}
    place.write_bytes(content)
    integrity.verify_deep(world.parts.storages)
    assert integrity.count_findings() == {}


def test_object_without_stat_is_named(world: World, letters: list[EntityFile], monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> Any:
        raise StorageError()

    with monkeypatch.context() as broken:
        broken.setattr(type(world.parts.storages.default), "keys", lambda self, prefix="": iter(()))
        broken.setattr(type(world.parts.storages.default), "stat", away)
        broken.setattr(type(world.parts.storages.default), "open", away)
        broken.setattr(integrity, "BATCH", 2)
        assert found(world) == [("unreadable", file.id) for file in letters]
        assert integrity.count_findings() == {"unreadable": 3}
    assert found(world) == []
    assert integrity.count_findings() == {}


@pytest.mark.parametrize("step", ["trash", "restore", "purge", "attach"])
def test_document_moved_between_the_lists_is_no_finding(
    world: World, letters: list[EntityFile], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    documents, rows = world.documents(), integrity._documents
    trashed = documents.trash(letters[0].id)

    steps: dict[str, Callable[[], object]] = {
        "trash": lambda: documents.trash(letters[1].id),
        "restore": lambda: documents.restore(trashed.id),
        "purge": lambda: documents.purge(trashed.id),
        "attach": lambda: world.store(world.record(), "Late.txt"),
    }

    def moving() -> Any:
        steps[step]()
        yield from rows()

    monkeypatch.setattr(integrity, "_documents", moving)
    assert found(world) == []


def test_beside_people_at_work_nobody_is_accused(world: World) -> None:
    visits = {name: int(world.record().id) for name in "ABC"}
    documents = world.documents()

    def work(name: str) -> None:
        with world.app.app_context():
            visit = db.session.get_one(Visit, visits[name])
            for number in range(4):
                file = world.attach(visit, f"{name} {number}.txt").id
                documents.trash(file)
                documents.restore(file) if number % 2 else documents.purge(file)

    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(work, name) for name in visits]
        while not all(one.done() for one in working):
            assert found(world, deep=True) == []
    [one.result() for one in working]
    assert found(world, deep=True) == []


def test_reading_goes_on_where_it_was_interrupted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrity, "READ_AT_ONCE", 2)
    world.store(world.record(), *(f"{number}.txt" for number in range(7)))
    began, read = now(), []

    def stop_at(most: int) -> Callable[[int], None]:
        def report(done: int) -> None:
            read.append(done)
            if done > most:
                raise KeyboardInterrupt

        return report

    with pytest.raises(KeyboardInterrupt):
        integrity.verify_deep(world.parts.storages, before=began, report=stop_at(4))
    assert integrity.due_count(began) == 3
    assert integrity.verify_deep(world.parts.storages, before=began).read == 3
    assert integrity.verify_deep(world.parts.storages, before=began).read == 0


def test_being_checked_changes_nothing_that_anybody_sees(world: World, letters: list[EntityFile]) -> None:
    before = [(file.id, file.updated_at) for file in letters]
    integrity.verify_deep(world.parts.storages)
    assert [(file.id, file.updated_at) for file in world.files()] == before


def test_an_hour_reads_its_share_and_the_longest_unread_first(world: World) -> None:
    ids = world.store(world.record(), *(f"{number}.txt" for number in range(6)))
    with transaction() as session:
        for number, file in enumerate(session.scalars(select(EntityFile))):
            file.last_checked_at = now() - (40 - number) * DAY if number else now()
    for _ in range(2):
        integrity.keep_checking(world.parts.storages, 30)
    fresh = select(EntityFile.id).where(EntityFile.last_checked_at > now() - DAY).order_by(EntityFile.id)
    assert list(db.session.scalars(fresh)) == ids[:3]


def test_the_daily_look_is_taken_by_one_process(world: World) -> None:
    assert [last_runs.claim(integrity.VERIFY, DAY) for _ in range(2)] == [True, False]
    with transaction() as session:
        session.get_one(LastRun, integrity.VERIFY).begun_at = now() - 2 * DAY
    assert [last_runs.claim(integrity.VERIFY, DAY) for _ in range(2)] == [True, False]


def test_housekeeping_looks_for_all_documents(world: World, letters: list[EntityFile]) -> None:
    path(world, letters[0]).unlink()
    world.keep_house()
    assert integrity.count_findings() == {"missing": 1}


def command(world: World, *options: str) -> Any:
    return world.app.test_cli_runner().invoke(args=["medfiles", "verify", *options])


def test_the_command_ends_with_0_when_all_is_well(world: World, letters: list[EntityFile]) -> None:
    done = command(world, "--deep", "--rate", "20MB")
    assert (done.exit_code, "No findings." in done.stdout) == (0, True)
    assert "3 documents compared, 3 of them read" in done.stdout


def test_the_command_names_what_it_found_and_ends_with_1(world: World, letters: list[EntityFile]) -> None:
    path(world, letters[0]).unlink()
    key = stray(world)
    done = command(world, "--json", "--quarantine")
    said = json.loads(done.stdout)
    assert done.exit_code == 1
    assert said["findings"] == [
        {"kind": "missing", "storage": "disk", "key": letters[0].file_path, "id": letters[0].id},
        {"kind": "unknown", "storage": "disk", "key": key, "id": None},
    ]
    assert said["set_aside"] == 1


@pytest.mark.parametrize("options", [["--rate", "20MB"], ["--deep", "--rate", "fast"], ["--deep", "--rate", "0"]])
def test_misuse_of_the_command_ends_with_2(world: World, options: list[str]) -> None:
    assert command(world, *options).exit_code == 2


def test_reading_can_be_ended_after_so_many(world: World, letters: list[EntityFile]) -> None:
    assert json.loads(command(world, "--deep", "--most", "2", "--json").stdout)["read"] == 2
    assert [bool(file.last_checked_at) for file in islice(world.files(), 3)] == [True, True, False]


def test_document_purged_between_the_two_lists_is_no_finding(
    world: World, letters: list[EntityFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.documents().trash(letters[0].id)
    documents = integrity._documents

    def purged_after_reading() -> Any:
        rows = list(documents())
        world.documents().purge(letters[0].id)
        path(world, letters[1]).unlink()
        yield from rows

    monkeypatch.setattr(integrity, "_documents", purged_after_reading)
    monkeypatch.setattr(integrity, "_is_listed", lambda *_: False)  # each document takes the second look
    assert found(world) == [("missing", letters[1].id)]


def test_document_that_moves_during_the_second_look_is_checked_where_it_is(
    world: World, letters: list[EntityFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    look, moved = integrity._problem, [letters[0].id]

    def moving(storages: Any, row: Any) -> str | None:
        if row.id in moved:
            world.documents().trash(moved.pop())
        return look(storages, row)

    monkeypatch.setattr(integrity, "_is_listed", lambda *_: False)
    monkeypatch.setattr(integrity, "_problem", moving)
    path(world, letters[2]).unlink()
    assert found(world) == [("missing", letters[2].id)]
    assert moved == []


def test_many_missing_objects_take_few_statements(world: World, statements: Callable[[], list[str]]) -> None:
    world.store(world.record(), *["Gone.txt"] * 60)
    for file in world.files():
        path(world, file).unlink()
    heard = statements()
    assert len(found(world)) == 60
    assert len([one for one in heard if one.startswith("SELECT")]) < 30
    assert len(found(world)) == integrity.count_findings()["missing"] == 60
