"""The same record in several tabs and on several devices: each shows what the others did, and loses nothing."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.people import Complaints, Person
from tests.browser.widget import badge, expect_names, expect_said, menu, open_visit, pick, press, row, tick

AWAY_AND_BACK = """() => {
  const now = Date.now;
  const seen = (state) => {
    Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  };
  seen("hidden");
  Date.now = () => now() + 60_000;
  seen("visible");
  Date.now = now;
}"""
NAMES = ("Note.txt", "Growth.png", "Letter.pdf")


def writing(page: Page) -> Locator:
    return page.locator(".mf-edit").get_by_label("Description")


@pytest.fixture
def other(page: Page) -> Page:
    """A second tab of the same browser."""
    return page.context.new_page()


def test_trash_in_one_tab_updates_list_and_badge_of_the_other(page: Page, other: Page, person: Person) -> None:
    visit = person.visit(*NAMES)
    open_visit(page, visit)
    page.locator("h1").first.focus()
    other.goto(f"/visit/{visit.id}")
    press(other, "Move to trash", "Growth.png")
    expect_names(page, ["Letter.pdf", "Note.txt"])
    expect(page.locator(".mf-manager-head")).to_contain_text("2 of 8")
    expect(page.get_by_role("link", name="Trash (1)")).to_be_visible()
    expect(badge(page, visit)).to_have_text("2 documents")


def test_upload_in_one_tab_is_shown_in_the_others(page: Page, other: Page, person: Person) -> None:
    visit = person.visit("Note.txt")
    alone = page.context.new_page()
    page.goto(f"/visit/{visit.id}")
    other.goto(f"/visit/{visit.id}")
    alone.goto(f"/documents/visit/{visit.id}/badge")
    expect(badge(alone, visit)).to_have_text("1 document")
    pick(other, "Scan.jpg")
    expect_names(page, ["Scan.jpg", "Note.txt"])
    expect(badge(alone, visit)).to_have_text("2 documents")
    expect(other.locator(".mf-row")).to_have_count(2)


def test_tab_with_an_open_edit_is_notified_instead_of_changed(page: Page, other: Page, person: Person) -> None:
    visit = person.visit(*NAMES)
    open_visit(page, visit)
    menu(row(page, "Letter.pdf")).get_by_role("link", name="Edit").click()
    writing(page).fill("Half a sentence")
    other.goto(f"/visit/{visit.id}")
    press(other, "Move to trash", "Note.txt")
    expect(page.get_by_text("This list has changed.").first).to_be_visible()
    expect_said(page, "This list has changed.")
    expect(writing(page)).to_have_value("Half a sentence")
    expect(writing(page)).to_be_focused()
    page.get_by_role("button", name="Save").click()
    expect(row(page, "Letter.pdf")).to_contain_text("Half a sentence")
    page.get_by_role("button", name="Show changes").click()
    expect_names(page, ["Letter.pdf", "Growth.png"])
    assert page.evaluate("document.activeElement !== document.body")


def test_selection_is_kept_until_the_changes_are_shown(page: Page, other: Page, person: Person) -> None:
    visit = person.visit(*NAMES)
    open_visit(page, visit)
    tick(page, "Letter.pdf")
    other.goto(f"/visit/{visit.id}")
    press(other, "Move to trash", "Note.txt")
    expect(page.get_by_role("button", name="Show changes")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Select Letter.pdf")).to_be_checked()


def test_trashing_a_trashed_document_is_explained(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("409")
    visit = person.visit(*NAMES)
    open_visit(page, visit)
    person.world.documents(person.email).trash(person.file_named(visit, "Growth.png").id)
    press(page, "Move to trash", "Growth.png")
    expect(page.locator(".mf-notice-error")).to_contain_text("trash")
    expect_said(page, "trash")
    expect_names(page, ["Letter.pdf", "Note.txt"])
    expect(page.locator(".mf-manager-head")).to_contain_text("2 of 8")
    assert page.evaluate("document.activeElement !== document.body")


def test_edit_of_a_trashed_document_keeps_the_input(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("409")
    visit = person.visit(*NAMES)
    open_visit(page, visit)
    menu(row(page, "Growth.png")).get_by_role("link", name="Edit").click()
    writing(page).fill("Since March")
    person.world.documents(person.email).trash(person.file_named(visit, "Growth.png").id)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("This document is in the trash.")
    expect(writing(page)).to_have_value("Since March")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Show list").click()
    expect_names(page, ["Letter.pdf", "Note.txt"])


def test_concurrent_edits_of_different_fields_are_both_kept(page: Page, person: Person) -> None:
    visit = person.visit(*NAMES)
    open_visit(page, visit)
    menu(row(page, "Growth.png")).get_by_role("link", name="Edit").click()
    file = person.file_named(visit, "Growth.png")
    person.world.documents(person.email).edit(file.id, {"description": "Written elsewhere"})
    page.get_by_label("Name", exact=True).fill("Curve.png")
    page.get_by_role("button", name="Save").click()
    expect(row(page, "Curve.png")).to_contain_text("Written elsewhere")


def test_document_purged_elsewhere_is_explained(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("404")
    visit = person.visit(*NAMES)
    open_visit(page, visit)
    documents, file = person.world.documents(person.email), person.file_named(visit, "Growth.png")
    documents.trash(file.id)
    documents.purge(file.id)
    press(page, "Move to trash", "Growth.png")
    expect(page.get_by_role("alert")).to_contain_text("This document no longer exists.")
    expect(page.get_by_role("button", name="Show list")).to_be_focused()
    page.keyboard.press("Enter")
    expect_names(page, ["Letter.pdf", "Note.txt"])


def test_badges_and_list_are_refreshed_when_the_tab_is_shown_again(page: Page, person: Person) -> None:
    visit = person.visit(*NAMES)
    addresses = (f"/patients/{visit.patient_id}/visits", f"/documents/visit/{visit.id}/badge")
    for address, before, name in zip(addresses, (3, 2), ("Note.txt", "Growth.png"), strict=True):
        page.goto(address)
        expect(badge(page, visit)).to_have_text(f"{before} documents")
        person.world.documents(person.email).trash(person.file_named(visit, name).id)
        page.evaluate(AWAY_AND_BACK)
        expect(badge(page, visit)).to_have_text("2 documents" if before == 3 else "1 document")
    page.goto(f"/visit/{visit.id}")
    expect_names(page, ["Letter.pdf"])
    person.attach(visit, "Scan.jpg")
    page.evaluate(AWAY_AND_BACK)
    expect_names(page, ["Scan.jpg", "Letter.pdf"])
