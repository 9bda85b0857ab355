"""The list of a record's documents: sorted, searched, filtered, edited in place, and failing without the rest."""

import re

import pytest
from playwright.sync_api import Dialog, Locator, Page, Route, expect

from tests.browser.people import Complaints, Person
from tests.browser.states import fail
from tests.browser.widget import (
    dots,
    expect_names,
    expect_said,
    menu,
    names,
    open_visit,
    order,
    pick,
    press,
    row,
    search,
)
from tests.support import samples

NOTE, SCAN, GROWTH, LETTER = "Note 10.txt", "Note 2.txt", "Growth.png", "Letter.pdf"
ADDED = (LETTER, NOTE, GROWTH, SCAN)  # in this order, each of another size
SORTED = {
    "Name": (GROWTH, LETTER, SCAN, NOTE),
    "Type": (GROWTH, LETTER, SCAN, NOTE),
    "Size": (LETTER, GROWTH, NOTE, SCAN),
    "Added": ADDED[::-1],
    "Document date": ADDED,
}
FIRST = {
    "Name": "ascending", "Type": "ascending", "Size": "descending", "Added": "descending", "Document date": "ascending",
}  # fmt: skip
ADDRESSES = {
    "Name": "sort=name", "Type": "sort=type", "Size": "sort=size", "Added": "sort=date", "Document date": "order=asc",
}  # fmt: skip


def four(person: Person) -> int:
    visit = person.visit(LETTER)
    person.attach(visit, NOTE, content=samples.txt("Slept well. " * 8))
    person.attach(visit, GROWTH)
    person.attach(visit, SCAN, content=samples.txt("Short."))
    return int(visit.id)


@pytest.mark.parametrize("name", SORTED)
def test_order_keeps_the_focus_and_updates_the_address(page: Page, person: Person, name: str) -> None:
    page.goto(f"/visit/{four(person)}")
    summary = page.locator(".mf-sort-menu summary")
    expect(summary).to_have_text("Sorted by Document date descending")
    order(page, name).focus()
    page.keyboard.press("Enter")
    expect(summary).to_have_text(f"Sorted by {name} {FIRST[name]}")
    expect_names(page, SORTED[name])
    expect(summary).to_be_focused()
    expect(page.locator(".mf-sort[aria-current]")).to_have_count(1)
    address = page.url
    assert address.endswith(f"?{ADDRESSES[name]}")
    order(page, name).press("Enter")
    expect_names(page, SORTED[name][::-1])
    expect(summary).to_be_focused()
    page.goto(address)
    expect_names(page, SORTED[name])


def test_search_while_typing_keeps_the_caret_and_announces_the_number_found(page: Page, person: Person) -> None:
    page.goto(f"/visit/{four(person)}")
    search(page).press_sequentially("nte 1")
    expect_said(page, "No documents found.")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    page.keyboard.type("o")
    expect_names(page, [NOTE])
    expect_said(page, "1 document found.")
    expect(search(page)).to_be_focused()
    assert search(page).evaluate("(field) => [field.value, field.selectionStart]") == ["note 1", 2]
    expect(page).to_have_url(re.compile(r"\?q=note\+1&zone=Europe%2FLondon$"))


def test_sorting_keeps_the_search_until_show_all(page: Page, person: Person) -> None:
    page.goto(f"/visit/{four(person)}")
    search(page).fill("note")
    expect_names(page, [SCAN, NOTE])
    order(page, "Name").click()
    expect(page.locator(".mf-sort-menu summary")).to_have_text("Sorted by Name ascending")
    search(page).fill("note 1")
    expect_names(page, [NOTE])
    expect(page).to_have_url(re.compile("sort=name"))
    page.get_by_role("link", name="Show all").click()
    expect_names(page, SORTED["Name"])
    expect(search(page)).to_have_value("")
    expect(search(page)).to_be_focused()


def test_list_is_filtered_by_file_type(page: Page, person: Person) -> None:
    page.goto(f"/visit/{four(person)}")
    page.locator(".mf-narrowing summary").click()
    page.get_by_label("File type").select_option("Photo or scan")
    expect_names(page, [GROWTH])
    expect(page).to_have_url(re.compile("media=image"))


