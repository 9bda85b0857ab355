"""A patient in the trash takes everything below along, and gives it back as it was."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from medfiles.accounts import api_tokens
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.documents import lifecycle
from medfiles.documents.listing import ListQuery
from medfiles.documents.rules import UploadMetadata
from medfiles.errors import Conflict, Forbidden, NotFound
from medfiles.models import (
    ApiToken,
    AuditEvent,
    AuditPrivate,
    EntityFile,
    HousekeepingRound,
    Job,
    Patient,
    PatientShare,
    Visit,
)
from medfiles.operations import housekeeping
from medfiles.operations import status as operation_status
from medfiles.record_types.declared import Registry
from medfiles.records.sharing import ShareService, given_by_token
from tests.support.api_client import problem, script
from tests.support.factories import World

pytestmark = pytest.mark.database
OTTO = "otto@sample.example"


def purge(world: World, days: int = 0, *, force: bool = True) -> housekeeping.Purged:
    return housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta(days=days), force=force)


def keys(world: World) -> list[str]:
    """The folder that each document's bytes are in."""
    return [file.file_path.partition("/")[0] for file in world.files()]


# --- to the trash -----------------------------------------------------------------------------------------------------


def test_a_patient_in_the_trash_is_neither_listed_nor_counted(world: World) -> None:
    record, other = world.record(), world.record()
    world.attach(record)
    world.records().delete_patient(record.patient_id)
    assert [entry.patient.id for entry in world.records().patients()] == [other.patient_id]
    assert world.documents().recent() == []
    assert world.documents().count(world.kind(), [record.id]) == {}
    assert world.records().titles(world.files()) == {}
    assert [patient.id for patient in world.records().trashed_patients()] == [record.patient_id]


def test_a_document_of_a_patient_in_the_trash_cannot_be_opened_or_changed(world: World) -> None:
    record = world.record()
    file = world.attach(record)
    world.records().delete_patient(record.patient_id)
    documents = world.documents()
    for use in (documents.open, documents.details, documents.trash, documents.restore, documents.purge):
        with pytest.raises(NotFound):
            use(file.id)
    with pytest.raises(NotFound):
        world.previews().thumbnail(file.id)


def test_a_record_of_a_patient_in_the_trash_takes_no_upload(world: World) -> None:
    record = world.record()
    world.records().delete_patient(record.patient_id)
    with pytest.raises(NotFound):
        world.attach(record)


def test_an_upload_that_was_permitted_before_its_patient_was_deleted_is_refused(world: World) -> None:
    record, documents = world.record(), world.documents()
    permit = documents.authorize_upload(world.kind(), record.id, 10, files=1)
    staged = documents.stage(permit)
    staged.write(b"Slept well")
    world.records().delete_patient(record.patient_id)
    with pytest.raises(NotFound):
        documents.attach(permit, staged, UploadMetadata("Diary.txt"))
    assert world.files() == []
    world.assert_settled()


def test_only_the_owner_deletes_and_restores_a_patient(world: World) -> None:
    patient = world.patient()
    world.share(patient, OTTO, "edit")
    with pytest.raises(Forbidden):
        world.records(OTTO).delete_patient(patient.id)
    with pytest.raises(Forbidden):
        world.records(OTTO).restore_patient(patient.id)
    world.records().delete_patient(patient.id)
    for change in (world.records(OTTO).delete_patient, world.records(OTTO).restore_patient):
        with pytest.raises(NotFound):
            change(patient.id)
    assert world.records(OTTO).trashed_patients() == []


def test_deleting_twice_and_restoring_what_is_live_conflict(world: World) -> None:
    patient = world.patient()
    with pytest.raises(Conflict, match="not in the trash"):
        world.records().restore_patient(patient.id)
    world.records().delete_patient(patient.id)
    with pytest.raises(Conflict, match="already in the trash"):
        world.records().delete_patient(patient.id)


