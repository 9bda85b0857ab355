"""The inbox over the API: what is to be filed, and filing."""

from datetime import date

import pytest

from medfiles.models import Patient
from tests.inbox.test_service import BEN, letter_of, put_in
from tests.support import samples
from tests.support.api_client import end, part, problem, said, script
from tests.support.factories import World

pytestmark = pytest.mark.database


@pytest.fixture
def ella(world: World) -> Patient:
    return world.patient()


def test_raw_bytes_and_forms_are_uploaded_to_the_inbox(world: World, ella: Patient) -> None:
    by, path = script(world), f"/patient/{ella.id}/files"
    raw = by.upload(path, "Scan 1.pdf", samples.pdf(), to_file="1")
    form = by.form(path, said("to_file", "1") + part("Scan 2.pdf", samples.pdf()) + end())
    plain = by.upload(path, "Card.pdf", samples.pdf())
    assert [answer.status_code for answer in (raw, form, plain)] == [201, 201, 201]
    assert [answer.get_json()["to_file"] for answer in (raw, form, plain)] == [True, True, False]
    items = by.get("/inbox").get_json()["items"]
    assert [item["file"]["file_name"] for item in items] == ["Scan 2.pdf", "Scan 1.pdf"]
    listed = {file["file_name"]: file["to_file"] for file in by.get(path).get_json()}
    assert listed == {"Scan 1.pdf": True, "Scan 2.pdf": True, "Card.pdf": False}


def test_only_a_patient_has_an_inbox(world: World) -> None:
    record, by = world.record(), script(world)
    answer = by.upload(f"/visit/{record.id}/files", "Scan.pdf", samples.pdf(), to_file="1")
    problem(answer, 422, "rejected")
    problem(by.upload(f"/visit/{record.id}/files", "Scan.pdf", samples.pdf(), to_file="yes"), 422, "rejected")
    assert world.files() == []


def test_suggestions_are_listed_and_followed(world: World, ella: Patient) -> None:
    visit = world.record(patient=ella, reason="Knee pain", date=date(2026, 3, 14))
    file_id = put_in(world, ella, letter_of(ella), document_date_suggested=date(2026, 3, 14))
    by = script(world)
    [item] = by.get("/inbox").get_json()["items"]
    made = item["suggestion"]
    assert (made["to_type"], made["to_id"], made["title"]) == ("visit", visit.id, "Knee pain")
    assert (made["confidence"], made["category"], made["document_date"]) == ("sure", "summary", "2026-03-14")
    assert made["file_name"] == "Clinic letter.pdf"
    place = {name: made[name] for name in ("to_type", "to_id", "category", "document_date", "file_name")}
    [result] = by.post("/inbox/file", {"items": [{"file_id": file_id, **place}]}).get_json()
    assert (result["id"], result["status"], result["code"]) == (file_id, 200, "done")
    file = by.get(f"/files/{file_id}").get_json()
    assert (file["entity_type"], file["entity_id"], file["to_file"]) == ("visit", visit.id, False)
    assert (file["category"], file["document_date"], file["file_name"]) == (
        "summary",
        "2026-03-14",
        "Clinic letter.pdf",
    )


def test_each_document_has_an_outcome_of_its_own(world: World, ella: Patient) -> None:
    visit, good = world.record(patient=ella), put_in(world, ella, "")
    items = [{"file_id": number, "to_type": "visit", "to_id": visit.id} for number in (good, 1_999_999_999)]
    answer = script(world).post("/inbox/file", {"items": items})
    assert answer.status_code == 200
    assert [result["status"] for result in answer.get_json()] == [200, 404]


def test_another_patient_who_is_named_is_told(world: World, ella: Patient) -> None:
    ben = world.records().create_patient(BEN)
    put_in(world, ella, letter_of(ben))
    [item] = script(world).get(f"/inbox?patient={ella.id}").get_json()["items"]
    assert (item["suggestion"]["names_patient"], item["suggestion"]["confidence"]) == (ben.id, "check")


def test_pages_of_the_inbox_follow_each_other(world: World, ella: Patient) -> None:
    ids, by = [put_in(world, ella, "", f"{number}.pdf") for number in range(3)], script(world)
    first = by.get("/inbox?limit=2").get_json()
    rest = by.get(f"/inbox?limit=2&cursor={first['next']}").get_json()
    assert [item["file"]["id"] for item in first["items"] + rest["items"]] == ids[::-1]
    assert (first["total"], rest["total"], rest["next"]) == (3, None, None)


@pytest.mark.parametrize(
    "items", [[], [{"file_id": 1, "to_type": "immunization", "to_id": 1}], [{"file_id": 1, "to_type": "visit"}]]
)
def test_malformed_filings_are_refused(world: World, items: list[dict[str, object]]) -> None:
    problem(script(world).post("/inbox/file", {"items": items}), 422, "rejected")


def test_a_token_for_one_patient_sees_only_that_inbox(world: World, ella: Patient) -> None:
    ben = world.records().create_patient(BEN)
    put_in(world, ella, "")
    put_in(world, ben, "", "Scan_2.pdf")
    by = script(world, patient_id=ben.id)
    assert [item["file"]["entity_id"] for item in by.get("/inbox").get_json()["items"]] == [ben.id]
    problem(by.get(f"/inbox?patient={ella.id}"), 404, "not-found")
