"""Who looked at this document: the activity of a patient, narrowed to one document, one person, one kind."""

import re
from typing import Any

import lxml.html
import pytest

from tests.support.factories import World

HELPER, READER = "max@sample.example", "otto@sample.example"


@pytest.fixture
def letter(world: World) -> Any:
    """A document that its owner added, a caregiver changed and a reader downloaded and may not change."""
    patient = world.patient()
    file = world.attach(world.record(patient=patient), "Letter.pdf")
    world.attach(world.record(patient=patient), "Other.pdf")
    world.share(patient, HELPER, "edit")
    world.share(patient, READER)
    world.documents(HELPER).edit(file.id, {"description": "Signed"})
    assert world.client(READER).get(f"/documents/files/{file.id}/download", buffered=True).data
    world.browser(READER).post(f"/documents/files/{file.id}/delete")
    return file


def lines(world: World, file: Any, query: str = "") -> list[str]:
    page = world.client().get(f"/patients/{file.patient_id}/activity{query}")
    assert page.status_code == 200
    found = lxml.html.fromstring(page.text).xpath("//span[@class='mf-trail-words']")
    return [re.sub(r"\s+", " ", one.text_content()).partition(" Show this document only: ")[0] for one in found]


def test_of_one_document_all_is_told_and_nothing_else(world: World, letter: Any) -> None:
    assert lines(world, letter, f"?document={letter.id}") == [
        f"{READER} tried to move “Letter.pdf” to trash denied",
        f"{READER} downloaded “Letter.pdf”",
        f"{HELPER} changed “Letter.pdf”",
        "You added “Letter.pdf”",
    ]


def test_what_was_deleted_for_ever_still_tells_who_did_it(world: World, letter: Any) -> None:
    world.documents().trash(letter.id)
    world.documents().purge(letter.id)
    page = world.client().get(f"/patients/{letter.patient_id}/activity?document={letter.id}").text
    assert "Letter.pdf" not in page
    assert lines(world, letter, f"?document={letter.id}")[0] == f"You permanently deleted document {letter.id}"


@pytest.mark.parametrize(
    ("kind", "words"),
    [("looked", "downloaded"), ("changed", "changed “Letter.pdf”"), ("refused", "tried to move “Letter.pdf”")],
)
def test_one_kind_of_doing_is_told_alone(world: World, letter: Any, kind: str, words: str) -> None:
    found = lines(world, letter, f"?document={letter.id}&kind={kind}")
    assert any(words in line for line in found)
    assert len(found) < 4


def test_one_person_s_doing_is_told_alone(world: World, letter: Any) -> None:
    found = lines(world, letter, f"?who={world.user(READER).id}")
    assert found
    assert {line.split(" ")[0] for line in found} == {READER}


def test_a_document_of_somebody_else_s_tells_nothing(world: World, letter: Any) -> None:
    theirs = world.attach(world.record(patient=world.patient(HELPER), email=HELPER), "Secret.pdf", email=HELPER)
    page = world.client().get(f"/patients/{letter.patient_id}/activity?document={theirs.id}")
    assert "Secret" not in page.text
    assert lines(world, letter, f"?document={theirs.id}") == []


@pytest.mark.parametrize("query", ["?document=x", "?document=99999999999999999999", "?who=-1", "?who=%D9%A1"])
def test_a_number_that_is_none_finds_nothing(world: World, letter: Any, query: str) -> None:
    assert lines(world, letter, query) == []


def test_a_kind_that_there_is_not_is_refused(world: World, letter: Any) -> None:
    assert world.client().get(f"/patients/{letter.patient_id}/activity?kind=stolen").status_code == 422


def test_the_form_of_a_document_leads_to_who_looked_at_it(world: World, letter: Any) -> None:
    form = world.browser().get(f"/documents/visit/{letter.entity_id}/list?edit={letter.id}").text
    assert f"/patients/{letter.patient_id}/activity?document={letter.id}" in form
