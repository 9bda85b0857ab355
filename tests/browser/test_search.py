"""Search from anywhere: the key, results as one types, and the page of a document with its words marked."""

import json
import re

import pytest
from playwright.sync_api import Page, Route, expect

from medfiles.database.session import transaction
from medfiles.models import PageText
from medfiles.search import index
from tests.browser.people import Person
from tests.support import samples


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
