"""Faces, allergies and documents of patients: in the form, on their pages, over the API and on the start page."""

from datetime import date
from typing import Any

import lxml.html
import pytest
from werkzeug.test import TestResponse

from medfiles.database.session import db
from medfiles.models import Patient
from tests.support import samples
from tests.support.api_client import script
from tests.support.factories import Browser, World

pytestmark = pytest.mark.database

NAMED = {"first_name": "Theo", "last_name": "Sample", "birth_date": "2021-11-10"}


@pytest.fixture
def page(world: World) -> Browser:
    return world.browser(htmx=False)


def tree(answer: TestResponse) -> Any:
    assert answer.status_code == 200, answer.text
    return lxml.html.fromstring(answer.text)


def checked(answer: TestResponse) -> list[str]:
    return [str(radio.get("value")) for radio in tree(answer).cssselect("[name=hue][checked]")]


def patients(world: World) -> list[Patient]:
    db.session.expunge_all()  # read what requests have changed
    return [entry.patient for entry in world.records().patients()]


def test_new_patients_get_the_least_used_color_of_those_one_sees(world: World) -> None:
    hues = [world.patient(first_name=f"Child {number}").hue for number in range(10)]
    assert hues == [1, 2, 3, 4, 5, 6, 7, 8, 1, 2]
    shared = world.patient("otto@sample.example")
    assert shared.hue == 1
    world.share(shared, "vera@sample.example")
    assert world.patient("vera@sample.example").hue == 2


def test_the_form_offers_eight_named_colors_with_an_unused_one_chosen(world: World, page: Browser) -> None:
    world.patient()
    form = page.get("/patients/new")
    labels = [label.text for label in tree(form).xpath("//label[starts-with(@for, 'hue-')]")]
    assert labels == ["Terracotta", "Ochre", "Olive", "Green", "Blue", "Indigo", "Plum", "Rose"]
    assert checked(form) == ["2"]
    assert page.post("/patients/new", **NAMED, hue="7").status_code == 303
    assert [patient.hue for patient in patients(world)] == [1, 7]


def test_a_form_without_a_color_leaves_it_as_it_is(world: World, page: Browser) -> None:
    patient = world.patient()
    world.records().edit_patient(patient.id, {"hue": 5})
    assert page.post(f"/patients/{patient.id}/edit", **NAMED).status_code == 303
    assert [(patient.first_name, patient.hue) for patient in patients(world)] == [("Theo", 5)]


@pytest.mark.parametrize("hue", ["9", "0", "blue", "-1"])
def test_a_color_that_does_not_exist_is_refused(world: World, page: Browser, hue: str) -> None:
    assert page.post("/patients/new", **NAMED, hue=hue).status_code == 422
    assert patients(world) == []


def test_two_people_who_choose_different_colors_choose_one_of_them(world: World, page: Browser) -> None:
    patient = world.patient()
    seen = {f"was_{name}": value for name, value in {**NAMED, "first_name": "Ella", "hue": "1"}.items()}
    world.records().edit_patient(patient.id, {"hue": 3})
    sent = {**NAMED, "first_name": "Ella", "hue": "2", **seen}
    clash = page.post(f"/patients/{patient.id}/edit", **sent)
    assert (clash.status_code, "Olive" in clash.text) == (409, True)
    chosen = sent | {"was_hue": "3", "conflict": "hue", "keep_hue": "mine"}
    assert page.post(f"/patients/{patient.id}/edit", **chosen).status_code == 303
    assert [patient.hue for patient in patients(world)] == [2]


def test_allergies_are_an_alert_and_have_a_history(world: World, page: Browser) -> None:
    patient = world.patient()
    assert "Allergies:" not in page.get(f"/patients/{patient.id}").text
    for allergies in ("Penicillin", "Penicillin, latex"):
        assert page.post(f"/patients/{patient.id}/edit", **NAMED, allergies=allergies).status_code == 303
    assert "Allergies: Penicillin, latex" in page.get(f"/patients/{patient.id}").text
    history = page.get(f"/patients/{patient.id}/history").text
    assert "Allergies" in history
    assert page.post(f"/patients/{patient.id}/edit", **NAMED, allergies="x" * 501).status_code == 422


def test_the_history_names_colors(world: World, page: Browser) -> None:
    patient = world.patient()
    world.records().edit_patient(patient.id, {"hue": 8})
    history = page.get(f"/patients/{patient.id}/history").text
    assert [name in history for name in ("Terracotta", "Rose", "Plum")] == [True, True, False]


def test_the_api_keeps_color_and_allergies(world: World) -> None:
    by = script(world)
    made = by.post("/patients", json={**NAMED, "allergies": "Latex"}).get_json()
    assert (made["allergies"], made["hue"]) == ("Latex", 1)
    changed = by.put(f"/patients/{made['id']}", json={"hue": 6, "allergies": None}).get_json()
    assert (changed["allergies"], changed["hue"]) == (None, 6)
    for hue in (0, 9, "6", 1.5, True, None):
        assert by.put(f"/patients/{made['id']}", json={"hue": hue}).status_code == 422
        assert by.post("/patients", json={**NAMED, "hue": hue}).status_code == 422
    assert [patient.hue for patient in patients(world)] == [6]


