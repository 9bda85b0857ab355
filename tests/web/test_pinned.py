"""Pinned patients, namesakes, and the field that finds a person."""

import re
from datetime import date
from typing import Any

import lxml.html
import pytest
from werkzeug.test import TestResponse

from medfiles.database.session import transaction
from medfiles.errors import NotFound
from medfiles.models import Patient
from medfiles.permissions import Actor
from tests.support import large_lists
from tests.support.api_client import script
from tests.support.factories import Browser, World

pytestmark = pytest.mark.database
OTTO = "otto@sample.example"


@pytest.fixture
def page(world: World) -> Browser:
    return world.browser(htmx=False)


def texts(answer: TestResponse, selector: str) -> list[str]:
    assert answer.status_code == 200, answer.text
    found: Any = lxml.html.fromstring(answer.text).cssselect(selector)
    return [" ".join(element.text_content().split()) for element in found]


def test_a_pinned_patient_comes_first_for_its_account_only(world: World, page: Browser) -> None:
    for name in ("Anna", "Ben", "Zoe"):
        world.share(world.patient(first_name=name), OTTO)
    zoe = world.records().patients()[-1].patient
    answer = page.post(f"/patients/{zoe.id}/pin", **{"from": "home"})
    assert (answer.status_code, answer.location) == (303, "/")
    assert texts(page.get("/"), ".mf-people strong") == ["Zoe Sample", "Anna Sample", "Ben Sample"]
    assert texts(page.get("/patients"), ".mf-people strong")[0] == "Zoe Sample"
    other = world.browser(OTTO, htmx=False)
    assert texts(other.get("/"), ".mf-people strong") == ["Anna Sample", "Ben Sample", "Zoe Sample"]
    assert page.post(f"/patients/{zoe.id}/unpin").location == f"/patients/{zoe.id}"
    assert texts(page.get("/"), ".mf-people strong")[0] == "Anna Sample"


def test_home_of_many_shows_pinned_patients_above_recent_ones(world: World, page: Browser) -> None:
    people = [world.patient(first_name=f"Child {number:02}") for number in range(20)]
    page.post(f"/patients/{people[19].id}/pin")
    page.get(f"/patients/{people[7].id}")
    home = page.get("/")
    assert texts(home, ".mf-people-title") == ["Pinned", "Recent"]
    names = texts(home, ".mf-people strong")
    assert (names[:2], len(names), len(set(names))) == (["Child 19 Sample", "Child 07 Sample"], 12, 12)
    assert texts(home, ".mf-side-people .mf-nav-words")[0] == "Child 19 Sample"


def test_a_pin_is_logged_once_and_lasts_while_the_account_can_see_the_patient(world: World) -> None:
    patient = world.patient()
    world.share(patient, OTTO)
    records = world.records(OTTO)
    for _ in range(2):
        assert records.pin_patient(patient.id).patient.is_pinned
    assert len(world.events(action="pin-patient")) == 1
    world.records().delete_patient(patient.id)
    assert records.pinned_people(10) == []
    with pytest.raises(NotFound):
        records.pin_patient(patient.id, False)
    assert world.events(action="unpin-patient")[-1].outcome == "refused"


def test_the_api_tells_pins_lists_them_and_changes_the_etag(world: World) -> None:
    by, patient = script(world), world.patient(first_name="Anna")
    world.patient(first_name="Ben")
    before = by.get(f"/patients/{patient.id}")
    pinned = by.post(f"/patients/{patient.id}/pin")
    assert (before.json["pinned"], pinned.json["pinned"]) == (False, True)  # type: ignore[index]
    assert before.headers["ETag"] != by.get(f"/patients/{patient.id}").headers["ETag"]
    changed = by.put(f"/patients/{patient.id}", {"gender": "Female"}, If_Match=before.headers["ETag"])
    assert (changed.status_code, changed.json["pinned"]) == (200, True)  # type: ignore[index]
    assert [one["first_name"] for one in by.get("/patients?pinned=1").json] == ["Anna"]  # type: ignore[union-attr]
    assert [one["pinned"] for one in by.get("/patients").json] == [True, False]  # type: ignore[union-attr]
    assert by.post(f"/patients/{patient.id}/unpin").json["pinned"] is False  # type: ignore[index]


