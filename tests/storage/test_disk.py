"""What the disk backend promises beyond the contract: durability in the right order, and tidy permissions."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medfiles.clock import now
from medfiles.errors import KeyTaken, StorageError
from medfiles.storage import DiskStorage, live_key, picture_key, trash_key

Step = tuple[str, str]


@pytest.fixture
def storage(tmp_path: Path) -> DiskStorage:
    return DiskStorage(tmp_path / "store")


def put(storage: DiskStorage, content: bytes = b"paper", key: str | None = None) -> str:
    staged = storage.stage(1000)
    staged.write(content)
    return storage.commit(staged, key or live_key("visits", ".pdf")).key


def recorded(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """Every fsync, replace and link that happens from now on, with the place it is about."""
    steps: list[Step] = []

    def watch(name: str, place: Callable[..., str]) -> None:
        real = getattr(os, name)

        def watched(*arguments: Any, **options: Any) -> Any:
            steps.append((name, place(*arguments)))
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, watched)

    watch("fsync", lambda descriptor: os.readlink(f"/proc/self/fd/{descriptor}"))
    watch("replace", lambda source, target: str(target))
    watch("link", lambda source, target: str(target))
    return steps


def test_bytes_are_synced_before_name_and_folder(storage: DiskStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    put(storage)
    staged = storage.stage(1000)
    staged.write(b"paper")
    steps = recorded(monkeypatch)
    path = storage.root / storage.commit(staged, live_key("visits", ".pdf")).key
    assert steps == [("fsync", str(staged.path)), ("link", str(path)), ("fsync", str(path.parent))]
    assert [*storage.folder.iterdir()] == []


def test_new_folder_is_durable_before_its_content(storage: DiskStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = storage.stage(1000)
    steps = recorded(monkeypatch)
    path = storage.root / storage.commit(staged, live_key("visits", ".pdf")).key
    synced = [place for step, place in steps if step == "fsync"]
    assert synced.index(str(storage.root)) < synced.index(str(path.parent.parent)) < synced.index(str(path.parent))


def test_a_copied_document_is_durable_in_its_folder(storage: DiskStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = put(storage), trash_key(now().date(), ".pdf")
    steps = recorded(monkeypatch)
    storage.copy(first, second)
    assert steps[-1] == ("fsync", str((storage.root / second).parent))


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Any, target: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("no_links")
def test_where_links_are_not_possible_the_bytes_are_copied(storage: DiskStorage) -> None:
    first, second = put(storage, b"the same"), trash_key(now().date(), ".pdf")
    storage.copy(first, second)
    assert b"".join(storage.open(second)) == b"the same"
    assert (storage.root / first).stat().st_ino != (storage.root / second).stat().st_ino


@pytest.mark.usefixtures("no_links")
def test_where_links_are_not_possible_a_rename_publishes(storage: DiskStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    put(storage)
    staged = storage.stage(1000)
    staged.write(b"paper")
    steps = recorded(monkeypatch)
    path = storage.root / storage.commit(staged, live_key("visits", ".pdf")).key
    assert [step for step in steps if step[0] != "link"] == [
        ("fsync", str(staged.path)),
        ("replace", str(path)),
        ("fsync", str(path.parent)),
    ]
    assert path.read_bytes() == b"paper"


@pytest.mark.usefixtures("no_links")
def test_where_links_are_not_possible_a_taken_key_is_left_alone(storage: DiskStorage) -> None:
    key = put(storage, b"first")
    with pytest.raises(KeyTaken):
        put(storage, b"second", key)
    assert b"".join(storage.open(key)) == b"first"


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_failing_disk_is_a_storage_error_and_the_key_is_not_readable_as_a_document(
    storage: DiskStorage, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "broken")

    staged = storage.stage(1000)
    staged.write(b"paper")
    monkeypatch.setattr(os, step, fail)
    with pytest.raises(StorageError):
        storage.commit(staged, live_key("visits", ".pdf"))
    assert all(storage.stat(listed.key).size == 0 for listed in storage.keys())


def test_a_full_disk_is_a_storage_error_and_nothing_of_the_upload_stays(storage: DiskStorage) -> None:
    staged = storage.stage(1_000_000)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, staged._file.fileno())  # type: ignore[union-attr]
    os.close(full)
    with pytest.raises(StorageError):
        staged.write(b"paper" * 100_000)
    staged.discard()
    assert [*storage.folder.iterdir()] == []


def test_a_failed_sync_is_never_tried_again(storage: DiskStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fail(descriptor: int) -> None:
        calls.append(descriptor)
        raise OSError(errno.EIO, "broken")

    staged = storage.stage(1000)
    staged.write(b"paper")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError):
        staged.finish()
    staged.finish()
    assert len(calls) == 1


def test_nobody_but_the_owner_can_read_what_is_stored(storage: DiskStorage) -> None:
    path = storage.root / put(storage)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_files_that_are_not_ours_are_not_listed(storage: DiskStorage) -> None:
    stored = put(storage)
    for stranger in ("lab_result_files/0001.pdf", "trash/2026-01-01/0001.pdf", "files/visits/notes.txt"):
        place = storage.root / stranger
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"older")
    assert [listed.key for listed in storage.keys()] == [stored]


def test_no_folder_goes_on_naming_what_a_deleted_picture_was_made_of(tmp_path: Path) -> None:
    storage, keys = DiskStorage(tmp_path), [picture_key("ab" * 32, "v1w160", page) for page in (1, 2)]
    for key in keys:
        put(storage, b"picture", key)
    storage.delete(keys[0])
    assert [path.name for path in tmp_path.rglob("*.webp")] == ["2.webp"]
    storage.delete(keys[1])
    assert not list((tmp_path / "previews").iterdir())
    put(storage, b"again", keys[0])
    assert storage.stat(keys[0]).size == 5
