"""A patient is deleted permanently on request: at once for the one who asks, in batches by a job."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from medfiles.database.session import db
from medfiles.errors import Conflict, Forbidden, NotFound
from medfiles.models import AuditEvent, AuditPrivate, EntityFile, Job, Patient, PatientShare, Visit
from medfiles.operations import housekeeping, worker
from medfiles.storage import journal
from tests.support.api_client import problem, script
from tests.support.factories import World

pytestmark = pytest.mark.database
OTTO = "otto@sample.example"


def rows(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def run_jobs(world: World) -> None:
    db.session.rollback()
    while worker.run_next(world.app) is not None:
        db.session.rollback()


def test_everything_below_is_deleted_by_a_job(world: World) -> None:
    kept, patient_id = world.record(), world.patient(first_name="Theo").id
    patient = db.session.get_one(Patient, patient_id)
    world.store(kept, "kept.txt")
    record, gone = world.record(patient=patient), world.record(patient=patient)
    world.share(patient, OTTO)
    world.store(record, "a.txt", "b.txt")
    world.store(gone, "c.txt")
    world.records().delete(world.kind(), gone.id)
    world.records().delete_patient(patient_id)
    world.records().purge_patient(patient_id)
    assert world.records().trashed_patients() == []
    with pytest.raises(NotFound):
        world.records().restore_patient(patient_id)
    run_jobs(world)
    assert [rows(model) for model in (Patient, Visit, EntityFile, PatientShare)] == [1, 1, 1, 0]
    about = select(AuditPrivate).join(AuditEvent, AuditEvent.id == AuditPrivate.event_id)
    assert db.session.scalars(about.where(AuditEvent.patient_id == patient_id)).all() == []
    asked, done = world.events(action="purge-patient")
    assert (asked.actor_id, done.actor_id) == (world.user().id, None)
    world.assert_settled()


def test_only_the_owner_deletes_a_patient_permanently_and_only_from_the_trash(world: World) -> None:
    patient = world.patient()
    world.share(patient, OTTO, "edit")
    with pytest.raises(Conflict, match="Only patients in the trash"):
        world.records().purge_patient(patient.id)
    with pytest.raises(Forbidden):
        world.records(OTTO).purge_patient(patient.id)
    world.records().delete_patient(patient.id)
    with pytest.raises(NotFound):
        world.records(OTTO).purge_patient(patient.id)
    assert world.records().restore_patient(patient.id).deleted_at is None


def test_a_patient_with_files_of_the_older_feature_is_kept(world: World) -> None:
    record = world.record("lab-result")
    world.older_file(record)
    world.records().delete_patient(record.patient_id)
    with pytest.raises(Conflict, match="previous lab results"):
        world.records().purge_patient(record.patient_id)
    assert [patient.id for patient in world.records().trashed_patients()] == [record.patient_id]


def test_a_job_that_runs_twice_does_nothing_the_second_time(world: World) -> None:
    record = world.record()
    world.store(record, "a.txt")
    world.records().delete_patient(record.patient_id)
    parts = world.parts
    assert housekeeping.purge_patient(parts.registry, parts.storages, record.patient_id) == housekeeping.Purged(0, 0, 0)
    world.records().purge_patient(record.patient_id)
    results = [housekeeping.purge_patient(parts.registry, parts.storages, record.patient_id) for _ in range(2)]
    assert results == [housekeeping.Purged(1, 1, 0, 1), housekeeping.Purged(0, 0, 0)]


def test_an_interrupted_deletion_is_continued_by_the_next_round(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = world.record()
    world.store(record, *(f"{number}.txt" for number in range(5)))
    world.records().delete_patient(record.patient_id)
    world.records().purge_patient(record.patient_id)
    with monkeypatch.context() as patched:
        patched.setattr(housekeeping, "BATCH", 2)
        patched.setattr(journal, "remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            housekeeping.purge_patient(world.parts.registry, world.parts.storages, record.patient_id)
    assert rows(EntityFile) == 3
    housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta(days=30))
    assert (rows(EntityFile), rows(Patient)) == (0, 0)
    run_jobs(world)
    assert db.session.scalars(select(Job.id).where(Job.kind == "purge-patient")).all() == []
    world.sweep()
    world.assert_settled()


def test_the_api_deletes_a_patient_permanently(world: World) -> None:
    by, patient = script(world), world.patient()
    refused = problem(by.post(f"/patients/{patient.id}/purge"), 409, "conflict")
    assert "Move this patient to trash first" in refused["detail"]
    by.delete(f"/patients/{patient.id}")
    assert by.post(f"/patients/{patient.id}/purge").status_code == 204
    assert by.get("/patients?trashed=1").get_json() == []
    problem(by.post(f"/patients/{patient.id}/purge"), 404, "not-found")
