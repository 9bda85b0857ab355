"""Two people edit the same: what only one of them changed is kept, and what both changed is theirs to choose."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from lxml import html
from werkzeug.test import TestResponse

from medfiles.database.session import db
from tests.support.factories import Browser, World, heard

NORA, OTTO = "nora@sample.example", "otto@sample.example"
NOTE = "Penicillin allergy: do NOT give amoxicillin"


def filled(answer: TestResponse, action: str) -> dict[str, Any]:
    """What a browser sends for a form of this answer if nothing is typed."""
    [form] = html.document_fromstring(answer.text).xpath("//form[@method='post' and @action=$action]", action=action)
    return values_in(form)


def values_in(form: Any) -> dict[str, Any]:
    """As a browser sends it, which drops the line break that a text area begins with."""
    return {name: value.removeprefix("\n") for name, value in form.form_values() if name != "csrf_token"}


def words(answer: TestResponse) -> str:
    return " ".join(html.document_fromstring(answer.text).text_content().split())


@dataclass
class Desk:
    """A page with a form, opened by two people."""

    world: World
    path: str
    row: Any

    def browser(self, email: str, *, htmx: bool = False) -> Browser:
        return self.world.browser(email, htmx=htmx)

    def open(self, email: str = NORA) -> dict[str, Any]:
        return filled(self.browser(email).get(self.path), self.path)

    def save(self, form: Mapping[str, Any], *, htmx: bool = False, by: str = NORA, **typed: str) -> TestResponse:
        return self.browser(by, htmx=htmx).post(self.path, **{**form, **typed})

    def stored(self, name: str) -> Any:
        db.session.rollback()
        return getattr(db.session.get(type(self.row), self.row.id), name)


@pytest.fixture(params=["visit", "patient"])
def desk(world: World, request: pytest.FixtureRequest) -> Desk:
    patient = world.patient()
    world.share(patient, OTTO, "edit")
    if request.param == "patient":
        return Desk(world, f"/patients/{patient.id}/edit", patient)
    record = world.record("visit", patient, reason="Knee")
    return Desk(world, f"/visit/{record.id}/edit", record)


def other(desk: Desk) -> tuple[str, str]:
    """A field beside the notes, and a value for it."""
    return ("gender", "Female") if "patients" in desk.path else ("practitioner", "Dr Placeholder")


def test_two_tabs_that_change_different_fields_both_have_their_way(desk: Desk) -> None:
    first, second, (name, value) = desk.open(), desk.open(), other(desk)
    assert desk.save(first, notes=NOTE).status_code == 303
    assert desk.save({**second, name: value}).status_code == 303
    assert (desk.stored("notes"), desk.stored(name)) == (NOTE, value)


def test_a_field_that_both_changed_is_shown_with_both_values_and_nothing_is_saved(desk: Desk) -> None:
    mine, (name, value) = desk.open(), other(desk)
    desk.save(desk.open(OTTO), by=OTTO, notes="Theirs")
    answer = desk.save({**mine, name: value}, notes=NOTE)
    assert answer.status_code == 409
    said = words(answer)
    assert "Changed while you were editing" in said
    assert f"Theirs {OTTO}," in said
    form = filled(answer, desk.path)
    assert (form["notes"], form["was_notes"], form[name], form["conflict"]) == (NOTE, "Theirs", value, "notes")
    assert "keep_notes" not in form
    assert (desk.stored("notes"), desk.stored(name)) == ("Theirs", None)


@pytest.mark.parametrize(("keep", "notes"), [("mine", "Mine, and what they said"), ("theirs", "Theirs")])
def test_the_value_that_was_chosen_is_saved_with_all_other_changes(desk: Desk, keep: str, notes: str) -> None:
    mine, (name, value) = desk.open(), other(desk)
    desk.save(desk.open(OTTO), by=OTTO, notes="Theirs")
    form = filled(desk.save({**mine, name: value}, notes=NOTE), desk.path)
    answer = desk.save(form, notes="Mine, and what they said", keep_notes=keep)
    assert answer.status_code == 303
    assert (desk.stored("notes"), desk.stored(name)) == (notes, value)


def test_without_a_choice_it_is_asked_again_and_nothing_typed_is_lost(desk: Desk) -> None:
    mine = desk.open()
    desk.save(desk.open(OTTO), by=OTTO, notes="Theirs")
    form = filled(desk.save(mine, notes=NOTE), desk.path)
    answer = desk.save(form, notes="More to say")
    assert (answer.status_code, "Choose which value to save." in words(answer)) == (409, True)
    assert filled(answer, desk.path)["notes"] == "More to say"
    assert desk.stored("notes") == "Theirs"


def test_what_changes_while_one_chooses_is_a_conflict_again(desk: Desk) -> None:
    mine = desk.open()
    desk.save(desk.open(OTTO), by=OTTO, notes="Theirs")
    form = filled(desk.save(mine, notes=NOTE), desk.path)
    desk.save(desk.open(OTTO), by=OTTO, notes="Theirs again")
    answer = desk.save(form, keep_notes="mine")
    assert (answer.status_code, filled(answer, desk.path)["was_notes"]) == (409, "Theirs again")
    assert desk.stored("notes") == "Theirs again"


def test_a_form_to_be_corrected_still_knows_what_it_was_filled_with(desk: Desk) -> None:
    mine = desk.open()
    required = "first_name" if "patients" in desk.path else "reason"
    desk.save(desk.open(OTTO), by=OTTO, notes="Theirs")
    form = filled(desk.save({**mine, required: ""}, notes="Mine"), desk.path)
    assert form["was_notes"] == ""
    answer = desk.save({**form, required: "Another"})
    assert (answer.status_code, desk.stored("notes")) == (409, "Theirs")


def test_both_typing_the_same_is_no_conflict(desk: Desk) -> None:
    mine = desk.open()
    desk.save(desk.open(OTTO), by=OTTO, notes=f"  {NOTE}\r\n")
    assert desk.save(mine, notes=NOTE).status_code == 303
    assert desk.stored("notes") == NOTE


def test_in_the_sheet_the_conflict_is_a_fragment_that_takes_the_focus(world: World) -> None:
    record = world.record(reason="Knee")
    desk = Desk(world, f"/visit/{record.id}/edit", record)
    mine = desk.open()
    desk.save(desk.open(), notes="In the other tab")
    answer = desk.save(mine, htmx=True, notes=NOTE)
    assert (answer.status_code, "<html" in answer.text) == (409, False)
    assert "Saved by you elsewhere" in words(answer)
    assert answer.text.count("data-mf-focus") == 1


def test_parts_of_an_object_are_merged(world: World) -> None:
    record = world.record("insurance", contact_info={"phone": "1", "email": "a@b.example", "fax": "kept"})
    desk = Desk(world, f"/insurance/{record.id}/edit", record)
    first, second = desk.open(), desk.open()
    desk.save({**first, "contact_info-phone": "2", "is_primary": "y"})
    desk.save({**second, "contact_info-email": ""})
    assert desk.stored("contact_info") == {"phone": "2", "fax": "kept"}
    assert desk.stored("is_primary") is True
    answer = desk.save({**second, "contact_info-phone": "3"})
    assert (answer.status_code, filled(answer, desk.path)["contact_info-phone"]) == (409, "3")
    assert "Phone: 2" in words(answer)


# --- details of documents -----------------------------------------------------------------------------------------


@pytest.fixture
def papers(world: World) -> Desk:
    record = world.record()
    world.share(world.records().patient(record.patient_id).patient, OTTO, "edit")
    file = world.attach(record)
    world.documents(OTTO).edit(file.id, {"description": "Theirs"})
    return Desk(world, f"/documents/files/{file.id}/edit", file)


TYPED = {"description": "Mine", "was_description": "", "category": "referral", "was_category": ""}


def test_a_document_that_both_changed_shows_its_form_with_both_values(papers: Desk) -> None:
    answer = papers.save(TYPED, htmx=True, within="manager")
    assert (answer.status_code, heard(answer)["documents:error"]["code"]) == (409, "edit-conflict")
    row = answer.headers["HX-Retarget"].removeprefix("#")
    page = html.document_fromstring(f"<table>{answer.text}</table>")
    assert page.xpath("//tbody/@id") == [row]
    assert f"Theirs {OTTO}," in words(answer)
    form = filled(answer, papers.path)
    assert (form["description"], form["was_description"], form["category"]) == ("Mine", "Theirs", "referral")
    assert papers.save(form, htmx=True, keep_description="theirs").status_code == 200
    assert (papers.stored("description"), papers.stored("category")) == ("Theirs", "referral")


def test_without_script_the_conflict_of_a_document_is_shown_in_its_list(papers: Desk) -> None:
    answer = papers.save(TYPED)
    assert answer.status_code == 409
    form = filled(answer, papers.path)
    assert papers.save(form, keep_description="mine").status_code == 303
    assert papers.stored("description") == "Mine"


# --- shares -------------------------------------------------------------------------------------------------------


@pytest.fixture
def people(world: World) -> Desk:
    patient = world.patient()
    world.share(patient, OTTO, "edit", datetime(2031, 5, 3, 22, tzinfo=UTC))
    return Desk(world, f"/patients/{patient.id}/people", world.records().patient(patient.id).patient)


def changing(people: Desk) -> dict[str, Any]:
    number = people.world.browser(NORA, htmx=False).get(people.path).text.split("?change=")[1].split("#")[0]
    page = people.browser(NORA).get(people.path, change=number)
    forms = html.document_fromstring(page.text).xpath("//form[.//input[@name='email']]")
    return values_in(forms[0])


def share(people: Desk) -> tuple[str, Any]:
    db.session.rollback()
    [row] = db.session.execute(db.text("SELECT level, expires_at FROM patient_shares")).all()
    return row.level, str(row.expires_at)[:16]


def test_two_changes_of_one_share_are_merged(people: Desk) -> None:
    first, second = changing(people), changing(people)
    assert people.save(first, level="view").status_code == 303
    assert people.save(second, expires_at="2032-01-01").status_code == 303
    assert share(people) == ("view", "2032-01-02 00:00")


def test_an_end_that_was_left_alone_stays_to_the_minute(people: Desk) -> None:
    people.save(changing(people), level="view")
    assert share(people) == ("view", "2031-05-03 22:00")


def test_a_share_changed_twice_to_different_ends_is_the_owners_to_choose(people: Desk) -> None:
    first, second = changing(people), changing(people)
    people.save(first, expires_at="2032-01-01")
    answer = people.save(second, expires_at="2033-01-01")
    assert (answer.status_code, "1 Jan 2032" in words(answer)) == (409, True)
    assert share(people) == ("edit", "2032-01-02 00:00")
    page = html.document_fromstring(answer.text).xpath("//form[.//input[@name='conflict']]")[0]
    assert people.save(values_in(page), keep_expires_at="mine").status_code == 303
    assert share(people) == ("edit", "2033-01-02 00:00")


def test_access_that_was_revoked_is_not_given_again_by_an_older_form(people: Desk) -> None:
    form = changing(people)
    people.save({}, remove=db.session.execute(db.text("SELECT id FROM patient_shares")).scalar_one())
    answer = people.save(form, level="view")
    assert (answer.status_code, f"{OTTO} no longer has access." in words(answer)) == (409, True)
