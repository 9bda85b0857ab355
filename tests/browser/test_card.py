"""The insurance card: on top of its record, and as large as a phone's screen."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.people import Complaints, Person
from tests.support import samples

# A screen that tells how many locks keep it on.
SCREEN = """
  globalThis.locks = 0;
  const request = async () => (locks += 1, { release: async () => (locks -= 1) });
  Object.defineProperty(navigator, "wakeLock", { value: { request } });
"""


@pytest.fixture(autouse=True)
def busy_renderers(complaints: Complaints) -> None:
    """Beside other tests they may be: the page asks again."""
    complaints.expect("503")


@pytest.fixture
def insurance(person: Person) -> Any:
    values = {"company_name": "Sample Mutual", "member_id": "SM 1029 3847"}
    made = person.world.record("insurance", person.patient(), person.email, **values)
    for name in ("Card back.png", "Card front.png"):
        person.attach(made, name, content=samples.png(860, 540), category="card")
    return made


def test_card_fills_the_screen_of_a_phone_and_keeps_it_on(
    open_context: Callable[..., BrowserContext], person: Person, insurance: Any
) -> None:
    page = open_context(person, width=390, height=844, touch=True).new_page()
    page.add_init_script(SCREEN)
    page.goto(f"/insurance/{insurance.id}")
    show = page.get_by_role("button", name="Show card")
    show.tap()
    card = page.locator(".mf-wallet")
    expect(card.get_by_role("heading", name="Sample Mutual")).to_be_focused()
    expect(card.get_by_text("born 2 Mar 2018")).to_be_visible()
    page.wait_for_function("locks === 1")
    front, back = (card.get_by_role("button", name=name, exact=True) for name in ("Front", "Back"))
    expect(front).to_have_attribute("aria-pressed", "true")
    back.tap()
    expect(back).to_have_attribute("aria-pressed", "true")
    expect(card.get_by_role("img", name="Back of the card")).to_be_in_viewport(ratio=0.9)
    card.get_by_role("region", name="Card").evaluate("(cards) => cards.scrollTo(0, 0)")  # as a swipe does
    expect(front).to_have_attribute("aria-pressed", "true")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card.get_by_role("button", name="Copy Member ID").tap()
    expect(card.get_by_role("status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "SM 1029 3847"
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()
    expect(show).to_be_focused()
    page.wait_for_function("locks === 0")


def test_back_closes_the_card_and_not_the_sheet_around_it(
    open_context: Callable[..., BrowserContext], person: Person, insurance: Any
) -> None:
    page = open_context(person, width=390, height=844, touch=True).new_page()
    page.goto(f"/patients/{insurance.patient_id}")
    page.locator(".mf-entry").tap()
    sheet = page.locator("#mf-sheet[open]")
    sheet.get_by_role("button", name="Show card").tap()
    expect(page.locator(".mf-wallet[open]")).to_be_visible()
    page.go_back()
    expect(page.locator(".mf-wallet[open]")).to_have_count(0)
    expect(sheet).to_be_visible()
    expect(page).to_have_url(f"/insurance/{insurance.id}")
    page.go_back()
    expect(sheet).to_be_hidden()


def test_card_on_top_of_a_record_opens_in_the_preview(page: Page, insurance: Any) -> None:
    page.goto(f"/insurance/{insurance.id}")
    expect(page.get_by_role("button", name="Show card")).to_be_hidden()
    side = page.get_by_role("region", name="Insurance card").get_by_role("link", name="Front of the card: Card front")
    side.press("Enter")
    expect(page.locator(".mf-look[open] [data-mf-ready] #mf-look-name")).to_have_text("Card front.png")
    page.keyboard.press("Escape")
    expect(side).to_be_focused()
