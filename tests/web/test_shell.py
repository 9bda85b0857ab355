"""Home and the sidebar around every page: people with their color, and the way to each of them."""

from typing import Any

import lxml.html
import pytest
from werkzeug.test import TestResponse

from tests.support import large_lists
from tests.support.factories import Browser, World

pytestmark = pytest.mark.database


@pytest.fixture
def page(world: World) -> Browser:
    return world.browser(htmx=False)


def tree(answer: TestResponse) -> Any:
    assert answer.status_code == 200, answer.text
    return lxml.html.fromstring(answer.text)


def words(element: Any) -> str:
    return " ".join(element.text_content().split())


def sidebar(answer: TestResponse) -> list[str]:
    return [words(link) for link in tree(answer).cssselect(".mf-side-people .mf-nav-words")]


def test_home_names_people_with_birth_date_and_color(world: World, page: Browser) -> None:
    patient = world.patient(first_name="Theo")
    [card] = tree(page.get("/")).cssselect(f".mf-people [href='/patients/{patient.id}']")
    assert words(card) == "TS Theo Sample 2 Mar 2018"
    assert f"mf-hue-{patient.hue}" in card.get("class").split()


def test_sidebar_marks_the_patient_of_the_page(world: World, page: Browser) -> None:
    world.patient(first_name="Ella")
    theo = world.patient(first_name="Theo")
    visit = world.record("visit", theo)
    for path in (f"/patients/{theo.id}", f"/visit/{visit.id}"):
        [current] = tree(page.get(path)).cssselect(".mf-side-people [aria-current]")
        assert (words(current[1]), current.get("href")) == ("Theo Sample 2 Mar 2018", f"/patients/{theo.id}")
    assert tree(page.get("/")).cssselect(".mf-side-people [aria-current]") == []


def test_sidebar_names_everyone_if_they_are_few(world: World, page: Browser) -> None:
    for number in range(8):
        world.patient(first_name=f"Child {7 - number}")
    assert sidebar(page.get("/")) == [f"Child {number} Sample" for number in range(8)]


def test_sidebar_of_many_lists_those_used_last_and_all_people(world: World, page: Browser) -> None:
    people = [world.patient(first_name=f"Child {number:02}") for number in range(20)]
    for person in (people[3], people[17]):
        page.get(f"/patients/{person.id}")
    listed = sidebar(page.get("/"))
    assert (listed[:2], len(listed), listed[-1]) == (["Child 17 Sample", "Child 03 Sample"], 9, "All people")
    named = sidebar(page.get(f"/patients/{people[5].id}"))
    assert (len(named), "Child 05 Sample" in named, len(set(named))) == (9, True, 9)


def test_people_of_many_are_named_before_any_was_used(world: World, page: Browser) -> None:
    large_lists.patients(world.user().id, 5000, 20)
    assert sidebar(page.get("/")) == [*(f"Patient {number:012}" for number in range(8)), "All people"]


# --- home and the page of all people --------------------------------------------------------------------------------


def people_on(answer: TestResponse) -> list[str]:
    return [words(name) for name in tree(answer).cssselect(".mf-people strong")]


def test_home_shows_twelve_and_begins_with_the_search_for_all(world: World, page: Browser) -> None:
    for number in range(11):
        world.patient(first_name=f"Child {number:02}")
    assert not tree(page.get("/")).cssselect(".mf-top-home")
    for name in ("Yves", "Zoe"):
        world.patient(first_name=name)
        home = page.get("/")
        assert len(people_on(home)) == 12
        [form] = tree(home).cssselect("form[role=search].mf-top-home")
        assert (form.get("action"), form.cssselect("input")[0].get("name")) == ("/search", "q")


def test_home_names_the_patient_of_every_document(world: World, page: Browser) -> None:
    visit = world.record("visit", world.patient(first_name="Aaron"))
    world.store(visit, "letter.txt")
    large_lists.patients(world.user().id, 5000, 1200)
    for _ in range(12):
        world.patient(first_name="Zoe")
    [tile] = tree(page.get("/")).cssselect(".mf-page-tile")
    assert "Aaron" in words(tile)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Änne Sample", "Theo Sample"]),
        ("anne", ["Änne Sample"]),
        ("sam THE", ["Theo Sample"]),
        ("2018", ["Änne Sample", "Theo Sample"]),
        ("02.03.2018 theo", ["Theo Sample"]),
        ("2 mar", ["Änne Sample", "Theo Sample"]),
        ("nobody", []),
    ],
)
def test_all_people_are_found_by_name_and_birth_date(world: World, page: Browser, query: str, found: list[str]) -> None:
    for name in ("Theo", "Änne"):
        world.patient(first_name=name)
    world.patient("other@sample.example", first_name="Theodora")
    assert people_on(page.get("/patients", q=query)) == found
    part = world.browser().get("/patients", q=query)
    assert ("<html" in part.text, people_on(part)) == (False, found)


def test_all_people_come_in_pages(world: World, page: Browser) -> None:
    large_lists.patients(world.user().id, 5000, 230)
    seen, path = [], "/patients?q=patient"
    while path:
        answer = page.get(path)
        seen.append(people_on(answer))
        path = next(iter(tree(answer).xpath("//a[text()='Next page']/@href")), "")
    assert [len(names) for names in seen] == [100, 100, 30]
    assert sum(seen, []) == [f"Patient {number:012}" for number in range(230)]
    assert page.get("/patients", cursor="invalid").status_code == 422


def test_phones_have_the_same_places_without_script(world: World, page: Browser) -> None:
    patient = world.patient()
    [more] = tree(page.get("/")).cssselect(".mf-tabbar details")
    places = [link.get("href") for link in more.cssselect("a")]
    assert places == [f"/patients/{patient.id}", "/links", "/account", "/trash"]
    assert more.cssselect("form")[0].get("action") == "/sign-out"


def test_pages_of_strangers_have_no_sidebar(world: World) -> None:
    answer = world.app.test_client().get("/sign-in")
    assert tree(answer).cssselect(".mf-side, .mf-tabbar") == []
    assert "Ask the person who runs this installation." in answer.text
