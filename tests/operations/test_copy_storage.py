"""Documents on their way from a folder to a bucket and back: none is lost, altered or out of reach for a moment."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import StorageError
from medfiles.models import EntityFile
from medfiles.operations import copy_storage, integrity
from medfiles.storage import DiskStorage, ObjectStorage, Storages, journal, open_storages
from medfiles.storage.journal import LEASE
from tests.support import samples
from tests.support.api_client import script
from tests.support.factories import World

pytestmark = pytest.mark.database

LATER = LEASE + timedelta(minutes=1)


@pytest.fixture
def places(world: World, bucket: Callable[[], str], tmp_path: Path) -> tuple[DiskStorage, ObjectStorage]:
    assert isinstance(world.parts.storages.default, DiskStorage)
    return world.parts.storages.default, ObjectStorage(bucket(), tmp_path / "staged")


def keep_in(world: World, *storages: Any) -> None:
    """From now on new documents go to the first of these places."""
    attached = world.parts.storages.attached.values()
    world.app.extensions["medfiles"] = replace(world.parts, storages=Storages(*storages, attached=attached))


def command(world: World, *options: str) -> Any:
    return world.app.test_cli_runner().invoke(args=["medfiles", "storage", "copy", *options])


def shelf(world: World) -> dict[int, str]:
    """Documents in every state, and the hash of each."""
    patient = world.patient()
    visit, gone = world.record("visit", patient), world.record("visit", patient)
    contents = {name: samples.SAMPLES[name[name.index(".") :]]() for name in ("a.pdf", "b.png", "c.txt")}
    files = [world.attach(visit, name, content) for name, content in contents.items()]
    files.append(world.attach(gone, "d.pdf", samples.pdf()))
    world.documents().trash(files[1].id)
    world.records().delete(world.kind("visit"), gone.id)
    return {file.id: file.sha256 for file in files}


def hashes(world: World) -> dict[int, str]:
    """What is really there."""
    storages = world.parts.storages
    return {
        file.id: hashlib.sha256(b"".join(storages[file.storage].open(file.file_path))).hexdigest()
        for file in world.files()
    }


def places_of(world: World) -> set[str]:
    return {file.storage for file in world.files()}


def test_every_document_goes_over_and_comes_back_as_it_was(world: World, places: tuple[Any, Any]) -> None:
    (disk, objects), there = places, shelf(world)
    folders = {file.id: Path(file.file_path).parent for file in world.files()}
    for place, old in ((objects, disk), (disk, objects)):
        keep_in(world, place, old)
        assert command(world).exit_code == 0
        assert (places_of(world), hashes(world), [*old.keys()]) == ({place.name}, there, [])
        world.assert_settled()
    assert {file.id: Path(file.file_path).parent for file in world.files()} == folders


@pytest.mark.parametrize("kind", ["folders", "buckets"])
def test_two_stores_of_one_kind_coexist(
    kind: str, make_world: Callable[..., World], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if kind == "folders":
        old, new = ((tmp_path / name).as_uri() for name in ("old", "new"))
    else:
        bucket = request.getfixturevalue("bucket")
        old, new = bucket(), bucket()
    world = make_world(STORAGE_URL=old)
    there, by, before = shelf(world), script(world), world.parts.storages.default.name
    world.app.extensions["medfiles"] = replace(
        world.parts, storages=open_storages(f"second={new}", tmp_path / "staged", also=old)
    )
    record = world.record()
    added = by.upload(f"/visit/{record.id}/files", "new.txt", b"from now on").get_json()["id"]
    assert {file.storage for file in world.files() if file.id != added} == {before}
    assert [by.get(f"/files/{at}/download").status_code for at in (added, min(there))] == [200, 200]
    assert command(world).exit_code == 0
    assert places_of(world) == {"second"}
    assert hashes(world).items() >= there.items()
    assert not list(world.parts.storages[before].keys())


def test_the_command_says_what_it_did_and_that_nothing_is_left(world: World, places: tuple[Any, Any]) -> None:
    there = shelf(world)
    keep_in(world, *reversed(places))
    told = json.loads(command(world, "--json").stdout)
    assert told == {
        "moved": len(there), "damaged": [], "failed": [], "documents": 0, "others": 0, "storage": "objects"
    }  # fmt: skip
    assert "You can remove MEDFILES_STORAGE_ALSO" in command(world).stdout


def test_until_it_went_over_a_document_is_served_from_where_it_is(world: World, places: tuple[Any, Any]) -> None:
    record = world.record()
    old = world.attach(record, "old.txt", b"from before")
    keep_in(world, *reversed(places))
    by = script(world)
    new = by.upload(f"/visit/{record.id}/files", "new.txt", b"from now on").get_json()["id"]
    assert {file.id: file.storage for file in world.files()} == {old.id: "disk", new: "objects"}
    assert [by.get(f"/files/{at}/download").data for at in (old.id, new)] == [b"from before", b"from now on"]
    assert by.get(f"/files/{new}/download", Range="bytes=5-8").data == b"now "


def test_who_reads_while_it_goes_over_gets_it_whole(world: World, places: tuple[Any, Any]) -> None:
    file = world.attach(world.record(), "letter.txt", b"the letter")
    keep_in(world, *reversed(places))
    document = world.documents().open(file.id)
    db.session.expunge(document.file)
    assert copy_storage.copy_documents(world.parts.storages).moved == 1
    assert b"".join(document.read()) == b"the letter"


def test_a_damaged_document_stays_where_it_is_and_is_named(world: World, places: tuple[Any, Any]) -> None:
    shelf(world)
    damaged = world.files()[0]
    (world.uploads / damaged.file_path).write_bytes(b"something else")
    keep_in(world, *reversed(places))
    done = command(world)
    assert done.exit_code == 1
    assert f"Damaged, not copied: {damaged.id}." in done.stdout
    assert [file.id for file in world.files() if file.storage == "disk"] == [damaged.id]


@pytest.mark.parametrize("step", ["expect", "settle", "remove"])
def test_killed_copy_continues(
    world: World, places: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """What is left over in the middle goes with the sweep, on either side."""
    there = shelf(world)
    keep_in(world, *reversed(places))

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(journal, step, stop)
        copy_storage.copy_documents(world.parts.storages)
    db.session.rollback()
    assert hashes(world) == there
    assert copy_storage.copy_documents(world.parts.storages).documents == 0
    world.sweep(now() + LATER)
    assert (hashes(world), [*places[0].keys()]) == (there, [])
    world.assert_settled()


def test_trash_during_the_copy_is_copied(
    world: World, places: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = world.attach(world.record(), "letter.txt", b"the letter")
    keep_in(world, *reversed(places))
    opened = DiskStorage.open

    def trashed_first(self: DiskStorage, *asked: Any) -> Any:
        monkeypatch.setattr(DiskStorage, "open", opened)
        world.documents().trash(file.id)
        return opened(self, *asked)

    monkeypatch.setattr(DiskStorage, "open", trashed_first)
    assert copy_storage.copy_documents(world.parts.storages).moved == 1
    moved = db.session.get_one(EntityFile, file.id)
    assert (moved.storage, moved.deleted_at is None) == ("objects", False)
    assert moved.file_path.startswith("trash/")
    world.sweep(now() + LATER)  # of the first try
    world.assert_settled()


def test_purge_during_the_copy_wins(world: World, places: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    number = world.attach(world.record(), "letter.txt", b"the letter").id
    world.documents().trash(number)
    keep_in(world, *reversed(places))
    committed = ObjectStorage.commit

    def purged_first(self: ObjectStorage, *asked: Any) -> Any:
        done = committed(self, *asked)
        with ThreadPoolExecutor(1) as other:  # with a session of its own
            other.submit(purge).result()
        return done

    def purge() -> None:
        with world.app.app_context():
            World(world.app, dict(world._users)).documents().purge(number)

    monkeypatch.setattr(ObjectStorage, "commit", purged_first)
    assert copy_storage.copy_documents(world.parts.storages).moved == 0
    world.sweep(now() + LATER)
    assert [[*place.keys()] for place in places] == [[], []]


def test_unavailable_target_ends_the_copy_without_loss(
    world: World, places: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = world.record()
    for number in range(8):
        world.attach(record, f"{number}.txt", b"paper %d" % number)
    before = hashes(world)
    keep_in(world, *reversed(places))
    tries: list[str] = []

    def away(_: Any, __: Any, key: str) -> None:
        tries.append(key)
        raise StorageError()

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStorage, "commit", away)
        assert command(world).exit_code == 1
    assert len(tries) == copy_storage.MAX_FAILURES
    assert hashes(world) == before
    assert command(world).exit_code == 0
    assert hashes(world) == before
    world.sweep(now() + LATER)
    world.assert_settled()


def test_both_places_are_verified(world: World, places: tuple[Any, Any]) -> None:
    shelf(world)
    keep_in(world, *reversed(places))
    world.attach(world.record(), "new.txt", b"new")
    assert integrity.verify(world.parts.storages).findings == []
    assert integrity.verify_deep(world.parts.storages, before=now()).findings == []
