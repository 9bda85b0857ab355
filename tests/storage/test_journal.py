"""The storage journal: whatever a crash leaves behind is named, and the sweep clears it without touching the rest."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import DatabaseUnavailable, StorageError
from medfiles.models import StorageJournal
from medfiles.storage import journal, live_key
from tests.support.factories import World

pytestmark = pytest.mark.database

LATER = timedelta(hours=1)


class Crash(BaseException):
    """The process dies here: no handler of ours runs any more."""


def crash(*_: Any, **__: Any) -> None:
    raise Crash


def store(world: World, content: bytes = b"paper") -> str:
    key = live_key("visits", ".pdf")
    staged = world.parts.storages.default.stage(1000)
    staged.write(content)
    world.parts.storages.default.commit(staged, key)
    return key


def entries() -> dict[str, str]:
    db.session.rollback()
    return dict(db.session.execute(select(StorageJournal.key, StorageJournal.action)).all())


def objects(world: World) -> set[str]:
    return {listed.key for listed in world.parts.storages.default.keys()}


def test_an_expected_key_is_visible_to_others_until_it_is_settled(world: World) -> None:
    key = live_key("visits", ".pdf")
    journal.expect("disk", [key])
    assert entries() == {key: "attach"}
    with transaction():
        journal.settle([key])
    assert entries() == {}


def test_settling_what_the_sweep_took_aborts(world: World) -> None:
    key = live_key("visits", ".pdf")
    journal.expect("disk", [key])
    world.sweep(now() + LATER)
    with pytest.raises(StorageError, match="too long"), transaction():
        journal.settle([key])


def test_the_sweep_leaves_a_lease_that_still_runs(world: World) -> None:
    key = store(world)
    journal.expect("disk", [key])
    assert world.sweep().removed == 0
    assert objects(world) == {key}


def test_the_sweep_removes_what_nobody_claimed_in_time(world: World) -> None:
    key = store(world)
    journal.expect("disk", [key])
    assert [world.sweep(now() + LATER) for _ in range(2)] == [journal.Swept(1, 0), journal.Swept(0, 0)]
    assert (objects(world), entries()) == (set(), {})


def test_the_sweep_never_removes_what_a_row_names(world: World) -> None:
    file = world.attach(world.record())
    with transaction():
        journal.release("disk", [file.file_path])
    assert world.sweep(now() + LATER) == journal.Swept(0, 1)
    assert objects(world) == {file.file_path}


def test_what_cannot_be_removed_now_is_removed_by_the_next_sweep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    key = store(world)
    journal.expect("disk", [key])

    def fail(_: str) -> None:
        raise StorageError()

    with monkeypatch.context() as broken:
        broken.setattr(world.parts.storages.default, "delete", fail)
        assert world.sweep(now() + LATER) == journal.Swept(0, 1)
    assert world.sweep(now() + LATER) == journal.Swept(1, 0)
    assert objects(world) == set()


Step = Callable[[pytest.MonkeyPatch, World], None]


def at_commit_of_bytes(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(world.parts.storages.default, "commit", crash)


def after_commit_of_bytes(patch: pytest.MonkeyPatch, world: World) -> None:
    real = world.parts.storages.default.commit

    def commit(*arguments: Any) -> None:
        real(*arguments)
        raise Crash

    patch.setattr(world.parts.storages.default, "commit", commit)


def at_settling(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(journal, "settle", crash)


def at_copy(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(world.parts.storages.default, "copy", crash)


def after_copy(patch: pytest.MonkeyPatch, world: World) -> None:
    real = world.parts.storages.default.copy

    def copy(*arguments: Any) -> None:
        real(*arguments)
        raise Crash

    patch.setattr(world.parts.storages.default, "copy", copy)


def at_delete(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(world.parts.storages.default, "delete", crash)


def at_removal(patch: pytest.MonkeyPatch, world: World) -> None:
    patch.setattr(journal, "remove", crash)


@pytest.mark.parametrize("step", [at_commit_of_bytes, after_commit_of_bytes, at_settling])
def test_sweep_removes_an_upload_that_crashed(world: World, monkeypatch: pytest.MonkeyPatch, step: Step) -> None:
    record = world.record()
    with monkeypatch.context() as patch, pytest.raises(Crash):
        step(patch, world)
        world.attach(record)
    world.assert_sound()
    world.sweep(now() + LATER)
    assert world.files() == []
    assert objects(world) == set()
    world.assert_settled()


@pytest.mark.parametrize("step", [at_copy, after_copy, at_settling])
@pytest.mark.parametrize("verb", ["trash", "restore"])
def test_move_crashed_before_commit_is_undone(
    world: World, monkeypatch: pytest.MonkeyPatch, step: Step, verb: str
) -> None:
    file = world.attach(world.record())
    if verb == "restore":
        world.documents().trash(file.id)
    before = (file.deleted_at, file.file_path)
    with monkeypatch.context() as patch, pytest.raises(Crash):
        step(patch, world)
        getattr(world.documents(), verb)(file.id)
    world.assert_sound()
    world.sweep(now() + LATER)
    [after] = world.files()
    assert (after.deleted_at, after.file_path) == before
    assert b"".join(world.documents().open(file.id).read())
    world.assert_settled()


@pytest.mark.parametrize("step", [at_removal, at_delete])
@pytest.mark.parametrize("verb", ["trash", "restore", "purge"])
def test_change_crashed_after_commit_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch, step: Step, verb: str
) -> None:
    file = world.attach(world.record())
    file_id = file.id
    if verb != "trash":
        world.documents().trash(file_id)
    with monkeypatch.context() as patch, pytest.raises(Crash):
        step(patch, world)
        getattr(world.documents(), verb)(file_id)
    world.assert_sound()
    world.sweep(now() + LATER)
    assert [bool(left.deleted_at) for left in world.files()] == {"trash": [True], "restore": [False], "purge": []}[verb]
    assert objects(world) == {left.file_path for left in world.files()}
    world.assert_settled()


def test_retry_after_a_lost_commit_response_finds_the_document(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction took effect, the caller was told it had failed: nothing may be unlinked."""
    record = world.record()
    session, real = db.session(), db.session().commit
    commits: list[int] = []

    def commit() -> None:
        real()
        commits.append(1)
        if len(commits) == 2:  # the journal entry is the first, the document the second
            raise DatabaseUnavailable()

    with monkeypatch.context() as patch, pytest.raises(DatabaseUnavailable):
        patch.setattr(session, "commit", commit)
        world.attach(record, idempotency_key="one")
    world.assert_sound()
    world.sweep(now() + LATER)
    [file] = world.files()
    assert world.attach(record, idempotency_key="one").id == file.id
    assert len(world.files()) == 1
    world.assert_settled()
