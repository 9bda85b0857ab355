"""The pages that move documents and records, take them back, and say who saw them."""

import re
from typing import Any

import pytest
from sqlalchemy import delete

from medfiles.database.session import db, transaction
from medfiles.models import EntityFile, PatientShare
from tests.support.factories import World, words

NORA, BEN = "nora@sample.example", "ben@sample.example"


def row(file_id: int) -> EntityFile:
    db.session.rollback()
    return db.session.get_one(EntityFile, file_id, populate_existing=True)


@pytest.fixture
def ella(world: World) -> Any:
    return world.patient()


@pytest.fixture
def visit(world: World, ella: Any) -> Any:
    return world.record("visit", ella, reason="Check-up")


@pytest.fixture
def letter(world: World, visit: Any) -> int:
    [file_id] = world.store(visit, "Letter.txt", category="summary")
    return file_id


def test_page_offers_people_and_records_and_says_what_will_change(
    world: World, ella: Any, visit: Any, letter: int
) -> None:
    world.patient(first_name="Ben")
    world.record("visit", ella, reason="Knee pain")
    world.record("insurance", ella, company_name="Sample Mutual")
    page = world.browser(htmx=False).get(f"/documents/files/{letter}/move")
    text = words(page)
    assert page.status_code == 200
    assert "Ben Sample" in text
    assert "Knee pain" in text
    assert "Check-up" not in text  # it is there already
    assert "Category Summary will be cleared" in text
    assert "Does not take this type or size of file" in text


def test_moved_document_can_be_moved_back_from_the_notice(world: World, ella: Any, visit: Any, letter: int) -> None:
    browser = world.browser(htmx=False)
    sent = {"action": "move", "file_ids": str(letter), "place": f"patient:{ella.id}", "next": f"/visit/{visit.id}"}
    moved = browser.post(f"/documents/visit/{visit.id}/bulk", **sent)
    assert moved.status_code == 303, words(moved)
    assert (moved.status_code, moved.headers["Location"]) == (303, f"/visit/{visit.id}")
    assert row(letter).entity_type == "patient"
    text = words(browser.get(f"/visit/{visit.id}"))
    assert "“Letter.txt” moved to the general documents of Ella Sample." in text
    assert "it was cleared: Summary." in text
    back = browser.post(f"/documents/patient/{ella.id}/bulk", action="take-back", file_ids=str(letter))
    assert back.status_code == 303
    assert (row(letter).entity_type, row(letter).category) == ("visit", "summary")


@pytest.fixture
def many(world: World, ella: Any) -> list[int]:
    """More people than the page shows."""
    return [world.patient(first_name=f"Person {number:02}").id for number in range(14)]


def found(page: Any) -> list[str]:
    """The names of the people that a page offers to move to."""
    form = page.text.partition('id="mf-moving-found"')[2].partition("</form>")[0]
    return re.findall(r'class="mf-one">(.+?)</strong>', form)


def test_person_is_searched_among_many_for_documents(
    world: World, ella: Any, visit: Any, letter: int, many: list[int]
) -> None:
    browser = world.browser(htmx=False)
    page = browser.get(f"/documents/files/{letter}/move")
    assert 'name="who"' in page.text
    assert len(found(page)) <= 13
    assert found(page)[0] == "Ella Sample"
    sent = {"action": "move", "file_ids": str(letter), "patient": str(ella.id)}
    one = browser.post(f"/documents/visit/{visit.id}/bulk", **sent, who="person 13")
    assert found(one) == ["Person 13 Sample"]
    assert "Where with Ella?" in words(one)
    none = browser.post(f"/documents/visit/{visit.id}/bulk", **sent, who="Zoe")
    assert found(none) == []
    assert "No people match." in words(none)
    some = browser.post(f"/documents/visit/{visit.id}/bulk", **sent, who="person")
    assert len(found(some)) == 12
    assert "There are more." in words(some)


def test_person_is_searched_among_many_for_a_record(world: World, visit: Any, many: list[int]) -> None:
    browser = world.browser(htmx=False)
    assert 'name="who"' in browser.get(f"/visit/{visit.id}/move").text
    assert found(browser.get(f"/visit/{visit.id}/move?who=person+13")) == ["Person 13 Sample"]
    assert "No people match." in words(browser.get(f"/visit/{visit.id}/move?who=Zoe"))
    assert browser.post(f"/visit/{visit.id}/move", patient=str(many[13])).status_code == 303


