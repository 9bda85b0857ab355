"""Rollback, finishing, and permanent deletion of moved documents."""

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from medfiles.database.session import db
from medfiles.errors import StorageError
from medfiles.legacy.folder import folder_of
from medfiles.models import LabResultFile, LegacyId, LegacySource
from medfiles.operations import housekeeping
from tests.legacy import installation
from tests.legacy.commands import (
    DOWNLOAD,
    FINDINGS,
    MISUSE,
    assert_moved,
    document_of,
    migrate,
    planted,
    roll_back,
    said,
)
from tests.support.factories import World


@pytest.fixture
def lab(world: World) -> Any:
    return world.record("lab-result")


def rows() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(LabResultFile.id))) or 0


def delete_for_ever(world: World, number: int) -> None:
    file = document_of(number).id
    world.documents().trash(file)
    world.documents().purge(file)


# --- taken back --------------------------------------------------------------------------------------------------


def test_rollback_restores_the_state_before_the_move(world: World) -> None:
    older = planted(world)
    before = installation.state(older)
    migrate(world)
    result = roll_back(world, "--json")
    assert (result.exit_code, said(result)["documents"]) == (0, len(older.movable))
    assert (world.files(), installation.state(older)) == ([], before)
    assert db.session.scalar(select(func.count(LegacyId.old_id))) == 0
    assert db.session.scalar(select(LegacySource)) is None
    world.assert_settled()


@pytest.mark.database
def test_moving_again_after_a_rollback(world: World) -> None:
    older = planted(world)
    for _ in range(2):
        migrate(world)
        assert_moved(older, world)
        assert roll_back(world).exit_code == 0
    migrate(world)
    assert_moved(older, world)
    world.assert_settled()


def test_a_second_rollback_changes_nothing(world: World, lab: Any) -> None:
    world.older_file(lab)
    migrate(world)
    roll_back(world)
    result = roll_back(world, "--json")
    assert (result.exit_code, said(result)["documents"]) == (0, 0)


def test_rollback_keeps_documents_added_since(world: World, lab: Any) -> None:
    world.older_file(lab)
    migrate(world)
    added = world.attach(lab, "New.pdf").id
    roll_back(world)
    assert [file.id for file in world.files()] == [added]


@pytest.mark.database
def test_rollback_reports_changes_made_since(world: World, lab: Any) -> None:
    changed, trashed, same = (world.older_file(lab, f"{number}.txt", b"%d" % number) for number in range(3))
    migrate(world)
    world.documents().edit(document_of(changed.id).id, {"file_name": "Other", "description": "New words"})
    world.documents().trash(document_of(trashed.id).id)
    lost = said(roll_back(world, "--json"))["lost"]
    assert [words.split(" document ")[0] for words in lost] == [
        f"Old file {changed.id}: changes made to the name and description of",
        f"Old file {trashed.id} was in the trash as",
    ]
    listed = world.client().get(f"/api/v1/lab-result/{lab.id}/files").json or []
    assert {file["id"] for file in listed} == {changed.id, trashed.id, same.id}


def test_rollback_keeps_documents_whose_older_file_was_altered(world: World, lab: Any) -> None:
    altered, gone, good = (world.older_file(lab, f"{number}.txt", b"%d" % number) for number in range(3))
    migrate(world)
    (world.uploads / altered.file_path).write_bytes(b"altered")
    (world.uploads / gone.file_path).unlink()
    result = roll_back(world, "--json")
    assert (result.exit_code, said(result)["documents"], len(said(result)["kept"])) == (FINDINGS, 1, 2)
    assert {file.legacy_id for file in world.files()} == {altered.id, gone.id}
    assert world.client().get(DOWNLOAD.format(good.id), buffered=True).data == b"2"
    assert world.client().get(DOWNLOAD.format(gone.id), buffered=True).data == b"1"


