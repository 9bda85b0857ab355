"""Making a personal token: the one look at it, the button that copies it, the password, and taking it back."""

from collections.abc import Callable
from typing import Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import BrowserContext, Page, expect

from medfiles.accounts import service as accounts
from tests.browser.people import Complaints, Person
from tests.browser.test_states import ASK_AXE, RULES, WHOLE
from tests.support.api_client import with_token
from tests.support.factories import World

PASSWORD = "a long enough password"


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], person: Person, world: World) -> Page:
    """Of somebody whose password can be typed."""
    person.world.user(person.email)
    accounts.set_password(person.email, PASSWORD)
    context = open_context(person)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    return context.new_page()


def assert_accessible(page: Page) -> None:
    page.evaluate(AXE_SCRIPT)
    looks: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for look in looks:
        page.emulate_media(color_scheme=look)
        found = AxeResults(page.evaluate(ASK_AXE, [WHOLE, RULES]))
        assert found.violations_count == 0, found.generate_report()
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.set_viewport_size({"width": 1440, "height": 900})


def confirm(page: Page, password: str) -> None:
    expect(page.get_by_role("heading", name="Confirm it’s you")).to_be_visible()
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Continue").click()


def fill(page: Page) -> None:
    page.get_by_label("Name", exact=True).fill("Scanner in the hall")
    page.get_by_label("Can edit: also add, change and delete").check()
    page.get_by_role("button", name="Create token").click()


def test_a_token_is_made_copied_used_and_revoked(page: Page, world: World) -> None:
    page.goto("/account")
    page.get_by_role("link", name="Create token").click()
    assert_accessible(page)
    fill(page)
    shown = page.get_by_label("Scanner in the hall")
    expect(shown).to_be_visible()
    assert_accessible(page)
    text = shown.input_value()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == text
    assert with_token(world, text).get("/patients").status_code == 200
    page.get_by_role("link", name="I’ve saved it").click()
    expect(page.get_by_role("strong").get_by_text("Scanner in the hall")).to_be_visible()
    expect(page.get_by_text(text)).to_have_count(0)
    assert_accessible(page)
    page.get_by_role("link", name="Revoke Scanner in the hall").click()
    assert_accessible(page)
    confirm(page, PASSWORD)
    expect(page.get_by_text("No access was given with it.")).to_be_visible()
    assert_accessible(page)
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Token “Scanner in the hall” revoked.")).to_be_visible()
    assert with_token(world, text).get("/patients").status_code == 401


def test_a_wrong_password_is_said_beside_it_and_the_right_one_leads_on(page: Page, complaints: Complaints) -> None:
    complaints.expect("422")
    page.goto("/account/tokens/new")
    fill(page)
    page.goto("/account/tokens/new")
    with page.expect_response(lambda answer: answer.status == 422):
        confirm(page, "not the password")
    expect(page.get_by_label("Password")).to_have_value("")
    expect(page.get_by_text("Wrong password.").first).to_be_visible()
    assert_accessible(page)
    confirm(page, PASSWORD)
    expect(page.get_by_role("heading", name="Create API token")).to_be_visible()
