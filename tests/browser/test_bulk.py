"""Bulk actions: documents are selected, moved to trash, categorized, downloaded, restored, deleted permanently."""

import re
import zipfile

from playwright.sync_api import Locator, Page, expect

from tests.browser.people import Person
from tests.browser.widget import badge, expect_names, expect_said, open_visit, press, row, tick

NOTES = tuple(f"Note {number}.txt" for number in range(1, 6))
NEWEST_FIRST = NOTES[::-1]


def chosen(page: Page) -> Locator:
    return page.locator(".mf-bulk-words [data-mf-chosen]")


def bulk(page: Page, words: str) -> Locator:
    return page.locator(".mf-bulk").get_by_role("button", name=words)


def box(page: Page, name: str) -> Locator:
    return page.get_by_role("checkbox", name=f"Select {name}", exact=True)


def every(page: Page) -> Locator:
    select = page.get_by_role("button", name="Select", exact=True)
    if select.get_attribute("aria-pressed") != "true":
        select.click()
    return page.get_by_role("checkbox", name="Select all shown")


def long_visit(page: Page, person: Person, count: int) -> None:
    """Open one with more documents than one page of its list shows."""
    visit = person.visit()
    person.pile(visit, count)
    open_visit(page, visit)


def test_selection_is_announced_and_cleared(page: Page, person: Person) -> None:
    open_visit(page, person.visit(*NOTES))
    expect(page.locator(".mf-bulk")).to_be_hidden()
    box(page, NOTES[0]).check()
    expect_said(page, "1 document selected.")
    assert every(page).evaluate("(box) => [box.checked, box.indeterminate]") == [False, True]
    every(page).check()
    expect_said(page, "5 documents selected.")
    page.get_by_role("button", name="Clear").click()
    expect(every(page)).to_be_focused()
    expect(bulk(page, "Move to trash")).to_be_hidden()
    page.get_by_role("button", name="Select", exact=True).click()
    expect(page.locator(".mf-bulk")).to_be_hidden()
    expect(page.locator("input[name=file_ids]:checked")).to_have_count(0)


def test_shift_click_selects_a_range(page: Page, person: Person) -> None:
    open_visit(page, person.visit(*NOTES))
    box(page, "Note 4.txt").click()
    box(page, "Note 2.txt").click(modifiers=["Shift"])
    expect(chosen(page)).to_have_text("3 selected")
    for name in NOTES:
        expect(box(page, name)).to_be_checked(checked=name in NOTES[1:4])
    box(page, "Note 3.txt").click(modifiers=["Shift"])
    expect(chosen(page)).to_have_text("1 selected")


def test_selected_documents_are_moved_to_trash_and_restored_by_undo(page: Page, person: Person) -> None:
    visit = person.visit(*NOTES)
    open_visit(page, visit)
    tick(page, *NOTES[:3])
    bulk(page, "Move to trash").click()
    expect_names(page, NEWEST_FIRST[:2])
    expect_said(page, "3 documents moved to trash.")
    expect(badge(page, visit)).to_have_text("2 documents")
    expect(page.locator(".mf-manager-head")).to_contain_text("2 of 8")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect_names(page, NEWEST_FIRST)
    expect_said(page, "3 documents restored.")
    expect(badge(page, visit)).to_have_text("5 documents")
    assert page.evaluate("document.activeElement !== document.body")


def test_documents_are_selected_and_moved_to_trash_by_keyboard(page: Page, person: Person) -> None:
    open_visit(page, person.visit(*NOTES))
    every(page).focus()
    page.keyboard.press("Space")
    expect(chosen(page)).to_have_text("5 selected")
    for _ in range(9):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.value") == "delete":
            break
    page.keyboard.press("Enter")
    expect(page.locator(".mf-empty")).to_contain_text("No documents yet")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()


