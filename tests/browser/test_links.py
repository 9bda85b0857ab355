"""Share links in the browser: few presses to the code, everything within reach of a finger, also without script."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, expect

from medfiles.sandbox.pool import Sandbox
from tests.browser.people import Complaints, Person, Site
from tests.browser.test_phone import SMALL
from tests.browser.widget import menu, row
from tests.support.factories import World, at_work, make_app
from tests.support.server import reserved_port, serve
from tests.support.shared_installation import LIMITS

AXE = "() => axe.run().then(({ violations }) => violations.map((one) => `${one.id}: ${one.nodes[0].html}`))"
Open = Callable[..., BrowserContext]


@pytest.fixture(scope="module")
def public(new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a public address, without which no link can be created."""
    place = tmp_path_factory.mktemp("public")
    settings = {"MEDFILES_INSTANCE": str(place), "MEDFILES_DATABASE_URL": new_database(place), "MEDFILES_WORKERS": "1"}
    settings |= {"MEDFILES_ENTITIES": str(LIMITS), "MEDFILES_JOBS": "worker"}
    with reserved_port() as port:
        settings["MEDFILES_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
        with serve(settings, port) as address:
            yield Site(address, settings)


@pytest.fixture
def world(public: Site, sandbox: Sandbox) -> Iterator[World]:
    app = make_app(public.settings, sandbox)
    with at_work(app) as world:
        yield world
    app.extensions["medfiles"].renderers.close()


@pytest.fixture(autouse=True)
def busy_renderers(complaints: Complaints) -> None:
    """Beside other tests they may be: the page asks again."""
    complaints.expect("503")


@pytest.fixture
def visit(person: Person) -> Any:
    return person.visit("Letter.pdf", "Report.pdf")


@pytest.fixture
def phone(open_context: Open, public: Site, person: Person) -> Page:
    return open_context(person, width=390, height=844, touch=True, address=public.address).new_page()


@pytest.fixture
def desk(open_context: Open, public: Site, person: Person) -> Page:
    return open_context(person, address=public.address).new_page()


def share(page: Page, visit: Any) -> None:
    """Open the form with both documents of the visit."""
    page.goto(f"/patients/{visit.patient_id}/share")
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Share 2 documents")).to_be_visible()


def ready(page: Page, visit: Any) -> None:
    share(page, visit)
    page.locator(".mf-share-foot").get_by_role("button", name="Create link").click()
    expect(page.get_by_role("heading", name="Link ready")).to_be_visible()


def test_a_patients_page_is_four_presses_from_the_code(phone: Page, visit: Any) -> None:
    phone.goto(f"/patients/{visit.patient_id}")
    presses = (
        phone.get_by_role("link", name="Share", exact=True),
        phone.get_by_role("checkbox", name="Letter"),
        phone.get_by_role("button", name="Continue"),
        phone.locator(".mf-share-foot").get_by_role("button", name="Create link"),
    )
    for press in presses:
        press.tap()
    expect(phone.get_by_role("img", name="QR code of the link")).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("state", ["choose", "form", "ready", "list", "link"])
def test_pages_fit_a_phone_and_a_finger(phone: Page, visit: Any, state: str) -> None:
    at(phone, visit, state)
    assert phone.evaluate(SMALL) == []
    for width in (390, 360, 320):
        phone.set_viewport_size({"width": width, "height": 740})
        assert phone.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["choose", "form", "ready", "list", "link"])
def test_axe_finds_no_violation(desk: Page, visit: Any, state: str, scheme: Any) -> None:
    desk.emulate_media(color_scheme=scheme)
    at(desk, visit, state)
    desk.evaluate(AXE_SCRIPT)
    assert desk.evaluate(AXE) == []


def at(page: Page, visit: Any, state: str) -> None:
    """Show one of the pages."""
    if state == "choose":
        page.goto(f"/patients/{visit.patient_id}/share")
    elif state == "form":
        share(page, visit)
    else:
        ready(page, visit)
    if state == "link":
        page.get_by_role("link", name="Done").click()
    if state == "list":
        page.goto("/links")