def test_rollback_keeps_documents_moved_to_another_record(world: World, lab: Any) -> None:
    moved, back = (world.older_file(lab, f"{number}.txt", b"%d" % number) for number in range(2))
    migrate(world)
    visit, ids = world.record("visit", world.patient()), [document_of(one.id).id for one in (moved, back)]
    world.moving().move_many(ids, world.kind(), visit.id)
    world.moving().take_back(ids[1])
    assert len(said(roll_back(world, "--json"))["kept"]) == 1
    assert [(file.id, file.entity_type) for file in world.files()] == [(ids[0], "visit")]


def test_rollback_deletes_previews(world: World, lab: Any) -> None:
    world.older_file(lab)
    migrate(world)
    housekeeping.warm(world.previews().renderer)
    assert roll_back(world).exit_code == 0
    world.assert_settled()
    assert not list((world.uploads / "previews").rglob("*.webp"))


def test_rollback_is_audited(world: World, lab: Any) -> None:
    world.older_file(lab)
    migrate(world)
    roll_back(world)
    [event] = world.events(action="rollback")
    assert event.patient_id == lab.patient_id


# --- deleted for ever --------------------------------------------------------------------------------------------


@pytest.mark.database
def test_permanent_deletion_deletes_the_older_file(world: World, lab: Any) -> None:
    older, other = world.older_file(lab), world.older_file(lab)
    migrate(world)
    delete_for_ever(world, older.id)
    assert not (world.uploads / older.file_path).exists()
    assert (world.uploads / other.file_path).exists()
    assert rows() == 1
    assert world.client().get(DOWNLOAD.format(older.id)).status_code == 404
    world.assert_settled()


@pytest.mark.database
def test_permanently_deleted_documents_are_not_moved_again(world: World, lab: Any) -> None:
    older, other = world.older_file(lab), world.older_file(lab)
    migrate(world)
    delete_for_ever(world, older.id)
    assert migrate(world).exit_code == 0
    assert roll_back(world).exit_code == 0
    assert migrate(world).exit_code == 0
    assert [file.legacy_id for file in world.files()] == [other.id]


def test_expiry_deletes_the_older_file(world: World, lab: Any) -> None:
    older = world.older_file(lab)
    migrate(world)
    world.documents().trash(document_of(older.id).id)
    housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta())
    assert (rows(), (world.uploads / older.file_path).exists()) == (0, False)
    world.assert_settled()


@pytest.mark.parametrize("spelled", ["{path}", "uploads/{path}", "{name}"])
def test_a_shared_older_file_stays_until_the_last_row_is_deleted(world: World, lab: Any, spelled: str) -> None:
    first = world.older_file(lab, "Note.txt", b"shared")
    path = first.file_path
    second = world.older_file(lab, "Copy.txt", b"", file_path=spelled.format(path=path, name=Path(path).name))
    migrate(world)
    delete_for_ever(world, first.id)
    assert (world.uploads / path).read_bytes() == b"shared"
    assert world.client().get(DOWNLOAD.format(second.id), buffered=True).data == b"shared"
    delete_for_ever(world, second.id)
    assert not (world.uploads / path).exists()
    world.assert_settled()


