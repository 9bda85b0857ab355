"""A patient's records of all types in one list: each once, newest first, wherever a page ends."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pytest
from werkzeug.datastructures import MultiDict

from medfiles.database.session import db
from medfiles.errors import NotFound, Rejected
from medfiles.http.parameters import timeline_query
from medfiles.models import EntityFile, Patient
from medfiles.records.timeline import PICTURES, Entry, TimelineQuery, read_cursor
from tests.support import samples
from tests.support.factories import World

pytestmark = pytest.mark.database

CREATED = datetime(2024, 6, 1, 23, 30, tzinfo=UTC)
Told = tuple[str, str, date]  # record type, title, day


@pytest.fixture
def patient(world: World) -> Patient:
    """A patient with records of all types, several on one day, one without a date."""
    patient = world.patient()
    for day in (date(2026, 5, 12), date(2026, 5, 12), date(2024, 1, 2)):
        world.record("visit", patient, date=day)
    world.record("procedure", patient, date=date(2026, 5, 12))
    world.record("insurance", patient, effective_date=date(2025, 1, 1))
    world.record(
        "lab-result", patient, test_name="Completed", ordered_date=date(2026, 5, 1), completed_date=date(2026, 5, 12)
    )
    world.record("lab-result", patient, test_name="Ordered", ordered_date=date(2025, 3, 4))
    undated: Any = world.record("lab-result", patient, test_name="Undated")
    undated.created_at = CREATED
    db.session.commit()
    return patient


def listed(world: World, patient: Patient, limit: int = 50, **query: Any) -> list[Entry]:
    """All entries, page by page, each asked for with the cursor of the one before."""
    found, cursor = list[Entry](), None
    while True:
        page = world.records().timeline(patient.id, TimelineQuery(**query, cursor=cursor), limit)
        assert len(page.entries) <= limit
        found += page.entries
        if page.next is None:
            return found
        cursor = read_cursor(page.next)


def told(entries: Sequence[Entry]) -> list[Told]:
    return [(entry.record_type.name, entry.record_type.title_of(entry.record), entry.day) for entry in entries]


def test_records_of_all_types_are_listed_newest_first(world: World, patient: Patient) -> None:
    assert told(listed(world, patient)) == [
        ("lab-result", "Completed", date(2026, 5, 12)),
        ("visit", "Something", date(2026, 5, 12)),
        ("visit", "Something", date(2026, 5, 12)),
        ("procedure", "Something", date(2026, 5, 12)),
        ("lab-result", "Ordered", date(2025, 3, 4)),
        ("insurance", "Something", date(2025, 1, 1)),
        ("lab-result", "Undated", date(2024, 6, 1)),
        ("visit", "Something", date(2024, 1, 2)),
    ]


@pytest.mark.parametrize("limit", range(1, 9))
def test_pages_of_any_length_list_each_record_once(world: World, patient: Patient, limit: int) -> None:
    assert told(listed(world, patient, limit)) == told(listed(world, patient))
    ids = [(entry.record_type.name, entry.record.id) for entry in listed(world, patient, limit)]
    assert len(set(ids)) == 8


def test_a_record_added_between_two_pages_neither_repeats_nor_hides_others(world: World, patient: Patient) -> None:
    first = world.records().timeline(patient.id, TimelineQuery(), 3)
    before = told(listed(world, patient))
    world.record("visit", patient, date=date(2026, 11, 1))
    assert first.next is not None
    rest = world.records().timeline(patient.id, TimelineQuery(cursor=read_cursor(first.next)), 50)
    assert told([*first.entries, *rest.entries]) == before


def test_types_and_the_newest_year_narrow_the_list(world: World, patient: Patient) -> None:
    assert {name for name, _, _ in told(listed(world, patient, 2, types=("visit", "insurance")))} == {
        "visit",
        "insurance",
    }
    assert [day.year for _, _, day in told(listed(world, patient, 2, year=2025))] == [2025, 2025, 2024, 2024]
    assert listed(world, patient, year=2023) == []


def test_totals_count_by_type_and_by_year(world: World, patient: Patient) -> None:
    totals = world.records().timeline_totals(patient.id)
    assert totals.of_types() == {"lab-result": 3, "visit": 3, "procedure": 1, "insurance": 1}
    assert list(totals.of_years().items()) == [(2026, 4), (2025, 2), (2024, 2)]
    assert totals.of_years(["visit"]) == {2026: 2, 2024: 1}


def test_records_in_the_trash_and_of_others_are_not_listed(world: World, patient: Patient) -> None:
    gone = world.record("visit", patient)
    world.records().delete(world.kind(), gone.id)
    world.record("visit", world.patient())
    assert len(listed(world, patient)) == sum(world.records().timeline_totals(patient.id).of_types().values()) == 8
    stranger = world.records("otto@sample.example")
    with pytest.raises(NotFound):
        stranger.timeline(patient.id, TimelineQuery(), 50)
    with pytest.raises(NotFound):
        stranger.timeline_totals(patient.id)


def test_each_record_has_its_number_of_documents_and_its_newest_pictures(world: World, patient: Patient) -> None:
    record = world.record("procedure", patient, date=date(2026, 11, 1))
    world.store(record, "note.txt")
    pictures = [
        world.attach(record, f"{number}.png", samples.png(30 + number, 20)).id for number in range(PICTURES + 1)
    ]
    trashed = world.attach(record, "trashed.png", samples.png(9, 9)).id
    world.documents().trash(trashed)
    [entry, *others] = listed(world, patient)
    assert (entry.record.id, entry.documents) == (record.id, PICTURES + 2)
    assert [file.id for file in entry.pictured] == pictures[:0:-1]
    assert [(other.documents, list(other.pictured)) for other in others] == [(0, [])] * 8


def test_a_document_that_the_reader_cannot_open_is_not_pictured(world: World, patient: Patient) -> None:
    record = world.record("visit", patient, date=date(2026, 11, 1))
    world.share(patient, "otto@sample.example")
    for name, scan in (("infected.png", "infected"), ("waiting.png", "waiting"), ("clean.png", "clean")):
        file = world.attach(record, name, samples.png(len(name), 20))
        db.session.get_one(EntityFile, file.id).scan = scan
        db.session.commit()
    seen = {email: world.records(email).timeline(patient.id, TimelineQuery(), 1) for email in world._users}
    assert {email: [file.file_name for file in page.entries[0].pictured] for email, page in seen.items()} == {
        "nora@sample.example": ["clean.png", "waiting.png"],
        "otto@sample.example": ["clean.png"],
    }
    assert {page.entries[0].documents for page in seen.values()} == {3}


def test_a_file_of_the_older_feature_counts(world: World, patient: Patient) -> None:
    record = world.record("lab-result", patient, completed_date=date(2026, 11, 1))
    world.attach(record)
    world.older_file(record)
    assert listed(world, patient)[0].documents == 2


@pytest.mark.parametrize(
    "query", [{"type": "visits"}, {"year": "26"}, {"year": "9999"}, {"cursor": "what"}, {"cursor": "dmlzaXQ"}]
)
def test_parameters_of_another_list_are_refused(world: World, query: Mapping[str, str]) -> None:
    with pytest.raises(Rejected):
        timeline_query(MultiDict(query), world.parts.registry)


def test_a_query_survives_its_address(world: World) -> None:
    for types, year in itertools.product(((), ("visit",), ("visit", "procedure")), (None, 2025)):
        query = TimelineQuery(types, year)
        assert timeline_query(MultiDict(query.query()), world.parts.registry) == query


def test_the_patients_page_shows_years_and_the_next_page_as_a_fragment(world: World, patient: Patient) -> None:
    for number in range(50):
        world.record("visit", patient, date=date(2020, 1, 1 + number % 28))
    page = world.browser(htmx=False).get(f"/patients/{patient.id}?type=visit&year=2026")
    assert [text in page.text for text in (">2026</h2>", ">2020</h2>", "Completed", "Show older records")] == [
        True, True, False, True,
    ]  # fmt: skip
    [older] = {link for link in page.text.split('"') if "cursor=" in link}
    fragment = world.browser().get(older.replace("&amp;", "&"))
    assert 'aria-label="2020"' in fragment.text  # the page before has the heading
    assert "</h2>" not in fragment.text
    assert "<html" not in fragment.text
    assert "Show older records" not in fragment.text
    activity = world.browser(htmx=False).get(f"/patients/{patient.id}/activity")
    assert "viewed the records of “Ella Sample”" in activity.text
