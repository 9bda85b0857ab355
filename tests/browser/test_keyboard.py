"""Everything by keyboard alone: the focus moves to the next control and never leaves the page."""

from playwright.sync_api import Page, expect

from tests.browser.people import Person
from tests.browser.widget import card, dots, focused, names, open_visit, order, row


def test_enter_opens_a_card_and_the_sheet_holds_the_focus_until_escape(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    page.goto(f"/patients/{visit.patient_id}/visits")
    card(page, visit).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#mf-sheet[open]").get_by_role("heading", level=1)).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("!document.activeElement.closest('.mf-main, .mf-side')")
    page.keyboard.press("Escape")
    expect(page.locator("#mf-sheet[open]")).to_have_count(0)
    expect(card(page, visit)).to_be_focused()
    expect(page).to_have_url(f"/patients/{visit.patient_id}/visits")


def trash(page: Page) -> None:
    """The document whose menu has the focus, by keys alone."""
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    expect(page.locator(".mf-row-menu [data-mf-action=delete]")).to_be_focused()
    page.keyboard.press("Enter")


def test_focus_moves_to_the_next_document_and_then_to_the_picker(page: Page, person: Person) -> None:
    open_visit(page, person.visit("1.txt", "2.txt", "3.txt", "4.txt"))
    dots(row(page, names(page)[1])).focus()
    for left in (3, 2, 1):
        trash(page)
        expect(page.locator(".mf-row")).to_have_count(left)
        expect(dots(row(page, names(page)[min(1, left - 1)]))).to_be_focused()
    trash(page)
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()


def test_key_held_down_trashes_one_document(page: Page, person: Person) -> None:
    open_visit(page, person.visit("1.txt", "2.txt", "3.txt", "4.txt"))
    dots(row(page, "4.txt")).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("End")
    for _ in range(6):
        page.keyboard.down("Enter")
    expect(page.get_by_role("button", name="Undo")).to_have_count(1)
    for _ in range(6):
        page.keyboard.down("Enter")
    page.keyboard.up("Enter")
    expect(page.get_by_role("button", name="Undo")).to_have_count(1)
    assert sorted(names(page)) == ["1.txt", "2.txt", "3.txt"]


def test_each_of_three_trashed_documents_is_restored_by_its_own_undo(page: Page, person: Person) -> None:
    open_visit(page, person.visit("1.txt", "2.txt", "3.txt"))
    dots(row(page, "3.txt")).focus()
    for name in ("2.txt", "1.txt"):
        trash(page)
        expect(dots(row(page, name))).to_be_focused()
    trash(page)
    expect(page.get_by_role("button", name="Undo")).to_have_count(3)
    for name in ("2.txt", "3.txt", "1.txt"):
        page.locator(".mf-doc", has_text=f"“{name}”").get_by_role("button", name="Undo").focus()
        page.keyboard.press("Enter")
        expect(dots(row(page, name))).to_be_focused()
    assert names(page) == ["3.txt", "2.txt", "1.txt"]


def test_canceled_permanent_deletion_gives_the_focus_back_to_its_button(page: Page, person: Person) -> None:
    visit = person.visit("Note.txt")
    person.world.documents(person.email).trash(person.file_named(visit, "Note.txt").id)
    page.goto(f"/documents/visit/{visit.id}/trash")
    ask = row(page, "Note.txt").get_by_role("button", name="Delete permanently")
    ask.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Escape")
    expect(ask).to_be_focused()
    page.keyboard.press("Enter")
    page.locator(".mf-ask[open]").get_by_role("button", name="Delete permanently").press("Enter")
    expect(page.get_by_text("“Note.txt” deleted permanently.").first).to_be_visible()
    expect(page.locator(".mf-manager-head")).to_contain_text("0 documents")


def test_arrows_move_in_the_menu_of_a_row_and_escape_closes_only_the_menu(page: Page, person: Person) -> None:
    sheet = open_visit(page, person.visit("1.txt"))
    dots(row(page, "1.txt")).focus()
    page.keyboard.press("ArrowDown")
    menu = page.locator(".mf-row-menu")
    expect(menu.get_by_role("button", name="Open 1.txt")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(menu.get_by_role("link", name="Download 1.txt")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(menu.get_by_role("button", name="Move to trash 1.txt")).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(sheet).to_be_visible()
    expect(dots(row(page, "1.txt"))).to_be_focused()


def test_tab_closes_the_menu_of_a_row(page: Page, person: Person) -> None:
    open_visit(page, person.visit("1.txt", "2.txt"))
    dots(row(page, "2.txt")).press("Enter")
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    expect(page.locator(".mf-row-menu:popover-open")).to_have_count(0)
    expect(dots(row(page, "2.txt"))).to_have_attribute("aria-expanded", "false")
    assert focused(page) not in ("BODY", "Move to trash 2.txt")


def test_escape_closes_the_menu_of_a_record_before_its_sheet(page: Page, person: Person) -> None:
    sheet = open_visit(page, person.visit("1.txt"))
    summary = sheet.locator(".mf-menu-square summary")
    summary.press("ArrowDown")
    expect(sheet.get_by_role("link", name="View history")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(sheet.get_by_role("link", name="Move to another person…")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(sheet.get_by_role("button", name="Move visit to trash")).to_be_focused()
    page.keyboard.press("Escape")
    expect(sheet.get_by_role("link", name="View history")).to_be_hidden()
    expect(summary).to_be_focused()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)


def test_order_is_chosen_by_arrow_keys(page: Page, person: Person) -> None:
    open_visit(page, person.visit("2.txt", "1.txt"))
    summary = page.locator(".mf-sort-menu summary")
    summary.press("ArrowDown")
    expect(order(page, "Document date")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(order(page, "Name")).to_be_focused()
    page.keyboard.press("Enter")
    expect(summary).to_have_text("Sorted by Name ascending")
    expect(summary).to_be_focused()
    assert names(page) == ["1.txt", "2.txt"]


def test_first_tab_of_a_page_skips_to_its_content(page: Page, person: Person) -> None:
    page.goto(f"/patients/{person.patient().id}")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


SCROLLED = """(button) => new Promise((done) => {
  button.scrollIntoView();
  button.click();
  addEventListener("scroll", () => setTimeout(done), { capture: true, once: true });
})"""


def test_menu_of_a_row_outlives_the_event_of_a_scroll_before_it(page: Page, person: Person) -> None:
    page.set_viewport_size({"width": 1280, "height": 360})
    open_visit(page, person.visit(*(f"{number}.txt" for number in range(8))))
    dots(row(page, "0.txt")).evaluate(SCROLLED)
    expect(page.locator(".mf-row-menu:popover-open")).to_have_count(1)


def test_menu_of_a_row_closes_when_the_list_scrolls_under_it(page: Page, person: Person) -> None:
    page.set_viewport_size({"width": 1280, "height": 360})
    open_visit(page, person.visit(*(f"{number}.txt" for number in range(8))))
    dots(row(page, "7.txt")).click()
    expect(page.locator(".mf-row-menu:popover-open")).to_have_count(1)
    dots(row(page, "0.txt")).evaluate("(button) => button.scrollIntoView()")
    expect(page.locator(".mf-row-menu:popover-open")).to_have_count(0)