def test_the_bytes_follow_to_the_trash_and_back(world: World) -> None:
    record = world.record()
    world.store(record, "a.txt", "b.txt")
    world.records().delete_patient(record.patient_id)
    assert keys(world) == ["files", "files"]
    world.keep_house()
    assert keys(world) == ["trash", "trash"]
    world.assert_settled()
    world.records().restore_patient(record.patient_id)
    world.keep_house()
    assert keys(world) == ["files", "files"]
    world.assert_settled()
    assert b"".join(world.documents().open(world.files()[0].id).read()) == b"Letter 0"


def test_a_move_of_the_bytes_is_no_new_version_of_the_document(world: World) -> None:
    record = world.record()
    world.store(record, "a.txt")
    before = world.files()[0].updated_at
    world.records().delete_patient(record.patient_id)
    world.keep_house()
    world.records().restore_patient(record.patient_id)
    world.keep_house()
    assert world.files()[0].updated_at == before


def test_pending_invitations_to_a_patient_in_the_trash_are_hidden(world: World) -> None:
    patient = world.patient()
    world.user(OTTO)
    owner, otto = (
        ShareService(world.actor(email), world.parts.registry, world.parts.storages)
        for email in ("nora@sample.example", OTTO)
    )
    grant, _ = owner.grant(patient.id, OTTO, "view")
    world.records().delete_patient(patient.id)
    assert otto.invitations() == []
    with pytest.raises(NotFound):
        otto.accept(grant.share.id)
    world.records().restore_patient(patient.id)
    assert [invitation.share.id for invitation in otto.invitations()] == [grant.share.id]


def test_access_given_by_a_token_to_a_patient_in_the_trash_is_not_listed(world: World) -> None:
    patient, actor = world.patient(), world.actor()
    token, _ = api_tokens.create(actor, "Script", api_tokens.SHARE)
    world.share(patient, OTTO)
    with transaction() as session:
        session.scalars(select(PatientShare)).one().token_id = token.id
    assert len(given_by_token(actor, token.id)) == 1
    world.records().delete_patient(patient.id)
    assert given_by_token(actor, token.id) == []


def test_the_status_counts_documents_of_a_patient_in_the_trash_as_trashed(world: World) -> None:
    record = world.record()
    world.store(record, "a.txt", "b.txt")
    deleted_at = world.records().delete_patient(record.patient_id).deleted_at
    status = operation_status.measure(world.parts)
    assert (status.kinds["visit"].documents, status.kinds["visit"].trashed) == (0, 2)
    assert (status.patients, status.oldest_trash) == (0, deleted_at)


def test_no_thumbnail_is_made_for_a_patient_in_the_trash(world: World) -> None:
    record = world.record()
    world.attach(record, "letter.pdf")
    assert housekeeping.cold_count() == 1
    world.records().delete_patient(record.patient_id)
    assert housekeeping.cold_count() == 0


# --- and back ---------------------------------------------------------------------------------------------------------


def test_restoring_a_patient_leaves_in_the_trash_what_was_there_before(world: World) -> None:
    patient = world.patient()
    record, gone = world.record(patient=patient), world.record(patient=patient)
    live, trashed = world.store(record, "live.txt", "trashed.txt")
    world.store(gone, "with-record.txt")
    world.documents().trash(trashed)
    world.records().delete(world.kind(), gone.id)
    world.records().delete_patient(patient.id)
    world.keep_house()
    world.records().restore_patient(patient.id)
    world.keep_house()
    assert [entry.id for entry in world.documents().list(world.kind(), record.id).files] == [live]
    trash = world.documents().list(world.kind(), record.id, ListQuery(trashed=True)).files
    assert [file.id for file in trash] == [trashed]
    assert [found.id for _, found, _ in world.records().trashed(patient.id)] == [gone.id]
    assert keys(world) == ["files", "trash", "trash"]


