"""Creating an API token: proof, the page that shows it once and copies it, and revoking it."""

from axe_playwright_python.base import AXE_SCRIPT, AxeResults
from playwright.sync_api import Page, expect

from medfiles.accounts import service as accounts
from tests.browser.people import Person, Site
from tests.browser.test_states import ASK_AXE, LOOKS, RULES, WHOLE
from tests.support.api_client import with_token

PASSWORD = "a long enough password"


def test_token_is_created_copied_and_shown_only_once(page: Page, person: Person, site: Site) -> None:
    person.world.user(person.email)
    accounts.set_password(person.email, PASSWORD)
    person.sign_in(page.context, site.address)  # a new password ends other sessions
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/account/tokens/new")
    page.get_by_label("Name", exact=True).fill("Scanner in the hall")
    page.get_by_label("Can edit: also add, change and delete").check()
    page.get_by_role("button", name="Create token").click()
    shown = page.get_by_label("Scanner in the hall")
    expect(shown).to_be_visible()
    page.evaluate(AXE_SCRIPT)
    for look, width in LOOKS:
        page.emulate_media(color_scheme=look)
        page.set_viewport_size({"width": width, "height": 900})
        found = AxeResults(page.evaluate(ASK_AXE, [WHOLE, RULES]))
        assert found.violations_count == 0, found.generate_report()
    text = shown.input_value()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == text
    assert with_token(person.world, text).get("/patients").status_code == 200
    page.get_by_role("link", name="I’ve saved it").click()
    expect(page.get_by_role("strong").get_by_text("Scanner in the hall")).to_be_visible()
    expect(page.get_by_text(text)).to_have_count(0)
    page.get_by_role("link", name="Revoke Scanner in the hall").click()
    expect(page.get_by_role("heading", name="Confirm it’s you")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("This token was not used to give anyone access.")).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Token “Scanner in the hall” revoked.")).to_be_visible()
