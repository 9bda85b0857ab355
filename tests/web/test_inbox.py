"""The pages of the inbox, with and without script."""

import io
from datetime import date

import pytest

from medfiles.models import Patient
from tests.inbox.test_service import BEN, letter_of, put_in
from tests.support import samples
from tests.support.factories import World, words


@pytest.fixture
def ella(world: World) -> Patient:
    return world.patient()


@pytest.fixture
def ben(world: World, ella: Patient) -> Patient:
    return world.records().create_patient(BEN)


def row(file_id: int, patient: Patient, record: str = "", **fields: str) -> dict[str, str]:
    said = {"patient": str(patient.id), "record": record, "document_date": "2026-03-14", **fields}
    return {f"{name}-{file_id}": value for name, value in said.items()}


def test_an_empty_inbox_says_so_and_offers_to_add_files(world: World, ella: Patient) -> None:
    page = world.client().get("/inbox")
    assert "Your inbox is empty" in page.text
    assert f"/documents/patient/{ella.id}/files" in page.text
    assert "to_file=1" in page.text


def test_files_dropped_without_script_land_in_the_inbox(world: World, ella: Patient) -> None:
    browser = world.browser(htmx=False)
    at = f"/documents/patient/{ella.id}/files?to_file=1&csrf_token={browser.token}"
    files = [(io.BytesIO(samples.pdf()), f"{number}.pdf") for number in range(25)]
    answer = browser.client.post(at, data={"file": files})
    assert (answer.status_code, answer.location) == (303, f"/patients/{ella.id}/inbox")
    page = browser.get(answer.location)
    assert "25 files to be filed" in words(page)
    assert all(file.to_file for file in world.files())


def test_documents_are_shown_with_chips_and_filed_as_suggested(world: World, ella: Patient) -> None:
    visit = world.record(patient=ella, reason="Knee pain", date=date(2026, 3, 14))
    file_id = put_in(world, ella, letter_of(ella), document_date_suggested=date(2026, 3, 14))
    browser = world.browser(htmx=False)
    page = browser.get("/inbox")
    assert "File 1 as suggested" in words(page)
    assert f'value="{ella.id}/visit/{visit.id}" selected' in " ".join(page.text.split())
    place = f"{ella.id}/visit/{visit.id}"
    sent = row(file_id, ella, place, category="summary", file_name="Clinic letter.pdf")
    answer = browser.post("/inbox/file", action="file", file_ids=[file_id], pick=[file_id], **sent)
    assert (answer.status_code, answer.location) == (303, "/inbox")
    [file] = world.files()
    assert (file.entity_type, file.entity_id, file.to_file) == ("visit", visit.id, False)
    assert (file.category, file.document_date, file.file_name) == ("summary", date(2026, 3, 14), "Clinic letter.pdf")
    assert "1 document filed." in words(browser.get("/inbox"))


def test_filing_is_undone(world: World, ella: Patient) -> None:
    visit = world.record(patient=ella)
    file_id, browser = put_in(world, ella, letter_of(ella)), world.browser(htmx=False)
    sent = row(file_id, ella, f"{ella.id}/visit/{visit.id}")
    browser.post("/inbox/file", action="file", file_ids=[file_id], pick=[file_id], **sent)
    assert browser.post("/inbox/file", action=f"undo:{file_id}").status_code == 303
    assert [file.to_file for file in world.files()] == [True]


def test_a_row_without_a_record_of_its_person_is_not_filed(world: World, ella: Patient, ben: Patient) -> None:
    visit = world.record(patient=ella)
    file_id, browser = put_in(world, ella, ""), world.browser(htmx=False)
    for record in ("", f"{ella.id}/visit/{visit.id}"):
        sent = row(file_id, ben, record)
        answer = browser.post("/inbox/file", action="file", file_ids=[file_id], pick=[file_id], **sent)
        assert answer.status_code == 422
        assert "1 document needs a look" in words(answer)
    assert [file.to_file for file in world.files()] == [True]


