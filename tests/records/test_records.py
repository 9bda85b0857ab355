"""The verbs on patients and their records."""

import threading
from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import Conflict, Rejected
from medfiles.models import LabResultFile, Visit
from medfiles.operations import housekeeping
from tests.support.factories import World, details_of, run_at_once, values_for

pytestmark = pytest.mark.database

STRANGER = "stranger@sample.example"
KINDS = ("lab-result", "insurance", "visit", "procedure")


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_keeps_every_field_it_was_given(world: World, kind: str) -> None:
    entity = world.kind(kind)
    given: dict[str, Any] = {"string": "Words", "text": "More\nwords", "date": date(2026, 1, 2), "boolean": True}
    values = {field.name: given.get(field.kind, {"phone": "555-0100"}) for field in entity.fields}
    record = world.records().create(world.patient().id, entity, values)
    stored = world.records().get(entity, record.id)
    assert {name: getattr(stored, name) for name in values} == values


@pytest.mark.parametrize("kind", KINDS)
def test_each_needed_field_is_asked_for_by_name(world: World, kind: str) -> None:
    entity = world.kind(kind)
    with pytest.raises(Rejected) as refused:
        world.records().create(world.patient().id, entity, {})
    assert set(refused.value.fields) == {field.name for field in entity.fields if field.required}


@pytest.mark.parametrize(
    ("field", "value"),
    [("reason", "x" * 256), ("reason", 7), ("date", "soon"), ("date", date(1200, 1, 1)), ("notes", "x" * 10_001)],
)
def test_a_value_that_does_not_fit_is_refused_beside_its_field(world: World, field: str, value: Any) -> None:
    with pytest.raises(Rejected) as refused:
        world.record("visit", **{field: value})
    assert set(refused.value.fields) == {field}


def test_a_field_that_does_not_exist_is_refused(world: World) -> None:
    with pytest.raises(Rejected, match="deleted_at"):
        world.record("visit", deleted_at="2026-01-01")


def test_a_field_of_one_line_holds_one_line(world: World) -> None:
    record: Any = world.record(reason="Knee\r\nand hip", diagnosis="Swollen\nBruised")
    assert (record.reason, record.diagnosis) == ("Knee and hip", "Swollen\nBruised")


def test_text_is_kept_without_control_characters(world: World) -> None:
    assert world.record("visit", reason="Knee\x00 pain\x1b[31m\ud800").reason == "Knee pain[31m"


def test_records_are_listed_with_the_latest_first(world: World) -> None:
    patient = world.patient()
    for day in (3, 1, 2):
        world.record(patient=patient, date=date(2026, 1, day))
    listed: Sequence[Any] = world.records().list(patient.id, world.kind())
    assert [record.date.day for record in listed] == [3, 2, 1]


def test_editing_changes_the_record_and_says_in_the_trail_what(world: World) -> None:
    record = world.record(reason="Knee")
    world.records().edit(world.kind(), record.id, {**values_for(world.kind()), "reason": "Hip"})
    edited: Any = world.records().get(world.kind(), record.id)
    assert edited.reason == "Hip"
    [event] = world.events(action="edit-record")
    assert details_of(event) == {"changed": ["reason"], "name": "Knee"}


def test_deleting_a_record_takes_its_documents_along(world: World) -> None:
    record = world.record()
    for name in "ab":
        world.attach(record, f"{name}.pdf")
    _, count = world.records().delete(world.kind(), record.id)
    assert count == 2
    assert all(file.deleted_at and file.file_path.startswith("trash/") for file in world.files())
    assert list(world.records().list(record.patient_id, world.kind())) == []
    world.assert_settled()


def test_restoring_a_record_brings_back_what_went_with_it_and_nothing_else(world: World) -> None:
    record = world.record()
    early, late = world.attach(record, "early.pdf"), world.attach(record, "late.pdf")
    world.documents().trash(early.id)
    world.records().delete(world.kind(), record.id)
    _, count = world.records().restore(world.kind(), record.id)
    assert count == 1
    assert {file.file_name: bool(file.deleted_at) for file in world.files()} == {"early.pdf": True, "late.pdf": False}
    assert b"".join(world.documents().open(late.id).read())
    world.assert_settled()


def test_a_record_without_documents_goes_and_comes_back(world: World) -> None:
    record = world.record()
    world.records().delete(world.kind(), record.id)
    world.records().restore(world.kind(), record.id)
    assert len(world.records().list(record.patient_id, world.kind())) == 1


