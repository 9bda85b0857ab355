"""Errors in parts of a page: what they say, and what they offer."""

import re

import pytest

from tests.support.factories import World, heard

PARTS = ("", "/list", "/badge", "/upload-zone")
HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize("seen", [False, True], ids=["new", "saw the sign-in page"])
@pytest.mark.parametrize("part", PARTS)
def test_people_who_never_signed_in_are_asked_to_sign_in(world: World, part: str, seen: bool) -> None:
    client = world.client(None)
    if seen:
        client.get("/sign-in")
    answer = client.get(f"/documents/visit/{world.record().id}{part}", headers=HTMX)
    assert (answer.status_code, "signed out" in answer.text) == (401, False)
    assert heard(answer)["documents:error"]["message"] == "Sign in to see these documents."
    assert "Sign in to see these documents." in answer.text


@pytest.mark.parametrize("part", PARTS)
def test_people_whose_session_ended_are_told_so(world: World, part: str) -> None:
    client, record = world.client(None), world.record()
    client.set_cookie("medfiles", "ended")
    answer = client.get(f"/documents/visit/{record.id}{part}", headers=HTMX)
    assert (answer.status_code, "You were signed out." in answer.text) == (401, True)
    assert heard(answer)["documents:error"]["message"].startswith("You were signed out.")


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_part_does_not_offer_to_reload(world: World, part: str) -> None:
    answer = world.client().get(f"/documents/visit/999999{part}", headers=HTMX)
    assert (answer.status_code, "data-mf-reload" in answer.text) == (404, False)


def test_viewers_are_offered_no_activity_and_no_trash(world: World) -> None:
    record = world.record()
    file = world.attach(record)
    world.share(world.records().patient(record.patient_id).patient, "vera@sample.example", "view")
    client, patient = world.client("vera@sample.example"), f"/patients/{record.patient_id}"
    for path in ("/", patient, f"{patient}/visits", f"/visit/{record.id}", f"/documents/visit/{record.id}"):
        page = client.get(path)
        offered = re.findall(r"/(?:activity|trash)\b", page.text.replace('href="/trash"', ""))  # the account's own
        assert (page.status_code, offered) == (200, []), path
    assert client.get(f"/documents/files/{file.id}/preview").status_code == 200
    assert client.get(f"{patient}/activity").status_code == 403
