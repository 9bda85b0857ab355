"""The history of records and patients: what each field was before, and how it becomes that again."""

from typing import Any

import pytest
from lxml import html
from werkzeug.test import TestResponse

from medfiles.database.session import db
from tests.support.factories import Browser, World

NORA, OTTO = "nora@sample.example", "otto@sample.example"
NOTE = "Penicillin allergy: do NOT give amoxicillin"


def words(answer: TestResponse) -> str:
    return " ".join(html.document_fromstring(answer.text).text_content().split())


def changes(answer: TestResponse) -> list[str]:
    """Each change that is listed, without its button."""
    found = html.document_fromstring(answer.text).cssselect(".mf-trail-words")
    return [" ".join(" ".join(part.text_content().split()) for part in entry.cssselect("p, dt, dd")) for entry in found]


def buttons(answer: TestResponse) -> list[tuple[str, dict[str, Any]]]:
    """Address and fields of each "Restore this value"."""
    forms = html.document_fromstring(answer.text).cssselect(".mf-trail form")
    return [(form.get("action"), dict(form.form_values())) for form in forms]


def press(browser: Browser, button: tuple[str, dict[str, Any]]) -> TestResponse:
    return browser.post(button[0], **button[1])


@pytest.fixture
def record(world: World) -> Any:
    patient = world.patient()
    world.share(patient, OTTO, "edit")
    return world.record("visit", patient, reason="Knee")


def edit(world: World, record: Any, by: str = NORA, **values: Any) -> None:
    world.records(by).edit(world.kind(), record.id, values)


def stored(world: World, record: Any, name: str) -> Any:
    db.session.rollback()
    return getattr(world.records().get(world.kind(), record.id), name)


def test_each_changed_field_is_listed_with_both_values_newest_first(world: World, record: Any) -> None:
    edit(world, record, notes=NOTE)
    edit(world, record, OTTO, notes=None, date="2026-06-01")
    answer = world.browser(htmx=False).get(f"/visit/{record.id}/history")
    assert changes(answer) == [
        f"{OTTO} changed Date Before 12 May 2026 After 1 Jun 2026",
        f"{OTTO} changed Notes Before {NOTE} After Empty",
        f"You changed Notes Before Empty After {NOTE}",
    ]


def test_changes_of_documents_are_part_of_it(world: World, record: Any) -> None:
    file = world.attach(record)
    world.documents().edit(file.id, {"description": "First page", "file_name": "Letter 1.pdf"})
    world.bulk().categorise(world.kind(), record.id, [file.id], "referral")
    listed = changes(world.browser(htmx=False).get(f"/visit/{record.id}/history"))
    assert listed[0] == "You changed Category of “Letter 1.pdf” Before Empty After Referral"
    assert listed[1:] == [
        "You changed Name of “letter.pdf” Before letter.pdf After Letter 1.pdf",
        "You changed Description of “letter.pdf” Before Empty After First page",
    ]


def test_a_former_value_is_restored_and_that_is_a_change_too(world: World, record: Any) -> None:
    edit(world, record, notes=NOTE, date="2026-06-01")
    edit(world, record, OTTO, notes="Overwritten")
    browser = world.browser(htmx=False)
    page = browser.get(f"/visit/{record.id}/history")
    answer = press(browser, buttons(page)[0])
    assert (answer.status_code, answer.location) == (303, f"/visit/{record.id}/history")
    assert stored(world, record, "notes") == NOTE
    assert "Previous value of “Notes” restored." in words(browser.get(answer.location))
    day = next(button for button in buttons(page) if button[1]["field"] == "date")
    assert press(browser, day).status_code == 303
    assert str(stored(world, record, "date")) == "2026-05-12"
    assert len(changes(browser.get(answer.location))) == 5


def test_a_value_that_changed_since_the_page_was_shown_is_a_conflict(world: World, record: Any) -> None:
    edit(world, record, notes=NOTE)
    edit(world, record, notes=None)
    browser = world.browser(htmx=False)
    page = browser.get(f"/visit/{record.id}/history")
    edit(world, record, OTTO, notes="Theirs")
    answer = press(browser, buttons(page)[0])
    assert answer.status_code == 409
    assert f"Theirs {OTTO}," in words(answer)
    [form] = html.document_fromstring(answer.text).xpath("//form[.//input[@name='conflict']]")
    sent = {name: value.removeprefix("\n") for name, value in form.form_values()}
    assert (sent["notes"], form.get("action")) == (NOTE, f"/visit/{record.id}/edit")
    assert browser.post(form.get("action"), **sent, keep_notes="mine").status_code == 303
    assert stored(world, record, "notes") == NOTE


def test_another_field_that_changed_since_is_none(world: World, record: Any) -> None:
    edit(world, record, notes=NOTE)
    edit(world, record, notes=None)
    browser = world.browser(htmx=False)
    page = browser.get(f"/visit/{record.id}/history")
    edit(world, record, OTTO, location="Health center")
    assert press(browser, buttons(page)[0]).status_code == 303
    assert (stored(world, record, "notes"), stored(world, record, "location")) == (NOTE, "Health center")


