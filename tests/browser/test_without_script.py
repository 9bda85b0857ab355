"""medfiles in a browser that runs no script at all."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser import papers
from tests.browser.people import Person, real_file
from tests.browser.widget import names, press
from tests.support import samples


@pytest.fixture
def page(plain_page: Page) -> Page:
    return plain_page


def test_files_are_selected_and_sent_by_a_plain_form(page: Page, person: Person) -> None:
    page.goto(f"/visit/{person.visit().id}")
    page.get_by_label("Select files to add").set_input_files([real_file("Letter.pdf"), real_file("Scan.jpg")])
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("2 documents added.")).to_be_visible()
    assert sorted(names(page)) == ["Letter.pdf", "Scan.jpg"]


def test_permanent_deletion_still_asks(page: Page, person: Person) -> None:
    page.goto(f"/visit/{person.visit('Letter.pdf').id}")
    page.get_by_role("button", name="Actions for Letter.pdf").click()
    page.locator(".mf-edit").get_by_role("button", name="Move to trash").click()
    page.get_by_role("link", name="Trash (1)").click()
    press(page, "Delete permanently", "Letter.pdf")
    page.locator(".mf-ask[open]").get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_text("“Letter.pdf” deleted permanently.")).to_be_visible()


def test_badges_show_their_counts_and_lead_to_their_records(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf", "Note.txt")
    page.goto(f"/patients/{visit.patient_id}/visits")
    expect(page.locator(".mf-badge-loading >> visible=true")).to_have_count(0)
    page.get_by_role("link", name="2 documents, open Annual check-up").click()
    expect(page).to_have_url(f"/visit/{visit.id}")


def test_preview_is_a_page_with_links(page: Page, person: Person) -> None:
    record = person.world.record("lab-result", person.patient(), person.email)
    person.attach(record, "B.pdf", content=samples.pdf(3))
    person.attach(record, "A.xlsx", content=papers.workbook("First", "Second"))
    page.goto(f"/documents/lab-result/{record.id}")
    page.get_by_role("link", name="A.xlsx", exact=True).click()
    expect(page.get_by_role("table")).to_have_count(2)
    page.get_by_role("link", name="Next document: B.pdf").click()
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_role("img", name="Page 2 of 3 of B.pdf")).to_be_visible()
    page.get_by_role("textbox", name="Page").fill("3")
    page.keyboard.press("Enter")
    expect(page.get_by_role("img", name="Page 3 of 3 of B.pdf")).to_be_visible()
    expect(page.get_by_role("link", name="Print B.pdf")).to_have_attribute("href", re.compile("/print$"))
