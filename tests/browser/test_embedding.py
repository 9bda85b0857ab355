"""Manager, list and badge in a page of another application, whichever htmx that page has."""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect
from sqlalchemy import delete, insert

from medfiles.database.session import db
from medfiles.models import EntityFile
from tests.browser.host import ROOT, Host, documented
from tests.browser.people import Complaints, Person
from tests.browser.widget import menu, pick

IDS = """() => {
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  return ids.filter((id, index) => ids.indexOf(id) !== index);
}"""
PAPERS = ("Letter.pdf", "Scan.jpg", "Note.txt")


@pytest.fixture(params=["4.0.1", "2.0.11"])
def host(page: Page, request: pytest.FixtureRequest) -> Host:
    return Host(page, request.param)


def badge(host: Host, visit: Any) -> Locator:
    return host.part(f"badge-visit-{visit.id}")


def manager(host: Host, visit: Any) -> Locator:
    return host.part(f"manager-visit-{visit.id}")


def alone(host: Host, visit: Any) -> Locator:
    """The list that stands by itself."""
    return host.part(f"list-visit-{visit.id}-body")


def row(part: Locator, name: str) -> Locator:
    return part.locator(".mf-row").filter(has_text=name)


def says(part: Locator, *names: str) -> None:
    expect(part.locator(".mf-row .mf-file-name")).to_have_text(list(names))


def parts_of(host: Host, visit: Any) -> None:
    at = f"/documents/visit/{visit.id}"
    host.parts(at, f"{at}/list", f"{at}/badge")
    expect(badge(host, visit)).to_be_visible()
    expect(manager(host, visit).locator(".mf-results")).to_be_visible()
    expect(alone(host, visit).locator(".mf-results")).to_be_visible()


def test_fixture_is_the_published_file() -> None:
    folder = ROOT / "tests" / "fixtures"
    sums = [line.split() for line in (folder / "htmx-2.0.11.sha256").read_text().splitlines()]
    assert [name for _, name in sums] == ["htmx-2.0.11.LICENSE", "htmx-2.0.11.min.js"]
    assert [hashlib.sha256((folder / name).read_bytes()).hexdigest() for _, name in sums] == [sum for sum, _ in sums]


@pytest.mark.parametrize("htmx", ["4.0.1", "2.0.11", ""])
def test_documented_page_shows_its_three_parts_with_one_request_each(page: Page, person: Person, htmx: str) -> None:
    patient = person.patient()
    one, two, three = (person.visit(*PAPERS[:count], patient=patient) for count in (1, 2, 3))
    host = Host(page, htmx)
    host.example(one, two, three)
    expect(badge(host, three)).to_have_text("3 documents")
    expect(row(manager(host, one), "Letter.pdf")).to_be_visible()
    expect(row(alone(host, two), "Scan.jpg")).to_be_visible()
    with page.expect_response("**/badge?*"):
        pick(page, "Note.txt")
    expect(row(manager(host, one), "Note.txt")).to_be_visible()
    asked = [len(host.asked(rf"/visit/{visit.id}(/|$)")) for visit in (one, two, three)]
    assert asked == [2, 1, 2], "the widget and its upload; the list; the badge, and once more after the change"
    assert len(host.asked(r"/htmx(\.min)?\.js")) == 1
    assert page.evaluate("htmx.version") == (htmx or "4.0.1")


