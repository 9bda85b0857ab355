"""Times that a wrong clock stored stop nothing, hide nothing and keep nothing open."""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.audit import chain
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict, NotFound
from medfiles.jobs import last_runs
from medfiles.jobs import queue as jobs
from medfiles.models import (
    ApiToken,
    CancelledUpload,
    EntityFile,
    FixityFinding,
    Job,
    Patient,
    PatientShare,
    Session,
)
from medfiles.operations import backup, housekeeping, integrity, scanning
from medfiles.operations import status as operation_status
from medfiles.operations import worker as operation_worker
from medfiles.permissions import Action, level_for, patients_for
from medfiles.previews import cache
from medfiles.records.sharing import ShareService
from medfiles.storage import journal, live_key
from tests.support.clocks import RIGHT, YEAR, SetClock
from tests.support.factories import World

pytestmark = pytest.mark.database

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
INTERVALS = {name: handler.every for name, handler in operation_worker.HANDLERS.items() if handler.every}


def run_due(world: World) -> None:
    """Run what is due, as a worker does that has been running for long."""
    while operation_worker.run_next(world.app) is not None:
        pass


def due_at(kind: str) -> datetime:
    db.session.rollback()
    due = db.session.scalar(select(Job.due_at).where(Job.kind == kind))
    assert due
    return due


# --- recurring jobs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", INTERVALS)
def test_recurring_jobs_run_after_the_clock_was_a_year_ahead(world: World, set_clock: SetClock, kind: str) -> None:
    set_clock(YEAR)
    world.keep_house()
    set_clock(RIGHT)
    run_due(world)
    assert INTERVALS[kind] - MINUTE < due_at(kind) - now() <= INTERVALS[kind]


def test_a_claim_with_a_lease_a_year_ahead_has_expired(world: World, set_clock: SetClock) -> None:
    with transaction():
        jobs.enqueue(jobs.WARM, 7)
    set_clock(YEAR)
    assert jobs.claim([jobs.WARM])
    set_clock(RIGHT)
    assert jobs.claim([jobs.WARM])


def test_a_recurring_job_due_further_ahead_than_its_interval_is_made_due(world: World) -> None:
    operation_worker.schedule_recurring()
    shift(Job, due_at=50 * MINUTE)
    with transaction() as session:
        session.execute(update(Job).where(Job.kind == "clock").values(due_at=now()))
    run_due(world)
    assert due_at("rescan") < now() + 31 * MINUTE  # its interval is half an hour
    assert due_at("sweep") > now() + 49 * MINUTE


def test_a_job_that_failed_waits_for_its_turn(world: World) -> None:
    operation_worker.schedule_recurring()
    shift(Job, due_at=50 * MINUTE)
    with transaction() as session:
        session.execute(update(Job).values(failure="ScannerUnreachable"))
        jobs.limit_wait("rescan", 30 * MINUTE)
    assert due_at("rescan") > now() + 49 * MINUTE


def test_jobs_and_objects_with_leases_a_year_ahead_count_as_due(world: World, set_clock: SetClock) -> None:
    set_clock(YEAR)
    with transaction():
        jobs.enqueue(jobs.WARM, 7)
    assert jobs.claim([jobs.WARM])
    journal.expect("disk", [live_key("visits", ".txt")])
    set_clock(RIGHT)
    found = operation_status.measure(world.parts)
    assert (found.jobs.held, found.journal.overdue) == (0, 1)


def test_work_that_began_a_year_ahead_is_claimed_when_the_clock_is_right(world: World, set_clock: SetClock) -> None:
    set_clock(YEAR)
    assert last_runs.claim("verify", DAY)
    set_clock(RIGHT)
    assert last_runs.claim("verify", DAY)
    assert not last_runs.claim("verify", DAY)


def test_documents_checked_a_year_ahead_are_checked_again(world: World, set_clock: SetClock) -> None:
    [lost] = world.store(world.record(), "a.txt")
    set_clock(YEAR)
    integrity.verify_deep(world.parts.storages)
    set_clock(RIGHT)
    assert integrity.verify_deep(world.parts.storages).read == 1
    assert integrity.verify_deep(world.parts.storages, before=now() - DAY).read == 0


def test_a_finding_of_a_year_ahead_goes_when_its_object_is_there(world: World, set_clock: SetClock) -> None:
    [lost] = world.store(world.record(), "a.txt")
    path = world.uploads / db.session.get_one(EntityFile, lost).file_path
    path.rename(path.with_name("aside"))
    set_clock(YEAR)
    integrity.verify(world.parts.storages)
    set_clock(RIGHT)
    path.with_name("aside").rename(path)
    integrity.verify(world.parts.storages)
    assert db.session.scalar(select(func.count(FixityFinding.id))) == 0


