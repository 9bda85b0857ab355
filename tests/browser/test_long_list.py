"""Ten thousand documents on one record: shown as one scrolls, each once, and searched."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from medfiles.database.session import db, transaction
from medfiles.models import EntityFile
from medfiles.sandbox.pool import Sandbox
from medfiles.text import fold, sort_key
from tests.browser.people import Complaints, Person, Site
from tests.browser.states import fail
from tests.browser.widget import badge, expect_names, open_visit, row, search
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
    """A server whose visits take more than usual."""
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
    """Somebody with a visit of 10,000 documents, put there as rows: their bytes are nobody's concern here."""
    with install(site.settings, sandbox) as world:
        person = Person(world, "archive@sample.example")
        visit = person.visit()
        db.session.execute(EntityFile.__table__.insert(), [document(visit, number) for number in range(COUNT)])
        db.session.commit()
        yield person, visit


def document(visit: Any, number: int) -> dict[str, Any]:
    """Three of them at the same moment each time, so that a page often ends among equals."""
    name, at = f"Page {number}.pdf", BEGINNING + timedelta(hours=number // 3)
    return {
        "id": FIRST_ID + number, "entity_type": "visit", "entity_id": visit.id, "patient_id": visit.patient_id,
        "file_name": name, "file_path": f"files/visits/{UUID(int=number, version=4)}.pdf", "storage": "disk",
        "file_type": "text/plain",  # a thumbnail would be looked for in vain
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
    """With the wheel, as a person would, until so many are there."""
    page.locator(".mf-row").first.hover()
    for count in range(2 * SHOWN, until + 1, SHOWN):
        while page.locator("[data-mf-row]").count() < count:
            page.mouse.wheel(0, 4000)
            page.locator("[data-mf-row]").nth(count - 1).or_(page.locator(".mf-next-rows")).first.wait_for()


@pytest.mark.parametrize("where", ["the sheet", "the page"])
def test_further_documents_come_as_one_scrolls_and_each_once(page: Page, visit: Any, where: str) -> None:
    if where == "the sheet":
        open_visit(page, visit)
    else:
        page.goto(f"/visit/{visit.id}")
    expect(page.locator("[data-mf-row]")).to_have_count(SHOWN)
    scroll(page, 4 * SHOWN)
    shown = ids(page)
    assert shown == list(range(COUNT - 1, COUNT - 1 - len(shown), -1))


def test_old_rows_make_way_before_new_ones_come_and_the_focus_stays(page: Page, visit: Any) -> None:
    page.goto(f"/visit/{visit.id}")
    scroll(page, 3 * SHOWN)
    page.evaluate(REMEMBER_ROWS)
    page.get_by_role("link", name="Size").press("Enter")
    expect(page.locator("[data-mf-row]")).to_have_count(SHOWN)
    expect(page.get_by_role("link", name="Size")).to_be_focused()
    scroll(page, 3 * SHOWN)
    search(page).fill("page 7321")
    expect_names(page, ["Page 7321.pdf"])
    expect(search(page)).to_be_focused()
    assert page.evaluate("window.rows") == [0, 0]


def test_a_search_that_fails_keeps_all_rows_that_were_scrolled_to(
    page: Page, visit: Any, complaints: Complaints
) -> None:
    complaints.expect("503")
    page.goto(f"/visit/{visit.id}")
    scroll(page, 3 * SHOWN)
    fail("**/list?*")(page)
    search(page).fill("page 7321")
    expect(page.locator(".mf-body > .mf-problem")).to_contain_text("Something went wrong on our side.")
    assert page.locator("[data-mf-row]").count() >= 3 * SHOWN


def test_counts_are_told_and_the_badge_bears_them(page: Page, visit: Any) -> None:
    open_visit(page, visit)
    expect(page.locator(".mf-manager-head")).to_contain_text("10,000 of 20,000")
    expect(badge(page, visit)).to_have_text("10,000 documents")


def test_further_documents_that_fail_to_come_are_asked_for_again(
    page: Page, visit: Any, complaints: Complaints
) -> None:
    complaints.expect("503")
    page.goto(f"/visit/{visit.id}")
    fail("**/list?*")(page)
    page.locator(".mf-next-rows").scroll_into_view_if_needed()
    problem = page.locator(".mf-next-rows").get_by_role("alert")
    expect(problem).to_contain_text("Something went wrong on our side.")
    page.unroute("**/list?*")
    problem.get_by_role("button", name="Try again").click()
    expect(page.locator("[data-mf-row]").nth(SHOWN)).to_be_visible()
    assert page.evaluate("document.activeElement !== document.body")


def move(number: int, to_trash_at: datetime | None) -> None:
    with transaction() as session:
        session.get_one(EntityFile, number).deleted_at = to_trash_at


def test_a_document_deleted_while_one_scrolls_hides_no_other(page: Page, owner: tuple[Person, Any]) -> None:
    visit = owner[1]
    page.goto(f"/visit/{visit.id}")
    move(FIRST_ID + COUNT - 10, datetime.now(UTC))
    scroll(page, 3 * SHOWN)
    shown = ids(page)
    move(FIRST_ID + COUNT - 10, None)
    assert shown == list(range(COUNT - 1, COUNT - 1 - len(shown), -1))
    expect(row(page, f"Page {COUNT - 120}.pdf")).to_have_count(1)
