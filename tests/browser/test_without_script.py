"""The widget in a browser that runs no script at all."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.people import Person, real_file
from tests.browser.widget import names, press


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], person: Person) -> Page:
    return open_context(person, script=False).new_page()


def test_files_are_chosen_and_sent_by_a_plain_form(page: Page, person: Person) -> None:
    page.goto(f"/visit/{person.visit().id}")
    page.get_by_label("Select files to add").set_input_files([real_file("Letter.pdf"), real_file("Scan.jpg")])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("2 documents added.")).to_be_visible()
    assert sorted(names(page)) == ["Letter.pdf", "Scan.jpg"]


def test_deleting_for_ever_still_asks(page: Page, person: Person) -> None:
    page.goto(f"/visit/{person.visit('Letter.pdf').id}")
    press(page, "Move to trash", "Letter.pdf")
    page.get_by_role("link", name="Trash (1)").click()
    press(page, "Delete permanently", "Letter.pdf")
    page.locator(".mf-ask[open]").get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_text("“Letter.pdf” deleted permanently.")).to_be_visible()
