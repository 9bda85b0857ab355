"""From the command line to the first document: what a new user does, in one go and in detail."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.people import Site, real_file
from tests.browser.widget import menu, pick, row
from tests.support.server import flask

PASSWORD = "a long and quiet river"
NAME = "Befund März – Größe 3.docx"


@pytest.mark.database
def test_account_from_the_command_line_takes_its_first_document_all_the_way(page: Page, site: Site) -> None:
    email = "first-day@sample.example"
    flask(site.settings, "medfiles", "user", "create", email, "--password-stdin", typed=PASSWORD)
    page.context.clear_cookies()
    page.goto("/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Show password").click()
    expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Add person").click()
    for label, value in (("First name", "Maria"), ("Last name", "Sample"), ("Date of birth", "1984-11-03")):
        page.get_by_label(label).fill(value)
    page.get_by_role("button", name="Add patient").click()
    page.locator(".mf-new-menu summary").click()
    page.get_by_role("link", name="Visit", exact=True).click()
    page.get_by_label("Reason for the visit").fill("Sore knee")
    page.get_by_label("Date", exact=True).fill("2026-05-12")
    page.get_by_role("button", name="Save visit").click()
    expect(page.get_by_role("heading", level=1, name="Sore knee")).to_be_visible()
    file = real_file(NAME)
    pick(page, file)
    with page.expect_download() as download:
        menu(row(page, NAME)).get_by_role("link", name="Download").click()
    assert download.value.path().read_bytes() == file["buffer"]
    assert download.value.suggested_filename == NAME
    page.get_by_role("button", name="Close").click()
    entry = page.locator(".mf-entry")
    expect(entry).to_contain_text("Sore knee")
    expect(entry).to_contain_text("1 document")
