"""From signing in to deleting for ever: what a person does with documents, in one go and in detail."""

import hashlib
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.people import Person, Site, real_file
from tests.browser.widget import downloaded_sha256, names, open_visit, pick, press, row
from tests.support import samples
from tests.support.factories import World
from tests.support.server import flask

PASSWORD = "a long and quiet river"
PAPERS = ("Letter.pdf", "Scan.jpg", "Note.txt")


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.goto("/")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


@pytest.mark.database
def test_an_account_from_the_command_line_takes_its_first_document_all_the_way(
    site: Site, world: World, open_context: Callable[..., BrowserContext]
) -> None:
    email = "first-day@sample.example"
    flask(site.settings, "medfiles", "user", "create", email, "--password-stdin", typed=PASSWORD)
    page = open_context().new_page()
    sign_in(page, email)
    add_patient(page)
    page.get_by_role("navigation", name="Maria Sample").get_by_role("link", name="Visits").click()
    page.wait_for_url("**/visits")
    page.get_by_role("link", name="New visit").click()
    page.get_by_label("Reason for the visit").fill("Sore knee")
    page.get_by_label("Date", exact=True).fill("2026-05-12")
    page.get_by_role("button", name="Save visit").click()
    expect(page.get_by_role("heading", level=1, name="Sore knee")).to_be_visible()
    pick(page, "Letter.pdf")
    expect(row(page, "Letter.pdf")).to_be_visible()
    assert downloaded_sha256(page, "Letter.pdf") == ("Letter.pdf", hashlib.sha256(samples.pdf()).hexdigest())
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".mf-card").get_by_role("link", name="1 document, open Sore knee")).to_be_visible()


def add_patient(page: Page) -> None:
    page.get_by_role("link", name="Add patient").click()
    page.get_by_label("First name").fill("Maria")
    page.get_by_label("Last name").fill("Sample")
    page.get_by_label("Date of birth").fill("1984-11-03")
    page.get_by_role("button", name="Add patient").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Maria Sample")


def test_three_files_chosen_at_once_are_listed_with_what_they_are(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    pick(page, *PAPERS)
    expect(page.locator(".mf-row")).to_have_count(3)
    for name, content in zip(PAPERS, (samples.pdf(), samples.jpeg(), samples.txt()), strict=True):
        kind = name[-3:].upper()
        assert said_about(page, name) == [kind, name, kind, size_words(content), "by you"]


def said_about(page: Page, name: str) -> list[str]:
    cells = (".mf-tile", ".mf-file-name", ".mf-cell-type", ".mf-cell-size", ".mf-by")
    return [row(page, name).locator(cell).inner_text() for cell in cells]


def size_words(content: bytes) -> str:
    return f"{len(content)} bytes" if len(content) < 1024 else f"{len(content) / 1024:.1f} KB"


def test_a_download_has_the_name_and_the_bytes_of_the_upload(page: Page, person: Person, world: World) -> None:
    name = "Befund März – Größe 3.docx"
    procedure = world.record("procedure", person.patient(), person.email)
    page.goto(f"/procedure/{procedure.id}")
    file = real_file(name)
    pick(page, file)
    expect(row(page, name)).to_be_visible()
    assert downloaded_sha256(page, name) == (name, hashlib.sha256(file["buffer"]).hexdigest())


def test_a_document_is_restored_from_the_trash_of_its_patient(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    open_visit(page, visit)
    press(page, "Move to trash", "Letter.pdf")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.goto(f"/patients/{visit.patient_id}/trash")
    page.get_by_role("button", name="Restore Letter.pdf").click()
    expect(page.get_by_text("The trash is empty")).to_be_visible()
    open_visit(page, visit)
    assert names(page) == ["Letter.pdf"]


def test_deleting_for_ever_leaves_nothing_behind(page: Page, person: Person, world: World) -> None:
    open_trash(page, person)
    before = len(world.files())
    page.locator(".mf-ask[open]").get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_text("“Letter.pdf” deleted permanently.").first).to_be_visible()
    expect(page.locator(".mf-manager-head")).to_contain_text("0 documents")
    assert len(world.files()) == before - 1
    world.assert_sound()


def open_trash(page: Page, person: Person) -> None:
    """The record's trash with the question about its only document open."""
    open_visit(page, person.visit("Letter.pdf"))
    press(page, "Move to trash", "Letter.pdf")
    page.get_by_role("link", name="Trash (1)").click()
    press(page, "Delete permanently", "Letter.pdf")
    expect(page.get_by_role("heading", name="Delete this document permanently?")).to_be_visible()
