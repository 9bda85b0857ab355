"""What readers of a share link do in their browser: zoom, turn pages, walk on, print; and all without script."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser import papers
from tests.browser.people import Complaints, Person, Site

PRINTED = "window.print = () => { document.documentElement.dataset.printed = ''; };"
Addresses = tuple[str, list[str]]


@pytest.fixture
def shared(person: Person) -> Addresses:
    """A link to a letter of four pages and a photo: its address, and those of the documents."""
    visit = person.visit()
    letter = person.attach(visit, "Letter.pdf", content=papers.letter(4))
    photo = person.attach(visit, "Photo.png")
    made = person.world.links(person.email).create(visit.patient_id, [letter.id, photo.id])
    return f"/s/{made.token}", [f"/s/{made.token}/documents/{file.id}" for file in (letter, photo)]


@pytest.fixture
def reader(open_context: Callable[..., BrowserContext], shared: Addresses, complaints: Complaints) -> Page:
    """A browser without an account that has opened the link."""
    complaints.expect("503")  # while renderers are busy beside other tests: the page asks again
    page = open_context().new_page()
    opened(page, shared)
    return page


@pytest.fixture
def plain_reader(browser: Browser, site: Site, shared: Addresses) -> Iterator[Page]:
    context = browser.new_context(base_url=site.address, java_script_enabled=False)
    page = context.new_page()
    opened(page, shared)
    yield page
    context.close()


def opened(page: Page, shared: Addresses) -> None:
    landing, _ = shared
    page.goto(landing)
    page.get_by_role("button", name="Open documents").click()


def show(page: Page, document: str) -> None:
    """Without waiting for its pictures, which can take long beside other tests."""
    page.goto(document, wait_until="domcontentloaded")


def width(page: Page) -> float:
    box = page.get_by_role("img", name="Page 1").first.bounding_box()
    assert box is not None
    return box["width"]


def test_page_is_enlarged_reduced_and_fitted(reader: Page, shared: Addresses) -> None:
    show(reader, shared[1][0])
    before = width(reader)
    reader.get_by_role("button", name="Zoom in").click()
    assert width(reader) == pytest.approx(before * 1.25, abs=1)
    reader.get_by_role("button", name="Zoom out").click()
    assert width(reader) == pytest.approx(before, abs=1)
    reader.get_by_role("button", name="Fit page").click()
    box = reader.get_by_role("img", name="Page 1").first.bounding_box()
    assert box is not None
    assert box["height"] <= 900


def test_number_follows_the_page_being_read(reader: Page, shared: Addresses) -> None:
    show(reader, shared[1][0])
    number = reader.locator("[data-mf-page-number]")
    expect(number).to_have_text("1")
    reader.get_by_role("button", name="Next page").click()
    expect(number).to_have_text("2")
    reader.get_by_role("button", name="Previous page").click()
    expect(number).to_have_text("1")


def test_keys_walk_to_other_documents(reader: Page, shared: Addresses) -> None:
    zoom = reader.get_by_role("button", name="Zoom in")  # shown once the script listens to keys
    show(reader, shared[1][0])
    expect(zoom).to_be_visible()
    reader.keyboard.press("ArrowRight")
    expect(reader.get_by_role("heading", name="Photo.png")).to_be_visible()
    expect(zoom).to_be_visible()
    reader.keyboard.press("ArrowLeft")
    expect(reader.get_by_role("heading", name="Letter.pdf")).to_be_visible()


def test_all_pages_are_there_before_it_prints(reader: Page, shared: Addresses) -> None:
    reader.add_init_script(PRINTED)
    show(reader, shared[1][0])
    reader.get_by_role("button", name="Print").click()
    expect(reader.locator("html")).to_have_attribute("data-printed", "")
    assert reader.locator("[data-mf-picture=shown]").count() == 4


def test_paper_has_the_pages_and_no_controls(reader: Page, shared: Addresses) -> None:
    show(reader, shared[1][0])
    reader.emulate_media(media="print")
    for name in ("Print", "Zoom in", "Next page"):
        expect(reader.get_by_role("button", name=name)).to_have_count(0)
    expect(reader.get_by_role("navigation", name="Documents")).to_have_count(0)
    expect(reader.get_by_role("img", name="Page 1").first).to_be_visible()


def test_picture_is_asked_for_again_while_the_server_is_busy(reader: Page, shared: Addresses) -> None:
    answers = iter([503, 503])

    def busy(route: Route) -> None:
        status = next(answers, None)
        if status is None:
            route.fallback()
        else:
            route.fulfill(status=status, headers={"Retry-After": "1"})

    reader.route("**/pages/1*", busy)
    show(reader, shared[1][1])
    expect(reader.locator("[data-mf-picture=shown]")).to_have_count(1)


def test_reader_without_script_sees_pages_and_walks_on(plain_reader: Page, shared: Addresses) -> None:
    show(plain_reader, shared[1][0])
    expect(plain_reader.get_by_role("img", name="Page 1").first).to_be_visible()
    expect(plain_reader.get_by_role("button")).to_have_count(0)
    plain_reader.get_by_role("link", name="Next document").click()
    expect(plain_reader.get_by_role("heading", name="Photo.png")).to_be_visible()