def test_restoring_a_patient_brings_back_the_access_of_others(world: World) -> None:
    patient = world.patient()
    world.share(patient, OTTO)
    world.records().delete_patient(patient.id)
    assert list(world.records(OTTO).patients()) == []
    world.records().restore_patient(patient.id)
    assert [entry.patient.id for entry in world.records(OTTO).patients()] == [patient.id]


def test_a_restore_while_bytes_are_moved_brings_back_those_that_were(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, number, storage = world.record(), 0, world.parts.storages.default
    world.store(record, "a.txt", "b.txt", "c.txt")
    copy = storage.copy

    def restored_after_two(key: str, new_key: str) -> object:
        nonlocal number
        number += 1
        if number == 3:
            world.records().restore_patient(record.patient_id)
        return copy(key, new_key)

    monkeypatch.setattr(lifecycle, "BATCH", 1)
    world.records().delete_patient(record.patient_id)
    monkeypatch.setattr(storage, "copy", restored_after_two)
    world.keep_house()
    assert number > 3
    assert keys(world) == ["files", "files", "files"]
    world.assert_settled()


def test_a_document_whose_bytes_are_lost_does_not_hold_up_the_others(world: World) -> None:
    record = world.record()
    _, lost, _ = world.store(record, "a.txt", "lost.txt", "c.txt")
    [file] = [file for file in world.files() if file.id == lost]
    (world.uploads / file.file_path).unlink()
    world.records().delete_patient(record.patient_id)
    world.keep_house()
    assert keys(world) == ["trash", "files", "trash"]
    assert db.session.scalar(select(func.count(Job.id)).where(Job.kind == "move")) == 0


def test_a_document_moved_by_the_job_meanwhile_goes_to_the_trash_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, storage, moved = world.record(), world.parts.storages.default, False
    [file_id] = world.store(record, "a.txt")
    world.records().delete_patient(record.patient_id)
    world.keep_house()
    world.records().restore_patient(record.patient_id)
    copy = storage.copy

    def moved_first(key: str, new_key: str) -> object:
        nonlocal moved
        if not moved:
            moved = True
            world.keep_house()
        return copy(key, new_key)

    monkeypatch.setattr(storage, "copy", moved_first)
    assert world.documents().trash(file_id).deleted_at is not None
    world.assert_settled()


# --- for good ---------------------------------------------------------------------------------------------------------


def test_an_expired_patient_is_deleted_permanently_with_everything_below(world: World) -> None:
    patient = world.patient()
    record, gone = world.record(patient=patient), world.record("lab-result", patient)
    world.share(patient, OTTO)
    api_tokens.create(world.actor(), "For Ella", patient_id=patient.id)
    world.store(record, "a.txt", "b.txt")
    world.store(gone, "c.txt")
    world.records().delete(world.kind("lab-result"), gone.id)
    world.records().delete_patient(patient.id)
    world.keep_house()
    assert purge(world) == housekeeping.Purged(3, 2, 0, 1)
    for model in (Patient, Visit, EntityFile, PatientShare, ApiToken):
        assert db.session.scalar(select(func.count()).select_from(model)) == 0
    about = select(AuditPrivate).join(AuditEvent, AuditEvent.id == AuditPrivate.event_id)
    assert db.session.scalars(about.where(AuditEvent.patient_id == patient.id)).all() == []
    [event] = world.events(action="purge-patient")
    assert (event.patient_id, event.actor_id) == (patient.id, None)
    world.assert_settled()


def test_a_patient_that_has_not_expired_stays_whole(world: World) -> None:
    record = world.record()
    world.store(record, "a.txt")
    world.records().delete_patient(record.patient_id)
    assert purge(world, 30) == housekeeping.Purged(0, 0, 0, 0)
    world.records().restore_patient(record.patient_id)
    assert len(world.documents().recent()) == 1


def test_a_patient_is_purged_only_after_enough_rounds(world: World) -> None:
    patient = world.patient()
    world.store(world.record(patient=patient), "a.txt")
    world.records().delete_patient(patient.id)
    long_ago = now() - timedelta(days=40)
    with transaction() as session:
        row = session.get_one(Patient, patient.id)
        row.created_at, row.deleted_at = long_ago, long_ago
    assert purge(world, 30, force=False).patients == 0
    assert housekeeping.held_back(timedelta(days=30)) == 1
    with transaction() as session:
        session.add_all(HousekeepingRound() for _ in range(15))
    assert purge(world, 30, force=False).patients == 1


def test_an_impossible_deletion_time_of_a_patient_is_replaced(world: World) -> None:
    patient = world.patient()
    world.records().delete_patient(patient.id)
    with transaction() as session:
        session.get_one(Patient, patient.id).deleted_at = now() + timedelta(days=400)
    assert housekeeping.mend_deletion_times(world.parts.registry) == 1
    [found] = world.records().trashed_patients()
    assert found.deleted_at is not None
    assert found.deleted_at <= now()


def test_a_purge_goes_in_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, erase = list[int](), lifecycle.purge

    def purge_batch(registry: Registry, actor: None, files: Sequence[EntityFile]) -> Sequence[str]:
        sizes.append(len(files))
        return erase(registry, actor, files)

    monkeypatch.setattr(housekeeping, "BATCH", 2)
    monkeypatch.setattr(lifecycle, "purge", purge_batch)
    record = world.record()
    world.store(record, *["a.txt"] * 5)
    for _ in range(3):
        world.record(patient=db.session.get_one(Patient, record.patient_id))
    world.records().delete_patient(record.patient_id)
    assert purge(world) == housekeeping.Purged(5, 4, 0, 1)
    assert sizes == [2, 2, 1]


def test_a_patient_whose_purge_began_cannot_be_restored_and_is_purged_to_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, erase, calls = world.record(), lifecycle.purge, 0
    world.store(record, *["a.txt"] * 3)
    world.records().delete_patient(record.patient_id)

    def killed(*arguments: Any) -> Sequence[str]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return erase(*arguments)

    monkeypatch.setattr(housekeeping, "BATCH", 1)
    monkeypatch.setattr(lifecycle, "purge", killed)
    with pytest.raises(KeyboardInterrupt):
        purge(world)
    assert len(world.files()) == 2
    assert world.records().trashed_patients() == []
    with pytest.raises(NotFound):
        world.records().restore_patient(record.patient_id)
    assert purge(world, 30) == housekeeping.Purged(2, 1, 0, 1)
    world.assert_settled()


def test_a_patient_with_files_of_the_older_feature_is_not_purged(world: World) -> None:
    record = world.record("lab-result")
    world.older_file(record)
    world.records().delete_patient(record.patient_id)
    assert purge(world).patients == 0
    assert [patient.id for patient in world.records().trashed_patients()] == [record.patient_id]


# --- over the API -----------------------------------------------------------------------------------------------------


def test_the_api_deletes_lists_and_restores_a_patient(world: World) -> None:
    by, patient = script(world), world.patient()
    deleted = by.delete(f"/patients/{patient.id}")
    assert deleted.status_code == 200
    assert deleted.get_json()["deleted_at"] is not None
    assert by.get("/patients").get_json() == []
    assert by.get("/patients?trashed=1").get_json() == [deleted.get_json()]
    assert "already in the trash" in problem(by.delete(f"/patients/{patient.id}"), 409, "conflict")["detail"]
    restored = by.post(f"/patients/{patient.id}/restore")
    assert (restored.status_code, restored.get_json()["deleted_at"]) == (200, None)
    assert "not in the trash" in problem(by.post(f"/patients/{patient.id}/restore"), 409, "conflict")["detail"]
    assert by.get("/patients?trashed=1").get_json() == []


def test_a_token_for_another_patient_restores_nothing(world: World) -> None:
    patient, other = world.patient(), world.patient()
    by = script(world, patient_id=other.id)
    world.records().delete_patient(patient.id)
    problem(by.post(f"/patients/{patient.id}/restore"), 404, "not-found")
    assert by.get("/patients?trashed=1").get_json() == []
