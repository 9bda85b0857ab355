"""The widget in a browser that runs no script at all."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.people import Person, real_file
from tests.browser.widget import names, press, row


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], person: Person) -> Page:
    return open_context(person, script=False).new_page()


def test_files_are_chosen_and_sent_by_a_plain_form(page: Page, person: Person) -> None:
    page.goto(f"/visit/{person.visit().id}")
    page.get_by_label("Select files to add").set_input_files([real_file("Letter.pdf"), real_file("Scan.jpg")])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("2 documents added.")).to_be_visible()
    assert sorted(names(page)) == ["Letter.pdf", "Scan.jpg"]


def test_a_document_goes_to_the_trash_and_comes_back(page: Page, person: Person) -> None:
    page.goto(f"/visit/{person.visit('Letter.pdf').id}")
    press(page, "Move to trash", "Letter.pdf")
    page.get_by_role("link", name="Trash (1)").click()
    press(page, "Restore", "Letter.pdf")
    expect(page.get_by_text("The trash is empty")).to_be_visible()
    page.get_by_role("link", name="Back to documents").click()
    assert names(page) == ["Letter.pdf"]


def test_deleting_for_ever_still_asks(page: Page, person: Person) -> None:
    page.goto(f"/visit/{person.visit('Letter.pdf').id}")
    press(page, "Move to trash", "Letter.pdf")
    page.get_by_role("link", name="Trash (1)").click()
    press(page, "Delete permanently", "Letter.pdf")
    page.locator(".mf-ask[open]").get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_text("“Letter.pdf” deleted permanently.")).to_be_visible()


def test_a_document_is_edited(page: Page, person: Person) -> None:
    page.goto(f"/visit/{person.visit('Letter.pdf').id}")
    row(page, "Letter.pdf").get_by_role("link", name="Edit").click()
    page.get_by_label("Name", exact=True).fill("Second opinion.pdf")
    page.locator(".mf-edit").get_by_role("button", name="Save").click()
    assert names(page) == ["Second opinion.pdf"]


def test_a_record_is_made_deleted_and_restored(page: Page, person: Person) -> None:
    page.goto(f"/patients/{person.patient().id}/visits")
    page.get_by_role("link", name="New visit").click()
    page.get_by_label("Reason for the visit").fill("Sore knee")
    page.get_by_label("Date", exact=True).fill("2026-05-12")
    page.get_by_role("button", name="Save visit").click()
    page.get_by_role("button", name="Move visit to trash").click()
    page.get_by_role("navigation").get_by_role("link", name="Trash").click()
    page.get_by_role("button", name="Restore Sore knee").click()
    page.get_by_role("link", name="Visits").click()
    expect(page.get_by_role("link", name="Sore knee", exact=True)).to_be_visible()