def test_upload_in_the_manager_is_shown_in_the_list_and_the_badge(host: Host, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    parts_of(host, visit)
    pick(host.page, "Scan.jpg", "Note.txt")
    expect(manager(host, visit).locator(".mf-row")).to_have_count(3)
    expect(alone(host, visit).locator(".mf-row")).to_have_count(3)
    expect(badge(host, visit)).to_have_text("3 documents")
    assert host.page.evaluate(IDS) == []
    expect(manager(host, visit).locator(".mf-figures").first).to_contain_text("3 of 8")


def test_change_to_one_record_leaves_the_parts_of_another_alone(host: Host, person: Person) -> None:
    patient = person.patient()
    one, other = person.visit("Letter.pdf", patient=patient), person.visit("Note.txt", patient=patient)
    host.parts(*(f"/documents/visit/{visit.id}{part}" for visit in (one, other) for part in ("", "/list", "/badge")))
    expect(badge(host, other)).to_be_visible()
    menu(row(manager(host, one), "Letter.pdf")).get_by_role("button", name="Move to trash").click()
    expect(badge(host, one)).to_have_text("No documents yet")
    says(alone(host, one))
    expect(badge(host, other)).to_have_text("1 document")
    for part in (manager(host, other), alone(host, other)):
        says(part, "Note.txt")
    assert host.asked(rf"/visit/{other.id}/list") == host.asked(rf"/visit/{other.id}/list$")[:1]
    assert host.page.evaluate(IDS) == []


@pytest.mark.parametrize("part", [manager, alone])
def test_document_is_edited_in_place(host: Host, person: Person, part: Callable[[Host, Any], Locator]) -> None:
    visit = person.visit("Letter.pdf")
    parts_of(host, visit)
    menu(row(part(host, visit), "Letter.pdf")).get_by_role("link", name="Edit").click()
    form = part(host, visit).locator(".mf-edit")
    form.get_by_label("Name").fill("Second opinion.pdf")
    form.get_by_label("Description").fill("No operation is needed.")
    form.get_by_label("Description").press("Tab")
    form.get_by_role("button", name="Save").click()
    for each in (manager(host, visit), alone(host, visit)):
        expect(row(each, "Second opinion.pdf")).to_contain_text("No operation is needed.")


def test_trash_opens_inside_the_manager_and_restores(host: Host, person: Person) -> None:
    visit = person.visit("Letter.pdf", "Note.txt")
    person.world.documents(person.email).trash(person.file_named(visit, "Note.txt").id)
    parts_of(host, visit)
    manager(host, visit).get_by_role("link", name="Trash (1)").click()
    row(manager(host, visit), "Note.txt").get_by_role("button", name="Restore").click()
    expect(manager(host, visit).locator(".mf-notice")).to_contain_text("“Note.txt” restored.")
    manager(host, visit).get_by_role("link", name="Back to documents").click()
    expect(row(manager(host, visit), "Note.txt")).to_be_visible()
    expect(row(alone(host, visit), "Note.txt")).to_be_visible()


@pytest.mark.parametrize("part", [manager, alone])
def test_search_and_sort_keep_the_hosts_address(
    host: Host, person: Person, part: Callable[[Host, Any], Locator]
) -> None:
    visit = person.visit("Beta.pdf", "Alpha.jpg", "Gamma.txt", "Alpine.txt")
    parts_of(host, visit)
    mine = part(host, visit)
    mine.locator(".mf-sort-menu summary").click()
    mine.get_by_role("link", name="Name", exact=True).click()
    says(mine, "Alpha.jpg", "Alpine.txt", "Beta.pdf", "Gamma.txt")
    mine.get_by_role("searchbox").press_sequentially("alp")
    says(mine, "Alpha.jpg", "Alpine.txt")
    expect(mine.locator(".mf-hits")).to_contain_text("2 documents found.")
    mine.get_by_role("link", name="Show all").click()
    expect(mine.locator(".mf-row")).to_have_count(4)
    assert host.page.url.endswith("/host.html")


def test_words_typed_while_a_response_is_pending_are_searched_too(host: Host, person: Person) -> None:
    visit = person.visit("Beta.pdf", "Alpha.jpg", "Gamma.txt", "Alpine.txt")
    host.parts(f"/documents/visit/{visit.id}/list")
    mine, late, results = alone(host, visit), [], re.compile("part=results")
    field = mine.get_by_role("searchbox")
    host.page.route(results, lambda route: late.append(route))
    with host.page.expect_request(results):
        field.press("a")
        field.press("Enter")
    for key in ("l", "Enter", "p", "Enter"):
        field.press(key)
    host.page.unroute(results)
    late[0].continue_()
    says(mine, "Alpine.txt", "Alpha.jpg")
    expect(field).to_be_focused()


def test_selected_documents_are_trashed_and_restored_in_all_parts(host: Host, person: Person) -> None:
    visit = person.visit(*PAPERS)
    parts_of(host, visit)
    mine = alone(host, visit)
    for name in ("Letter.pdf", "Note.txt"):
        mine.get_by_role("checkbox", name=f"Select {name}").check()
    mine.get_by_role("button", name="Move to trash", exact=True).click()
    says(mine, "Scan.jpg")
    says(manager(host, visit), "Scan.jpg")
    expect(badge(host, visit)).to_have_text("1 document")
    mine.get_by_role("button", name="Undo").click()
    expect(badge(host, visit)).to_have_text("3 documents")


@pytest.fixture
def many(person: Person) -> Iterator[Any]:
    """A visit with more documents than a page of the list shows; only their rows, which go again."""
    visit = person.visit("Note.txt")
    first = person.file_named(visit, "Note.txt")
    values = {column.key: getattr(first, column.key) for column in EntityFile.__table__.columns if column.key != "id"}
    names = [f"Note {number:03}.txt" for number in range(120)]
    rows = [values | {"file_name": name, "sort_name": name, "file_path": f"{first.file_path}-{name}"} for name in names]
    db.session.execute(insert(EntityFile), rows)
    db.session.commit()
    yield visit
    db.session.rollback()
    db.session.execute(delete(EntityFile).where(EntityFile.entity_id == visit.id, EntityFile.file_name != "Note.txt"))
    db.session.commit()


def test_long_list_loads_while_it_is_scrolled(host: Host, many: Any) -> None:
    host.parts(f"/documents/visit/{many.id}/list")
    rows = alone(host, many).locator(".mf-row")
    expect(rows).to_have_count(50)
    for count in (100, 121):
        rows.last.scroll_into_view_if_needed()
        host.page.mouse.wheel(0, 10_000)
        expect(rows).to_have_count(count)
    assert len(set(rows.locator(".mf-file-name").all_inner_texts())) == 121


@pytest.mark.parametrize("htmx", ["4.0.1", "2.0.11", ""])
def test_each_part_asks_people_without_a_session_to_sign_in(
    page: Page, person: Person, complaints: Complaints, htmx: str
) -> None:
    complaints.expect("401")
    visit = person.visit("Note.txt")
    page.context.clear_cookies()
    host = Host(page, htmx)
    host.example(visit, visit, visit)
    said = host.page.get_by_role("alert")
    expect(said).to_have_count(3)
    for part in range(3):
        expect(said.nth(part)).to_contain_text("Sign in to see these documents.")
    assert host.page.evaluate(IDS) == []
    said.last.get_by_role("link", name="Sign in", exact=True).click()
    expect(host.page).to_have_url("/sign-in?next=/host.html")


@pytest.mark.parametrize("failing", ["", "/list", "/badge"])
def test_failed_part_can_be_tried_again(host: Host, person: Person, complaints: Complaints, failing: str) -> None:
    complaints.expect("503")
    visit = person.visit("Note.txt")
    at = f"/documents/visit/{visit.id}"
    shown = {"": manager(host, visit), "/list": alone(host, visit), "/badge": badge(host, visit)}

    def fail(route: Route) -> None:
        route.fulfill(status=503, body="<h1>Bad gateway</h1>")

    host.page.route(f"**{at}{failing}", fail)
    host.parts(at, f"{at}/list", f"{at}/badge")
    for part, locator in shown.items():
        expect(locator).to_have_count(int(part != failing))
    expect(host.page.get_by_role("alert")).to_contain_text("Something went wrong on our end.")
    assert "Bad gateway" not in host.page.inner_text("body")
    host.page.unroute(f"**{at}{failing}")
    host.page.get_by_role("button", name="Try again").click()
    expect(shown[failing]).to_be_visible()
    expect(host.page.get_by_role("alert")).to_have_count(0)


def test_missing_record_is_reported_in_its_part(host: Host, person: Person, complaints: Complaints) -> None:
    complaints.expect("404")
    visit = person.visit("Note.txt")
    host.example(visit, 999_999_999, 999_999_998)
    expect(row(manager(host, visit), "Note.txt")).to_be_visible()
    expect(host.page.get_by_role("alert").filter(has_text="Not found")).to_have_count(2)


def test_documented_badges_load_with_one_request_and_follow_changes(host: Host, person: Person) -> None:
    patient = person.patient()
    two, three = person.visit("Letter.pdf", patient=patient), person.visit(patient=patient)
    ids = {"2": str(two.id), "3": str(three.id)}
    host.build(re.sub(r"\b[23]\b", lambda found: ids[found[0]], documented("badges?ids")))
    expect(badge(host, two)).to_have_text("1")
    expect(badge(host, three)).to_have_accessible_name("No documents yet, open Annual check-up")
    person.attach(three, "Note.txt")
    with host.page.expect_response("**/badges?*"):
        tell(host.page, "documents:changed", {"type": "visit", "id": three.id, "count": 1})
    expect(badge(host, three)).to_have_text("1")
    assert len(host.asked("/badges")) == 2


def test_list_reloads_when_the_host_dispatches_an_event(host: Host, person: Person) -> None:
    visit = person.visit("Note.txt")
    parts_of(host, visit)
    person.attach(visit, "Letter.pdf")
    tell(host.page, "documents:changed", {"type": "visit", "id": visit.id, "count": 2})
    expect(alone(host, visit).locator(".mf-row")).to_have_count(2)
    expect(badge(host, visit)).to_have_text("2 documents")
    person.attach(visit, "Scan.jpg")
    alone(host, visit).dispatch_event("documents:refresh")
    expect(alone(host, visit).locator(".mf-row")).to_have_count(3)


def tell(page: Page, event: str, detail: dict[str, Any]) -> None:
    page.evaluate("([name, detail]) => document.dispatchEvent(new CustomEvent(name, { detail }))", [event, detail])


def test_host_receives_an_event_after_an_upload(host: Host, person: Person) -> None:
    visit = person.visit()
    at = f"/documents/visit/{visit.id}"
    listen = """for (const name of ["documents:changed", "documents:error"])
      document.addEventListener(name, ({ detail }) => (window.heard ??= []).push([name, detail]));"""
    host.parts(at, js=listen)
    pick(host.page, "Note.txt")
    expect(row(manager(host, visit), "Note.txt")).to_be_visible()
    heard = host.page.evaluate("window.heard")
    assert heard == [["documents:changed", {"type": "visit", "id": visit.id, "count": 1}]]
