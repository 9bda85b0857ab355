"""Pages in Chromium, with a cold cache: as on the same machine, and as on a slow phone with slow 4G."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from bench.client import Client, seconds_each
from bench.ground import Bench
from bench.pages import signed_in
from bench.rounds import Contest, Figure
from medfiles.cli import demo
from medfiles.database.session import db
from tests.browser.chromium import launch

LAPTOP: Any = {"width": 1280, "height": 800}
PHONE: Any = {"width": 390, "height": 844}
SLOW_4G = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
SLOWDOWN = 4  # of the processor
LOCAL, THROTTLED = "local", "4× CPU, slow 4G"
QUIET = 500  # milliseconds without a new layout, picture or interaction, after which the figures are read
VISITS, DOCUMENTS = 150, 100
DEMO = Path(demo.__file__).parent / "documents"
LETTERS = (
    "anna-blood-count.pdf", "anna-mri-report.pdf", "anna-exercise-sheet.jpg", "ben-discharge-summary.pdf",
    "hans-ecg.pdf", "anna-allergy-letter.pdf",
)  # fmt: skip
PAGES = ("home", f"a patient with {VISITS} visits", f"a record with {DOCUMENTS} documents")
OBSERVE = """{
  const seen = (window.seen = { paint: 0, shift: 0, slowest: 0 });
  const watch = (type, each, more = {}) => new PerformanceObserver((list) => list.getEntries().forEach(each))
    .observe({ type, buffered: true, ...more });
  watch("largest-contentful-paint", ({ startTime }) => (seen.paint = startTime));
  watch("layout-shift", ({ value, hadRecentInput }) => hadRecentInput || (seen.shift += value));
  watch("event", ({ duration, interactionId }) => interactionId && (seen.slowest = Math.max(seen.slowest, duration)),
    { durationThreshold: 16 });
}"""
BEFORE_PAINT = """() => {
  const first = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  return 1 + performance.getEntriesByType("resource").filter(({ responseEnd }) => responseEnd < first).length;
}"""


@dataclass(frozen=True)
class Place:
    """A page, and how a person uses it."""

    path: str
    use: Callable[[Page], None]


@dataclass
class Visit:
    """What one visit to a page with a cold cache measured."""

    paint: float  # milliseconds until the largest contentful paint
    shift: float  # cumulative layout shift
    slowest: float  # milliseconds from the slowest interaction to the next paint
    requests: int  # answered before the first paint
    kilobytes: float  # received, until nothing more is loaded


FIGURES: Mapping[tuple[str, str], Callable[[Visit], float]] = {  # what it is, and its unit
    ("Largest Contentful Paint", "ms"): lambda visit: visit.paint,
    ("Interaction to Next Paint", "ms"): lambda visit: visit.slowest,
    ("Cumulative Layout Shift", ""): lambda visit: visit.shift,
    ("Requests before first paint", ""): lambda visit: visit.requests,
    ("Kilobytes received", "KB"): lambda visit: visit.kilobytes,
}


@dataclass
class Wire:
    """Adds up the bytes that a page receives."""

    session: CDPSession
    received: float = field(default=0.0)

    def __post_init__(self) -> None:
        self.session.send("Network.enable")
        self.session.on("Network.loadingFinished", self.add)

    def add(self, event: Mapping[str, Any]) -> None:
        self.received += event["encodedDataLength"]


def browser(bench: Bench) -> Iterator[Contest]:
    places = _places(bench)
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        for name, place in places.items():
            ways: dict[str, list[Visit]] = {LOCAL: [], THROTTLED: []}
            for number in range(bench.rounds + 1):
                for way, visits in ways.items():
                    visit = measure(chromium, bench, place, throttled=way == THROTTLED)
                    visits.extend([visit] if number else [])
            for (what, unit), read in FIGURES.items():
                figures = {way: Figure.of([read(visit) for visit in visits]) for way, visits in ways.items()}
                yield Contest(f"{what} of {name}", unit, figures)
        chromium.close()


def measure(chromium: Browser, bench: Bench, place: Place, *, throttled: bool) -> Visit:
    context = chromium.new_context(viewport=PHONE if throttled else LAPTOP, base_url=bench.site.address)
    context.add_cookies([{"name": "medfiles", "value": signed_in(bench), "url": bench.site.address}])
    context.add_init_script(OBSERVE)
    page = context.new_page()
    session = context.new_cdp_session(page)
    wire = Wire(session)
    if throttled:
        session.send("Network.emulateNetworkConditions", SLOW_4G)
        session.send("Emulation.setCPUThrottlingRate", {"rate": SLOWDOWN})
    page.goto(place.path, wait_until="networkidle")
    page.wait_for_timeout(QUIET)
    loaded, seen, requests = wire.received, page.evaluate("seen"), page.evaluate(BEFORE_PAINT)
    place.use(page)
    page.wait_for_timeout(QUIET)
    slowest = page.evaluate("seen.slowest")
    context.close()
    return Visit(seen["paint"], seen["shift"], slowest, requests, loaded / 1000)


# --- what is looked at, and how it is used ----------------------------------------------------------------------------


def _places(bench: Bench) -> Mapping[str, Place]:
    world, today = bench.site.world, date(2026, 5, 12)
    people = [world.patient(first_name=name) for name in ("Anna", "Ben", "Ella", "Hans", "Martin")]
    visits = [world.record(patient=people[0], date=today - timedelta(days=20 * number)) for number in range(VISITS)]
    record = visits[0]
    papers = [DEMO / name for name in LETTERS]
    files = [
        world.attach(visit, f"{number} {paper.name}", paper.read_bytes()).id
        for number, (visit, paper) in enumerate(zip([*visits[1:41], *[record] * DOCUMENTS], cycle(papers)))
    ]
    found = [
        Place("/", _use_home),
        Place(f"/patients/{people[0].id}", _use_patient),
        Place(f"/visit/{record.id}", _use_record),
    ]
    db.session.rollback()
    _draw(bench, files)
    return dict(zip(PAGES, found, strict=True))


def _draw(bench: Bench, files: list[int]) -> None:
    """Ask for the thumbnails, which a worker makes ahead in a real installation."""
    left = iter(files)

    def work(client: Client, _: int) -> None:
        answer = client.ask(bench.site.get(f"/api/v1/files/{next(left)}/thumbnail"))
        assert answer.status == 200, answer

    seconds_each(bench.site.address, work, bench.numbers, len(files))


def _use_home(page: Page) -> None:
    page.locator(".mf-page-tile a").first.click()
    page.locator("[data-mf-state=shown]").wait_for()
    page.keyboard.press("Escape")


def _use_patient(page: Page) -> None:
    page.locator(".mf-entry").first.click()
    page.locator("#mf-sheet .mf-row").first.wait_for()
    page.keyboard.press("Escape")


def _use_record(page: Page) -> None:
    page.locator("[data-mf-menu]").first.click()
    page.keyboard.press("Escape")
    page.locator("[data-mf-layout-as=grid]").click()
    page.locator("[data-mf-layout-as=list]").click()
    page.locator("[data-mf-select]").click()
    page.locator("input[name=file_ids]").first.click()
