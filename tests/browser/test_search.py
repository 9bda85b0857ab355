"""Search from anywhere: the key, results as one types, and the page of a document with its words marked."""

import json
import re
from collections.abc import Callable
from datetime import date

import pytest
from flask_security import hash_password
from playwright.sync_api import BrowserContext, Page, Route, expect

from medfiles.database.session import transaction
from medfiles.models import PageText
from medfiles.search import index
from tests.browser.people import Complaints, Person
from tests.support import large_lists, samples

PASSWORD = "a long enough password"
# All layout shifts so far, also of the page as it was loaded.
SHIFTS = """() => new Promise((done) => {
  const told = new PerformanceObserver((list) => done(list.getEntries().reduce((sum, one) => sum + one.value, 0)));
  told.observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(0), 500);
})"""


@pytest.fixture(autouse=True)
def busy_renderers(complaints: Complaints) -> None:
    """Beside other tests they may be: the page asks again."""
    complaints.expect("503")


def stored(person: Person) -> str:
    """A report of two pages; returns the name of its record."""
    visit = person.visit(reason="Sore knee")
    file = person.world.attach(visit, "MRI report.pdf", samples.pdf(2), person.email)
    with transaction() as session:
        for page, text in ((1, "Examined in 2019"), (2, "A small meniscus tear")):
            words = json.dumps([[word, 0.1 + 0.2 * n, 0.3, 0.15, 0.03] for n, word in enumerate(text.split())])
            row = {"sha256": file.sha256, "page": page, "recipe": 1, "pages": 2, "source": "text-layer"}
            session.merge(PageText(**row, text=text, words=words))
        session.flush()
        index.put_texts(file.sha256)
    return "Sore knee"


def test_a_report_is_found_by_a_word_of_its_text_and_opens_at_the_page(page: Page, person: Person) -> None:
    stored(person)
    page.goto("/account")
    page.keyboard.press("/")
    field = page.get_by_role("searchbox", name="Search documents, records and people")
    expect(field).to_be_focused()
    page.keyboard.type("menis")
    results = page.locator("#mf-found a")
    expect(results.first).to_contain_text("MRI report")
    page.keyboard.press("Enter")
    expect(page).to_have_url("/search?q=menis")
    result = page.locator(".mf-result")
    expect(result.locator("mark")).to_have_text("meniscus")
    result.get_by_role("link", name="MRI report").click()
    opened = page.locator("dialog.mf-look[open]")
    expect(opened.locator("[data-mf-page-field]")).to_have_value("2")
    expect(opened.locator(".mf-look-page[data-mf-n='2'] .mf-rings rect")).to_have_count(1)


def test_results_follow_what_is_typed_on_the_search_page(page: Page, person: Person) -> None:
    record = stored(person)
    page.goto("/search")
    expect(page.locator("#mf-results")).to_contain_text("at least two letters")
    page.locator("#mf-find").press_sequentially("kne")
    expect(page.locator(".mf-result h2 a").first).to_be_visible()
    expect(page.locator("#mf-results")).to_contain_text(record)
    page.locator("#mf-find").fill("kneeling")
    expect(page.locator("#mf-results")).to_contain_text("Nothing matches")


@pytest.mark.parametrize("place", ["page", "list", "people"])
def test_what_is_typed_before_the_page_has_loaded_is_searched(page: Page, person: Person, place: str) -> None:
    visit = person.visit("Knee.txt", "Hip.txt", "Hand.txt", "Foot.txt")
    late: list[Route] = []
    page.route("**/vendor/htmx.min.js*", lambda route: late.append(route))
    path, field = {
        "page": ("/", "#mf-find"),
        "list": (f"/visit/{visit.id}", ".mf-filter input[type=search]"),
        "people": ("/patients", ".mf-main form:not([data-mf-find]) input[type=search]"),
    }[place]
    page.goto(path, wait_until="commit")
    page.locator(field).press_sequentially("knee")
    with page.expect_response(re.compile(r"q=knee")):
        late[0].continue_()


def test_arrow_keys_move_through_the_results_and_escape_closes_them(page: Page, person: Person) -> None:
    stored(person)
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("knee")
    expect(page.locator("#mf-found a").first).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#mf-found a").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#mf-found a")).to_have_count(0)
    expect(page.locator("#mf-find")).to_be_focused()


