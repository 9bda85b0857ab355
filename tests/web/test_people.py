"""The page of people with access: giving, changing, taking back and giving up, without script."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from werkzeug.test import TestResponse

from medfiles.clock import now
from medfiles.models import PatientShare
from medfiles.records.sharing import ShareService
from tests.support.factories import Browser, World

OTTO = "otto@sample.example"
VIEW = {"email": OTTO, "level": "view"}


def shares(world: World, patient_id: int) -> list[PatientShare]:
    service = ShareService(world.actor(), world.parts.registry, world.parts.storages)
    return [given.share for given in service.list(patient_id)]


@pytest.fixture
def address(world: World) -> str:
    world.user(OTTO)
    return f"/patients/{world.patient().id}/people"


def patient_of(address: str) -> int:
    return int(address.split("/")[2])


def test_the_owner_gives_access_by_a_form(world: World, address: str) -> None:
    browser = world.browser(htmx=False)
    answer = browser.post(address, **VIEW)
    assert (answer.status_code, answer.location) == (303, address)
    assert f"{OTTO} was invited." in browser.get(address).text
    otto, patient = world.browser(OTTO, htmx=False), f"/patients/{patient_of(address)}"
    assert otto.get(patient).status_code == 404
    assert accepted(otto).location == patient
    assert otto.get(patient).status_code == 200


def accepted(browser: Browser, verb: str = "accept") -> TestResponse:
    """Answer the invitation on the start page."""
    [action] = re.findall(rf'action="(/invitations/\d+/{verb})"', browser.get("/").text)
    return browser.post(action)


def test_an_invitation_is_declined_on_the_start_page(world: World, address: str) -> None:
    world.browser(htmx=False).post(address, **VIEW)
    otto = world.browser(OTTO, htmx=False)
    page = " ".join(otto.get("/").text.split())
    assert "nora@sample.example invited you to view these records and documents." in page
    assert accepted(otto, "decline").location == "/"
    assert "Invitation declined." in otto.get("/").text
    assert "/invitations/" not in otto.get("/").text
    assert shares(world, patient_of(address)) == []


def test_a_pending_invitation_is_shown_as_such_and_revoked(world: World, address: str) -> None:
    browser = world.browser(htmx=False)
    browser.post(address, **VIEW)
    page = " ".join(browser.get(address).text.split())
    assert '<span class="mf-chip">Pending</span>' in page
    browser.post(address, remove=shares(world, patient_of(address))[0].id)
    assert f"Invitation for {OTTO} revoked." in browser.get(address).text
    assert "/invitations/" not in world.browser(OTTO, htmx=False).get("/").text


@pytest.mark.parametrize(
    ("zone", "hour"), [("America/New_York", 4), ("", 0), ("Nowhere/Land", 0), ("../etc/passwd", 0)]
)
def test_the_last_day_is_a_whole_day_in_the_owners_zone_or_utc(
    world: World, address: str, zone: str, hour: int
) -> None:
    world.browser(htmx=False).post(address, **VIEW, expires_at="2031-05-03", zone=zone)
    [share] = shares(world, patient_of(address))
    assert share.expires_at == datetime(2031, 5, 4, hour, tzinfo=UTC)


MISTAKES = (
    ({"email": ""}, "Enter an email address."),
    ({"email": "no address"}, "Enter an email address, such as anna@example.org."),
    ({"email": "nora@sample.example"}, "This is the owner’s email. Enter someone else’s."),
    ({"level": "owner"}, "Not a valid choice."),
    ({"expires_at": "2020-05-03"}, "Access must end in the future."),
    ({"expires_at": "soon"}, "Not a valid date value."),
)


def test_a_mistake_is_explained_beside_its_field(world: World, address: str) -> None:
    browser = world.browser(htmx=False)
    for fields, sentence in MISTAKES:
        answer = browser.post(address, **(VIEW | fields))
        assert (answer.status_code, sentence in answer.text) == (422, True)
    assert shares(world, patient_of(address)) == []


def test_changing_begins_with_what_there_is(world: World, address: str) -> None:
    browser = world.browser(htmx=False)
    browser.post(address, email=OTTO, level="edit", expires_at="2031-05-03")
    page = browser.get(address, change=shares(world, patient_of(address))[0].id).text
    assert f"Change access for {OTTO}" in page
    assert 'value="2031-05-03"' in page
    assert 'checked class="mf-check" id="level-1"' in page


def test_revoking_ends_access_and_an_unknown_share_is_not_found(world: World, address: str) -> None:
    browser = world.browser(htmx=False)
    browser.post(address, **VIEW)
    for number in ("999999", "1.5", "", "9" * 40):
        assert browser.post(address, remove=number).status_code == 404
    answer = browser.post(address, remove=shares(world, patient_of(address))[0].id)
    assert (answer.status_code, answer.location) == (303, address)
    assert world.browser(OTTO, htmx=False).get(f"/patients/{patient_of(address)}").status_code == 404


def test_a_reader_gives_its_own_access_up(world: World, address: str) -> None:
    world.browser(htmx=False).post(address, **VIEW)
    otto, patient = world.browser(OTTO, htmx=False), f"/patients/{patient_of(address)}"
    accepted(otto)
    page = otto.get(patient).text
    assert 'class="mf-give-up"' in page
    number = page.split('name="remove" value="')[1].split('"')[0]
    assert otto.post(address, remove=number).location == "/"
    assert otto.get(patient).status_code == 404


def test_the_owner_is_led_to_the_page_and_not_offered_to_leave(world: World, address: str) -> None:
    page = world.browser(htmx=False).get(f"/patients/{patient_of(address)}").text
    assert ("mf-give-up" in page, f'href="{address}"' in page) == (False, True)


def test_ended_access_is_shown_as_over(world: World, address: str) -> None:
    world.share(world.records().patient(patient_of(address)).patient, OTTO, "view", now() - timedelta(days=2))
    page = " ".join(world.browser(htmx=False).get(address).text.split())
    assert '<span class="mf-chip">Expired</span>' in page
    assert "Remove<span" in page
