"""Records in the sheet: created, corrected, trashed and restored, with an address of their own."""

from datetime import UTC, datetime

from playwright.sync_api import Browser, Locator, Page, expect

from medfiles.database.session import transaction
from medfiles.models import AuditEvent
from tests.browser.people import Complaints, Person, Site
from tests.browser.widget import badge, card, expect_names, open_visit, row

CONTROLS = """() => [...document.querySelectorAll("button, summary, input, select, [role=button], .mf-button")]
  .filter((one) => one.checkVisibility())
  .map((one) => one.outerHTML.slice(0, 160))"""


def start_visit(page: Page, person: Person) -> None:
    page.goto(f"/patients/{person.patient().id}/visits")
    page.get_by_role("link", name="New visit").click()
    expect(page.locator("#mf-sheet[open]").get_by_role("heading", level=1)).to_have_text("New visit")


def delete(sheet: Locator) -> None:
    """Move the record in the sheet to the trash by the menu of its head."""
    sheet.get_by_text("More actions for").locator("..").click()
    sheet.get_by_role("button", name="Move visit to trash").click()


def test_new_record_is_in_the_list_behind_the_sheet_at_once(page: Page, person: Person) -> None:
    start_visit(page, person)
    page.get_by_label("Reason for the visit").fill("Sore knee")
    page.get_by_label("Date", exact=True).fill("2026-05-12")
    page.get_by_role("button", name="Save visit").click()
    expect(page.locator("#mf-sheet").get_by_role("heading", level=1)).to_have_text("Sore knee")
    expect(page.locator(".mf-card-record h2")).to_have_text("Sore knee")
    expect(page.locator(".mf-filter-chip[aria-current]")).to_have_text("Visits 1")


def test_missing_field_is_named_here_and_in_the_summary(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("422")
    start_visit(page, person)
    page.get_by_label("Reason for the visit").fill("Sore knee")
    page.get_by_role("button", name="Save visit").click()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_count(1)
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_label("Date", exact=True)).to_have_accessible_description("Error: Enter the date.")
    expect(page.get_by_label("Reason for the visit")).to_have_value("Sore knee")


def test_trashed_record_is_restored_with_its_documents_by_undo(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf", "Scan.jpg")
    delete(open_visit(page, visit))
    notice = page.locator("#mf-notices")
    expect(notice).to_contain_text("“Annual check-up” and its 2 documents moved to trash.")
    expect(card(page, visit)).to_have_count(0)
    expect(page.locator("#mf-sheet[open]")).to_have_count(0)
    expect(page).to_have_url(f"/patients/{visit.patient_id}/visits")
    expect(notice.get_by_role("button", name="Undo")).to_be_focused()
    notice.get_by_role("button", name="Undo").click()
    expect(badge(page, visit)).to_have_text("2 documents")
    notice.get_by_role("link", name="Open").click()
    expect_names(page, ["Scan.jpg", "Letter.pdf"])


def test_sheet_has_the_address_of_its_record_and_back_closes_it(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    open_visit(page, visit)
    expect(page).to_have_url(f"/visit/{visit.id}")
    page.go_back()
    expect(page.locator("#mf-sheet[open]")).to_have_count(0)
    expect(page).to_have_url(f"/patients/{visit.patient_id}/visits")


def test_printed_record_names_the_birth_date_and_leaves_out_controls(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf", "Growth.png")
    page.goto(f"/visit/{visit.id}")
    expect_printed(page, "Letter.pdf")
    page.emulate_media(media="screen")
    open_visit(page, visit)
    expect_printed(page, "Letter.pdf")


def expect_printed(page: Page, name: str) -> None:
    """What is printed: the birth date, this document, and nothing to press."""
    page.emulate_media(media="print")
    expect(page.get_by_text("born 2 Mar 2018").locator("visible=true")).to_have_count(1)
    expect(row(page, name)).to_be_visible()
    assert page.evaluate(CONTROLS) == []


def test_sheet_is_printed_whole(page: Page, person: Person) -> None:
    visit = person.visit()
    person.pile(visit, 50)
    open_visit(page, visit)
    assert page.pdf().count(b"/Type /Page\n") > 2


def test_sidebar_leads_to_another_patient(page: Page, person: Person) -> None:
    person.patient()
    person.world.patient(person.email, "Theo")
    page.goto("/")
    page.get_by_role("main").get_by_role("link", name="Ella Sample").click()
    people = page.get_by_role("navigation", name="People")
    expect(people.get_by_role("link", name="Ella Sample")).to_have_attribute("aria-current", "true")
    people.get_by_role("link", name="Theo Sample").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Theo Sample")


def test_activity_is_grouped_by_the_days_of_the_reader(browser: Browser, person: Person, site: Site) -> None:
    patient = person.patient()
    with transaction() as session:
        for at in (datetime(2026, 1, 1, 20, 0, tzinfo=UTC), datetime(2026, 1, 2, 3, 0, tzinfo=UTC)):
            session.add(AuditEvent(at=at, action="view-patient", outcome="done", patient_id=patient.id))
    with browser.new_context(base_url=site.address, locale="en-GB", timezone_id="America/New_York") as context:
        person.sign_in(context, site.address)
        page = context.new_page()
        page.goto(f"/patients/{patient.id}/activity")
        day = page.get_by_role("heading", name="1 Jan 2026")
        expect(day).to_have_count(1)
        expect(page.get_by_role("heading", name="2 Jan 2026")).to_have_count(0)
        expect(page.locator(".mf-trail h2:text-is('1 Jan 2026') + ol time")).to_have_text(["22:00", "15:00"])


def test_patient_moved_to_trash_is_back_with_everything_after_undo(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    patient = f"/patients/{visit.patient_id}"
    page.goto(patient)
    page.get_by_text("More actions for").locator("..").click()
    page.get_by_role("button", name="Move patient to trash").click()
    expect(page).to_have_url("/")
    expect(page.get_by_role("link", name="1 patient in the trash")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page).to_have_url(patient)
    expect(page.get_by_role("link", name="Annual check-up")).to_be_visible()
