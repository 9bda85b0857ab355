"""Ten thousand documents on one record: loaded while scrolling, each once, and searched."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from medfiles.database.session import db
from medfiles.models import EntityFile
from medfiles.sandbox.pool import Sandbox
from medfiles.text import fold, sort_key
from tests.browser.people import Complaints, Person, Site
from tests.browser.states import fail
from tests.browser.widget import badge, expect_names, open_visit, order, search
from tests.support.factories import World, install
from tests.support.server import serve

COUNT, SHOWN = 10_000, 50
FIRST_ID, BEGINNING = 4_000_000_000, datetime(2020, 1, 1, tzinfo=UTC)
REMEMBER_ROWS = """() => {
  window.rows = [];
  document.addEventListener("htmx:before:swap", ({ detail: { ctx } }) => {
    if (ctx.target.matches(".mf-results, .mf-body")) rows.push(document.querySelectorAll(".mf-doc").length);
  });
}"""
ROOMY = "[visit]\nmax_files = 20000\n"


@pytest.fixture(scope="module")
def site(new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server whose visits hold more than usual."""
    place = tmp_path_factory.mktemp("roomy")
    (place / "entities.toml").write_text(ROOMY)
    settings = {
        "MEDFILES_INSTANCE": str(place),
        "MEDFILES_DATABASE_URL": new_database(place),
        "MEDFILES_ENTITIES": str(place / "entities.toml"),
        "MEDFILES_WORKERS": "1",
    }
    with serve(settings) as address:
        yield Site(address, settings)


@pytest.fixture(scope="module")
def owner(site: Site, sandbox: Sandbox) -> Iterator[tuple[Person, Any]]:
    """An account and its visit with 10,000 documents: only their rows."""
    with install(site.settings, sandbox) as world:
        person = Person(world, "archive@sample.example")
        visit = person.visit()
        db.session.execute(EntityFile.__table__.insert(), [document(visit, number) for number in range(COUNT)])
        db.session.commit()
        yield person, visit


def document(visit: Any, number: int) -> dict[str, Any]:
    """Return a row. Three share each moment, so that a page often ends among equals."""
    name, at = f"Page {number}.pdf", BEGINNING + timedelta(hours=number // 3)
    return {
        "id": FIRST_ID + number, "entity_type": "visit", "entity_id": visit.id, "patient_id": visit.patient_id,
        "file_name": name, "file_path": f"files/visits/{UUID(int=number, version=4)}.pdf", "storage": "disk",
        "file_type": "text/plain",  # no thumbnail is requested
        "file_size": 1000 + number, "sha256": "0" * 64, "uploaded_at": at, "created_at": at, "updated_at": at,
        "sort_name": sort_key(name), "search_text": fold(f"{name}\n"),
    }  # fmt: skip


@pytest.fixture
def world(owner: tuple[Person, Any]) -> World:
    return owner[0].world


@pytest.fixture
def visit(owner: tuple[Person, Any]) -> Any:
    return owner[1]


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], owner: tuple[Person, Any]) -> Page:
    return open_context(owner[0]).new_page()


def ids(page: Page) -> list[int]:
    shown = page.locator("[data-mf-row]").evaluate_all("(rows) => rows.map((row) => Number(row.dataset.mfRow))")
    return [number - FIRST_ID for number in shown]


def scroll(page: Page, until: int) -> None:
    """Turn the wheel until so many rows are loaded."""
    page.locator(".mf-row").first.hover()
    for count in range(2 * SHOWN, until + 1, SHOWN):
        while page.locator("[data-mf-row]").count() < count:
            page.mouse.wheel(0, 4000)
            page.locator("[data-mf-row]").nth(count - 1).or_(page.locator(".mf-next-rows")).first.wait_for()


def test_further_documents_load_while_scrolling_and_each_once(page: Page, visit: Any) -> None:
    open_visit(page, visit)
    expect(page.locator(".mf-manager-head")).to_contain_text("10,000 of 20,000")
    expect(badge(page, visit)).to_have_text("10,000 documents")
    expect(page.locator("[data-mf-row]")).to_have_count(SHOWN)
    scroll(page, 4 * SHOWN)
    shown = ids(page)
    assert shown == list(range(COUNT - 1, COUNT - 1 - len(shown), -1))


def test_old_rows_are_removed_before_new_ones_are_swapped_in_and_the_focus_stays(page: Page, visit: Any) -> None:
    page.goto(f"/visit/{visit.id}")
    scroll(page, 3 * SHOWN)
    page.evaluate(REMEMBER_ROWS)
    order(page, "Size").press("Enter")
    expect(page.locator("[data-mf-row]")).to_have_count(SHOWN)
    expect(page.locator(".mf-sort-menu summary")).to_be_focused()
    scroll(page, 3 * SHOWN)
    search(page).fill("page 7321")
    expect_names(page, ["Page 7321.pdf"])
    expect(search(page)).to_be_focused()
    assert page.evaluate("window.rows") == [0, 0]


def test_search_that_fails_keeps_all_rows_loaded_so_far(page: Page, visit: Any, complaints: Complaints) -> None:
    complaints.expect("503")
    page.goto(f"/visit/{visit.id}")
    scroll(page, 3 * SHOWN)
    fail("**/list?*")(page)
    search(page).fill("page 7321")
    expect(page.locator(".mf-body > .mf-problem")).to_contain_text("Something went wrong on our end.")
    assert page.locator("[data-mf-row]").count() >= 3 * SHOWN


def test_rows_that_fail_to_load_are_requested_again(page: Page, visit: Any, complaints: Complaints) -> None:
    complaints.expect("503")
    page.goto(f"/visit/{visit.id}")
    fail("**/list?*")(page)
    page.locator(".mf-next-rows").scroll_into_view_if_needed()
    problem = page.locator(".mf-next-rows").get_by_role("alert")
    expect(problem).to_contain_text("Something went wrong on our end.")
    page.unroute("**/list?*")
    problem.get_by_role("button", name="Try again").click()
    expect(page.locator("[data-mf-row]").nth(SHOWN)).to_be_visible()
    assert page.evaluate("document.activeElement !== document.body")
