"""What ends a SMART Health Link, and that its key and encrypted copy go with it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.models import EntityFile, FixityFinding, Patient, ShareLink, SmartLink, StorageJournal
from medfiles.operations import backup, copy_storage, housekeeping, integrity
from medfiles.records.moving import RecordMoves
from medfiles.storage import Staged, Storages, Stored
from medfiles.storage.disk import DiskStorage
from tests.links import happenings
from tests.smart_links.doubles import row_of, stored
from tests.smart_links.doubles import told as told
from tests.support.factories import Smart, World

pytestmark = pytest.mark.database


def held(world: World, kind: str = "up-to-date") -> tuple[EntityFile, ShareLink, Smart]:
    file = world.attach(world.record())
    link = world.link(file, allow_download=True, passcode="482107").link
    return file, link, world.smart(link, kind)


def assert_ended(world: World, smart: Smart) -> None:
    row = row_of(smart)
    assert row.ended_at is not None
    assert (row.key, row.storage, row.size, row.key_wrapped) == (None, None, None, None)
    world.sweep()
    assert not list(world.parts.storages.default.keys("shl/"))
    world.assert_settled()


@pytest.mark.parametrize("kind", ["desk", "up-to-date"])
@pytest.mark.parametrize("happens", [happenings.trash, happenings.move, happenings.purge, happenings.trash_record])
def test_ends_with_a_document(world: World, happens: Callable[[World, EntityFile], None], kind: str) -> None:
    file, _, smart = held(world, kind)
    happens(world, file)
    assert_ended(world, smart)


def test_ends_with_many_documents_of_a_record(world: World) -> None:
    record = world.record("lab-result")
    ids = world.store(record, *(f"Letter {number}.txt" for number in range(60)))
    files = [db.session.get_one(EntityFile, number) for number in ids[:2]]
    smart = world.smart(world.link(*files, allow_download=True).link)
    world.records().delete(world.kind("lab-result"), record.id)
    assert row_of(smart).ended_at is not None


def test_ends_with_a_record_that_moves(world: World) -> None:
    file, _, smart = held(world)
    moves = RecordMoves(world.actor(), world.parts.registry, world.parts.storages, quota=0)
    moves.move(world.kind(), file.entity_id, world.patient(first_name="Ben").id)
    assert_ended(world, smart)


def test_ends_when_patients_are_merged(world: World) -> None:
    file, _, smart = held(world)
    world.merges().merge(file.patient_id, world.patient(first_name="Ben").id)
    assert_ended(world, smart)


@pytest.mark.parametrize("happens", [happenings.delete, happenings.revoke])
def test_ends_with_the_patient_or_the_share_link(world: World, happens: Callable[[World, ShareLink], None]) -> None:
    _, link, smart = held(world)
    world.share(db.session.get_one(Patient, link.patient_id), happenings.OTTO, "edit")
    happens(world, db.session.get_one(ShareLink, link.id))
    row = row_of(smart)
    assert (row.ended_at is not None, row.key, row.key_wrapped) == (True, None, None)


def test_sender_ends_it(world: World) -> None:
    _, link, smart = held(world)
    assert world.smart_links().end_smart(link.id, smart.id).state == "ended"
    before = row_of(smart).ended_at
    world.smart_links().end_smart(link.id, smart.id)
    assert row_of(smart).ended_at == before
    assert len(world.events(action="end-smart-link")) == 1
    assert_ended(world, smart)


def test_another_document_of_the_patient_ends_nothing(world: World) -> None:
    file, _, smart = held(world)
    world.documents().trash(world.attach(world.record(patient=db.session.get_one(Patient, file.patient_id))).id)
    assert row_of(smart).ended_at is None


def test_undone_trash_does_not_bring_it_back(world: World) -> None:
    file, _, smart = held(world)
    world.documents().trash(file.id)
    world.documents().restore(file.id)
    assert row_of(smart).ended_at is not None


def test_housekeeping_ends_what_expired(world: World) -> None:
    _, _, smart = held(world)
    with transaction() as session:
        session.get_one(SmartLink, smart.id).expires_at = now() - timedelta(minutes=6)
    assert housekeeping.end_smart_links() == 1
    assert_ended(world, smart)


def test_housekeeping_ends_what_the_share_link_no_longer_opens(world: World) -> None:
    _, link, smart = held(world)
    happenings.use_up(world, link)
    assert housekeeping.end_smart_links() == 1
    assert_ended(world, smart)


def test_housekeeping_leaves_the_others(world: World) -> None:
    _, _, smart = held(world)
    assert housekeeping.end_smart_links() == 0
    assert row_of(smart).ended_at is None


def test_hourly_sweep_removes_the_copy(world: World) -> None:
    file, _, smart = held(world)
    world.documents().trash(file.id)
    world.keep_house()
    assert_ended(world, smart)


def test_deleting_the_patient_permanently_leaves_no_row(world: World) -> None:
    _, link, _ = held(world)
    world.records().delete_patient(link.patient_id)
    world.records().purge_patient(link.patient_id)
    world.keep_house()
    db.session.rollback()
    assert db.session.scalar(select(func.count(SmartLink.id))) == 0
    assert not list(world.parts.storages.default.keys("shl/"))
    world.assert_sound()


def test_integrity_check_knows_the_copy(world: World) -> None:
    _, _, smart = held(world)
    assert integrity.verify(world.parts.storages).findings == []
    (world.uploads / str(row_of(smart).key)).unlink()
    [finding] = integrity.verify(world.parts.storages).findings
    assert (finding.kind, finding.key, finding.file_id) == ("missing", row_of(smart).key, None)
    assert db.session.scalar(select(func.count(FixityFinding.id))) == 1


def test_copy_of_an_unknown_link_is_found(world: World) -> None:
    place = world.uploads / "shl" / "0d3f3c1e-6f0a-4b0e-9a51-6c1e1c0f5a11.jwe"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"?")
    [finding] = integrity.verify(world.parts.storages).findings
    assert finding.kind == "unknown"


def test_journal_does_not_remove_a_copy_that_a_row_names(world: World) -> None:
    _, _, smart = held(world)
    row = row_of(smart)
    with transaction() as session:
        session.add(StorageJournal(key=row.key, storage=row.storage, action="remove", lease_until=now()))
    world.sweep()
    assert stored(world, smart)


def test_copying_the_storage_brings_the_copy_along(world: World, tmp_path: Path) -> None:
    _, _, smart = held(world)
    before, other = stored(world, smart), DiskStorage(tmp_path / "other", "other")
    storages = Storages(other, world.parts.storages.default)
    result = copy_storage.copy_documents(storages)
    assert (result.documents, result.others) == (0, 0)
    row = row_of(smart)
    assert row.storage == "other"
    assert b"".join(other.open(str(row.key))) == before


def test_copying_the_storage_skips_a_copy_that_ends_at_the_same_time(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, link, smart = held(world)
    other = DiskStorage(tmp_path / "other", "other")
    commit = other.commit

    def committed(staged: Staged, key: str) -> Stored:
        world.smart_links().end_smart(link.id, smart.id)
        return commit(staged, key)

    monkeypatch.setattr(other, "commit", committed)
    copy_storage.copy_documents(Storages(other, world.parts.storages.default))
    assert row_of(smart).key is None
    assert list(other.keys("shl/")) == []


def test_backup_leaves_the_copy_out(world: World, tmp_path: Path) -> None:
    _, _, smart = held(world)
    saved = backup.back_up(world.parts.storages, tmp_path / "backups", "secret")
    keys = [entry.key for entry in backup.entries(tmp_path / "backups", saved.name)]
    assert row_of(smart).key not in keys
    assert saved.problems == []
