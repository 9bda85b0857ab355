"""Two tabs edit the same: both keep what they wrote. And a second click on Save moves nothing to the trash."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.people import Complaints, Person
from tests.browser.widget import menu, open_visit, row

NOTE = "Penicillin allergy: do NOT give amoxicillin"
STOPPED = "performance.now = () => globalThis.time ?? 5000;"


@pytest.fixture
def other(page: Page) -> Page:
    """A second tab of the same browser."""
    return page.context.new_page()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def test_two_tabs_change_different_fields_and_nothing_is_lost(page: Page, other: Page, person: Person) -> None:
    visit = person.visit()
    for tab in (page, other):
        tab.goto(f"/visit/{visit.id}/edit")
    page.get_by_label("Notes").fill(NOTE)
    save(page)
    expect(page.locator(".mf-facts")).to_contain_text(NOTE)
    other.get_by_label("Location").fill("Health center")
    save(other)
    expect(other.locator(".mf-facts")).to_contain_text("Health center")
    expect(other.locator(".mf-facts")).to_contain_text(NOTE)


def test_a_conflict_in_the_sheet_shows_both_values_and_one_is_chosen(
    page: Page, other: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("409")
    visit = person.visit()
    sheet = open_visit(page, visit)
    sheet.get_by_role("link", name="Edit").click()
    other.goto(f"/visit/{visit.id}/edit")
    other.get_by_label("Notes").fill("Written in the other tab")
    save(other)
    expect(other.locator(".mf-facts")).to_contain_text("Written in the other tab")
    sheet.get_by_label("Notes").fill(NOTE)
    sheet.get_by_label("Location").fill("Health center")
    save(page)
    alert = sheet.get_by_role("alert")
    expect(alert).to_be_focused()
    alert.get_by_role("link", name="Notes").click()
    expect(sheet.get_by_role("radio", name="Yours")).to_be_focused()
    expect(sheet.get_by_role("radio", name="Saved by you elsewhere")).to_have_accessible_description(
        "Written in the other tab"
    )
    expect(sheet.get_by_label("Location")).to_have_value("Health center")
    sheet.get_by_role("radio", name="Yours").check()
    save(page)
    expect(sheet.locator(".mf-facts")).to_contain_text(NOTE)
    expect(sheet.locator(".mf-facts")).to_contain_text("Health center")


def test_a_conflict_in_the_row_of_a_document_is_settled_there(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("409")
    visit = person.visit("Note.txt", "Growth.png")
    open_visit(page, visit)
    menu(row(page, "Growth.png")).get_by_role("link", name="Edit").click()
    form = page.locator(".mf-edit")
    form.get_by_label("Description").fill("Mine")
    file = person.file_named(visit, "Growth.png")
    person.world.documents(person.email).edit(file.id, {"description": "Written elsewhere"})
    save(page)
    expect(form.get_by_role("alert")).to_be_focused()
    expect(form.get_by_label("Description", exact=True)).to_have_value("Mine")
    form.get_by_role("radio", name="Saved by you elsewhere").check()
    save(page)
    expect(row(page, "Growth.png")).to_contain_text("Written elsewhere")
    assert page.evaluate("document.activeElement !== document.body")


def test_saving_twice_quickly_leaves_the_record_where_it_is(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    page.goto(f"/visit/{visit.id}/edit")
    button = page.get_by_role("button", name="Save", exact=True)
    button.scroll_into_view_if_needed()
    place: Any = button.bounding_box()
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.click(x, y)
    expect(page.get_by_role("heading", level=1, name="Annual check-up")).to_be_visible()
    page.mouse.click(x, y)
    expect(page.get_by_role("heading", level=1, name="Annual check-up")).to_be_visible()
    assert person.world.events(action="delete-record", entity_id=visit.id) == []


@pytest.fixture
def stopped(open_context: Callable[..., BrowserContext], person: Person) -> Page:
    """A page whose clock stands still until a test moves it."""
    page = open_context(person).new_page()
    page.add_init_script(STOPPED)
    return page


def open_menu(page: Page, visit: Any) -> Any:
    page.goto(f"/visit/{visit.id}")
    page.get_by_text("More actions for").locator("..").click()
    return page.get_by_role("button", name="Move visit to trash")


def test_a_click_on_a_deletion_in_the_first_second_is_ignored(stopped: Page, person: Person) -> None:
    visit = person.visit()
    delete = open_menu(stopped, visit)
    delete.click()
    expect(stopped).to_have_url(f"/visit/{visit.id}")
    expect(delete).to_be_visible()
    assert person.world.events(action="delete-record", entity_id=visit.id) == []
    stopped.evaluate("globalThis.time = 6000")
    delete.click()
    expect(stopped.locator("#mf-notices")).to_contain_text("“Annual check-up” moved to trash.")
    stopped.get_by_role("button", name="Undo").click()
    expect(stopped.locator("#mf-notices")).to_contain_text("Visit restored with its documents.")
    expect(stopped.locator(".mf-card-record h2")).to_have_text("Annual check-up")


def test_a_deletion_looks_disabled_in_the_first_second(
    open_context: Callable[..., BrowserContext], person: Person
) -> None:
    page = open_context(person).new_page()
    page.clock.install(time=0)
    page.clock.pause_at(60_000)
    delete, looks = open_menu(page, person.visit()), list[str]()
    for milliseconds in (0, 900, 200):
        page.clock.run_for(milliseconds)
        looks.append(delete.evaluate("button => getComputedStyle(button).color"))
    assert looks[0] == looks[1] != looks[2]


def test_the_keyboard_deletes_in_the_first_second_too(stopped: Page, person: Person) -> None:
    open_menu(stopped, person.visit()).press("Enter")
    expect(stopped.locator("#mf-notices")).to_contain_text("“Annual check-up” moved to trash.")
