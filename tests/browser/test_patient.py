"""A patient's pages: timeline, documents, profile and menus, by mouse, keyboard and address."""

import re
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.people import Person
from tests.browser.widget import focused, pick, row


def entry(page: Page, visit: Any) -> Locator:
    return page.locator(f"#mf-entry-visit-{visit.id}")


def chips(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Record types")


@pytest.fixture
def patient(person: Person) -> Any:
    return person.patient()


@pytest.fixture
def many(person: Person, patient: Any) -> Any:
    """A patient with more visits than a page of the timeline shows: 40 in 2026, 20 in 2024."""
    for number in range(60):
        day = date(2026 if number < 40 else 2024, 3, 1 + number % 28)
        person.visit(patient=patient, date=day, reason=f"Visit {number}")
    return patient


def test_chip_narrows_the_timeline_and_back_widens_it(page: Page, person: Person, patient: Any) -> None:
    person.visit("Letter.pdf", patient=patient)
    person.world.record("procedure", patient, person.email, procedure_name="Cast removed")
    page.goto(f"/patients/{patient.id}")
    expect(page.locator(".mf-entry")).to_have_count(2)
    chips(page).get_by_role("link", name="Procedures 1").click()
    expect(page).to_have_url(f"/patients/{patient.id}?type=procedure")
    expect(page.locator(".mf-entry")).to_have_count(1)
    expect(chips(page).locator("[aria-current]")).to_have_text("Procedures 1")
    page.go_back()
    expect(page.locator(".mf-entry")).to_have_count(2)


def test_record_opens_from_the_timeline_and_gives_the_focus_back(page: Page, person: Person, patient: Any) -> None:
    visit = person.visit("Letter.pdf", patient=patient)
    page.goto(f"/patients/{patient.id}")
    expect(entry(page, visit)).to_contain_text("1 document")
    entry(page, visit).press("Enter")
    expect(page.locator("#mf-sheet").get_by_role("heading", level=1)).to_be_focused()
    expect(page).to_have_url(f"/visit/{visit.id}")
    page.keyboard.press("Escape")
    expect(entry(page, visit)).to_be_focused()
    expect(page).to_have_url(f"/patients/{patient.id}")
    page.goto(f"/visit/{visit.id}")
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_have_text("Annual check-up")


def test_older_records_load_at_the_end_and_the_focus_moves_to_the_first(page: Page, many: Any) -> None:
    page.goto(f"/patients/{many.id}")
    expect(page.locator(".mf-entry")).to_have_count(50)
    page.get_by_role("link", name="Show older records").focus()
    expect(page.locator(".mf-entry")).to_have_count(60)
    expect(page.locator(".mf-entry").nth(50)).to_be_focused()
    expect(page.locator(".mf-year > h2")).to_have_text(["2026", "2024"])
    expect(page.get_by_role("link", name="Show older records")).to_have_count(0)


def test_timeline_follows_what_is_done_in_the_sheet(page: Page, many: Any) -> None:
    page.goto(f"/patients/{many.id}")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")  # older records are loaded once their link is seen
    last = page.locator(".mf-entry").nth(59)
    last.click()
    pick(page, "Growth.png")
    expect(row(page, "Growth.png")).to_be_visible()
    page.keyboard.press("Escape")
    expect(last).to_contain_text("1 document")
    expect(last).to_be_focused()
    expect(page.locator(".mf-entry")).to_have_count(60)
    expect(page.locator("#mf-tab-documents")).to_have_text("Documents 1")
    last.press("Enter")
    page.get_by_text("More actions for Visit").locator("..").click()
    page.get_by_role("button", name="Move visit to trash").click()
    expect(page.locator(".mf-entry")).to_have_count(59)
    expect(chips(page).get_by_role("link", name="All 59")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_focused()


def test_year_is_scrolled_to_or_opened(page: Page, person: Person, many: Any) -> None:
    for number in range(10):
        person.visit(patient=many, date=date(2024, 2, 1), reason=f"Check-up {number}")
    person.visit(patient=many, date=date(2019, 2, 1), reason="First visit")
    page.goto(f"/patients/{many.id}")
    years = page.get_by_role("navigation", name="Years")
    expect(years.get_by_role("link")).to_have_text(["2026, 40 records", "2024, 30 records", "2019, 1 record"])
    years.get_by_role("link", name="2024").click()
    expect(page.get_by_role("heading", name="2024")).to_be_in_viewport()
    years.get_by_role("link", name="2019").click()
    expect(page).to_have_url(re.compile("year=2019"))
    expect(page.get_by_role("heading", name="2019")).to_be_in_viewport()
    expect(page.locator(".mf-entry").first).to_contain_text("First visit")


def test_new_menu_works_by_keyboard_and_gets_the_focus_back(page: Page, patient: Any) -> None:
    page.goto(f"/patients/{patient.id}")
    menu = page.locator(".mf-new-menu")
    menu.locator("summary").focus()
    page.keyboard.press("ArrowDown")
    kinds = [text.strip() for text in menu.get_by_role("link").all_inner_texts()]
    assert sorted(kinds) == ["Insurance", "Lab result", "Procedure", "Visit"]
    for key, number in ((None, 0), ("ArrowDown", 1), ("End", 3), ("ArrowDown", 0), ("ArrowUp", 3), ("Home", 0)):
        if key:
            page.keyboard.press(key)
        assert focused(page) == kinds[number]
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(menu.locator("summary")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#mf-sheet").get_by_role("heading", level=1)).to_have_text(f"New {kinds[0].lower()}")
    page.keyboard.press("Escape")
    expect(page.locator("#mf-sheet[open]")).to_have_count(0)
    expect(menu).not_to_have_attribute("open", "")
    expect(menu.locator("summary")).to_be_focused()


def test_menu_closes_when_the_focus_or_the_pointer_leaves_it(page: Page, patient: Any) -> None:
    page.goto(f"/patients/{patient.id}")
    menu = page.locator(".mf-patient-acts .mf-menu-square")
    menu.locator("summary").focus()
    page.keyboard.press("ArrowUp")
    assert focused(page) == "Move patient to trash"
    page.keyboard.press("Tab")
    expect(menu).not_to_have_attribute("open", "")
    menu.locator("summary").click()
    expect(menu.get_by_role("link", name="Activity")).to_be_visible()
    page.locator(".mf-patient-name").click()
    expect(menu).not_to_have_attribute("open", "")


def test_documents_of_all_records_open_in_the_preview(page: Page, person: Person, patient: Any) -> None:
    person.visit("Letter.pdf", patient=patient)
    person.visit("Growth.png", patient=patient, reason="Growth")
    page.goto(f"/patients/{patient.id}")
    page.get_by_role("navigation", name="Ella Sample").get_by_role("link", name="Documents 2").click()
    tiles = page.locator(".mf-page-tile .mf-stretch")
    expect(tiles).to_have_text(["Growth", "Letter"])
    tiles.last.press("Enter")
    expect(page.locator(".mf-look[open] [data-mf-ready] #mf-look-name")).to_have_text("Letter.pdf")
    page.go_back()
    expect(page.locator(".mf-look[open]")).to_have_count(0)
    expect(tiles.last).to_be_focused()
    page.get_by_role("link", name="Annual check-up").click()
    expect(page).to_have_url(re.compile(r"/visit/\d+$"))


def test_older_documents_load_at_the_end(page: Page, person: Person, patient: Any) -> None:
    person.pile(person.visit(patient=patient), 55)
    page.goto(f"/patients/{patient.id}/documents")
    tiles = page.locator(".mf-page-tile")
    expect(tiles).to_have_count(50)
    page.get_by_role("link", name="Show older documents").focus()
    expect(tiles).to_have_count(55)
    expect(tiles.nth(50).locator(".mf-stretch")).to_be_focused()
    assert page.locator("#mf-recent-look").count() == 1


def test_allergies_from_the_profile_are_an_alert_in_the_head(page: Page, patient: Any) -> None:
    page.goto(f"/patients/{patient.id}")
    page.get_by_role("link", name="Profile").click()
    expect(page.get_by_role("link", name="Profile")).to_have_attribute("aria-current", "page")
    expect(page.locator(".mf-facts")).to_contain_text("None recorded")
    page.get_by_role("main").get_by_role("link", name="Edit Ella Sample").last.click()
    page.get_by_label("Allergies").fill("Penicillin")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".mf-allergy")).to_have_text("Allergies: Penicillin")
