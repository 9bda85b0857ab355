"""The search page, the results under the field of every page, and marks on the pages of a document."""

import json
from datetime import timedelta
from typing import Any

import pytest

from medfiles.database.session import db, transaction
from medfiles.models import EntityFile, PageText
from medfiles.search import index
from tests.support.api_client import script
from tests.support.clocks import SetClock
from tests.support.factories import World, words

OTTO = "otto@sample.example"


def read(world: World, file: EntityFile, *pages: str) -> None:
    """Give a document a text, as the job that reads it does; each word has a box."""
    with transaction() as session:
        for number, text in enumerate(pages, 1):
            boxes = [[word, 0.1, 0.1 * place, 0.2, 0.05] for place, word in enumerate(text.split(), 1)]
            session.add(
                PageText(
                    sha256=file.sha256, page=number, recipe=1, pages=len(pages), source="text-layer", text=text,
                    words=json.dumps(boxes),
                )
            )  # fmt: skip
        session.flush()
        index.put_texts(file.sha256)


@pytest.fixture
def report(world: World) -> EntityFile:
    record = world.record("procedure", procedure_name="MRI of the knee", notes="Bring the pictures.")
    file = world.attach(record, "Report.pdf", description="For the orthopedist")
    read(world, file, "The knee is fine.", "A small meniscus\n  tear is suspected.")
    return file


def test_a_result_shows_the_text_around_the_words_and_opens_its_page(world: World, report: EntityFile) -> None:
    page = world.browser(htmx=False).get("/search", q="meniscus te")
    assert page.status_code == 200
    assert "A small <mark>meniscus</mark> <mark>tear</mark> is suspected." in page.text
    assert f"/documents/files/{report.id}/preview?page=2&amp;find=meniscus+te" in page.text
    assert "1 result" in words(page)
    assert "Ella Sample, born 2 Mar 2018" in words(page)


def test_the_preview_marks_the_words_on_the_page(world: World, report: EntityFile) -> None:
    here = f"/documents/files/{report.id}/preview"
    marked = world.browser().get(here, page=1, find="knee")
    assert marked.text.count("<rect") - world.browser().get(here, page=1).text.count("<rect") == 1
    assert "mf-rings" not in world.browser().get(here, page=1, find="absent").text


def test_results_as_one_types_are_few_and_lead_to_all_of_them(world: World, report: EntityFile) -> None:
    part = world.browser().get("/search", q="knee", quick=1)
    assert "<html" not in part.text
    assert "MRI of the knee" in words(part)
    assert 'href="/search?q=knee"' in part.text


@pytest.mark.parametrize("q", ["", " ", "k", "?!"])
def test_a_query_without_a_word_finds_nothing_and_says_what_is_needed(world: World, report: EntityFile, q: str) -> None:
    page = world.browser(htmx=False).get("/search", q=q)
    assert "at least two letters" in words(page)
    assert "mf-result-words" not in page.text
    assert world.browser().get("/search", q=q, quick=1).text.strip() == ""


def test_filters_narrow_and_can_be_removed(world: World, report: EntityFile) -> None:
    by = world.browser()
    assert "mf-result-words" in by.get("/search", q="knee", type="procedure").text
    empty = by.get("/search", q="knee", type="visit")
    assert "Nothing matches" in words(empty)
    assert 'href="/search?q=knee"' in empty.text  # without the filter
    assert by.get("/search", q="knee", type="letter").status_code == 422


def test_a_document_of_the_patient_is_found_with_the_patient(world: World) -> None:
    file = world.attach(world.patient(), "Passport.pdf", category="id")
    page = world.browser(htmx=False).get("/search", q="passport", category="id")
    assert f"/documents/files/{file.id}/preview" in page.text
    assert "Ella Sample, born 2 Mar 2018" in words(page)
    assert "In the record" not in words(page)
    [hit] = script(world).get("/search?q=passport").get_json()["items"]
    assert (hit["kind"], hit["entity_type"], hit["title"]) == ("document", "patient", "Passport.pdf")


