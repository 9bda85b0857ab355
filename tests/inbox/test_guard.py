"""The warning about a document that names another patient, after it was added to a record."""

from datetime import date
from typing import Any

import pytest

from medfiles.database.session import db
from medfiles.models import EntityFile, Patient
from medfiles.operations import reading
from tests.inbox.test_service import BEN, letter_of
from tests.support.factories import World, words


@pytest.fixture
def ella(world: World) -> Patient:
    return world.patient()


@pytest.fixture
def ben(world: World, ella: Patient) -> Patient:
    return world.records().create_patient(BEN)


def added(world: World, record: Any, text: str) -> int:
    """A document of the record, whose text a job has read."""
    file = world.attach(record, "letter.txt", text.encode())
    reading.read_one(world.parts, file.id)
    return file.id


def named(world: World, file_id: int) -> int | None:
    db.session.rollback()
    return db.session.get_one(EntityFile, file_id).named_patient_id


def test_a_letter_of_another_patient_is_noticed_after_it_was_read(world: World, ella: Patient, ben: Patient) -> None:
    visit = world.record(patient=ella)
    file_id = added(world, visit, letter_of(ben))
    assert named(world, file_id) == ben.id
    page = words(world.client().get(f"/documents/visit/{visit.id}"))
    assert "This document names Ben Sample, born 3 May 2016." in page
    assert "Move to Ben" in page


def test_an_archived_patient_is_not_named(world: World, ella: Patient, ben: Patient) -> None:
    visit = world.record(patient=ella)
    file_id = added(world, visit, letter_of(ben))
    world.records().archive_patient(ben.id)
    assert "This document names" not in words(world.client().get(f"/documents/visit/{visit.id}"))
    assert named(world, added(world, visit, f"{letter_of(ben)} Page 2")) is None
    world.records().unarchive_patient(ben.id)
    assert named(world, file_id) == ben.id


def test_one_press_moves_it_to_the_other_inbox(world: World, ella: Patient, ben: Patient) -> None:
    visit = world.record(patient=ella)
    file_id, browser = added(world, visit, letter_of(ben)), world.browser(htmx=False)
    answer = browser.post("/inbox/file", action=f"hand-over:{file_id}-{ben.id}", next=f"/visit/{visit.id}")
    assert (answer.status_code, answer.location) == (303, f"/visit/{visit.id}")
    [file] = world.files()
    assert (file.patient_id, file.to_file, file.named_patient_id) == (ben.id, True, None)
    assert "“letter.txt” moved to the inbox of Ben." in words(browser.get(answer.location))


def test_it_can_be_said_to_be_right(world: World, ella: Patient, ben: Patient) -> None:
    visit = world.record(patient=ella)
    file_id, browser = added(world, visit, letter_of(ben)), world.browser(htmx=False)
    assert browser.post("/inbox/file", action=f"keep:{file_id}", next=f"/visit/{visit.id}").status_code == 303
    assert named(world, file_id) == 0
    reading.read_one(world.parts, file_id)
    assert named(world, file_id) == 0


def test_a_letter_of_the_patient_is_no_reason_to_warn(world: World, ella: Patient, ben: Patient) -> None:
    assert named(world, added(world, world.record(patient=ella), letter_of(ella))) is None


def test_who_cannot_see_the_other_patient_is_not_told(world: World, ella: Patient, ben: Patient) -> None:
    visit = world.record(patient=ella)
    added(world, visit, letter_of(ben))
    world.share(ella, "otto@sample.example", "edit")
    assert "This document names" not in words(world.client("otto@sample.example").get(f"/documents/visit/{visit.id}"))


def test_patients_whom_the_uploader_cannot_see_are_not_looked_for(world: World, ella: Patient) -> None:
    world.records("otto@sample.example").create_patient({**BEN, "birth_date": date(2016, 5, 3)})
    text = "Patient: Ben Sample, born 2016-05-03"
    assert named(world, added(world, world.record(patient=ella), text)) is None
