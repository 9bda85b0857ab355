"""On a phone: the bar at the bottom, the button that adds, and controls that a finger hits."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.people import Complaints, Person, real_file
from tests.browser.widget import menu, names, row

# Links within a line of text are as high as the line. A label or a stretched link makes a control larger than its box.
SMALL = """() => {
  const low = (one) => one.getBoundingClientRect().height < 43.5;
  const stretched = (one) => one.matches(".mf-stretch, .mf-look-link, .mf-skip, [type=checkbox], [type=radio]");
  const written = (one) => one.matches("p a, dd a, .mf-recent-record, .mf-link, .mf-brand");
  return [...document.querySelectorAll(":is(a, button, summary, select, input):not(.mf-hidden)")]
    .filter((one) => one.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .filter((one) => low(one) && !stretched(one) && !written(one) && one.getBoundingClientRect().width > 1)
    .map((one) => one.outerHTML.slice(0, 160));
}"""


@pytest.fixture(autouse=True)
def busy_renderers(complaints: Complaints) -> None:
    """Beside other tests they may be: the page asks again."""
    complaints.expect("503")


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], person: Person) -> Page:
    return open_context(person, width=390, height=844, touch=True).new_page()


@pytest.fixture
def visit(person: Person) -> Any:
    return person.visit("Letter.pdf")


def test_bottom_bar_leads_home_and_to_people_and_account(page: Page, person: Person, visit: Any) -> None:
    page.goto(f"/patients/{visit.patient_id}")
    bar = page.get_by_role("navigation", name="Main").locator("visible=true")
    more = bar.locator("summary")
    more.tap()
    expect(bar.get_by_role("link", name="Ella Sample")).to_have_attribute("aria-current", "true")
    page.locator(".mf-patient-name").tap()
    expect(bar.get_by_role("link", name="Account")).to_be_hidden()
    more.tap()
    page.keyboard.press("Escape")
    expect(bar.get_by_role("link", name="Account")).to_be_hidden()
    expect(more).to_be_focused()
    more.tap()
    bar.get_by_role("link", name="Account").tap()
    expect(page).to_have_url("/account")
    bar.get_by_role("link", name="Home").tap()
    expect(page).to_have_url("/")


def test_add_button_opens_photo_and_file_and_closes_again(page: Page, visit: Any) -> None:
    page.goto(f"/visit/{visit.id}")
    add, file = page.get_by_role("button", name="Add documents"), page.get_by_role("button", name="File", exact=True)
    add.tap()
    expect(page.get_by_role("button", name="Photo", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(file).to_be_hidden()
    expect(add).to_be_focused()
    add.tap()
    with page.expect_file_chooser() as chooser:
        file.tap()
    expect(file).to_be_hidden()
    chooser.value.set_files(real_file("Growth.png"))
    expect(row(page, "Growth.png")).to_be_visible()
    assert names(page) == ["Growth.png", "Letter.pdf"]


def test_menu_of_a_row_stays_inside_the_window(page: Page, visit: Any) -> None:
    page.goto(f"/visit/{visit.id}")
    actions = menu(row(page, "Letter.pdf"))
    expect(actions).to_be_in_viewport(ratio=1)
    actions.get_by_role("button", name="Open").tap()
    expect(page.locator(".mf-look[open] [data-mf-ready]")).to_be_visible()
    page.get_by_role("button", name="Back", exact=True).tap()
    expect(page.locator(".mf-look[open]")).to_have_count(0)
    expect(page).to_have_url(f"/visit/{visit.id}")


@pytest.mark.parametrize("path", ["/", "", "/documents", "/profile", "/visits", "/people", "/trash", "/edit"])
def test_controls_are_at_least_44_pixels_high(page: Page, visit: Any, path: str) -> None:
    page.goto(path if path == "/" else f"/patients/{visit.patient_id}{path}")
    assert page.evaluate(SMALL) == []


def test_controls_of_a_record_are_at_least_44_pixels_high(page: Page, visit: Any) -> None:
    page.goto(f"/patients/{visit.patient_id}")
    page.locator(".mf-entry").tap()
    expect(page.locator("#mf-sheet[open] .mf-row")).to_be_visible()
    assert [one for one in page.evaluate(SMALL) if "mf-" in one] == []
    menu(row(page, "Letter.pdf"))
    assert page.locator(".mf-row-menu").evaluate(SMALL) == []