def test_a_letter_of_another_person_asks_and_one_press_switches(world: World, ella: Patient, ben: Patient) -> None:
    visit = world.record(patient=ben, reason="Knee pain", date=date(2026, 3, 14))
    file_id = put_in(world, ella, letter_of(ben), document_date_suggested=date(2026, 3, 14))
    browser = world.browser()
    asked = words(browser.get("/inbox"))
    assert "This document names Ben Sample, born 3 May 2016. File with Ben?" in asked
    assert "File 0 as suggested" in asked
    sent = row(file_id, ella)
    page = browser.post("/inbox/file", action=f"switch:{file_id}-{ben.id}", file_ids=[file_id], **sent)
    assert page.status_code == 200
    assert "File 1 as suggested" in words(page)
    assert f'value="{ben.id}/visit/{visit.id}" selected' in " ".join(page.text.split())
    page = browser.post("/inbox/file", action=f"keep:{file_id}", file_ids=[file_id], **sent)
    assert "This document names" not in page.text


def test_all_go_into_one_record_or_a_new_one(world: World, ella: Patient) -> None:
    visit, browser = world.record(patient=ella), world.browser(htmx=False)
    ids = [put_in(world, ella, letter_of(ella), f"{number}.pdf") for number in range(4)]
    rows = {name: value for file_id in ids for name, value in row(file_id, ella).items()}
    picked = {"file_ids": ids, **rows}
    into = f"{ella.id}/visit/{visit.id}"
    assert browser.post("/inbox/file", action="into", into=into, pick=ids[:2], **picked).status_code == 303
    new = {"new_type": "visit", "new_title": "Hospital stay", "new_date": "2026-03-14"}
    assert browser.post("/inbox/file", action="new", pick=ids[2:], **new, **picked).status_code == 303
    titles = [world.kind().title_of(record) for record in world.records().list(ella.id, world.kind())]
    assert "Hospital stay" in titles
    files = world.files()
    assert {file.entity_id for file in files[:2]} == {visit.id}
    assert [file.category for file in files] == ["summary"] * 4
    assert not any(file.to_file for file in files)


def test_selected_documents_are_moved_to_the_trash(world: World, ella: Patient) -> None:
    file_id, browser = put_in(world, ella, ""), world.browser(htmx=False)
    answer = browser.post("/inbox/file", action="trash", file_ids=[file_id], pick=[file_id], **row(file_id, ella))
    assert answer.status_code == 303
    assert world.files()[0].deleted_at is not None


def test_only_what_needs_a_look_is_shown(world: World, ella: Patient) -> None:
    world.record(patient=ella, reason="Knee pain", date=date(2026, 3, 14))
    put_in(world, ella, letter_of(ella), "Clear.pdf", document_date_suggested=date(2026, 3, 14))
    put_in(world, ella, "", "Unclear.pdf")
    page = world.client().get("/inbox?need=1").text
    assert "Unclear.pdf" in page
    assert "Clear.pdf" not in page.replace("Unclear.pdf", "")


def test_the_reasons_are_shown_beside_the_page(world: World, ella: Patient) -> None:
    stranger = world.browser("otto@sample.example")
    world.record(patient=ella, reason="Knee pain", date=date(2026, 3, 14))
    file_id = put_in(world, ella, letter_of(ella), document_date_suggested=date(2026, 3, 14))
    told = words(world.browser().get(f"/inbox/why?at={file_id}"))
    assert "Words of “Knee pain” are in it." in told
    assert stranger.get(f"/inbox/why?at={file_id}").status_code == 404


def test_the_sidebar_counts_what_is_to_be_filed(world: World, ella: Patient) -> None:
    assert 'class="mf-new"' not in world.client().get("/").text
    put_in(world, ella, "")
    assert 'class="mf-new"' in world.client().get("/").text
