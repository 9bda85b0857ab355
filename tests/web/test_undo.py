"""What was moved to the trash comes back by Undo, where one is told of it."""

from typing import Any

import pytest
from lxml import html
from werkzeug.test import TestResponse

from tests.support.factories import Browser, World, heard


def undo(answer: TestResponse) -> tuple[str, dict[str, Any]]:
    """Address and fields of the form beside the notice."""
    [form] = html.document_fromstring(answer.text).xpath("//form[.//button[contains(., 'Undo')]]")
    return form.get("action"), dict(form.form_values())


def notice(answer: TestResponse) -> str:
    [said] = html.document_fromstring(answer.text).cssselect(".mf-notice p")
    return " ".join(said.text_content().split())


def press(browser: Browser, form: tuple[str, dict[str, Any]]) -> TestResponse:
    return browser.post(form[0], **form[1])


@pytest.fixture
def record(world: World) -> Any:
    return world.record("visit", reason="Knee")


def test_a_deleted_record_is_said_in_its_list_and_comes_back_from_there(world: World, record: Any) -> None:
    world.store(record, "a.txt", "b.txt")
    browser, listing = world.browser(htmx=False), f"/patients/{record.patient_id}/visits"
    answer = browser.post(f"/visit/{record.id}/delete")
    assert (answer.status_code, answer.location) == (303, listing)
    page = browser.get(listing)
    assert notice(page) == "“Knee” and its 2 documents moved to trash."
    answer = press(browser, undo(page))
    assert (answer.status_code, answer.location) == (303, listing)
    assert notice(browser.get(listing)) == "Visit restored with its documents."
    assert [file.deleted_at for file in world.files()] == [None, None]
    assert "Undo" not in browser.get(listing).text


def test_in_the_sheet_the_notice_replaces_the_page_s_and_undo_answers_in_its_place(world: World, record: Any) -> None:
    browser = world.browser()
    answer = browser.post(f"/visit/{record.id}/delete")
    assert heard(answer) == {"records:changed": {"type": "visit", "id": record.id}}
    assert notice(answer) == "“Knee” moved to trash."
    answer = press(browser, undo(answer))
    assert (answer.status_code, notice(answer)) == (200, "Visit restored with its documents.")
    assert heard(answer) == {"records:changed": {"type": "visit", "id": record.id}}
    [link] = html.document_fromstring(answer.text).xpath("//a/@href")
    assert link == f"/visit/{record.id}"


def test_one_document_comes_back(world: World, record: Any) -> None:
    [file] = world.store(record, "a.txt")
    browser, here = world.browser(htmx=False), f"/documents/visit/{record.id}"
    browser.post(f"/documents/files/{file}/delete")
    page = browser.get(here)
    assert notice(page) == "“a.txt” moved to trash."
    answer = press(browser, undo(page))
    assert (answer.status_code, answer.location) == (303, here)
    assert world.files()[0].deleted_at is None


def test_all_documents_of_a_bulk_deletion_come_back(world: World, record: Any) -> None:
    ids = world.store(record, "a.txt", "b.txt", "c.txt")
    browser, here = world.browser(htmx=False), f"/documents/visit/{record.id}"
    browser.post(f"{here}/bulk", action="delete", file_ids=ids[:2])
    page = browser.get(here)
    assert notice(page) == "2 documents moved to trash."
    assert press(browser, undo(page)).location == here
    assert [file.deleted_at for file in world.files()] == [None] * 3


def test_documents_removed_in_a_form_come_back(world: World, record: Any) -> None:
    ids = world.store(record, "a.txt", "b.txt")
    browser = world.browser(htmx=False)
    answer = browser.post(f"/visit/{record.id}/edit", reason="Knee", date="2026-05-12", remove=ids)
    page = browser.get(answer.location)
    assert notice(page) == "Saved. 2 documents moved to trash."
    press(browser, undo(page))
    assert [file.deleted_at for file in world.files()] == [None, None]


def test_after_permanent_deletion_there_is_nothing_to_undo(world: World, record: Any) -> None:
    ids = world.store(record, "a.txt")
    world.bulk().trash_many(world.kind(), record.id, ids)
    browser, here = world.browser(htmx=False), f"/documents/visit/{record.id}"
    browser.post(f"{here}/bulk", action="purge", file_ids=ids)
    assert "Undo" not in browser.get(here).text


def test_a_deletion_lies_in_the_menu_of_the_record_only(world: World, record: Any) -> None:
    page = html.document_fromstring(world.browser(htmx=False).get(f"/visit/{record.id}").text)
    [form] = page.xpath("//form[@action=$action]", action=f"/visit/{record.id}/delete")
    assert [parent.tag for parent in form.iterancestors() if parent.tag in ("details", "header")] == [
        "details", "header",
    ]  # fmt: skip
