"""Badges: how many documents a record has, in every look, from one request, and right without a reload."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.people import Complaints, Person
from tests.browser.widget import badge, card, open_visit, pick, press, row

PAPERS = ("Letter.pdf", "Scan.jpg", "Note.txt")
SIZES = ("xs", "sm", "md", "lg")
SEEN = """(state) => {
  Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def asked(page: Page) -> list[Request]:
    """Requests for badges, from now on."""
    found: list[Request] = []

    def note(request: Request) -> None:
        if re.search(r"/(badges|badge)(\?|$)", request.url):
            found.append(request)

    page.on("request", note)
    return found


def listing(patient_id: int) -> str:
    return f"/patients/{patient_id}/visits"


@pytest.mark.parametrize(
    ("variant", "words", "none"),
    [
        ("badge", "3 documents", "No documents yet"),
        ("text", "3 documents", "No documents yet"),
        ("icon", "3", "0"),
    ],
)
def test_a_badge_alone_has_every_look_and_always_the_same_name(
    page: Page, person: Person, variant: str, words: str, none: str
) -> None:
    visit, bare = person.visit(*PAPERS), person.visit(reason="Vaccination")
    heights = []
    for size in SIZES:
        page.goto(f"/documents/visit/{bare.id}/badge?variant={variant}&size={size}")
        expect(badge(page, bare)).to_have_text(none)
        expect(badge(page, bare)).to_have_accessible_name("No documents yet, open Vaccination")
        page.goto(f"/documents/visit/{visit.id}/badge?variant={variant}&size={size}")
        expect(badge(page, visit)).to_have_text(words)
        expect(badge(page, visit)).to_have_accessible_name("3 documents, open Annual check-up")
        expect(badge(page, visit).locator("svg")).to_have_count(0 if variant == "text" else 1)
        heights.append(badge(page, visit).evaluate("(one) => one.getBoundingClientRect().height"))
    assert heights == sorted(set(heights)), "each size is larger than the one before"
    badge(page, visit).click()
    expect(page).to_have_url(f"/visit/{visit.id}")


def test_all_badges_of_a_page_are_loading_first_and_come_by_one_request(page: Page, person: Person) -> None:
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


def test_a_badge_follows_everything_that_is_done_to_the_documents(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    sheet = open_visit(page, visit)
    expect(badge(page, visit)).to_have_text("1 document")
    pick(page, "Growth.png", "Note.txt")
    expect(badge(page, visit)).to_have_text("3 documents")
    press(page, "Move to trash", "Note.txt")
    expect(badge(page, visit)).to_have_text("2 documents")
    page.get_by_role("button", name="Undo").click()
    expect(badge(page, visit)).to_have_text("3 documents")
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


def test_a_change_in_one_tab_is_in_the_badges_of_the_others(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    other, alone = page.context.new_page(), page.context.new_page()
    other.goto(listing(visit.patient_id))
    alone.goto(f"/documents/visit/{visit.id}/badge")
    expect(badge(other, visit)).to_have_text("1 document")
    open_visit(page, visit)
    pick(page, "Growth.png")
    expect(badge(other, visit)).to_have_text("2 documents")
    expect(badge(alone, visit)).to_have_text("2 documents")


def test_what_somebody_else_did_is_in_the_badges_when_the_tab_is_looked_at_again(
    own_page: Page, person: Person
) -> None:
    page = own_page
    visit = person.visit("Letter.pdf")
    alone = page.context.new_page()
    for tab, address in ((page, listing(visit.patient_id)), (alone, f"/documents/visit/{visit.id}/badge")):
        tab.clock.install()
        tab.goto(address)
        expect(badge(tab, visit)).to_have_text("1 document")
        tab.evaluate(SEEN, "hidden")
    person.attach(visit, "Note.txt")
    for tab in (page, alone):
        tab.clock.fast_forward(10_000)
        tab.evaluate(SEEN, "visible")
        expect(badge(tab, visit)).to_have_text("2 documents")


@pytest.mark.parametrize("alone", [False, True], ids=["list", "alone"])
def test_the_last_of_several_changes_counts_however_late_the_first_answer_is(
    page: Page, person: Person, *, alone: bool
) -> None:
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


def test_badges_that_cannot_be_had_stay_links_and_come_with_the_next_change(
    page: Page, person: Person, complaints: Complaints
) -> None:
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


def test_without_script_the_counts_stand_there(open_context: Callable[..., BrowserContext], person: Person) -> None:
    visit = person.visit(*PAPERS)
    bare = person.visit(
        patient=person.world.records(person.email).patient(visit.patient_id).patient, reason="Vaccination"
    )
    page = open_context(person, script=False).new_page()
    page.goto(listing(visit.patient_id))
    expect(page.get_by_role("link", name="No documents yet, open Vaccination")).to_have_attribute(
        "href", f"/visit/{bare.id}"
    )
    expect(page.locator(".mf-badge-loading >> visible=true")).to_have_count(0)
    page.get_by_role("link", name="3 documents, open Annual check-up").click()
    expect(page).to_have_url(f"/visit/{visit.id}")


def test_a_badge_opens_its_record_in_the_sheet_and_gets_the_focus_back(page: Page, person: Person) -> None:
    visit = person.visit(*PAPERS)
    page.goto(listing(visit.patient_id))
    page.wait_for_load_state("networkidle")  # a click while the badge gives way to the newer one would hit neither
    badge(page, visit).click()
    expect(page.locator("#mf-sheet[open]").get_by_role("heading", level=1)).to_be_focused()
    page.keyboard.press("Escape")
    expect(badge(page, visit)).to_be_focused()
    expect(card(page, visit)).to_be_visible()


def test_a_record_saved_in_the_sheet_keeps_the_badges_of_the_list(page: Page, person: Person) -> None:
    visit = person.visit(*PAPERS)
    sheet = open_visit(page, visit)
    sheet.get_by_role("link", name="Edit Annual check-up").click()
    page.get_by_label("Reason for the visit").fill("Sore knee")
    requests = asked(page)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(card(page, visit)).to_have_text("Sore knee")
    expect(badge(page, visit)).to_have_text("3 documents")
    expect(badge(page, visit)).to_have_attribute("aria-label", "3 documents, open Sore knee")
    assert len(requests) == 1