def test_a_detail_of_a_document_is_restored(world: World, record: Any) -> None:
    file = world.attach(record)
    world.documents().edit(file.id, {"file_name": "Wrong.pdf"})
    browser = world.browser(htmx=False)
    page = browser.get(f"/visit/{record.id}/history")
    assert press(browser, buttons(page)[0]).status_code == 303
    assert [file.file_name for file in world.files()] == ["letter.pdf"]
    world.documents(OTTO).edit(file.id, {"file_name": "Theirs.pdf"})
    answer = press(browser, buttons(page)[0])
    assert (answer.status_code, "Theirs.pdf" in words(answer)) == (409, True)


def test_a_patient_has_a_history_of_its_own(world: World) -> None:
    patient = world.patient()
    world.records().edit_patient(patient.id, {"notes": NOTE})
    world.records().edit_patient(patient.id, {"notes": "Overwritten", "birth_date": "2018-03-03"})
    browser, path = world.browser(htmx=False), f"/patients/{patient.id}/history"
    page = browser.get(path)
    assert changes(page)[0] == "You changed Date of birth Before 2 Mar 2018 After 3 Mar 2018"
    assert f'href="{path}"' in browser.get(f"/patients/{patient.id}").text
    assert [press(browser, button).status_code for button in buttons(page)[:2]] == [303, 303]
    db.session.rollback()
    shown = world.records().patient(patient.id).patient
    assert (shown.notes, str(shown.birth_date)) == (NOTE, "2018-03-02")


def test_a_patients_value_that_changed_since_is_a_conflict(world: World) -> None:
    patient = world.patient()
    world.records().edit_patient(patient.id, {"birth_date": "2018-03-03"})
    browser, path = world.browser(htmx=False), f"/patients/{patient.id}/history"
    page = browser.get(path)
    world.records().edit_patient(patient.id, {"birth_date": "2018-03-04"})
    answer = press(browser, buttons(page)[0])
    assert (answer.status_code, "4 Mar 2018" in words(answer)) == (409, True)


def test_a_long_history_comes_in_pages(world: World, record: Any) -> None:
    for number in range(101):
        edit(world, record, notes=f"Version {number}")
    browser = world.browser(htmx=False)
    first = browser.get(f"/visit/{record.id}/history")
    assert len(changes(first)) == 100
    [older] = html.document_fromstring(first.text).xpath("//a[@rel='next']/@href")
    second = browser.get(older)
    assert changes(second) == ["You changed Notes Before Empty After Version 0"]
    assert press(browser, buttons(second)[0]).status_code == 303
    assert stored(world, record, "notes") is None


def test_edits_from_before_values_were_kept_are_listed_without_them(world: World, record: Any) -> None:
    edit(world, record, notes=NOTE)
    db.session.execute(db.text("DELETE FROM audit_private"))
    db.session.commit()
    browser = world.browser(htmx=False)
    page = browser.get(f"/visit/{record.id}/history")
    assert changes(page) == ["You changed Notes The previous value was not kept."]
    number = world.events(action="edit-record")[0].id
    answer = browser.post(f"/visit/{record.id}/history/{number}/restore", field="notes", as_of=number)
    assert (answer.status_code, stored(world, record, "notes")) == (404, NOTE)


def test_the_history_of_another_record_restores_nothing_here(world: World, record: Any) -> None:
    other = world.record("visit", world.records().patient(record.patient_id).patient, notes="Other")
    edit(world, other, notes="Changed")
    number = world.events(action="edit-record")[0].id
    answer = world.browser(htmx=False).post(f"/visit/{record.id}/history/{number}/restore", field="notes")
    assert (answer.status_code, stored(world, record, "notes")) == (404, None)


def test_permanent_deletion_leaves_no_former_value(world: World, record: Any) -> None:
    file = world.attach(record)
    world.documents().edit(file.id, {"description": NOTE})
    world.documents().trash(file.id)
    world.documents().purge(file.id)
    assert NOTE not in str(db.session.execute(db.text("SELECT content FROM audit_private")).all())
    assert NOTE not in world.browser(htmx=False).get(f"/visit/{record.id}/history").text


def test_what_the_activity_says_was_changed(world: World, record: Any) -> None:
    edit(world, record, notes=NOTE, location="Health center")
    edit(world, record, notes="A", location="B", diagnosis="C", practitioner="D")
    page = words(world.browser(htmx=False).get(f"/patients/{record.patient_id}/activity"))
    assert "changed Location and Notes of the visit “Knee”" in page
    assert "and 1 more of the visit “Knee”" in page
    assert "viewed the history" not in page


def test_a_record_in_the_trash_shows_its_history_but_restores_nothing(world: World, record: Any) -> None:
    edit(world, record, notes=NOTE)
    world.records().delete(world.kind(), record.id)
    page = world.browser(htmx=False).get(f"/visit/{record.id}/history")
    assert (len(changes(page)), buttons(page)) == (1, [])