def test_more_results_continue_after_the_first_page(world: World) -> None:
    record = world.record()
    world.store(record, "one.txt")
    for number in range(25):
        world.record("visit", notes=f"zebra {number}")
    first = world.browser(htmx=False).get("/search", q="zebra")
    assert first.text.count("mf-result-words") == 20
    more = first.text.split('class="mf-button" href="')[1].split('"')[0].replace("&amp;", "&")
    assert world.browser().get(more).text.count("mf-result-words") == 5


def test_a_document_in_quarantine_is_listed_without_its_text(world: World, report: EntityFile) -> None:
    with transaction() as session:
        session.get_one(EntityFile, report.id).scan = "infected"
    page = world.browser(htmx=False).get("/search", q="meniscus")
    assert "<mark>" not in page.text
    assert "Report" in words(page)
    answer: Any = script(world).get("/search?q=meniscus").json
    [hit] = answer["items"]
    assert (hit["snippet"], hit["boxes"], hit["page"]) == (None, [], None)


def test_the_api_returns_snippet_offsets_page_and_boxes(world: World, report: EntityFile) -> None:
    answer: Any = script(world).get("/search?q=meniscus&limit=1").json
    [hit] = answer["items"]
    assert (hit["kind"], hit["id"], hit["page"], answer["total"], answer["next"]) == ("document", report.id, 2, 1, None)
    [[start, end]] = hit["highlights"]
    assert hit["snippet"][start:end] == "meniscus"
    assert hit["boxes"] == [pytest.approx([0.1, 0.3, 0.2, 0.05])]
    assert hit["file"]["file_name"] == "Report.pdf"


def test_what_is_foreign_is_as_absent(world: World, report: EntityFile) -> None:
    world.patient(OTTO)
    for q in ("meniscus", "zebra"):
        assert script(world, OTTO).get(f"/search?q={q}").json == {"items": [], "total": 0, "next": None}
    with_filter = f"/search?q=knee&patient={report.patient_id}"
    assert script(world, OTTO).get(with_filter).json == {"items": [], "total": 0, "next": None}


def test_a_search_is_logged_once_a_minute_for_each_patient_who_was_found_and_without_the_query(
    world: World, report: EntityFile, set_clock: SetClock
) -> None:
    for _ in range(2):
        world.browser().get("/search", q="knee")
    script(world).get("/search?q=knee")  # by a token, which is logged separately
    events = world.events(action="search")
    assert [event.patient_id for event in events] == [report.patient_id] * 2
    assert not any("knee" in f"{event.details} {event.personal}" for event in events)
    set_clock(timedelta(minutes=2))
    world.browser().get("/search", q="knee")
    assert len(world.events(action="search")) == 3


def test_changes_are_found_at_once(world: World, report: EntityFile) -> None:
    def found(q: str) -> set[tuple[str, int]]:
        answer: Any = script(world).get(f"/search?q={q}").json
        return {(hit["kind"], hit["id"]) for hit in answer["items"]}

    document, documents = ("document", report.id), world.documents()
    assert document in found("orthopedist")
    documents.edit(report.id, {"file_name": "Letter.pdf", "description": "For the surgeon"})
    assert found("orthopedist") == set()
    assert document in found("letter surgeon") & found("meniscus")
    world.records().edit(world.kind("procedure"), report.entity_id, {"procedure_name": "Arthroscopy"})
    assert found("arthroscopy") == {document, ("record", report.entity_id)}
    documents.trash(report.id)
    assert found("arthroscopy") == {("record", report.entity_id)}
    documents.restore(report.id)
    assert document in found("meniscus")
    world.records().delete(world.kind("procedure"), report.entity_id)
    assert found("arthroscopy") == set()
    world.records().restore(world.kind("procedure"), report.entity_id)
    assert document in found("arthroscopy meniscus")
    world.records().edit_patient(report.patient_id, {"first_name": "Zoe"})
    assert ("patient", report.patient_id) in found("zoe")
    assert document in found("zoe meniscus")
    documents.trash(report.id)
    documents.purge(report.id)
    assert found("meniscus") == set()
    assert db.session.get(EntityFile, report.id) is None