def test_selected_documents_of_a_record_are_shared(desk: Page, visit: Any) -> None:
    desk.goto(f"/visit/{visit.id}")
    desk.get_by_label("Select Letter.pdf").check()
    desk.locator("[data-mf-bulk-bar]").get_by_role("button", name="Share").click()
    expect(desk.get_by_role("heading", name="Share 1 document")).to_be_visible()


def test_menu_of_a_document_leads_to_sharing(desk: Page, visit: Any) -> None:
    desk.goto(f"/visit/{visit.id}")
    menu(row(desk, "Letter.pdf")).get_by_role("link", name="Share").click()
    expect(desk.get_by_role("heading", name="Share 1 document")).to_be_visible()


def test_documents_are_added_moved_and_removed(desk: Page, visit: Any) -> None:
    share(desk, visit)
    names = desk.locator(".mf-share-files > li > .mf-one")
    first, second = names.all_inner_texts()
    desk.get_by_role("textbox", name="For Only you").fill("Dr. Placeholder")
    desk.get_by_role("button", name=f"Move {second} left").click()
    expect(names).to_have_text([second, first])
    desk.get_by_role("button", name=f"Remove {second}").click()
    expect(names).to_have_text([first])
    desk.locator("summary", has_text="Add").last.click()
    desk.get_by_role("checkbox", name=second).check()
    desk.get_by_role("button", name="Add selected").click()
    expect(names).to_have_text([first, second])
    expect(desk.get_by_role("textbox", name="For Only you")).to_have_value("Dr. Placeholder")


def test_a_day_is_asked_for_only_if_it_is_wanted(desk: Page, visit: Any) -> None:
    share(desk, visit)
    expect(desk.get_by_label("Last day")).to_be_hidden()
    desk.get_by_label("Expires").select_option("date")
    expect(desk.get_by_label("Last day")).to_be_visible()


def test_without_a_passcode_none_is_shown(desk: Page, visit: Any) -> None:
    share(desk, visit)
    desk.get_by_role("switch", name="Ask for a passcode").click()
    expect(desk.get_by_role("textbox", name="Passcode")).to_be_hidden()
    desk.locator(".mf-share-foot").get_by_role("button", name="Create link").click()
    expect(desk.get_by_role("heading", name="Link ready")).to_be_visible()
    expect(desk.locator("#mf-passcode")).to_have_count(0)


def test_link_is_copied(desk: Page, visit: Any) -> None:
    desk.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ready(desk, visit)
    desk.get_by_role("button", name="Copy").click()
    expect(desk.get_by_role("button", name="Copied")).to_be_visible()
    assert desk.evaluate("navigator.clipboard.readText()") == desk.get_by_label("Link", exact=True).input_value()


def test_link_is_handed_to_the_phones_share_sheet(phone: Page, visit: Any) -> None:
    phone.add_init_script("navigator.share = async (what) => { window.sent = what; };")
    ready(phone, visit)
    phone.get_by_role("button", name="Send link").tap()
    assert phone.evaluate("window.sent") == {"url": phone.get_by_label("Link", exact=True).input_value()}


def test_paper_has_code_and_address_but_no_passcode_or_surname(desk: Page, visit: Any) -> None:
    ready(desk, visit)
    url, passcode = desk.get_by_label("Link", exact=True).input_value(), desk.locator("#mf-passcode").inner_text()
    desk.emulate_media(media="print")
    paper = desk.locator("body").inner_text()
    assert url in paper
    assert [word for word in (passcode, "Ella", "Sample") if word in paper] == []
    expect(desk.get_by_role("img", name="QR code of the link")).to_be_visible()


def test_paper_has_the_first_name_if_wanted(desk: Page, visit: Any) -> None:
    ready(desk, visit)
    desk.get_by_label("Print the name Ella").check()
    desk.emulate_media(media="print")
    paper = desk.locator("body").inner_text()
    assert "Documents of Ella" in paper
    assert "Sample" not in paper


def test_everything_works_without_script(public: Site, person: Person, visit: Any, browser: Browser) -> None:
    context = browser.new_context(base_url=public.address, java_script_enabled=False)
    person.sign_in(context, public.address)
    page = context.new_page()
    ready(page, visit)
    page.get_by_role("link", name="Done").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Link paused.")).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("Link revoked.")).to_be_visible()
    context.close()
