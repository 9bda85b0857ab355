"""Moving: every older file becomes a document of the right record, and nothing older is changed."""

import errno
import hashlib
import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, func, select, text

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.legacy import moving
from medfiles.models import FIRST_FILE_ID, EntityFile, LabResult, LabResultFile, LegacySource
from medfiles.operations import backup, housekeeping, restore
from medfiles.sandbox.pool import Limits, Sandbox
from medfiles.storage import DiskStorage, Staged
from tests.legacy import installation
from tests.legacy.commands import (
    DOWNLOAD,
    FINDINGS,
    MISUSE,
    assert_moved,
    document_of,
    migrate,
    planted,
    run,
    said,
    url_of,
)
from tests.support.extent import Extent
from tests.support.factories import World

CLEAN = {"users": 2, "patients": 3, "results": 9, "files": 20, "faults": False}


@pytest.mark.database
def test_an_installation_of_real_size_with_every_fault_is_moved_whole(world: World, extent: Extent) -> None:
    part = extent.of(1, 10)
    sizes = {"users": 25, "patients": 73, "results": 1247 // part, "files": 3891 // part}
    older = planted(world, **sizes)
    before = installation.state(older)
    with closing(Sandbox(1, limits=Limits(jobs=sizes["files"]))) as sandbox:
        world.app.extensions["medfiles"] = replace(world.parts, sandbox=sandbox)
        result = migrate(world, "--json", "--source-timezone", "Europe/Berlin")
    assert result.exit_code == FINDINGS, result.output  # some cannot be moved
    report = said(result)
    assert report["totals"] == {
        "users": 25, "patients": 74, "lab_results": sizes["results"] + 2, "lab_result_files": sizes["files"],
    }  # fmt: skip
    assert report["moved_now"] == len(older.movable)
    assert (report["verification"]["passed"], report["verification"]["isolated"]) == (True, True)
    installation.assert_all_moved(older, url_of(world), world.uploads, ZoneInfo("Europe/Berlin"))
    assert installation.state(older) == before
    world.assert_settled()


@pytest.mark.database
def test_a_second_run_changes_nothing(world: World) -> None:
    older = planted(world)
    migrate(world)
    before = installation.moved(url_of(world), world.uploads), installation.state(older), backup_of(world)
    result = migrate(world, "--json")
    assert said(result)["moved_now"] == 0
    assert (installation.moved(url_of(world), world.uploads), installation.state(older), backup_of(world)) == before
    assert len(world.events(action="migrate")) == len(older.movable)


@pytest.mark.database
def test_dry_run_reports_everything_and_changes_nothing(world: World) -> None:
    older = planted(world)
    before = installation.state(older)
    result = migrate(world, "--dry-run", "--json")
    assert result.exit_code == FINDINGS
    found = {one["kind"]: one["numbers"] for one in said(result)["findings"]}
    for kind in (*installation.STAYS, "size", "empty", "time"):
        assert found[kind] == sorted(older.of(kind)), kind
    assert set(older.of("duplicate")) < set(found["duplicate"])
    assert set(found["name"]) == {file.id for file in older.files if file.fault == "name"}
    details = next(one["details"] for one in said(result)["findings"] if one["kind"] == "unnamed")
    assert all(any(path in words for words in details) for path in older.unnamed)
    assert said(result)["older_trash"]["files"] == len(older.trash)
    assert (installation.state(older), world.files()) == (before, [])
    assert db.session.scalar(select(LegacySource)) is None


def test_without_findings_the_exit_status_is_0(world: World) -> None:
    assert migrate(world, "--dry-run").exit_code == 0
    assert migrate(world).exit_code == 0
    planted(world, **CLEAN)
    assert migrate(world, "--dry-run").exit_code == 0
    assert migrate(world).exit_code == 0


def test_output_is_by_user_and_patient_with_names_only_on_request(world: World) -> None:
    older = planted(world, **CLEAN)
    output = migrate(world).output
    of_user = sum(file.user == 1 for file in older.files)
    of_patient = sum(file.patient == 2 for file in older.files)
    assert "2 users, 3 patients, 9 lab results, 20 files" in output
    assert f"User 1 (u…@sample.example): 2 patients, {of_user} files" in output
    assert f"Patient 2: {of_patient} files" in output
    assert f"User 1: {of_user} of {of_user} files moved" in output
    assert f"Patient 2: {of_patient} of {of_patient} files moved" in output
    assert "Isolation: no user has access to documents of another user’s patients" in output
    assert "First2" not in output
    assert "user1@" not in output
    named = migrate(world, "--names").output
    assert "User 1 (user1@sample.example)" in named
    assert "Patient 2 (First2 Sample)" in named


def test_the_report_is_saved_as_a_page_only_its_owner_can_read(world: World) -> None:
    older = planted(world)
    path = Path(said(migrate(world, "--json"))["report"])
    page = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert f"<dd>{len(older.files)}</dd>" in page
    assert "Verification passed" in page
    assert "user1@" not in page
    assert "<script" not in page


def test_details_of_the_older_row_are_kept(world: World) -> None:
    patient = world.patient()
    older = world.older_file(world.record("lab-result", patient), "../x\u202e.pdf", file_type="image/x", file_size=3)
    migrate(world)
    document = document_of(older.id)
    told = dict(document.extra or {})
    told.pop("migrated_at")
    assert told == {
        "user_id": patient.user_id, "patient_id": patient.id, "migrated_from": "lab_result_files", "old_id": older.id,
        "old_path": older.file_path, "old_type": "image/x", "old_size": 3, "old_name": "../x\u202e.pdf",
    }  # fmt: skip
    assert (document.file_name, document.file_type, document.pages) == ("x.pdf", "application/pdf", 1)


@pytest.mark.database
def test_times_are_read_in_the_zone_that_is_given(world: World) -> None:
    record = world.record("lab-result")
    summer = world.older_file(record, uploaded_at=datetime(2021, 7, 1, 12))
    twice = world.older_file(record, uploaded_at=datetime(2021, 10, 31, 2, 30))
    migrate(world, "--source-timezone", "Europe/Berlin")
    assert document_of(summer.id).uploaded_at == datetime(2021, 7, 1, 10, tzinfo=UTC)
    assert document_of(twice.id).uploaded_at == datetime(2021, 10, 31, 0, 30, tzinfo=UTC)


def test_an_unknown_time_zone_is_refused(world: World) -> None:
    assert migrate(world, "--source-timezone", "Mars/Olympus").exit_code == MISUSE


def test_another_time_zone_is_refused_after_files_were_moved(world: World) -> None:
    world.older_file(world.record("lab-result"))
    assert migrate(world, "--source-timezone", "Europe/Berlin").exit_code == 0
    result = migrate(world)
    assert (result.exit_code, "Europe/Berlin" in result.output) == (1, True)


def test_limits_and_accepted_types_do_not_apply_to_moved_files(world: World) -> None:
    record = world.record("lab-result")
    for number in range(14):
        world.older_file(record, f"{number}.txt", b"%d" % number)
    world.older_file(record, "run.sh", b"#!/bin/sh\n")
    world.older_file(record, "large.txt", b"0123456789abcdef" * (11 * 65536))
    assert migrate(world).exit_code == 0
    files = world.files()
    assert len(files) == 16
    assert {file.file_type for file in files} == {"text/plain", "application/octet-stream"}
    assert max(file.file_size for file in files) == 11 * 1024 * 1024


def test_every_older_id_still_leads_to_the_same_bytes(world: World) -> None:
    older = planted(world, users=1, results=5, files=25)
    migrate(world)
    world._users[older.emails[1]] = 1
    client = world.client(older.emails[1])
    for file in older.movable:
        answer = client.get(DOWNLOAD.format(file.id), buffered=True)
        assert (answer.status_code, hashlib.sha256(answer.data).hexdigest()) == (200, file.sha256)


def test_files_that_cannot_be_moved_are_still_listed(world: World) -> None:
    record = world.record("lab-result")
    lost, good = world.older_file(record, "Lost.txt"), world.older_file(record, "Good.txt")
    (world.uploads / lost.file_path).unlink()
    result = migrate(world)
    assert (result.exit_code, "missing (cannot be moved): 1" in result.output) == (FINDINGS, True)
    listed = world.client().get(f"/api/v1/lab-result/{record.id}/files").json or []
    assert {file["id"] for file in listed} == {lost.id, document_of(good.id).id}
    (world.uploads / lost.file_path).write_bytes(b"found again")
    assert migrate(world).exit_code == 0
    assert document_of(lost.id).file_size == 11


@pytest.mark.database
def test_files_of_a_trashed_lab_result_are_trashed_and_restored_with_it(world: World) -> None:
    record = world.record("lab-result")
    older = world.older_file(record)
    world.records().delete(world.kind("lab-result"), record.id)
    assert migrate(world).exit_code == 0
    document = document_of(older.id)
    assert document.deleted_at == db.session.get_one(LabResult, record.id).deleted_at
    assert document.file_path.startswith("trash/")
    assert world.records().restore(world.kind("lab-result"), record.id)[1] == 1
    assert document_of(older.id).deleted_at is None
    world.assert_settled()


def test_files_moved_into_the_trash_stay_there_for_the_whole_period(world: World) -> None:
    record = world.record("lab-result")
    older = world.older_file(record)
    world.records().delete(world.kind("lab-result"), record.id)
    db.session.get_one(LabResult, record.id).deleted_at = now() - timedelta(days=90)
    db.session.commit()
    migrate(world)
    world.keep_house()
    assert document_of(older.id).deleted_at is not None
    assert (world.uploads / older.file_path).exists()
    assert housekeeping.due(now() - timedelta(days=30)) == []
    assert [file.legacy_id for file, _ in housekeeping.due(now() + timedelta(seconds=1))] == [older.id]


def test_each_moved_document_has_an_audit_event(world: World) -> None:
    record = world.record("lab-result")
    older = world.older_file(record)
    migrate(world)
    [event] = world.events(action="migrate")
    assert (event.file_id, event.patient_id, event.actor_id) == (document_of(older.id).id, record.patient_id, None)
    page = world.client().get(f"/patients/{record.patient_id}/activity").text
    assert "from the previous lab results" in page


def backup_of(world: World) -> dict[str, bytes]:
    db.session.rollback()
    place = Path(db.session.scalars(select(LegacySource.backup)).one() or "").parent
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_the_backup_holds_every_file_and_passes_its_check(world: World) -> None:
    older = planted(world)
    place = Path(said(migrate(world, "--json"))["backup"])
    assert list(backup.check(place.parent, place.name)) == []
    kept = {entry.key: entry.sha256 for entry in backup.entries(place.parent, place.name)}
    assert older.trash.items() <= kept.items()
    assert set(older.unnamed) < set(kept)
    assert {file.sha256 for file in older.files if file.sha256} <= set(kept.values())


def test_restored_backup_is_the_state_before_the_move(world: World, make_world: Callable[..., World]) -> None:
    older, added = planted(world), world.attach(world.record(), "New.txt")
    place = Path(said(migrate(world, "--json"))["backup"])
    other = make_world()
    known = db.session.scalars(text("SELECT version_num FROM alembic_version")).all()
    db.session.rollback()
    target = restore.Target(Path(other.app.instance_path), "its own", False, known)
    restore.restore(other.parts.storages, target, place.parent, place.name)
    assert [file.id for file in other.files()] == [added.id]
    assert db.session.scalar(select(func.count(LabResultFile.id))) == len(older.files)
    files = {path: sha256 for path, sha256 in installation.state(older)["files"].items() if len(sha256) == 64}
    assert {path: hashlib.sha256((other.uploads / path).read_bytes()).hexdigest() for path in files} == files


@pytest.mark.database
def test_the_backed_up_database_is_as_it_was_before(world: World) -> None:
    older = planted(world)
    place = Path(said(migrate(world, "--json"))["backup"]) / "database"
    if db.engine.dialect.name == "postgresql":
        listed = subprocess.run(["pg_restore", "--list", place], capture_output=True, text=True, check=True).stdout
        assert "lab_result_files" in listed
        return
    engine = create_engine(f"sqlite:///{place}")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM lab_result_files")) == len(older.files)
        assert connection.scalar(text("SELECT COUNT(*) FROM entity_files")) == 0
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
    engine.dispose()


def test_an_interrupted_backup_is_completed_by_the_next_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(world, **CLEAN)

    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(backup, "write_private", full)
        result = migrate(world)
    assert (result.exit_code, "No space left on device" in result.output) == (1, True)
    assert world.files() == []
    assert migrate(world).exit_code == 0
    assert len([name for name in backup_of(world) if name.startswith("objects/")]) == 20


def test_without_disk_space_nothing_is_moved(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(world, **CLEAN)
    monkeypatch.setattr("medfiles.storage.durable.SPARE", 2**62)
    result = migrate(world)
    assert (result.exit_code, "bytes free" in result.output) == (1, True)
    assert world.files() == []


def test_the_backup_goes_to_the_given_folder(world: World, tmp_path: Path) -> None:
    planted(world, **CLEAN)
    place = Path(said(migrate(world, "--json", "--backup", str(tmp_path / "safe")))["backup"])
    assert place.parent == tmp_path / "safe"
    assert (place / backup.MANIFEST).is_file()


@pytest.mark.database
def test_without_pg_dump_only_sqlite_databases_are_moved(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(world, **CLEAN)
    monkeypatch.setenv("PATH", "")
    result = migrate(world)
    if db.engine.dialect.name == "sqlite":
        assert result.exit_code == 0
        return
    assert (result.exit_code, "postgresql-client" in result.output) == (1, True)
    assert world.files() == []


@pytest.mark.database
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sha256": "0" * 64}, "has different content from when it was moved"),
        ({"file_path": "files/lab-results/00000000-0000-4000-8000-000000000000.txt"}, "cannot be read"),
        ({"category": "other", "entity_type": "visit"}, "belongs to a different"),
    ],
)
def test_verification_finds_altered_documents(world: World, change: dict[str, str], words: str) -> None:
    older = world.older_file(world.record("lab-result"), "Note.txt")
    assert migrate(world).exit_code == 0
    for name, value in change.items():
        setattr(document_of(older.id), name, value)
    db.session.commit()
    result = migrate(world)
    assert (result.exit_code, words in result.output) == (FINDINGS, True)
    assert "Verification FAILED" in result.output
    assert migrate(world, "--finish").exit_code == FINDINGS


@pytest.mark.database
def test_verification_finds_a_document_of_the_wrong_patient(world: World) -> None:
    older = world.older_file(world.record("lab-result"), "Note.txt")
    other = world.record("lab-result", email="otto@sample.example")
    migrate(world)
    document = document_of(older.id)
    document.patient_id, document.entity_id = other.patient_id, other.id
    db.session.commit()
    output = migrate(world).output
    assert f"File {older.id} belongs to a different lab result, patient or user than before." in output


@pytest.mark.database
def test_verification_finds_accounts_that_reach_too_much(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = world.record("lab-result")
    world.older_file(record, "Note.txt")
    world.share(world.records().patient(record.patient_id).patient, "otto@sample.example", "view", now())  # it is over
    monkeypatch.setattr("medfiles.permissions.patients_for", lambda actor: select(LabResult.patient_id))
    result = migrate(world)
    assert (result.exit_code, "has access to 1 documents of other users’ patients" in result.output) == (1, True)


def test_an_account_with_a_share_is_no_leak(world: World) -> None:
    record = world.record("lab-result")
    world.older_file(record)
    world.share(world.records().patient(record.patient_id).patient, "otto@sample.example")
    assert migrate(world).exit_code == 0


def test_an_unreadable_file_does_not_stop_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = world.record("lab-result")
    bad, good = world.older_file(record, "Bad.txt", b"bad"), world.older_file(record, "Good.txt", b"good")
    name = Path(bad.file_path).name

    def breaking(inner: Any) -> Any:
        def broken(path: Any, *arguments: Any, **options: Any) -> Any:
            if Path(path).name == name:
                raise OSError(errno.EIO, "Input/output error")
            return inner(path, *arguments, **options)

        return broken

    with monkeypatch.context() as disk:
        disk.setattr(Path, "open", breaking(Path.open))
        disk.setattr(os, "open", breaking(os.open))
        result = migrate(world, "--json")
    assert result.exit_code == FINDINGS
    found = {one["kind"]: (one["numbers"], len(one["details"])) for one in said(result)["findings"]}
    assert found == {"unreadable": ([bad.id], 0), "not-backed-up": ([], 1)}
    assert [file.legacy_id for file in world.files()] == [good.id]
    assert migrate(world).exit_code == 0


@pytest.mark.database
def test_a_row_that_cannot_be_stored_does_not_stop_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record, real = world.record("lab-result"), moving.Mover.row
    bad = world.older_file(record, "Bad.txt")
    good = [world.older_file(record, f"{number}.txt") for number in range(4)]

    def row(mover: moving.Mover, old: Any, *rest: Any) -> EntityFile:
        made = real(mover, old, *rest)
        made.patient_id = 999_999 if old.id == bad.id else made.patient_id
        return made

    monkeypatch.setattr(moving.Mover, "row", row)
    result = migrate(world, "--json")
    assert [one["numbers"] for one in said(result)["findings"] if one["kind"] == "unreadable"] == [[bad.id]]
    assert {file.legacy_id for file in world.files()} == {file.id for file in good}
    world.assert_settled()


def test_bytes_that_read_back_differently_stop_the_move(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.older_file(world.record("lab-result"))
    storage, opened = world.parts.storages.default, world.parts.storages.default.open
    monkeypatch.setattr(storage, "open", lambda key: iter([*opened(key), b"!"]))
    result = migrate(world)
    assert (result.exit_code, "differs from what was read" in result.output) == (1, True)
    monkeypatch.undo()
    assert world.files() == []
    world.assert_settled()


@pytest.mark.parametrize(("owner", "name"), [(Staged, "write"), (Staged, "finish"), (DiskStorage, "_publish")])
def test_run_continues_after_a_full_disk(world: World, monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    older, calls, inner = planted(world), 0, getattr(owner, name)
    before = installation.state(older)

    def full(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 25:
            raise OSError(errno.ENOSPC, "No space left on device")
        return inner(*arguments)

    with monkeypatch.context() as disk:
        disk.setattr(owner, name, full)
        result = migrate(world, "--batch", "5")
    assert (result.exit_code, "Traceback" in result.output, len(world.files()) < len(older.movable)) == (1, False, True)
    for left in (world.uploads / "staged").glob("*"):
        left.unlink()  # housekeeping clears them by age
    world.sweep(at=installation.LATER)
    world.assert_settled()
    migrate(world)
    assert_moved(older, world)
    assert installation.state(older) == before


@pytest.mark.database
def test_documents_can_be_added_during_the_move(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    older, record, visit = planted(world), world.record("lab-result"), world.record()
    inner, added = moving.Mover._store, list[int]()

    def store(mover: moving.Mover, prepared: Any) -> None:
        def attach() -> None:
            with world.app.app_context():
                added.append(world.attach(visit, f"{len(added)}.txt").id)

        if len(added) < 3:
            thread = threading.Thread(target=attach)
            thread.start()
            thread.join(30)
        inner(mover, prepared)

    monkeypatch.setattr(moving.Mover, "_store", store)
    migrate(world, "--batch", "10")
    assert len(added) == 3
    assert world.client().get(f"/api/v1/lab-result/{record.id}/files").status_code == 200
    assert {file.id for file in world.files() if file.legacy_id is None} == set(added)
    assert_moved(older, world)
    world.assert_settled()


@pytest.mark.database
def test_lab_result_trashed_during_the_move_takes_its_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    record = world.record("lab-result")
    older, inner, done = world.older_file(record), moving.Mover._store, list[Any]()

    def store(mover: moving.Mover, prepared: Any) -> None:
        if not done:
            done.append(world.records().delete(world.kind("lab-result"), record.id))
        inner(mover, prepared)

    monkeypatch.setattr(moving.Mover, "_store", store)
    assert migrate(world).exit_code == 0
    assert document_of(older.id).deleted_at == db.session.get_one(LabResult, record.id).deleted_at
    world.assert_settled()


def test_only_one_move_or_rollback_runs_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(world, **CLEAN)
    statuses, inner = [], moving.Mover.move

    def move(mover: moving.Mover, numbers: Any) -> int:
        statuses.append((run(world, "rollback-lab-results").exit_code, migrate(world).exit_code))
        return inner(mover, numbers)

    monkeypatch.setattr(moving.Mover, "move", move)
    assert migrate(world, "--batch", "1000").exit_code == 0
    assert set(statuses) == {(1, 1)}


def test_older_ids_never_collide_with_document_ids(world: World) -> None:
    older = planted(world)
    migrate(world)
    assert min(file.id for file in world.files()) >= FIRST_FILE_ID
    assert older.of("number") == [one.id for one in db.session.scalars(select(LabResultFile)) if one.id > FIRST_FILE_ID]
