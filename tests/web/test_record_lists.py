"""The list of a patient's records of one type: search, years, sort orders and pages."""

from datetime import date
from typing import Any

import lxml.html
import pytest
from werkzeug.test import TestResponse

from medfiles.models import Patient
from tests.support import large_lists
from tests.support.factories import Browser, World

pytestmark = pytest.mark.database


@pytest.fixture
def page(world: World) -> Browser:
    return world.browser(htmx=False)


def tree(answer: TestResponse) -> Any:
    assert answer.status_code == 200, answer.text
    return lxml.html.fromstring(answer.text)


def titles(answer: TestResponse) -> list[str]:
    return [" ".join(link.text_content().split()) for link in tree(answer).cssselect(".mf-card-record h2 a")]


@pytest.fixture
def patient(world: World) -> Patient:
    found = world.patient()
    for reason, day in (("Knee pain", (2019, 6, 20)), ("check-up", (2021, 1, 5)), ("Ärzte", (2019, 1, 2))):
        world.record("visit", found, reason=reason, date=date(*day), notes="Bring the MRI" if day[0] == 2021 else "")
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["check-up", "Knee pain", "Ärzte"]),
        ("order=asc", ["Ärzte", "Knee pain", "check-up"]),
        ("year=2019", ["Knee pain", "Ärzte"]),
        ("q=kn", ["Knee pain"]),
        ("q=mri", ["check-up"]),
        ("q=arzte", ["Ärzte"]),
        ("q=mri&year=2019", []),
        ("q=x", []),
    ],
)
def test_visits_are_searched_sorted_and_narrowed_to_a_year(
    page: Browser, patient: Patient, query: str, expected: list[str]
) -> None:
    assert titles(page.get(f"/patients/{patient.id}/visits?{query}")) == expected


def test_records_are_sorted_by_title_without_regard_to_capitals(page: Browser, patient: Patient) -> None:
    assert titles(page.get(f"/patients/{patient.id}/visits", sort="title"))[:2] == ["check-up", "Knee pain"]


def test_a_long_list_comes_in_pages_each_record_once(world: World, page: Browser) -> None:
    patient = world.patient()
    large_lists.visits(patient.id, 5000, 120, 120)
    for sort in ("date", "title"):
        seen, path = [], f"/patients/{patient.id}/visits?sort={sort}"
        while path:
            answer = page.get(path)
            seen.append([link.get("href") for link in tree(answer).cssselect(".mf-card-record h2 a")])
            path = next(iter(tree(answer).xpath("//li[@class='mf-more-cards']/a/@href")), "")
        assert [len(part) for part in seen] == [50, 50, 20]
        assert len(set(sum(seen, []))) == 120


@pytest.mark.parametrize("query", ["year=0", "year=soon", "sort=size", "order=up", "cursor=invalid"])
def test_invalid_parameters_are_refused(page: Browser, patient: Patient, query: str) -> None:
    assert page.get(f"/patients/{patient.id}/visits?{query}").status_code == 422