def test_the_documents_of_all_records_are_listed_newest_first(world: World, page: Browser) -> None:
    patient, other, stranger = world.patient(), world.patient(first_name="Theo"), world.browser("otto@sample.example")
    visit, insurance = world.record("visit", patient, reason="Knee"), world.record("insurance", patient)
    world.attach(visit, "Letter.pdf", category="referral")
    world.attach(insurance, "Card.png", samples.png(), category="card")
    world.attach(world.record("visit", other), "Theirs.pdf")
    world.documents().trash(world.attach(visit, "Trashed.txt").id)
    here = f"/patients/{patient.id}/documents"

    def listed(**query: str) -> list[str]:
        return [link.text for link in tree(page.get(here, **query)).cssselect(".mf-page-tile .mf-stretch")]

    assert listed() == ["Card", "Letter"]
    assert listed(category="card") == listed(media="image") == ["Card"]
    assert listed(q="letter") == listed(category="referral") == ["Letter"]
    assert listed(sort="name", order="desc") == ["Letter", "Card"]
    assert "Knee" in page.get(here).text
    assert page.get(here, category="recipe").status_code == 422
    assert stranger.get(here).status_code == 404


def test_a_long_list_of_documents_goes_on_where_the_page_ended(world: World) -> None:
    patient = world.patient()
    for _ in range(2):
        world.store(world.record("visit", patient), *[f"{number}.txt" for number in range(30)])
    lab_result = world.record("lab-result", patient)
    world.older_file(lab_result, "Older.pdf")
    found, path = list[int](), f"/patients/{patient.id}/documents"
    while path:
        answer = tree(world.browser().get(path))
        found.append(len(answer.cssselect(".mf-page-tile")))
        path = next(iter(answer.xpath("//a[contains(@href, 'cursor=')]/@href")), "")
    assert found == [50, 11]


def test_the_start_page_shows_whose_document_is_new(world: World, page: Browser) -> None:
    for name in ("Ella", "Theo"):
        world.attach(world.record("visit", world.patient(first_name=name), reason=f"Visit of {name}"))
    about = [line.text_content() for line in tree(page.get("/")).cssselect(".mf-page-tile-words")]
    assert [[name in line for name in ("Theo ·", "Visit of Theo")] for line in about] == [[True] * 2, [False] * 2]


def test_entries_of_the_timeline_show_day_status_and_how_many_documents_are_left(world: World, page: Browser) -> None:
    patient = world.patient()
    visit = world.record("visit", patient, reason="Knee", date=date(2026, 11, 8))
    for number in range(5):
        world.attach(visit, f"{number}.png", samples.png())
    world.record("lab-result", patient, status="Ordered", labs_result="2 out of range")
    world.record("procedure", patient, status="Completed")
    entries = tree(page.get(f"/patients/{patient.id}")).cssselect(".mf-entry")
    [knee] = [entry for entry in entries if entry.get("href") == f"/visit/{visit.id}"]
    assert knee.cssselect("time")[0].text == "8 Nov"
    assert len(knee.cssselect(".mf-thumb img")) == 3
    assert [rest.text for rest in knee.cssselect(".mf-rest")] == ["+2", "+4"]  # on a phone one of them is shown
    tags = [tag.text for entry in entries for tag in entry.cssselect(".mf-tag")]
    assert sorted(tags) == ["2 out of range", "Ordered"]


def test_the_profile_says_who_the_patient_is_and_a_reader_cannot_edit_it(world: World, page: Browser) -> None:
    patient = world.patient()
    world.records().edit_patient(patient.id, {"allergies": "Latex", "notes": "Blood group 0"})
    path = f"/patients/{patient.id}/profile"
    profile = tree(page.get(path)).cssselect(".mf-profile")[0]
    assert all(words in profile.text_content() for words in ("Ella", "Sample", "Latex", "Blood group 0"))
    assert profile.cssselect(f"a[href='/patients/{patient.id}/edit']")
    world.share(patient, "vera@sample.example")
    assert not tree(world.browser("vera@sample.example", htmx=False).get(path)).cssselect("a[href$='/edit']")


def test_the_card_of_an_insurance_stands_on_top_with_its_front_first(world: World, page: Browser) -> None:
    insurance = world.record("insurance", world.patient(), member_id="EMH 4471")
    path = f"/insurance/{insurance.id}"
    assert not tree(page.get(path)).cssselect(".mf-cards-on-top")
    world.attach(insurance, "Card back.png", samples.png(), category="card")
    world.attach(insurance, "Card front.png", samples.png(90, 60), category="card")
    world.attach(insurance, "Policy.pdf", samples.pdf(), category="policy")
    top = tree(page.get(path)).cssselect(".mf-cards-on-top")[0]
    alts = [image.get("alt") for image in top.cssselect("li img")]
    assert alts == ["Front of the card: Card front", "Back of the card: Card back"]
    assert top.cssselect("[data-mf-copy-words='EMH 4471']")
