"""Everything by keyboard alone: the focus goes where one goes on, and never falls off the page."""

from playwright.sync_api import Page, expect

from tests.browser.people import Person
from tests.browser.widget import card, focused, names, open_visit, row


def test_a_card_opens_with_enter_and_the_focus_goes_into_the_sheet(page: Page, person: Person) -> None:
    visit = person.visit()
    page.goto(f"/patients/{visit.patient_id}/visits")
    card(page, visit).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#mf-sheet[open]").get_by_role("heading", level=1)).to_be_focused()


def test_escape_closes_the_sheet_and_the_focus_is_back_on_the_card(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    page.keyboard.press("Escape")
    expect(page.locator("#mf-sheet[open]")).to_have_count(0)
    expect(card(page, visit)).to_be_focused()
    expect(page).to_have_url(f"/patients/{visit.patient_id}/visits")


def test_the_focus_stays_inside_the_open_sheet(page: Page, person: Person) -> None:
    open_visit(page, person.visit("Letter.pdf"))
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("!document.activeElement.closest('.mf-main, .mf-header')")


def test_three_documents_in_a_row_are_deleted_by_keyboard(page: Page, person: Person) -> None:
    open_visit(page, person.visit("1.txt", "2.txt", "3.txt", "4.txt"))
    second = names(page)[1]
    row(page, second).get_by_role("button", name="Move to trash").focus()
    for left in (3, 2, 1):
        page.keyboard.press("Enter")
        expect(page.locator(".mf-row")).to_have_count(left)
        expect(row(page, names(page)[min(1, left - 1)]).get_by_role("button", name="Move to trash")).to_be_focused()


def test_a_key_that_is_held_down_deletes_one_document(page: Page, person: Person) -> None:
    open_visit(page, person.visit("1.txt", "2.txt", "3.txt", "4.txt"))
    row(page, "4.txt").get_by_role("button", name="Move to trash").focus()
    for _ in range(6):
        page.keyboard.down("Enter")
    expect(page.get_by_role("button", name="Undo")).to_have_count(1)
    for _ in range(6):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(page.get_by_role("button", name="Undo")).to_have_count(1)
    assert sorted(names(page)) == ["1.txt", "2.txt", "3.txt"]


def test_each_of_three_deleted_documents_comes_back_with_its_own_undo(page: Page, person: Person) -> None:
    open_visit(page, person.visit("1.txt", "2.txt", "3.txt"))
    row(page, "3.txt").get_by_role("button", name="Move to trash").focus()
    for name in ("2.txt", "1.txt"):
        page.keyboard.press("Enter")
        expect(row(page, name).get_by_role("button", name="Move to trash")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Undo")).to_have_count(3)
    for name in ("2.txt", "3.txt", "1.txt"):
        page.locator(".mf-doc", has_text=f"“{name}”").get_by_role("button", name="Undo").focus()
        page.keyboard.press("Enter")
        expect(row(page, name).locator(":focus")).to_contain_text(name)
    assert names(page) == ["3.txt", "2.txt", "1.txt"]


def test_the_focus_goes_to_the_picker_after_the_last_document_went(page: Page, person: Person) -> None:
    open_visit(page, person.visit("Note.txt"))
    row(page, "Note.txt").get_by_role("button", name="Move to trash").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Add documents")).to_be_focused()


def test_the_focus_goes_back_to_the_document_that_undo_brought_back(page: Page, person: Person) -> None:
    open_visit(page, person.visit("Letter.pdf", "Note.txt"))
    row(page, "Letter.pdf").get_by_role("button", name="Move to trash").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Undo").focus()
    page.keyboard.press("Enter")
    expect(row(page, "Letter.pdf")).to_be_visible()
    expect(row(page, "Letter.pdf").locator(":focus")).to_contain_text("Letter.pdf")


def test_the_question_before_deleting_for_ever_gives_the_focus_back(page: Page, person: Person) -> None:
    visit = person.visit("Note.txt")
    person.world.documents(person.email).trash(person.file_named(visit, "Note.txt").id)
    page.goto(f"/documents/visit/{visit.id}/trash")
    ask = row(page, "Note.txt").get_by_role("button", name="Delete permanently")
    ask.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(ask).to_be_focused()


def test_the_first_tab_of_a_page_skips_to_its_content(page: Page, person: Person) -> None:
    page.goto(f"/patients/{person.patient().id}")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