# --- namesakes ------------------------------------------------------------------------------------------------------


def twins(world: World) -> tuple[Patient, Patient, Patient]:
    """Two patients with one name and birth date, and one with another birth date."""
    first, second, other = (world.patient(first_name="Maria") for _ in range(3))
    with transaction():
        other.birth_date = date(1990, 5, 6)
    return first, second, other


def test_namesakes_are_told_apart_by_their_number_everywhere(world: World, page: Browser) -> None:
    first, second, other = twins(world)
    visit = world.record("visit", first)
    [file] = world.store(visit, "maria.txt")
    number = f"No. {first.id}"
    paths = (
        f"/patients/{first.id}", f"/patients/{first.id}/profile", f"/visit/{visit.id}", f"/documents/visit/{visit.id}",
        f"/documents/files/{file}/preview", f"/patients/{first.id}/visits/new", "/search?q=maria",
    )  # fmt: skip
    for path in paths:
        assert number in " ".join(texts(page.get(path), "main")), path
    for path in ("/", "/patients", "/search"):
        answer = page.get(path)
        assert {number, f"No. {second.id}"} <= set(re.findall(r"No\. \d+", answer.text)), path
        assert f"No. {other.id}" not in answer.text, path
    quick = world.browser().get("/patients", q="maria", quick=1)
    assert texts(quick, ".mf-found-item > :last-child > :last-child")[0] == f"2 Mar 2018 · {number}"
    assert number in world.browser().get("/search", q="maria", quick=1).text


def test_a_namesake_that_the_account_cannot_see_is_not_revealed(world: World) -> None:
    shared, _, _ = twins(world)
    world.share(shared, OTTO)
    world.patient("eva@sample.example", first_name="Maria")
    other = world.browser(OTTO, htmx=False)
    assert "No. " not in other.get("/").text + other.get(f"/patients/{shared.id}").text
    mine = world.patient(OTTO, first_name="Maria")  # a patient of one's own may be the namesake of a shared one
    assert f"No. {shared.id}" in other.get("/").text
    assert f"No. {mine.id}" in other.get(f"/patients/{mine.id}").text


def test_a_patient_in_the_trash_is_no_namesake(world: World, page: Browser) -> None:
    first, second, _ = twins(world)
    world.records().delete_patient(second.id)
    assert f"No. {first.id}" not in page.get(f"/patients/{first.id}").text


# --- the field that finds a person ----------------------------------------------------------------------------------


def test_accounts_of_many_find_a_person_from_every_page(world: World, page: Browser) -> None:
    assert texts(page.get("/account"), ".mf-switch") == []
    large_lists.patients(world.user().id, 5000, 30)
    [form] = lxml.html.fromstring(page.get("/account").text).cssselect(".mf-side .mf-switch")
    assert (form.get("action"), form.cssselect("input")[0].get("name")) == ("/patients", "q")
    found = world.browser().get("/patients", q="patient 00000000001", quick=1)
    assert texts(found, ".mf-found-item strong") == [f"Patient {number:012}" for number in (1, *range(10, 17))]
    assert texts(found, ".mf-found-all") == ["All people found"]
    assert "No people match" in world.browser().get("/patients", q="nobody", quick=1).text
    assert world.browser().get("/patients", q=" ", quick=1).text.strip() == ""
    assert len(texts(page.get("/patients", q="patient 00000000001", quick=1), ".mf-people strong")) == 11


def test_pins_of_a_token_of_one_patient_are_its_own(world: World) -> None:
    first, second = world.patient(first_name="Anna"), world.patient(first_name="Ben")
    for patient in (first, second):
        world.records().pin_patient(patient.id)
    only = world.records()
    only.actor = Actor(only.actor.user_id, only.actor.email, only_patient=first.id)
    assert [entry.patient.first_name for entry in only.pinned_people(10)] == ["Anna"]