def scanned(person: Person, text: str = "MRI of the knee, examined 20 June 2019") -> None:
    """A report with its text layer, read as the job reads it."""
    record = person.world.record(
        "procedure", person.patient(), person.email, procedure_name="Knee", date=date(2019, 7, 1)
    )
    file = person.world.attach(record, "MRI report.pdf", samples.pdf(1, text), person.email)
    assert person.world.parts.reader.read(file.id)
    person.world.documents(person.email).edit(file.id, {"document_date": "2019-06-20"})


def test_a_close_up_shows_the_words_where_they_stand_without_moving_anything(
    open_context: Callable[..., BrowserContext], person: Person
) -> None:
    scanned(person)
    page = open_context(person, width=1280, height=800).new_page()
    page.goto("/search?q=examined", wait_until="networkidle")
    lens = page.locator(".mf-lens")
    picture = lens.locator("img")
    expect(picture).to_have_js_property("complete", True)
    expect(lens.locator("svg")).to_have_attribute("viewBox", re.compile(r"^[\d.]+ [\d.]+ 700 253$"))
    frame, mark = lens.bounding_box(), lens.locator("rect").bounding_box()
    assert frame is not None
    assert mark is not None
    assert (frame["width"], frame["height"]) == (288, 104)
    assert frame["x"] < mark["x"] < mark["x"] + mark["width"] < frame["x"] + frame["width"]
    assert frame["y"] < mark["y"] < mark["y"] + mark["height"] < frame["y"] + frame["height"]
    assert page.evaluate(SHIFTS) < 0.01


def test_filters_are_chips_that_show_and_clear_one_by_one(page: Page, person: Person) -> None:
    scanned(person)
    page.goto("/search?q=mri")
    chips = page.locator(".mf-search-chips")
    chips.get_by_text("Type", exact=True).click()
    chips.get_by_role("link", name="Procedures").click()
    expect(chips.locator("> :first-child")).to_contain_text("Procedures")
    chips.get_by_text("Date", exact=True).click()
    chips.get_by_label("Date from").fill("2019-01-01")
    chips.get_by_label("to", exact=True).fill("2019-12-31")
    chips.get_by_role("button", name="Apply").click()
    expect(chips.locator("[aria-current]")).to_have_count(2)
    page.locator("#mf-find").fill("mri report")
    expect(chips.get_by_role("link", name="Clear filters")).to_have_attribute("href", "/search?q=mri+report")
    chips.get_by_role("link", name="Date: 2019").click()
    expect(page).to_have_url("/search?q=mri+report&type=procedure")
    chips.get_by_role("link", name="Clear filters").click()
    expect(chips.locator("[aria-current]")).to_have_count(0)
    expect(page.locator(".mf-result")).to_have_count(1)


def test_from_signing_in_to_the_open_report_it_takes_three_presses_and_a_query_on_a_phone(
    open_context: Callable[..., BrowserContext], person: Person
) -> None:
    scanned(person)
    with transaction():
        person.world.user(person.email).password = hash_password(PASSWORD)
    page = open_context(width=390, height=844, touch=True).new_page()
    page.goto("/sign-in")
    page.get_by_label("Email").fill(person.email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").tap()
    page.get_by_role("navigation", name="Main").locator("visible=true").get_by_role("link", name="Search").tap()
    expect(page.locator("#mf-find")).to_be_focused()
    page.keyboard.type("mri 2019")
    page.get_by_role("link", name="MRI report").tap()
    opened = page.locator("dialog.mf-look[open]")
    expect(opened).to_contain_text("MRI report")
    expect(opened.locator(".mf-look-page .mf-rings rect").first).to_be_attached()


def test_the_field_that_finds_a_person_follows_what_is_typed(page: Page, person: Person) -> None:
    large_lists.patients(person.world.user(person.email).id, 90_000, 30)
    page.goto("/account")
    page.locator("#mf-switch-side").press_sequentially("000000000007")
    found = page.locator("#mf-switched-side a")
    expect(found).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(found).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".mf-patient-name")).to_have_text("Patient 000000000007")
