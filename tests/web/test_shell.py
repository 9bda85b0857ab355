"""Home and the sidebar around every page: people with their color, and the way to each of them."""

from typing import Any

import lxml.html
import pytest
from werkzeug.test import TestResponse

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
        assert (words(current[1]), current.get("href")) == ("Theo Sample", f"/patients/{theo.id}")
    assert tree(page.get("/")).cssselect(".mf-side-people [aria-current]") == []


def test_sidebar_lists_the_first_twelve_and_the_patient_of_the_page(world: World, page: Browser) -> None:
    people = [world.patient(first_name=f"Child {number:02}") for number in range(14)]
    first = [f"Child {number:02} Sample" for number in range(12)]
    assert sidebar(page.get("/")) == [*first, "All people"]
    assert sidebar(page.get(f"/patients/{people[3].id}")) == [*first, "All people"]
    assert sidebar(page.get(f"/patients/{people[13].id}")) == ["Child 13 Sample", *first, "All people"]


def test_phones_have_the_same_places_without_script(world: World, page: Browser) -> None:
    patient = world.patient()
    [more] = tree(page.get("/")).cssselect(".mf-tabbar details")
    assert [link.get("href") for link in more.cssselect("a")] == [f"/patients/{patient.id}", "/account"]
    assert more.cssselect("form")[0].get("action") == "/sign-out"


def test_pages_of_strangers_have_no_sidebar(world: World) -> None:
    answer = world.app.test_client().get("/sign-in")
    assert tree(answer).cssselect(".mf-side, .mf-tabbar") == []
    assert "Ask the person who runs this installation." in answer.text