def test_documents_scanned_a_year_ahead_are_due_again(world: World, set_clock: SetClock) -> None:
    world.store(world.record(), "a.txt", scan="waiting", scanned_at=now() + YEAR)
    assert db.session.scalars(select(EntityFile.id).where(scanning._due(now() - scanning.RETRY_AFTER))).all()


# --- objects and uploads --------------------------------------------------------------------------------------------


def test_an_upload_interrupted_a_year_ahead_is_swept(world: World, set_clock: SetClock) -> None:
    storage, key = world.parts.storages.default, live_key("visits", ".txt")
    set_clock(YEAR)
    journal.expect(storage.name, [key])
    staged = storage.stage(10)
    staged.write(b"left")
    storage.commit(staged, key)
    set_clock(RIGHT)
    for _ in range(2):
        world.sweep()
    world.assert_settled()


def test_a_file_staged_a_year_ahead_is_removed_in_a_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = world.parts.storages.default
    staged = storage.stage(10)
    staged.finish()
    os.utime(staged.path, (time.time() + YEAR.total_seconds(),) * 2)
    assert storage.clear_staged(DAY.total_seconds()) == 0
    real = time.time
    monkeypatch.setattr("time.time", lambda: real() + 2 * DAY.total_seconds())
    assert storage.clear_staged(DAY.total_seconds()) == 1


def test_a_document_added_a_year_ahead_cannot_be_cancelled(world: World, set_clock: SetClock) -> None:
    record = world.record()
    file = world.attach(record, "a.txt", idempotency_key="key")
    with transaction() as session:
        session.execute(update(EntityFile).where(EntityFile.id == file.id).values(uploaded_at=now() + YEAR))
    with pytest.raises(Conflict):
        world.documents().cancel(world.kind(), record.id, "key")


def test_a_mark_of_a_year_ahead_is_kept_for_a_day(world: World, set_clock: SetClock) -> None:
    with transaction() as session:
        session.add(CancelledUpload(user_id=world.user().id, idempotency_key="key", at=now() + YEAR))
    housekeeping.forget_cancelled(now() - DAY)
    assert db.session.scalar(select(func.count(CancelledUpload.id))) == 1
    set_clock(2 * DAY)
    housekeeping.forget_cancelled(now() - DAY)
    assert db.session.scalar(select(func.count(CancelledUpload.id))) == 0


def test_a_preview_begun_a_year_ahead_is_not_in_progress(world: World, set_clock: SetClock) -> None:
    key = "previews/11111111-1111-4111-8111-111111111111.png"
    set_clock(YEAR)
    assert cache.claim("disk", key)
    assert cache.is_in_progress(key)
    set_clock(RIGHT)
    assert not cache.is_in_progress(key)


# --- the audit log --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/documents/files/{}/download", "/documents/files/{}/preview"])
def test_a_read_is_recorded_after_one_a_year_ahead(world: World, set_clock: SetClock, path: str) -> None:
    [file] = world.store(world.record(), "a.txt")
    for ahead, count in ((YEAR, 1), (RIGHT, 2), (RIGHT, 2)):
        set_clock(ahead)
        with world.client().get(path.format(file)) as response:
            assert response.status_code == 200
        reads = [event for event in world.events(file_id=file) if event.action in ("download", "preview")]
        assert len(reads) == count


def test_a_refusal_is_recorded_after_one_a_year_ahead(world: World, set_clock: SetClock) -> None:
    [file] = world.store(world.record(), "a.txt")
    for ahead, count in ((YEAR, 1), (RIGHT, 2), (RIGHT, 2)):
        set_clock(ahead)
        with pytest.raises(NotFound):
            world.documents("vera@sample.example").get(file)
        assert len(world.events(file_id=file, outcome="refused")) == count


def test_many_reads_are_recorded_after_ones_a_year_ahead(world: World, set_clock: SetClock) -> None:
    record = world.record()
    ids = world.store(record, "a.txt", "b.txt")
    for ahead, count in ((YEAR, 2), (RIGHT, 4), (RIGHT, 4)):
        set_clock(ahead)
        world.bulk().open_many(world.kind(), record.id, ids)
        assert len([event for event in world.events() if event.action == "download"]) == count