def test_a_document_of_a_deleted_record_waits_for_its_record(world: World) -> None:
    record = world.record()
    file = world.attach(record)
    world.records().delete(world.kind(), record.id)
    with pytest.raises(Conflict, match="Restore it first"):
        world.documents().restore(file.id)
    world.assert_settled()


def test_an_upload_racing_with_the_deletion_of_its_record_points_at_no_missing_record(world: World) -> None:
    record = world.record()
    world.attach(record)
    kind, record_id, actor = world.kind(), record.id, world.actor()
    ready = threading.Barrier(2)
    outcomes: list[str] = []

    def run(what: str) -> None:
        with world.app.app_context():
            ready.wait()
            try:
                if what == "delete":
                    service = world.records()
                    service.actor = actor
                    service.delete(kind, record_id)
                else:
                    world.attach(db.session.get_one(Visit, record_id))
                outcomes.append(what)
            except Conflict:
                outcomes.append(f"no {what}")

    run_at_once([partial(run, what) for what in ("delete", "attach")])
    assert len(outcomes) == 2
    db.session.rollback()
    deleted = db.session.get_one(Visit, record_id, populate_existing=True).deleted_at is not None
    assert all((file.deleted_at is not None) == deleted for file in world.files())
    world.assert_settled()


def test_the_trash_of_a_patient_names_records_with_what_comes_back(world: World) -> None:
    record = world.record()
    world.attach(record)
    world.records().delete(world.kind(), record.id)
    [(kind, trashed, count)] = world.records().trashed(record.patient_id)
    assert (kind.name, trashed.id, count) == ("visit", record.id, 1)


def test_a_shared_patient_is_listed_with_its_level_until_the_share_expires(world: World) -> None:
    patient = world.patient()
    world.share(patient, STRANGER, "edit", expires_at=now() + timedelta(hours=1))
    assert [summary.level for summary in world.records(STRANGER).patients()] == ["edit"]
    world.share(world.patient(first_name="Theo"), STRANGER, "view", expires_at=now() - timedelta(seconds=1))
    assert len(world.records(STRANGER).patients()) == 1


def test_the_trail_tells_who_did_what_newest_first(world: World) -> None:
    record = world.record()
    file = world.attach(record)
    world.documents().trash(file.id)
    actions = [event.action for event, _ in world.records().trail(record.patient_id).events]
    assert actions == ["view-activity", "delete", "attach", "create-record", "create-patient"]


def test_the_trail_goes_on_where_the_last_page_ended(world: World) -> None:
    record = world.record()
    newest = world.records().trail(record.patient_id).events[0][0]
    older = world.records().trail(record.patient_id, before=newest.id).events
    assert [event.action for event, _ in older] == ["create-record", "create-patient"]


def purge(world: World, days: int) -> housekeeping.Purged:
    return housekeeping.purge_expired(world.parts.registry, world.parts.storages, now() - timedelta(days=days))


def test_the_trash_is_emptied_of_what_is_due_and_of_nothing_else(world: World) -> None:
    record = world.record()
    old, new = world.attach(record, "old.pdf"), world.attach(record, "new.pdf")
    world.documents().trash(old.id).deleted_at = now() - timedelta(days=31)
    db.session.commit()
    world.documents().trash(new.id)
    assert purge(world, 30) == housekeeping.Purged(1, 0, 0)
    assert [file.file_name for file in world.files()] == ["new.pdf"]
    [event] = world.events(action="purge")
    assert (event.actor_id, event.patient_id) == (None, record.patient_id)
    world.assert_settled()


def test_a_deleted_record_goes_for_ever_with_the_last_of_its_documents(world: World) -> None:
    record = world.record()
    world.attach(record)
    world.records().delete(world.kind(), record.id)
    assert purge(world, -1) == housekeeping.Purged(1, 1, 0)
    assert db.session.get(Visit, record.id) is None
    world.assert_settled()


def test_a_lab_result_that_still_has_files_of_the_older_feature_stays(world: World) -> None:
    record = world.record("lab-result")
    older = LabResultFile(lab_result_id=record.id, file_name="a.pdf", file_path="x/a.pdf", file_type="application/pdf")
    db.session.add(older)
    db.session.commit()
    world.records().delete(world.kind("lab-result"), record.id)
    assert purge(world, -1).records == 0
    assert db.session.get(LabResultFile, older.id) is not None