def test_impossible_date_range_is_explained(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("422")
    page.goto(f"/visit/{four(person)}")
    page.locator(".mf-narrowing summary").click()
    page.get_by_label("to", exact=True).fill("2020-05-01")
    expect(page.get_by_text("No matching documents", exact=True)).to_be_visible()
    page.get_by_label("From", exact=True).fill("2021-05-01")
    expect(page.get_by_role("alert")).to_contain_text("must not be after")
    page.get_by_label("to", exact=True).fill("2099-05-01")
    expect_names(page, ADDED[::-1])
    expect(page.get_by_role("alert")).to_have_count(0)


def test_search_appears_with_the_fourth_document(page: Page, person: Person) -> None:
    visit = person.visit(*ADDED[:3])
    open_visit(page, visit)
    expect(search(page)).to_be_hidden()
    pick(page, "Scan.jpg")
    expect(search(page)).to_be_visible()


def test_grid_is_remembered_and_keeps_the_actions_of_a_row(page: Page, person: Person) -> None:
    visit = person.visit(LETTER, GROWTH, NOTE)
    page.goto(f"/visit/{visit.id}")
    grid, body = page.get_by_role("button", name="Grid"), page.locator(".mf-body")
    grid.press("Enter")
    expect(body).to_have_attribute("data-mf-layout", "grid")
    expect(grid).to_have_attribute("aria-pressed", "true")
    expect(grid).to_be_focused()
    tops = page.locator(".mf-row").evaluate_all("(rows) => rows.map((row) => row.getBoundingClientRect().top)")
    assert len(set(tops)) == 1
    press(page, "Move to trash", LETTER)
    expect_names(page, [NOTE, GROWTH])
    page.reload()
    expect(body).to_have_attribute("data-mf-layout", "grid")
    open_visit(page, visit)
    expect(body).to_have_attribute("data-mf-layout", "grid")
    page.get_by_role("button", name="List", exact=True).click()
    expect(body).to_have_attribute("data-mf-layout", "list")
    page.reload()
    expect(body).to_have_attribute("data-mf-layout", "list")


def edit(page: Page, name: str) -> Locator:
    menu(row(page, name)).get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    return page.locator(".mf-edit")


def test_name_description_and_category_are_edited_in_place(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf", "Note.txt")
    open_visit(page, visit)
    form = edit(page, "Letter.pdf")
    form.get_by_label("Name").fill("Second opinion.pdf")
    form.get_by_label("Category").select_option("Summary")
    form.get_by_label("Description").fill("No operation is needed.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(row(page, "Second opinion.pdf").locator(".mf-file-category")).to_have_text("Summary")
    expect(row(page, "Second opinion.pdf").locator(".mf-file-description")).to_have_text("No operation is needed.")
    expect(dots(row(page, "Second opinion.pdf"))).to_be_focused()
    file = person.file_named(visit, "Second opinion.pdf")
    assert (file.category, file.description) == ("summary", "No operation is needed.")


@pytest.mark.parametrize("leave", ["Cancel", "Escape"])
def test_edit_is_canceled_without_a_change(page: Page, person: Person, leave: str) -> None:
    visit = person.visit("Letter.pdf", "Note.txt")
    sheet = open_visit(page, visit)
    form = edit(page, "Letter.pdf")
    form.get_by_label("Name").fill("Something else.pdf")
    page.on("dialog", lambda dialog: dialog.accept())
    if leave == "Escape":
        page.keyboard.press("Escape")
    else:
        form.get_by_role("link", name="Cancel").click()
    expect(dots(row(page, "Letter.pdf"))).to_be_focused()
    expect(sheet).to_be_visible()
    assert sorted(names(page)) == ["Letter.pdf", "Note.txt"]


def test_unusable_name_is_refused_and_the_input_is_kept(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("422")
    open_visit(page, person.visit("Letter.pdf"))
    form = edit(page, "Letter.pdf")
    form.get_by_label("Name").fill("///")
    form.get_by_label("Description").fill("From the front desk")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("alert")).to_contain_text("no usable name")
    form.get_by_label("Name").fill("Opinion.pdf")
    form.get_by_role("button", name="Save").click()
    expect(row(page, "Opinion.pdf")).to_contain_text("From the front desk")
    expect(page.get_by_role("alert")).to_have_count(0)


def questions(page: Page, answer: str) -> list[str]:
    """Answer every question of the page with "accept" or "dismiss"; return those asked so far."""
    asked: list[str] = []

    def reply(dialog: Dialog) -> None:
        asked.append(dialog.message)
        getattr(dialog, answer)()

    page.on("dialog", reply)
    return asked


def test_sheet_closes_without_a_question_after_an_edit_is_saved_or_canceled(page: Page, person: Person) -> None:
    asked = questions(page, "accept")
    sheet = open_visit(page, person.visit("Letter.pdf", "Note.txt"))
    edit(page, "Letter.pdf").get_by_label("Name").fill("Opinion.pdf")
    page.keyboard.press("Enter")
    expect(row(page, "Opinion.pdf")).to_be_visible()
    edit(page, "Note.txt").get_by_label("Name").fill("Other.txt")
    page.get_by_role("link", name="Cancel").click()
    expect(row(page, "Note.txt")).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)
    assert asked == []


@pytest.mark.parametrize("how", ["sorting", "Escape", "Close"])
def test_unsaved_edit_is_not_discarded_without_asking(page: Page, person: Person, how: str) -> None:
    asked = questions(page, "dismiss")
    open_visit(page, person.visit("Letter.pdf", "Note.txt"))
    name = edit(page, "Letter.pdf").get_by_label("Name")
    name.fill("Opinion.pdf")
    if how == "sorting":
        order(page, "Size").click()
    elif how == "Escape":
        name.press("Escape")
    else:
        page.get_by_role("button", name="Close").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Opinion.pdf")
    assert asked == ["Discard changes?"]


def test_list_that_fails_to_load_can_be_tried_again(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("503")
    visit = person.visit("Letter.pdf", "Note.txt")
    open_visit(page, visit)
    press(page, "Move to trash", "Note.txt")
    page.get_by_role("link", name="Trash (1)").click()
    expect_names(page, ["Note.txt"])
    fail("**/list?*")(page)
    page.get_by_role("link", name="Back to documents").click()
    expect(page.get_by_role("alert")).to_contain_text("Something went wrong on our end.")
    press(page, "Restore", "Note.txt")
    expect(page.locator(".mf-manager-head")).to_contain_text("0 documents")
    page.unroute("**/list?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".mf-row")).to_have_count(2)
    expect(page.get_by_role("alert")).to_have_count(0)


def test_upload_that_ends_while_the_trash_is_open_is_added_to_the_list_only(page: Page, person: Person) -> None:
    held: list[Route] = []
    open_visit(page, person.visit("Letter.pdf", "Note.txt"))
    press(page, "Move to trash", "Note.txt")
    page.route("**/files*", lambda route: held.append(route))
    pick(page, "Growth.png")
    page.get_by_role("link", name="Trash (1)").click()
    expect_names(page, ["Note.txt"])
    held[0].continue_()
    expect(page.locator(".mf-upload")).to_have_count(0)
    expect_names(page, ["Note.txt"])
    expect(page.locator(".mf-manager-head")).to_contain_text("1 document")
    page.get_by_role("link", name="Back to documents").click()
    expect_names(page, ["Growth.png", "Letter.pdf"])


def test_search_that_fails_keeps_the_list_and_the_words(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("503")
    page.goto(f"/visit/{four(person)}")
    fail("**/list?*")(page)
    search(page).fill("note")
    expect(page.get_by_role("alert")).to_contain_text("Something went wrong on our end.")
    expect_names(page, ADDED[::-1])
    pick(page, "Scan.jpg")
    expect(row(page, "Scan.jpg")).to_be_visible()
    page.unroute("**/list?*")
    page.get_by_role("button", name="Try again").click()
    expect_names(page, [SCAN, NOTE])
    expect(search(page)).to_have_value("note")
