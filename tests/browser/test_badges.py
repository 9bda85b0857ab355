"""Badges: how many documents a record has, in every look, from one request, and right without a reload."""

import re

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.people import Complaints, Person, Shelf
from tests.browser.states import embedded
from tests.browser.widget import badge, card, open_visit, pick, press, row

PAPERS = ("Letter.pdf", "Scan.jpg", "Note.txt")
SIZES = ("xs", "sm", "md", "lg")
BADGES = re.compile(r"/badges?(\?|$)")


def asked(page: Page) -> list[Request]:
    """Requests for badges, from now on."""
    found: list[Request] = []
    page.on("request", lambda request: found.append(request) if BADGES.search(request.url) else None)
    return found


def listing(patient_id: int) -> str:
    return f"/patients/{patient_id}/visits"


def test_badges_grow_with_their_size_and_keep_their_accessible_name(page: Page, person: Person) -> None:
    visit, bare = person.visit(*PAPERS), person.visit(reason="Vaccination")
    looks = [f"badge?variant={variant}&size={size}" for variant in ("badge", "text", "icon") for size in SIZES]
    paths = [f"/documents/visit/{shown.id}/{look}" for shown in (visit, bare) for look in looks]
    embedded(*paths, shown=".mf-badge-holder .mf-badge")(page, Shelf(visit.patient_id))
    words = ["3 documents"] * 8 + ["3"] * 4 + ["No documents yet"] * 8 + ["0"] * 4
    badges = page.locator(".mf-badge-holder .mf-badge")
    expect(badges).to_have_text(words)
    expect(page.get_by_role("link", name="3 documents, open Annual check-up")).to_have_count(12)
    expect(page.get_by_role("link", name="No documents yet, open Vaccination")).to_have_count(12)
    heights = badges.evaluate_all("(all) => all.map((one) => one.getBoundingClientRect().height)")
    for first in range(0, 12, 4):
        assert heights[first : first + 4] == sorted(set(heights[first : first + 4]))


def test_all_badges_of_a_page_show_loading_and_come_with_one_request(page: Page, person: Person) -> None:
    visit = person.visit(*PAPERS)
    patient = person.world.records(person.email).patient(visit.patient_id).patient
    one, bare = person.visit("Note.txt", patient=patient), person.visit(patient=patient, reason="Vaccination")
    late: list[Route] = []
    page.route("**/badges?*", lambda route: late.append(route))
    requests = asked(page)
    with page.expect_request("**/badges?*"):
        page.goto(listing(patient.id))
    for shown in (visit, one, bare):
        expect(badge(page, shown)).to_have_class(re.compile("mf-badge-loading"))
    expect(badge(page, bare)).to_have_accessible_name("Documents, open Vaccination")
    late[0].continue_()
    expect(badge(page, visit)).to_have_text("3 documents")
    expect(badge(page, one)).to_have_text("1 document")
    expect(badge(page, bare)).to_have_text("No documents yet")
    expect(badge(page, bare)).to_have_accessible_name("No documents yet, open Vaccination")
    expect(page.locator(".mf-badge-loading")).to_have_count(0)
    assert len(requests) == 1


def test_badge_follows_uploads_trash_undo_and_edits(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    sheet = open_visit(page, visit)
    expect(badge(page, visit)).to_have_text("1 document")
    pick(page, "Growth.png", "Note.txt")
    expect(badge(page, visit)).to_have_text("3 documents")
    press(page, "Move to trash", "Note.txt")
    expect(badge(page, visit)).to_have_text("2 documents")
    page.get_by_role("button", name="Undo").click()
    expect(badge(page, visit)).to_have_text("3 documents")
    page.get_by_role("button", name="Select", exact=True).click()
    page.get_by_role("checkbox", name="Select all shown").check()
    sheet.get_by_role("button", name="Move to trash", exact=True).click()
    expect(badge(page, visit)).to_have_text("No documents yet")
    page.get_by_role("button", name="Undo").click()
    expect(badge(page, visit)).to_have_text("3 documents")
    sheet.get_by_role("link", name="Edit Annual check-up").click()
    row(page, "Letter.pdf").locator(".mf-remove").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(badge(page, visit)).to_have_text("2 documents")
    expect(badge(page, visit)).to_have_attribute("aria-label", "2 documents, open Annual check-up")


@pytest.mark.parametrize("alone", [False, True], ids=["list", "alone"])
def test_badge_shows_the_last_change_when_an_earlier_answer_is_late(page: Page, person: Person, *, alone: bool) -> None:
    visit = person.visit("Letter.pdf")
    page.goto(f"/documents/visit/{visit.id}/badge" if alone else listing(visit.patient_id))
    expect(badge(page, visit)).to_have_text("1 document")
    first: list[Route] = []
    page.route(re.compile("/badges?[?]"), lambda route: first.append(route), times=1)
    change = (
        f"document.dispatchEvent(new CustomEvent('documents:changed', {{detail: {{type: 'visit', id: {visit.id}}}}}))"
    )
    with page.expect_request(re.compile("/badges?[?]")):
        page.evaluate(change)
    person.attach(visit, "Note.txt")
    page.evaluate(change)
    first[0].continue_()
    expect(badge(page, visit)).to_have_text("2 documents")


def test_badges_that_fail_to_load_are_links_for_now(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("503")
    visit = person.visit("Letter.pdf")
    page.route("**/badges?*", lambda route: route.fulfill(status=503, body=""), times=1)
    with page.expect_response("**/badges?*"):
        page.goto(listing(visit.patient_id))
    expect(badge(page, visit)).to_have_accessible_name("Documents, open Annual check-up")
    expect(page.get_by_role("alert")).to_have_count(0)
    badge(page, visit).click()
    expect(page.locator("#mf-sheet[open]").get_by_role("heading", level=1)).to_have_text("Annual check-up")
    pick(page, "Growth.png")
    expect(badge(page, visit)).to_have_text("2 documents")


def test_badge_opens_its_record_in_the_sheet_and_gets_the_focus_back(page: Page, person: Person) -> None:
    visit = person.visit(*PAPERS)
    page.goto(listing(visit.patient_id))
    page.wait_for_load_state("networkidle")  # a click while the badge gives way to the newer one would hit neither
    badge(page, visit).click()
    expect(page.locator("#mf-sheet[open]").get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(badge(page, visit)).to_be_focused()
    expect(card(page, visit)).to_be_visible()


def test_record_saved_in_the_sheet_updates_card_heading_and_badge(page: Page, person: Person) -> None:
    visit = person.visit(*PAPERS)
    sheet = open_visit(page, visit)
    sheet.get_by_role("link", name="Edit Annual check-up").click()
    page.get_by_label("Reason for the visit").fill("Sore knee")
    requests = asked(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(sheet.get_by_role("heading", level=1)).to_have_text("Sore knee")
    expect(card(page, visit)).to_have_text("Sore knee")
    expect(badge(page, visit)).to_have_text("3 documents")
    expect(badge(page, visit)).to_have_attribute("aria-label", "3 documents, open Sore knee")
    assert len(requests) == 1
