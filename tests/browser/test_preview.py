"""The preview dialog: navigation, pages, zoom, DICOM images, tables, failures; by keyboard and touch."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Request, Route, expect

from medfiles.sandbox.render import spec
from tests.browser import papers
from tests.browser.host import Host, placeholder
from tests.browser.people import Complaints, Person
from tests.browser.widget import menu, open_visit, pick, row, search
from tests.support import samples

THUMBNAIL = spec.recipe(spec.THUMBNAIL)
PICTURE = re.compile(r"/pictures/[0-9a-f]{64}-(\w+)/(\d+)\.webp$")

SCROLLED = """() => {
  const { scrollLeft, scrollTop } = document.querySelector("[data-mf-stage]");
  return [scrollLeft, scrollTop];
}"""
ACROSS = """(x) => {
  const { left, width } = document.querySelector(".mf-look-page").getBoundingClientRect();
  return Math.round((100 * (x - left)) / width);
}"""


@pytest.fixture(autouse=True)
def busy_renderers(complaints: Complaints) -> None:
    """Beside other tests they may be: the page is told so and asks again, as a test of its own has it."""
    complaints.expect("503")


def start(page: Page, record: Any, name: str, kind: str = "lab-result") -> Locator:
    """The preview of one document, opened from its name in the list."""
    page.goto(f"/documents/{kind}/{record.id}")
    page.get_by_role("link", name=name, exact=True).click()
    return shown(page, name)


def shown(page: Page, name: str) -> Locator:
    expect(page.locator(".mf-look[open] [data-mf-state=shown][data-mf-ready] #mf-look-name")).to_have_text(name)
    return page.locator(".mf-look[open]")


def said(page: Page) -> Locator:
    return page.locator(".mf-look[open] > [data-mf-look-live]")


def percent(page: Page) -> int:
    return int(page.locator("[data-mf-percent]").inner_text().removesuffix("%"))


def pictures(requests: list[Request]) -> list[tuple[str, int]]:
    """Recipe and page of every picture that was asked for, thumbnails left out."""
    return [(recipe, page) for recipe, page in drawn(requests) if recipe != THUMBNAIL]


def thumbnails(requests: list[Request]) -> set[int]:
    """The pages whose thumbnails were asked for."""
    return {page for recipe, page in drawn(requests) if recipe == THUMBNAIL}


def drawn(requests: list[Request]) -> list[tuple[str, int]]:
    found = (PICTURE.search(request.url) for request in requests)
    return [(match[1], int(match[2])) for match in found if match]


def record(person: Person, **files: bytes) -> Any:
    """A record with these documents, the last one first in its list; `_` in a keyword stands for the dot."""
    kind = "procedure" if "Scan_dcm" in files else "lab-result"
    made = person.world.record(kind, person.patient(), person.email)
    for name, content in files.items():
        person.attach(made, name.replace("_", "."), content=content)
    return made


def failing(status: int, times: int = 1000, **headers: str) -> Callable[[Route], None]:
    left = [times]

    def answer(route: Route) -> None:
        left[0] -= 1
        if left[0] < 0:
            route.continue_()
        else:
            route.fulfill(status=status, headers=headers, body="")

    return answer


def test_keys_step_through_the_list_and_the_focus_returns_to_its_row(page: Page, person: Person) -> None:
    one = record(person, C_txt=samples.txt("three"), B_png=samples.png(), A_pdf=samples.pdf(2))
    page.goto(f"/documents/lab-result/{one.id}")
    page.get_by_role("link", name="B.png", exact=True).focus()
    page.keyboard.press("Enter")
    look = shown(page, "B.png")
    expect(look.get_by_text("2 of 3", exact=True)).to_be_visible()
    expect(said(page)).to_have_text("B.png, document 2 of 3")
    expect(page.locator("[data-mf-stage]")).to_be_focused()
    page.keyboard.press("ArrowRight")
    shown(page, "C.txt")
    expect(page.locator(".mf-look-text")).to_have_text("three")
    page.keyboard.press("ArrowRight")
    expect(said(page)).to_have_text("This is the last document.")
    page.keyboard.press("Home")
    shown(page, "A.pdf")
    expect(said(page)).to_have_text("A.pdf, document 1 of 3, 2 pages")
    page.get_by_role("link", name="Next document: B.png").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Next document: C.txt")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Previous document: B.png")).to_be_focused()  # there is no next one
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Keyboard shortcuts")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator(".mf-look[open]")).to_have_count(0)
    expect(page.get_by_role("link", name="B.png", exact=True)).to_be_focused()


def test_strip_leads_to_every_document_of_the_list(page: Page, person: Person) -> None:
    one = record(person, C_txt=samples.txt("three"), B_png=samples.png(), A_pdf=samples.pdf())
    start(page, one, "A.pdf")
    strip = page.get_by_role("navigation", name="Documents in this list")
    expect(strip.locator("a > .mf-hidden")).to_have_text(["A.pdf", "B.png", "C.txt"])
    expect(strip.locator("[aria-current]")).to_have_accessible_name("A.pdf")
    strip.get_by_role("link", name="C.txt").press("Enter")
    shown(page, "C.txt")
    expect(strip.get_by_role("link", name="C.txt")).to_be_focused()
    expect(strip.locator("[aria-current]")).to_have_accessible_name("C.txt")
    strip.get_by_role("link", name="A.pdf").click()
    shown(page, "A.pdf")


def test_open_in_the_menu_shows_only_pictures_rendered_by_the_server(page: Page, person: Person) -> None:
    one = record(person, B_pdf=samples.pdf(), A_jpg=samples.jpeg(1200, 900))
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    page.goto(f"/documents/lab-result/{one.id}")
    menu(row(page, "A.jpg")).get_by_role("button", name="Open").click()
    shown(page, "A.jpg").get_by_role("button", name="Close").click()
    expect(page.get_by_role("link", name="A.jpg", exact=True)).to_be_focused()
    assert page.locator(".mf-look-in").count() == 0
    with page.context.expect_page() as other:
        page.get_by_role("link", name="B.pdf", exact=True).click(modifiers=["Control"])
    expect(other.value.get_by_role("heading", level=1)).to_have_text("B.pdf")
    images = [request.url for request in asked if request.resource_type == "image"]
    assert images
    assert all(PICTURE.search(url) for url in images)
    assert not [request for request in asked if "/download" in request.url]


def test_pages_of_a_long_document_load_on_demand(page: Page, person: Person) -> None:
    asked: list[Request] = []
    one = record(person, Long_pdf=samples.pdf(300))
    page.on("request", lambda request: asked.append(request))
    start(page, one, "Long.pdf")
    expect(page.get_by_role("navigation", name="Pages").get_by_role("button")).to_have_count(300)
    field = page.locator("[data-mf-page-field]")
    field.fill("250")
    field.press("Enter")
    expect(page.locator("[data-mf-n='250']")).to_be_in_viewport(ratio=0.5)
    expect(page.locator("[data-mf-n='250'] img")).to_have_js_property("complete", True)
    page.locator("[data-mf-stage]").focus()
    for key, number in (("PageDown", 251), ("PageUp", 250), ("End", 300), ("Home", 1)):
        page.keyboard.press(key)
        expect(field).to_have_value(str(number))
        expect(page.locator(f"[data-mf-n='{number}']")).to_be_in_viewport(ratio=0.5)
    page.get_by_role("button", name="Page 3", exact=True).click()
    expect(field).to_have_value("3")
    expect(page.locator("[data-mf-rail] [aria-current]")).to_have_text("3")
    expect(said(page)).to_have_text("Page 3 of 300")
    page.mouse.move(700, 450)
    page.mouse.wheel(0, 1200)
    expect(field).not_to_have_value("3")
    assert len({number for _, number in pictures(asked)}) < 60
    assert thumbnails(asked).isdisjoint(range(60, 200))  # the rail loads what is near a page that was shown


def test_short_pages_are_turned_one_by_one(page: Page, person: Person) -> None:
    sizes = ["595 842"] * 3 + ["2000 200"] * 3
    kids = [f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size}] >>" for size in sizes]
    tree = " ".join(f"{3 + number} 0 R" for number in range(len(kids)))
    pages = f"<< /Type /Pages /Kids [{tree}] /Count {len(kids)} >>"
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", pages.encode(), *(kid.encode() for kid in kids)]
    start(page, record(person, Mixed_pdf=samples.pdf_file(objects)), "Mixed.pdf")
    field = page.locator("[data-mf-page-field]")
    page.locator("[data-mf-stage]").focus()
    for key, numbers in (("PageDown", (2, 3, 4, 5, 6)), ("PageUp", (5, 4, 3))):
        for number in numbers:
            page.keyboard.press(key)
            expect(field).to_have_value(str(number))
            expect(page.locator("[data-mf-rail] [aria-current]")).to_have_text(str(number))


def test_picture_of_a_long_page_is_shown_from_its_top(page: Page, person: Person) -> None:
    start(page, record(person, Long_png=samples.png(800, 9000)), "Long.png")
    assert percent(page) == 100
    assert page.evaluate(SCROLLED)[1] == 0
    page.get_by_role("button", name="Fit image").click()
    assert percent(page) < 15


def test_picture_is_zoomed_rotated_and_moved(page: Page, person: Person) -> None:
    start(page, record(person, Wide_jpg=samples.jpeg(4000, 2000)), "Wide.jpg")
    fitting = percent(page)
    assert fitting < 40
    with page.expect_request(re.compile("-v2w2400/1.webp$")):
        page.keyboard.press("1")
    for key, size in (("+", 125), ("-", 100), ("-", 75), ("0", fitting), ("1", 100)):
        page.keyboard.press(key)
        assert percent(page) == size
    before = page.evaluate(SCROLLED)
    page.mouse.move(700, 450)
    page.mouse.down()
    page.mouse.move(500, 400, steps=4)
    page.mouse.up()
    assert page.evaluate(SCROLLED) == [before[0] + 200, before[1] + 50]
    page.keyboard.press("ArrowRight")
    assert page.evaluate(SCROLLED)[0] == before[0] + 280
    page.keyboard.press("0")
    held = page.evaluate(ACROSS, 900)
    page.mouse.move(900, 400)
    page.mouse.wheel(0, -300)
    assert percent(page) > fitting
    assert abs(page.evaluate(ACROSS, 900) - held) <= 1
    page.keyboard.press("0")
    page.keyboard.press("r")
    expect(said(page)).to_have_text("Rotated 90 degrees")
    assert page.locator(".mf-look-page").evaluate("(one) => one.offsetHeight > one.offsetWidth")
    page.get_by_role("button", name="Fit width").click()
    expect(page.get_by_role("button", name="Fit width")).to_have_attribute("aria-pressed", "true")


def test_fingers_pinch_and_swipe(open_context: Callable[..., BrowserContext], person: Person) -> None:
    page = open_context(person, width=390, height=844, touch=True).new_page()
    start(page, record(person, B_txt=samples.txt(), A_jpg=samples.jpeg(3000, 2000)), "A.jpg")
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    fitting = percent(page)
    fingers("touchStart", (150, 400), (250, 400))
    for spread in range(0, 100, 20):
        fingers("touchMove", (150 - spread, 400), (250 + spread, 400))
    fingers("touchEnd")
    assert percent(page) > 2 * fitting
    page.get_by_role("button", name="Fit image").click()
    fingers("touchStart", (300, 400))
    fingers("touchMove", (200, 400))
    fingers("touchMove", (120, 402))
    fingers("touchEnd")
    shown(page, "B.txt")


def test_dicom_image_has_frames_and_windows(page: Page, person: Person) -> None:
    asked: list[Request] = []
    one = record(person, Scan_dcm=papers.scan(6))
    page.on("request", lambda request: asked.append(request))
    start(page, one, "Scan.dcm", "procedure")
    expect(page.get_by_text("Not for diagnosis")).to_be_visible()
    picture = page.locator(".mf-look-page img")
    page.keyboard.press("ArrowDown")
    expect(picture).to_have_attribute("src", re.compile(r"/2\.webp$"))
    expect(picture).to_have_attribute("alt", "Frame 2 of 6 of Scan.dcm")
    page.mouse.move(600, 450)
    page.mouse.wheel(0, 100)
    expect(page.get_by_role("slider", name="Frame")).to_have_value("3")
    page.get_by_role("button", name="Lung").click()
    expect(picture).to_have_attribute("src", re.compile(r"cn600x1500/3\.webp$"))
    expect(page.get_by_role("button", name="Lung")).to_have_attribute("aria-pressed", "true")
    asked.clear()
    page.get_by_role("slider", name="Center").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(picture).to_have_attribute("src", re.compile(r"cn595x1500/3\.webp$"))
    assert len(pictures(asked)) == 1
    page.get_by_role("button", name="Play frames").click()
    expect(page.locator("[data-mf-page-field]")).to_have_value("6")
    page.get_by_role("button", name="Play frames").click()
    expect(page.get_by_role("button", name="Play frames")).to_have_attribute("aria-pressed", "false")


def test_sheets_of_a_workbook_are_tabs(page: Page, person: Person) -> None:
    start(page, record(person, Values_xlsx=papers.workbook("First", "Second")), "Values.xlsx")
    first, second = page.get_by_role("tabpanel", name="First"), page.get_by_role("tabpanel", name="Second")
    expect(first.get_by_role("table")).to_be_visible()
    page.get_by_role("tab", name="First").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Second")).to_be_focused()
    expect(second).to_be_visible()
    expect(first).to_be_hidden()


def test_busy_server_is_asked_again(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("503")
    one = record(person, A_png=samples.png())
    page.route("**/preview", failing(503, 2, **{"Retry-After": "1"}))
    page.route(re.compile(r"-v2w(480|960)/"), failing(503, 2, **{"Retry-After": "1"}))
    start(page, one, "A.png")
    expect(page.locator("[data-mf-picture=shown]")).to_have_count(1)


def test_failed_preview_is_explained_and_can_be_tried_again(page: Page, person: Person, complaints: Complaints) -> None:
    for words in ("500", "404", "401"):
        complaints.expect(words)
    one = record(person, B_png=samples.png(), A_png=samples.png(80, 60))
    page.route("**/preview", failing(500, 1))
    page.goto(f"/documents/lab-result/{one.id}")
    page.get_by_role("link", name="A.png", exact=True).click()
    look = page.locator(".mf-look[open]")
    expect(look.get_by_role("alert")).to_have_text("Something went wrong on our end.")
    expect(look.get_by_role("link", name="Download")).to_be_visible()
    expect(look.get_by_role("button", name="Try again")).to_be_focused()
    pictures = re.compile(r"-v2w(480|960)/")
    page.route(pictures, failing(500, 99))
    page.keyboard.press("Enter")
    shown(page, "A.png")
    expect(look.get_by_text("This picture could not be shown.")).to_be_visible()
    page.unroute(pictures)
    look.get_by_role("button", name="Try again").click()
    expect(page.locator("[data-mf-picture=shown]")).to_have_count(1)
    person.world.documents(person.email).trash(file_id(page, "B.png"))
    person.world.documents(person.email).purge(file_id(page, "B.png"))
    page.keyboard.press("ArrowRight")
    expect(look.get_by_role("alert")).to_have_text("This document no longer exists.")
    expect(look.get_by_role("button", name="Close")).to_be_focused()
    page.keyboard.press("Escape")
    page.context.clear_cookies()
    page.get_by_role("link", name="A.png", exact=True).click()
    expect(look.get_by_role("link", name="Sign in again")).to_be_focused()


def file_id(page: Page, name: str) -> int:
    address = page.locator(".mf-row .mf-look-link", has_text=name).get_attribute("href") or ""
    return int(address.split("/")[3])


def test_late_response_is_dropped(page: Page, person: Person) -> None:
    one = record(person, C_txt=samples.txt("three"), B_txt=samples.txt("two"), A_txt=samples.txt("one"))
    start(page, one, "A.txt")
    held: list[Route] = []
    page.route(re.compile("/preview"), lambda route: held.append(route))
    page.get_by_title("B.txt").click()
    page.get_by_title("C.txt").click()
    expect(page.locator(".mf-look[data-mf-slow]")).to_be_visible()
    for route in reversed(held):
        route.continue_()
    shown(page, "C.txt")
    page.get_by_title("A.txt").click()
    page.keyboard.press("Escape")
    with page.expect_response(re.compile("/preview")):
        held[2].continue_()
    expect(page.locator(".mf-look-in")).to_have_count(0)


def test_preview_steps_through_search_results_and_shows_new_uploads(page: Page, person: Person) -> None:
    one = record(
        person, **{f"Scan {number}_txt": samples.txt(f"{number}") for number in range(3)}, Letter_txt=b"Dear all"
    )
    page.goto(f"/documents/lab-result/{one.id}")
    pick(page, {"name": "Photo.png", "mimeType": "image/png", "buffer": samples.png(300, 200)})
    thumb = row(page, "Photo.png").locator(".mf-thumb img")
    expect(thumb).to_have_js_property("naturalWidth", 240)
    search(page).fill("scan")
    expect(page.locator(".mf-row")).to_have_count(3)
    page.get_by_role("link", name="Scan 1.txt", exact=True).click()
    expect(shown(page, "Scan 1.txt").get_by_text("2 of 3", exact=True)).to_be_visible()


def test_late_thumbnail_is_loaded_and_an_impossible_one_leaves_its_tile(page: Page, person: Person) -> None:
    one = person.world.record("lab-result", person.patient(), person.email)
    late, never = (
        person.attach(one, name, content=content)
        for name, content in (("B.png", samples.png()), ("A.png", samples.png(31, 9)))
    )
    page.route(re.compile(late.sha256), failing(204, times=3, **{"Retry-After": "1"}))
    page.route(re.compile(never.sha256), failing(204))
    page.goto(f"/documents/lab-result/{one.id}")
    expect(row(page, "B.png").locator(".mf-thumb img")).to_have_js_property("naturalWidth", 64)
    expect(row(page, "A.png").locator("img")).to_have_count(0)
    expect(row(page, "A.png").locator(".mf-tile")).to_be_visible()


@pytest.mark.parametrize("htmx", ["2.0.11", "4.0.1"])
def test_preview_works_in_a_page_of_another_application(page: Page, person: Person, htmx: str) -> None:
    one = record(person, B_pdf=samples.pdf(2), A_png=samples.png())
    host = Host(page, htmx)
    attributes = """ hx-target="#theirs" hx-headers='{"X-Host": "leak"}'"""
    host.build(
        f'<p id="theirs">theirs</p><div class="col">{placeholder(f"/documents/lab-result/{one.id}/list")}</div>',
        attributes=attributes,
        css=".col { width: 340px } dialog { padding: 90px } button { text-transform: uppercase }",
    )
    page.get_by_role("link", name="A.png", exact=True).click()
    look = shown(page, "A.png")
    page.keyboard.press("ArrowRight")
    shown(page, "B.pdf")
    expect(page.locator("[data-mf-picture=shown]").first).to_be_visible()
    assert look.evaluate("(one) => getComputedStyle(one).padding") == "0px"
    assert look.get_by_role("button", name="Close").evaluate("(one) => getComputedStyle(one).textTransform") == "none"
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="A.png", exact=True)).to_be_focused()
    expect(page.locator("#theirs")).to_have_text("theirs")
    assert [request for request in host.asked("/preview") if "x-host" in request.headers] == []


def test_documents_are_printed_when_their_pages_are_loaded(own_page: Page, person: Person) -> None:
    page = own_page
    page.context.add_init_script("window.print = () => document.documentElement.setAttribute('data-printed', '')")
    one = record(person, Note_txt=samples.txt(), Locked_pdf=samples.locked_pdf(), Letter_pdf=samples.pdf(3))
    page.goto(f"/documents/lab-result/{one.id}")
    page.get_by_role("button", name="Select", exact=True).click()
    page.get_by_role("checkbox", name="Select all shown").check()
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Print", exact=True).click()
    paper = opened.value
    expect(paper.get_by_text("Ready to print.")).to_be_visible()
    expect(paper.get_by_text("is locked with a password")).to_be_visible()
    paper.get_by_role("button", name="Print").click()
    expect(paper.locator("html")).to_have_attribute("data-printed", "")
    assert paper.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 5  # what is left out, three pages, the note


@pytest.mark.parametrize("closed_by", ["back", "Escape"])
def test_back_closes_the_preview_before_it_leaves_the_page(page: Page, person: Person, closed_by: str) -> None:
    one = record(person, B_png=samples.png(), A_txt=samples.txt("one"))
    page.goto("/")
    start(page, one, "B.png")
    page.keyboard.press("ArrowLeft")
    shown(page, "A.txt")
    page.go_back() if closed_by == "back" else page.keyboard.press("Escape")
    expect(page.locator(".mf-look[open]")).to_have_count(0)
    page.wait_for_function("!history.state?.mfLook")
    expect(page).to_have_url(re.compile(rf"/documents/lab-result/{one.id}$"))
    expect(page.get_by_role("link", name="B.png", exact=True)).to_be_visible()
    page.go_back()
    expect(page).to_have_url(re.compile(r"^[^/]+//[^/]+/$"))


def test_back_closes_the_preview_and_not_the_sheet_around_it(page: Page, person: Person) -> None:
    visit = person.visit("Note.txt")
    sheet = open_visit(page, visit)
    sheet.get_by_role("link", name="Note.txt", exact=True).click()
    shown(page, "Note.txt")
    page.go_back()
    expect(page.locator(".mf-look[open]")).to_have_count(0)
    expect(sheet).to_be_visible()
    page.go_back()
    expect(sheet).to_be_hidden()


def test_details_are_edited_beside_the_document_and_shown_in_its_row(page: Page, person: Person) -> None:
    lab = record(person, **{"First.txt": b"one", "Second.txt": b"two"})
    look = start(page, lab, "First.txt")
    look.get_by_role("button", name="Add category").click()
    form = look.locator(".mf-look-edit")
    expect(form.get_by_label("Category")).to_be_focused()
    form.get_by_label("Category").select_option(index=1)
    form.get_by_label("Name").fill("Renamed.txt")
    form.get_by_role("button", name="Save").click()
    shown(page, "Renamed.txt")
    expect(look.locator("[data-mf-edit=category]")).to_be_focused()
    expect(said(page)).to_have_text("“Renamed.txt” saved.")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Renamed.txt", exact=True)).to_be_focused()


def test_closing_the_preview_asks_before_it_discards_changes(page: Page, person: Person) -> None:
    look = start(page, record(person, **{"First.txt": b"one", "Second.txt": b"two"}), "First.txt")
    look.get_by_role("button", name="Add description").click()
    look.get_by_label("Description").fill("Not saved yet")
    answers = iter((False, False, False, True))
    page.on("dialog", lambda question: question.accept() if next(answers) else question.dismiss())
    look.get_by_role("button", name="Close").click()
    look.get_by_role("link", name="Previous document").click()
    page.go_back()
    expect(look.get_by_label("Description")).to_have_value("Not saved yet")
    page.go_back()
    expect(page.locator(".mf-look[open]")).to_have_count(0)