def test_an_event_of_a_year_ahead_that_was_never_sealed_is_found(world: World, set_clock: SetClock) -> None:
    world.record()
    chain.seal(world.parts.sealer)
    set_clock(YEAR)
    world.record()
    set_clock(RIGHT)
    finding = chain.verify(world.parts.sealer)
    assert finding
    assert finding.kind == "not-sealed"


# --- sessions, tokens, shares ---------------------------------------------------------------------------------------


def shift(model: Any, **columns: timedelta) -> None:
    with transaction() as session:
        session.execute(update(model).values({name: now() + ahead for name, ahead in columns.items()}))


@pytest.mark.parametrize("column", ["seen_at", "created_at"])
@pytest.mark.parametrize(("ahead", "status"), [(4 * MINUTE, 200), (6 * MINUTE, 302), (YEAR, 302)])
def test_a_session_of_a_clock_ahead_is_refused(world: World, column: str, ahead: timedelta, status: int) -> None:
    client = world.client()
    shift(Session, **{column: ahead})
    assert client.get("/").status_code == status
    found = accounts.sessions(world.actor(), world.parts.idle, world.parts.longest)
    assert len(found) == (status == 200)


def test_sessions_of_a_clock_ahead_are_cleared(world: World) -> None:
    world.client()
    shift(Session, seen_at=YEAR, created_at=YEAR)
    assert accounts.clear_sessions(world.parts.idle, world.parts.longest) == 1


@pytest.mark.parametrize("column", ["created_at", "used_at"])
@pytest.mark.parametrize(("ahead", "known"), [(4 * MINUTE, True), (6 * MINUTE, False), (YEAR, False)])
def test_a_token_of_a_clock_ahead_is_refused(world: World, column: str, ahead: timedelta, known: bool) -> None:
    _, text = api_tokens.create(world.actor(), "Backup", lifetime=30 * DAY)
    shift(ApiToken, **{column: ahead})
    assert (api_tokens.authenticate(text) is not None) == known


@pytest.mark.parametrize(("ahead", "level"), [(4 * MINUTE, Action.VIEW), (YEAR, None)])
def test_a_share_with_an_end_counts_only_between_start_and_end(
    world: World, ahead: timedelta, level: Action | None
) -> None:
    patient = world.patient()
    world.share(patient, "vera@sample.example", expires_at=now() + 30 * DAY)
    shift(PatientShare, created_at=ahead, expires_at=ahead + 30 * DAY)
    assert level_for(world.actor("vera@sample.example"), patient.id) == level
    shared = select(Patient.id).where(Patient.id.in_(patients_for(world.actor("vera@sample.example"))))
    assert list(db.session.scalars(shared)) == ([patient.id] if level else [])


def test_a_share_without_an_end_does_not_depend_on_the_clock(world: World) -> None:
    patient = world.patient()
    world.share(patient, "vera@sample.example")
    shift(PatientShare, created_at=YEAR)
    assert level_for(world.actor("vera@sample.example"), patient.id) == Action.VIEW


def test_sharing_again_begins_a_share_of_a_clock_ahead(world: World) -> None:
    patient = world.patient()
    world.share(patient, "vera@sample.example", expires_at=now() + 30 * DAY)
    shift(PatientShare, created_at=YEAR, expires_at=YEAR + 30 * DAY)
    assert "Expired" in world.client().get(f"/patients/{patient.id}/people").text
    shares = ShareService(world.actor(), world.parts.registry, world.parts.storages)
    shares.grant(patient.id, "vera@sample.example", "view", now() + 30 * DAY)
    assert level_for(world.actor("vera@sample.example"), patient.id) == Action.VIEW
    assert "Expired" not in world.client().get(f"/patients/{patient.id}/people").text


def test_the_account_page_says_which_token_a_wrong_clock_made_useless(world: World) -> None:
    api_tokens.create(world.actor(), "Backup")
    assert "clock was wrong" not in world.client().get("/account").text
    shift(ApiToken, used_at=YEAR)
    assert "clock was wrong" in world.client().get("/account").text


# --- backups --------------------------------------------------------------------------------------------------------


def test_a_backup_of_a_year_ahead_does_not_displace_later_ones(
    world: World, set_clock: SetClock, tmp_path: Path
) -> None:
    names = []
    for ahead in (RIGHT, YEAR, RIGHT):
        set_clock(ahead)
        names.append(backup.back_up(world.parts.storages, tmp_path, "key").name)
    assert backup.newest(tmp_path) == names[2]
    backup.thin_out(tmp_path, 2)
    assert backup.whole(tmp_path) == [names[0], names[2]]
