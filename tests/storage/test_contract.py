"""What every place for bytes promises: the same cases on each backend."""

import hashlib
import os
import urllib.request
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfiles.clock import now
from medfiles.errors import BadKey, BlobMissing, KeyTaken, TooLarge
from medfiles.storage import DiskStorage, MemoryStorage, ObjectStorage, Storage, live_key, trash_key

LIMIT = 10_000_000


@pytest.fixture(params=["disk", "memory", "objects"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "disk":
        return DiskStorage(tmp_path / "store")
    if request.param == "memory":
        return MemoryStorage("memory://", tmp_path / "staged")
    return ObjectStorage(request.getfixturevalue("bucket")(), tmp_path / "staged")


def key() -> str:
    return live_key("visits", ".pdf")


def put(storage: Storage, content: bytes, at: str | None = None, limit: int = LIMIT) -> str:
    staged = storage.stage(limit)
    staged.write(content)
    return storage.commit(staged, at or key()).key


def read(storage: Storage, at: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join(storage.open(at, start, end))


def test_committed_bytes_are_read_back_with_their_size_and_hash(storage: Storage) -> None:
    content = os.urandom(700_000)
    staged = storage.stage(LIMIT)
    for chunk in (content[:1000], content[1000:]):
        staged.write(chunk)
    stored = storage.commit(staged, key())
    assert (stored.size, stored.sha256) == (700_000, hashlib.sha256(content).hexdigest())
    assert storage.stat(stored.key).size == 700_000
    assert read(storage, stored.key) == content
    assert not staged.path.exists()


def test_staging_accepts_the_limit_and_refuses_the_next_byte(storage: Storage) -> None:
    staged = storage.stage(5)
    staged.write(b"12345")
    with pytest.raises(TooLarge):
        staged.write(b"6")
    staged.discard()
    assert storage.stat(put(storage, b"12345", limit=5)).size == 5


def test_a_discarded_upload_leaves_nothing(storage: Storage) -> None:
    staged = storage.stage(LIMIT)
    staged.write(b"half of it")
    staged.discard()
    assert not staged.path.exists()
    assert list(storage.keys()) == []


def test_a_taken_key_is_refused_and_keeps_its_bytes(storage: Storage) -> None:
    taken = put(storage, b"first")
    staged = storage.stage(LIMIT)
    staged.write(b"second")
    with pytest.raises(KeyTaken):
        storage.commit(staged, taken)
    staged.discard()
    assert read(storage, taken) == b"first"


def test_a_copy_stands_when_the_first_is_deleted(storage: Storage) -> None:
    first, second = put(storage, b"paper"), trash_key(now().date(), ".pdf")
    assert storage.copy(first, second).size == 5
    storage.delete(first)
    assert read(storage, second) == b"paper"


def test_a_copy_onto_a_taken_key_is_refused(storage: Storage) -> None:
    first, second = put(storage, b"one"), put(storage, b"two")
    with pytest.raises(KeyTaken):
        storage.copy(first, second)
    assert read(storage, second) == b"two"


@pytest.mark.parametrize("operation", ["open", "stat", "copy"])
def test_missing_object_is_reported_at_once(storage: Storage, operation: str) -> None:
    with pytest.raises(BlobMissing):
        getattr(storage, operation)(*[key()] * (2 if operation == "copy" else 1))


def test_deleting_twice_is_quiet(storage: Storage) -> None:
    stored = put(storage, b"gone")
    storage.delete(stored)
    storage.delete(stored)
    assert list(storage.keys()) == []


def test_keys_are_listed_by_prefix_with_their_size(storage: Storage) -> None:
    live, trashed = put(storage, b"a"), put(storage, b"bc", trash_key(now().date(), ".pdf"))
    assert {listed.key for listed in storage.keys()} == {live, trashed}
    [listed] = storage.keys("trash/")
    assert (listed.key, listed.size) == (trashed, 2)


def test_a_fresh_upload_is_not_cleared_while_an_old_one_is(storage: Storage) -> None:
    fresh, old = storage.stage(LIMIT), storage.stage(LIMIT)
    os.utime(old.path, (0, 0))
    assert storage.clear_staged(3600) == 1
    assert fresh.path.exists()
    assert not old.path.exists()
    fresh.discard()
    old.discard()


@pytest.mark.parametrize(
    "bad",
    [
        "../secret",
        "files/visits/../../secret",
        "/etc/passwd",
        "files/visits/name.pdf",
        "files/visits/12345678-1234-1234-8234-123456789abc.pdf",  # not a version 4
        "files/visits/12345678-1234-4234-8234-123456789abc.PDF",
        "files/visits/12345678-1234-4234-8234-123456789abc",
        "files/visits/12345678-1234-4234-8234-123456789abc.pdf\n",
        "trash/2026-01-01/12345678-1234-4234-8234-123456789abc.pdf",  # the older feature's own trash
        "trash/../files/mf-12345678-1234-4234-8234-123456789abc.pdf",
        "",
    ],
)
def test_a_key_outside_the_grammar_is_refused_everywhere(storage: Storage, bad: str) -> None:
    good = put(storage, b"x")
    staged = storage.stage(LIMIT)
    staged.write(b"y")
    for attempt in (
        lambda: storage.commit(staged, bad),
        lambda: storage.open(bad),
        lambda: storage.stat(bad),
        lambda: storage.delete(bad),
        lambda: storage.copy(good, bad),
        lambda: storage.copy(bad, key()),
    ):
        with pytest.raises(BadKey):
            attempt()
    staged.discard()
    assert [listed.key for listed in storage.keys()] == [good]


@settings.get_profile("costly")
@given(content=st.binary(max_size=2000), start=st.integers(0, 2100), length=st.integers(0, 2100))
def test_a_range_is_the_slice_of_the_whole(storage: Storage, content: bytes, start: int, length: int) -> None:
    stored = put(storage, content)
    assert read(storage, stored, start, start + length) == content[start : start + length]
    assert read(storage, stored, start) == content[start:]
    storage.delete(stored)


def test_a_direct_link_leads_to_the_bytes_or_is_none(storage: Storage) -> None:
    link = storage.url(put(storage, b"the bytes"), 30)
    if storage.name != "objects":
        assert link is None
        return
    assert link is not None
    with urllib.request.urlopen(link, timeout=20) as answer:
        assert answer.read() == b"the bytes"
        assert answer.headers["Content-Disposition"] == "attachment"


def test_a_ready_storage_passes_its_check_and_leaves_nothing(storage: Storage) -> None:
    storage.check()
    assert list(storage.keys()) == []


def test_it_knows_how_much_it_can_take_or_that_there_is_no_end(storage: Storage) -> None:
    free = storage.free()
    assert free and free > 0 if storage.name == "disk" else free is None


def test_the_proxy_finds_documents_in_the_folder_named_disk_alone(storage: Storage, tmp_path: Path) -> None:
    stored = put(storage, b"the bytes")
    assert storage.accel_path(stored) == (stored if storage.name == "disk" else None)
    assert DiskStorage(tmp_path, "archive").accel_path(stored) is None
