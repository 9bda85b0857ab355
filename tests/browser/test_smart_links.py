"""SMART Health Links in the browser: the code on the screen, and the page that opens the link."""

import io
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from axe_playwright_python.base import AXE_SCRIPT
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from medfiles.models import ShareLink
from medfiles.operations import worker
from tests.browser.people import Person, Site
from tests.browser.test_links import AXE
from tests.browser.test_links import busy_renderers as busy_renderers
from tests.browser.test_links import desk as desk
from tests.browser.test_links import phone as phone
from tests.browser.test_links import public as public
from tests.browser.test_links import world as world
from tests.browser.test_phone import SMALL
from tests.smart_links.doubles import told as told
from tests.support import samples
from tests.support.factories import Smart, World

PASSCODE = "482107"


Shared = tuple[Person, ShareLink]


@pytest.fixture
def shared(world: World, person: Person) -> Shared:
    return person, share(world, person)


def share(world: World, person: Person, **more: Any) -> ShareLink:
    """A share link to two documents, for downloading."""
    visit = person.visit()
    files = [person.attach(visit, name) for name in ("Letter.pdf", "Report.pdf")]
    return world.link(*files, email=person.email, allow_download=True, **more).link


def create(world: World, page: Page, link: ShareLink, kind: str = "At a desk") -> Smart:
    """Create a link on the page of its share link, whose code the page then shows."""
    page.goto(f"/links/{link.id}")
    page.get_by_role("radio", name=kind).check()
    page.get_by_role("button", name="Create code").click()
    while worker.run_next(world.app):
        pass
    expect(page.get_by_role("heading", name="Code for a doctor’s app")).to_be_visible()
    number = int(page.url.rpartition("/")[2])
    return Smart(number, page.get_by_label("Link for apps and browsers").input_value().partition("#")[2])


def visit_as_reader(browser: Browser, public: Site, smart: Smart) -> Page:
    """Open the viewer without an account, as after scanning the code."""
    page = browser.new_context(base_url=public.address).new_page()
    page.goto(f"/shl/v#{smart.text}")
    return page


def test_code_on_the_screen_is_read_by_a_camera(world: World, desk: Page, shared: Shared, public: Site) -> None:
    smart = create(world, desk, shared[1])
    picture = Image.open(io.BytesIO(desk.get_by_role("img", name="QR code of the SMART Health Link").screenshot()))
    [found] = zxingcpp.read_barcodes(picture)
    assert found.text == f"{public.address}/shl/v#{smart.text}"


@pytest.mark.parametrize("kind", ["At a desk", "For an app", "Keeps up to date"])
def test_link_opens_in_a_browser_without_an_account(
    world: World, desk: Page, shared: Shared, public: Site, browser: Browser, kind: str
) -> None:
    page = visit_as_reader(browser, public, create(world, desk, shared[1], kind))
    page.get_by_label("Your name or practice").fill("Front desk")
    page.get_by_role("button", name="Open documents").click()
    expect(page.get_by_role("heading", name="Ella Sample")).to_be_focused()
    names = page.locator("#mf-smart-list li > :first-child").all_inner_texts()
    assert names == ["Documents of Ella Sample", "Letter", "Report"]
    with page.expect_download() as saved:
        page.get_by_role("link", name="Download Letter").click()
    assert saved.value.suggested_filename == "Letter.pdf"
    assert Path(saved.value.path()).read_bytes() == samples.pdf()
    [opening] = world.links(shared[0].email).openings(shared[1].id)
    assert opening.reader == "Front desk"
    page.context.close()


def test_passcode_is_asked_for_and_a_wrong_one_told(
    world: World, desk: Page, person: Person, public: Site, browser: Browser
) -> None:
    link = share(world, person, passcode=PASSCODE)
    page = visit_as_reader(browser, public, create(world, desk, link, "For an app"))
    page.get_by_label("Your name or practice").fill("Front desk")
    page.get_by_label("Passcode").fill("000000")
    page.get_by_role("button", name="Open documents").click()
    expect(page.get_by_role("alert")).to_have_text("This passcode is wrong. You can try 4 more times.")
    page.get_by_label("Passcode").fill(PASSCODE)
    page.get_by_role("button", name="Open documents").click()
    expect(page.get_by_role("heading", name="Ella Sample")).to_be_visible()
    page.context.close()


def test_ended_link_is_told(world: World, desk: Page, shared: Shared, public: Site, browser: Browser) -> None:
    smart = create(world, desk, shared[1])
    world.smart_links(shared[0].email).end_smart(shared[1].id, smart.id)
    page = visit_as_reader(browser, public, smart)
    page.get_by_label("Your name or practice").fill("Front desk")
    page.get_by_role("button", name="Open documents").click()
    expect(page.get_by_role("alert")).to_have_text(
        "This link has expired, was revoked, or never existed. Ask for a new one."
    )
    page.context.close()


@pytest.mark.parametrize(
    ("hash_", "words"),
    [
        ("", "This address is incomplete."),
        ("#shlink:/e30", "This address is incomplete."),
        ("#shlink:/eyJ1cmwiOiJodHRwczovL290aGVyLmV4YW1wbGUvYSIsImtleSI6IkEifQ", "This link belongs to another site."),
    ],
)
def test_address_that_is_no_link_of_ours_is_told(public: Site, browser: Browser, hash_: str, words: str) -> None:
    page = browser.new_context(base_url=public.address).new_page()
    page.goto(f"/shl/v{hash_}")
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_role("button", name="Open documents")).to_be_hidden()
    page.context.close()


def at(world: World, page: Page, link: ShareLink, state: str) -> None:
    """Show one of the pages."""
    if state == "link":
        create(world, page, link)
        page.goto(f"/links/{link.id}")
    elif state == "wait":
        page.goto(f"/links/{link.id}")
        page.get_by_role("button", name="Create code").click()
        expect(page.get_by_text("The code appears here in a moment.")).to_be_visible()
    else:
        smart = create(world, page, link)
        if state != "ready":
            page.goto(f"/shl/v#{smart.text}")
        if state == "opened":
            page.get_by_label("Your name or practice").fill("Front desk")
            page.get_by_role("button", name="Open documents").click()
            expect(page.get_by_role("heading", name="Ella Sample")).to_be_visible()


STATES = ("link", "wait", "ready", "viewer", "opened")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_no_violation(world: World, desk: Page, shared: Shared, state: str, scheme: Any) -> None:
    desk.emulate_media(color_scheme=scheme)
    at(world, desk, shared[1], state)
    desk.evaluate(AXE_SCRIPT)
    assert desk.evaluate(AXE) == []


@pytest.mark.parametrize("state", STATES)
def test_pages_fit_a_phone_and_a_finger(world: World, phone: Page, shared: Shared, state: str) -> None:
    at(world, phone, shared[1], state)
    assert phone.evaluate(SMALL) == []
    for width in (390, 360, 320):
        phone.set_viewport_size({"width": width, "height": 740})
        assert phone.evaluate("document.documentElement.scrollWidth") <= width
