"""Changes over the API: only what is sent is written, and with If-Match only to what the client has seen."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.api_client import Script, problem, script
from tests.support.factories import World

pytestmark = pytest.mark.database

NOTES = "Penicillin allergy: do NOT give amoxicillin"


@dataclass
class Edited:
    """A patient or a record with two fields to change."""

    world: World
    by: Script
    path: str
    required: str  # a field that cannot be empty

    def read(self) -> tuple[dict[str, Any], str]:
        answer = self.by.get(self.path)
        return answer.get_json(), answer.headers["ETag"]


@pytest.fixture(params=["patient", "visit", "insurance"])
def edited(world: World, request: pytest.FixtureRequest) -> Edited:
    patient = world.patient()
    if request.param == "patient":
        return Edited(world, script(world), f"/patients/{patient.id}", "first_name")
    record = world.record(request.param, patient)
    required = world.kind(request.param).title_field
    return Edited(world, script(world), f"/{request.param}/{record.id}", required)


def test_what_is_absent_stays_and_null_clears(edited: Edited) -> None:
    before, _ = edited.read()
    answer = edited.by.put(edited.path, {"notes": NOTES})
    assert (answer.status_code, answer.get_json()) == (200, {**before, "notes": NOTES})
    assert edited.by.put(edited.path, {}).get_json()["notes"] == NOTES
    assert edited.by.put(edited.path, {edited.required: "Another"}).get_json()["notes"] == NOTES
    assert edited.by.put(edited.path, {"notes": None}).get_json()["notes"] is None


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_required_field_cannot_be_cleared(edited: Edited, value: Any) -> None:
    said = problem(edited.by.put(edited.path, {edited.required: value, "notes": NOTES}), 422, "rejected")
    assert [wrong["field"] for wrong in said["errors"]] == [edited.required]
    assert edited.read()[0]["notes"] is None


def test_a_change_to_what_was_seen_is_made_and_answers_the_next_etag(edited: Edited) -> None:
    _, seen = edited.read()
    answer = edited.by.put(edited.path, {"notes": "First"}, If_Match=seen)
    assert answer.status_code == 200
    assert answer.headers["ETag"] == edited.read()[1] != seen
    assert edited.by.put(edited.path, {"notes": "Second"}, If_Match=answer.headers["ETag"]).status_code == 200


def test_a_change_to_what_was_changed_since_is_refused(edited: Edited) -> None:
    _, seen = edited.read()
    edited.by.put(edited.path, {edited.required: "Another"})
    problem(edited.by.put(edited.path, {"notes": NOTES}, If_Match=seen), 412, "outdated")
    problem(edited.by.put(edited.path, {"notes": NOTES}, If_Match='"made up"'), 412, "outdated")
    assert edited.read()[0]["notes"] is None
    assert edited.by.put(edited.path, {"notes": NOTES}, If_Match="*").status_code == 200
    assert edited.by.put(edited.path, {"notes": "Again"}).status_code == 200


def test_what_has_not_changed_is_not_sent_again(edited: Edited) -> None:
    seen = edited.read()[1]
    assert edited.by.get(edited.path, If_None_Match=seen).status_code == 304
    edited.by.put(edited.path, {"notes": NOTES})
    assert edited.by.get(edited.path, If_None_Match=seen).status_code == 200


def test_another_document_makes_another_etag_but_is_no_change_of_the_record(world: World) -> None:
    record, by = world.record(), script(world)
    path = f"/visit/{record.id}"
    seen = by.get(path).headers["ETag"]
    world.store(record, "letter.txt")
    assert by.get(path, If_None_Match=seen).get_json()["file_count"] == 1
    assert by.put(path, {"notes": NOTES}, If_Match=seen).status_code == 200


def test_another_permission_makes_another_etag(world: World) -> None:
    patient = world.patient()
    world.share(patient, "vera@sample.example")
    tags = {script(world, email).get(f"/patients/{patient.id}").headers["ETag"] for email in world._users}
    assert len(tags) == 2