def test_deselecting_one_selects_no_longer_all(page: Page, person: Person) -> None:
    long_visit(page, person, 53)
    every(page).check()
    page.get_by_role("button", name="Select all 53 documents").click()
    box(page, "Note 53.txt").uncheck()
    expect(chosen(page)).to_have_text("49 selected")
    bulk(page, "Move to trash").click()
    expect(page.get_by_text("49 documents moved to trash.").first).to_be_visible()
    expect(row(page, "Note 53.txt")).to_be_visible()
    expect(page.locator(".mf-row")).to_have_count(4)


def test_all_documents_that_match_a_filter_are_selected_beyond_those_shown(page: Page, person: Person) -> None:
    """All but five of 57 notes have a category: 52 of them, two more than are shown at once."""
    long_visit(page, person, 57)
    page.locator(".mf-narrowing summary").click()
    page.locator("[data-mf-filter]").get_by_label("Category").select_option("Summary")
    expect_said(page, "52 documents found.")
    every(page).check()
    expect(chosen(page)).to_have_text("50 selected")
    page.get_by_role("button", name="Select all 52 documents").click()
    expect_said(page, "All 52 documents selected.")
    bulk(page, "Move to trash").click()
    expect(page.get_by_text("52 documents moved to trash.").first).to_be_visible()
    expect(page.locator(".mf-manager-head")).to_contain_text("5 of 8")


def test_selected_documents_get_a_category(page: Page, person: Person) -> None:
    open_visit(page, person.visit(*NOTES))
    tick(page, "Note 1.txt", "Note 3.txt")
    page.get_by_label("Category for the selected documents").select_option("Referral")
    bulk(page, "Set category").click()
    expect_said(page, "Category saved for 2 documents.")
    expect(page.locator(".mf-file-category")).to_have_text(["Referral", "Referral"])
    expect(row(page, "Note 3.txt")).to_contain_text("Referral")
    assert page.evaluate("document.activeElement !== document.body")


def test_download_as_zip_keeps_the_selection(page: Page, person: Person) -> None:
    open_visit(page, person.visit("Letter.pdf", "Growth.png", "Note 1.txt"))
    tick(page, "Letter.pdf", "Growth.png")
    with page.expect_download() as download:
        bulk(page, "Download as ZIP").click()
    expect_said(page, "Download started.")
    assert zipfile.ZipFile(download.value.path()).namelist() == ["Growth.png", "Letter.pdf"]
    assert download.value.suggested_filename == "Annual check-up.zip"
    expect(chosen(page)).to_have_text("2 selected")


def test_selected_documents_in_the_trash_are_restored_or_deleted_permanently(page: Page, person: Person) -> None:
    open_visit(page, person.visit(*NOTES))
    for name in NOTES[:3]:
        press(page, "Move to trash", name)
    page.get_by_role("link", name="Trash (3)").click()
    tick(page, "Note 3.txt")
    bulk(page, "Restore").click()
    expect_said(page, "1 document restored.")
    tick(page, "Note 1.txt")
    bulk(page, "Delete permanently").click()
    ask = page.locator(".mf-ask[open]")
    expect(ask.get_by_role("heading")).to_have_text("Delete 1 document permanently?")
    expect(ask.get_by_role("button", name="Keep them")).to_be_focused()
    page.keyboard.press("Enter")
    expect(ask).to_have_count(0)
    expect(page.locator(".mf-row")).to_have_count(2)
    bulk(page, "Delete permanently").click()
    ask.get_by_role("button", name="Delete permanently").click()
    expect_names(page, ["Note 2.txt"])
    expect_said(page, "1 document deleted permanently.")
    assert page.evaluate("document.activeElement !== document.body")


def test_document_trashed_elsewhere_is_named_and_the_others_are_trashed(page: Page, person: Person) -> None:
    visit = person.visit(*NOTES)
    open_visit(page, visit)
    tick(page, *NOTES[:3])
    person.world.documents(person.email).trash(person.file_named(visit, "Note 2.txt").id)
    bulk(page, "Move to trash").click()
    expect(page.locator(".mf-outcome-error")).to_have_text(re.compile("Note 2.txt was not moved to trash"))
    expect_said(page, "2 documents moved to trash.")
    expect_said(page, "Note 2.txt was not moved to trash.")
    expect_names(page, NEWEST_FIRST[:2])