def test_sweep_deletes_an_older_file_left_behind(world: World, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    older = world.older_file(lab)
    migrate(world)

    def broken(key: str) -> None:
        raise StorageError()

    with monkeypatch.context() as locked:
        locked.setattr(folder_of(world.parts.storages), "delete", broken)
        delete_for_ever(world, older.id)
    assert (world.uploads / older.file_path).exists()
    world.sweep()
    assert not (world.uploads / older.file_path).exists()
    world.assert_settled()


def test_moving_to_trash_does_not_change_older_files(world: World, lab: Any) -> None:
    older = world.older_file(lab)
    migrate(world)
    world.documents().trash(document_of(older.id).id)
    assert (rows(), (world.uploads / older.file_path).exists()) == (1, True)


# --- finished ----------------------------------------------------------------------------------------------------


@pytest.mark.database
def test_finishing_deletes_older_rows_and_files_of_what_was_moved(world: World) -> None:
    older = planted(world)
    migrate(world)
    unmoved = len(older.files) - len(older.movable)
    for words in ((), ("--leave", str(unmoved - 1))):
        refused = migrate(world, "--finish", *words)
        assert (refused.exit_code, f"--leave {unmoved}" in refused.output) == (FINDINGS, True)
    assert rows() == len(older.files)
    result = migrate(world, "--finish", "--leave", str(unmoved), "--json")
    assert (result.exit_code, said(result)["removed"]) == (0, len(older.movable))
    state = installation.state(older)
    assert {row[0] for row in state["rows"]} == {file.id for file in older.files if file.stays}
    shared = {file.path for file in older.files if file.fault in ("orphan", "broken-chain", "number")}
    hashes = {hashlib.sha256((world.uploads / path).read_bytes()).hexdigest() for path in older.unnamed}
    names = {Path(path).name for path in (*shared, *older.unnamed)}
    left = {Path(path).name: value for path, value in state["files"].items() if path.startswith("lab_result_files")}
    assert {name for name, value in left.items() if value != "/etc/hostname"} == names
    assert hashes <= set(left.values())
    assert older.trash.items() <= state["files"].items()
    assert_moved(older, world)
    world.assert_settled()
    missing = next(file for file in older.files if file.fault == "missing")
    (world.uploads / missing.path).write_bytes(b"put back")
    again = said(migrate(world, "--json"))
    assert (again["moved_now"], again["verification"]["passed"]) == (1, True)
    assert len(world.files()) == len(older.movable) + 1


@pytest.mark.database
def test_after_finishing_older_ids_still_work(world: World, lab: Any) -> None:
    number = world.older_file(lab, "Note.txt", b"still here").id
    migrate(world)
    migrate(world, "--finish")
    assert world.client().get(DOWNLOAD.format(number), buffered=True).data == b"still here"
    known = db.session.scalars(select(LegacyId).where(LegacyId.kind == "file")).one()
    assert (known.old_id, known.new_id) == (number, document_of(number).id)


def test_after_finishing_rollback_is_refused(world: World, lab: Any) -> None:
    world.older_file(lab)
    migrate(world)
    migrate(world, "--finish")
    result = roll_back(world)
    assert (result.exit_code, "can no longer be rolled back" in result.output) == (1, True)
    assert len(world.files()) == 1


def test_after_finishing_further_runs_change_nothing(world: World, lab: Any) -> None:
    world.older_file(lab)
    migrate(world)
    migrate(world, "--finish")
    for words in ((), ("--finish",), ("--dry-run",)):
        assert migrate(world, *words).exit_code == 0
    assert len(world.files()) == 1


def test_finishing_needs_a_passed_verification(world: World, lab: Any) -> None:
    world.older_file(lab)
    assert migrate(world, "--finish").exit_code == 1
    migrate(world)
    world.older_file(lab)
    document = document_of(1)
    document.patient_id = world.patient().id
    db.session.commit()
    migrate(world)
    result = migrate(world, "--finish")
    assert (result.exit_code, rows()) == (1, 2)
    assert "verification failed" in result.output


def test_dry_run_and_finish_exclude_each_other(world: World, lab: Any) -> None:
    older = world.older_file(lab)
    migrate(world)
    assert migrate(world, "--dry-run", "--finish").exit_code == MISUSE
    assert (rows(), (world.uploads / older.file_path).exists()) == (1, True)


def test_finishing_keeps_older_files_of_damaged_documents(world: World, lab: Any) -> None:
    damaged, good = (world.older_file(lab, f"{number}.txt", b"%d" % number) for number in range(2))
    number, paths = damaged.id, [world.uploads / damaged.file_path, world.uploads / good.file_path]
    migrate(world)
    (world.uploads / document_of(number).file_path).write_bytes(b"!")
    result = migrate(world, "--finish", "--json")
    assert (result.exit_code, said(result)["kept"], said(result)["removed"]) == (FINDINGS, [number], 1)
    assert paths[0].read_bytes() == b"0"
    assert not paths[1].exists()


def test_after_finishing_documents_can_be_deleted_permanently(world: World, lab: Any) -> None:
    number = world.older_file(lab).id
    migrate(world)
    migrate(world, "--finish")
    delete_for_ever(world, number)
    assert world.files() == []
    world.assert_settled()