def test_search_for_a_person_leaves_out_those_who_may_not_receive(
    world: World, ella: Any, visit: Any, letter: int, many: list[int]
) -> None:
    theirs = world.patient(BEN, "Person 99")
    world.share(theirs, NORA, "view")
    world.records().archive_patient(many[0])
    sent = {"action": "move", "file_ids": str(letter), "patient": str(ella.id)}
    browser = world.browser(htmx=False)
    for hidden in ("person 99", "person 00"):
        assert "No people match." in words(browser.post(f"/documents/visit/{visit.id}/bulk", **sent, who=hidden))


def test_few_people_need_no_search(world: World, visit: Any, letter: int) -> None:
    browser = world.browser(htmx=False)
    for path in (f"/documents/files/{letter}/move", f"/visit/{visit.id}/move"):
        assert 'name="who"' not in browser.get(path).text


def test_bulk_bar_leads_to_the_page_that_asks_where(world: World, visit: Any, letter: int) -> None:
    page = world.browser().post(f"/documents/visit/{visit.id}/bulk", action="move", file_ids=str(letter))
    assert page.status_code == 200
    assert "Whose records?" in words(page)


def test_record_moves_with_its_documents_and_comes_back(world: World, ella: Any, visit: Any, letter: int) -> None:
    ben, browser = world.patient(first_name="Ben"), world.browser(htmx=False)
    assert "Ben Sample" in words(browser.get(f"/visit/{visit.id}/move"))
    assert browser.post(f"/visit/{visit.id}/move", patient=str(ben.id)).status_code == 303
    assert row(letter).patient_id == ben.id
    assert "“Check-up” and its document moved to Ben Sample." in words(browser.get(f"/visit/{visit.id}"))
    assert browser.post(f"/visit/{visit.id}/take-back").status_code == 303
    assert row(letter).patient_id == ella.id


def given_away(world: World, letter: int) -> Any:
    db.session.rollback()
    other = world.patient(BEN, "Ben")
    world.share(other, NORA, "edit")
    world.moving().move(letter, world.kind("patient"), other.id)
    with transaction() as session:
        session.execute(delete(PatientShare).where(PatientShare.patient_id == other.id))
    return other


def test_activity_names_no_document_that_moved_to_a_patient_out_of_sight(world: World, ella: Any, letter: int) -> None:
    world.documents().details(letter)
    assert "Letter.txt" in words(world.browser(htmx=False).get(f"/patients/{ella.id}/activity"))
    given_away(world, letter)
    text = words(world.browser(htmx=False).get(f"/patients/{ella.id}/activity"))
    assert "Letter.txt" not in text
    assert "viewed a document moved away" in text
    only = words(world.browser(htmx=False).get(f"/patients/{ella.id}/activity?document={letter}"))
    assert "Letter.txt" not in only


def test_activity_of_a_document_shows_its_whole_life_without_earlier_patients(
    world: World, ella: Any, letter: int
) -> None:
    world.documents().details(letter)
    other = given_away(world, letter)
    text = words(world.browser(BEN, htmx=False).get(f"/patients/{other.id}/activity?document={letter}"))
    assert f"{NORA} viewed “Letter.txt”" in text
    assert "Ella" not in text


def test_history_leaves_out_what_moved_out_of_sight_and_keeps_its_edits_with_it(
    world: World, visit: Any, letter: int
) -> None:
    world.documents().edit(letter, {"description": "Read twice"})
    edit = world.events(action="edit")[-1].id
    other = given_away(world, letter)
    browser = world.browser(htmx=False)
    assert "Read twice" not in words(browser.get(f"/visit/{visit.id}/history"))
    restored = browser.post(f"/visit/{visit.id}/history/{edit}/restore", field="description", as_of=str(edit))
    assert restored.status_code == 404
    assert "Read twice" in words(world.browser(BEN, htmx=False).get(f"/patients/{other.id}/history"))


def test_trash_page_of_the_former_patient_takes_a_document_back(world: World, ella: Any, letter: int) -> None:
    given_away(world, letter)
    browser = world.browser(htmx=False)
    text = words(browser.get(f"/patients/{ella.id}/trash"))
    assert "Moved to other accounts" in text
    assert "A document moved away" in text
    assert "Letter.txt" not in text
    assert browser.post(f"/documents/files/{letter}/take-back").status_code == 303
    assert row(letter).patient_id == ella.id


def test_list_says_who_saw_a_document_under_any_patient(world: World, ella: Any, letter: int) -> None:
    world.share(ella, "aunt@sample.example")
    world.documents("aunt@sample.example").details(letter)
    other = given_away(world, letter)
    page = world.browser(BEN, htmx=False).get(f"/documents/files/{letter}/seen")
    assert "aunt@sample.exampleViewed 1 time" in words(page)
    assert world.browser(htmx=False).get(f"/documents/files/{letter}/seen").status_code == 404
    assert other.id == row(letter).patient_id
