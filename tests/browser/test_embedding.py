"""Manager, list and badge in a page of another application, whichever htmx that page has."""

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect
from sqlalchemy import delete, insert

from medfiles.database.session import db
from medfiles.models import EntityFile
from tests.browser.host import ROOT, Host, documented
from tests.browser.people import Complaints, Person
from tests.browser.widget import pick
from tests.support import samples
from tests.support.factories import World

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


def test_the_fixture_is_the_published_file() -> None:
    folder = ROOT / "tests" / "fixtures"
    sums = [line.split() for line in (folder / "htmx-2.0.11.sha256").read_text().splitlines()]
    assert [name for _, name in sums] == ["htmx-2.0.11.LICENSE", "htmx-2.0.11.min.js"]
    assert [hashlib.sha256((folder / name).read_bytes()).hexdigest() for _, name in sums] == [sum for sum, _ in sums]


@pytest.mark.parametrize("htmx", ["4.0.1", "2.0.11", ""])
def test_the_page_of_the_documentation_shows_its_three_parts_by_one_request_each(
    page: Page, person: Person, htmx: str
) -> None:
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


def test_parts_of_one_record_share_a_page_and_no_id(host: Host, person: Person) -> None:
    parts_of(host, person.visit(*PAPERS))
    assert host.page.evaluate(IDS) == []


def test_what_is_added_in_the_manager_shows_in_the_list_and_the_badge(host: Host, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    parts_of(host, visit)
    pick(host.page, "Scan.jpg", "Note.txt")
    expect(manager(host, visit).locator(".mf-row")).to_have_count(3)
    expect(alone(host, visit).locator(".mf-row")).to_have_count(3)
    expect(badge(host, visit)).to_have_text("3 documents")
    expect(manager(host, visit).locator(".mf-figures").first).to_contain_text("3 of 8")


def test_what_is_deleted_in_the_list_goes_from_the_manager_and_comes_back_with_undo(host: Host, person: Person) -> None:
    visit = person.visit(*PAPERS)
    parts_of(host, visit)
    row(alone(host, visit), "Scan.jpg").get_by_role("button", name="Move to trash").click()
    expect(badge(host, visit)).to_have_text("2 documents")
    expect(row(manager(host, visit), "Scan.jpg")).to_have_count(0)
    alone(host, visit).get_by_role("button", name="Undo").click()
    expect(row(alone(host, visit), "Scan.jpg")).to_be_visible()
    expect(row(manager(host, visit), "Scan.jpg")).to_be_visible()
    expect(badge(host, visit)).to_have_text("3 documents")


def test_a_change_to_one_record_leaves_the_parts_of_another_alone(host: Host, person: Person) -> None:
    patient = person.patient()
    one, other = person.visit("Letter.pdf", patient=patient), person.visit("Note.txt", patient=patient)
    host.parts(*(f"/documents/visit/{visit.id}{part}" for visit in (one, other) for part in ("", "/list", "/badge")))
    expect(badge(host, other)).to_be_visible()
    row(manager(host, one), "Letter.pdf").get_by_role("button", name="Move to trash").click()
    expect(badge(host, one)).to_have_text("No documents yet")
    says(alone(host, one))
    expect(badge(host, other)).to_have_text("1 document")
    for part in (manager(host, other), alone(host, other)):
        says(part, "Note.txt")
    assert host.asked(rf"/visit/{other.id}/list") == host.asked(rf"/visit/{other.id}/list$")[:1]
    assert host.page.evaluate(IDS) == []


@pytest.mark.parametrize("part", [manager, alone])
def test_a_document_is_edited_in_place(host: Host, person: Person, part: Callable[[Host, Any], Locator]) -> None:
    visit = person.visit("Letter.pdf")
    parts_of(host, visit)
    row(part(host, visit), "Letter.pdf").get_by_role("link", name="Edit").click()
    form = part(host, visit).locator(".mf-edit")
    form.get_by_label("Name").fill("Second opinion.pdf")
    form.get_by_label("Description").fill("No operation is needed.")
    form.get_by_label("Description").press("Tab")
    form.get_by_role("button", name="Save").click()
    for each in (manager(host, visit), alone(host, visit)):
        expect(row(each, "Second opinion.pdf")).to_contain_text("No operation is needed.")


def test_the_trash_opens_inside_the_manager_and_gives_back(host: Host, person: Person) -> None:
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
def test_a_list_is_searched_and_sorted_and_the_address_stays_the_hosts(
    host: Host, person: Person, part: Callable[[Host, Any], Locator]
) -> None:
    visit = person.visit("Beta.pdf", "Alpha.jpg", "Gamma.txt", "Alpine.txt")
    parts_of(host, visit)
    mine = part(host, visit)
    mine.get_by_role("link", name="Name").click()
    says(mine, "Alpha.jpg", "Alpine.txt", "Beta.pdf", "Gamma.txt")
    mine.get_by_role("searchbox").press_sequentially("alp")
    says(mine, "Alpha.jpg", "Alpine.txt")
    expect(mine.locator(".mf-hits")).to_contain_text("2 documents found.")
    mine.get_by_role("link", name="Show all").click()
    expect(mine.locator(".mf-row")).to_have_count(4)
    assert host.page.url.endswith("/host.html")


def test_what_is_typed_while_an_answer_is_on_its_way_is_searched_too(host: Host, person: Person) -> None:
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


def test_several_are_chosen_downloaded_together_and_moved_to_the_trash(host: Host, person: Person) -> None:
    visit = person.visit(*PAPERS)
    parts_of(host, visit)
    mine = alone(host, visit)
    for name in ("Letter.pdf", "Note.txt"):
        mine.get_by_role("checkbox", name=f"Select {name}").check()
    with host.page.expect_download() as download:
        mine.get_by_role("button", name="Download as ZIP").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "Letter.pdf": samples.pdf(),
            "Note.txt": samples.txt(),
        }
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


def test_a_long_list_goes_on_as_it_is_scrolled(host: Host, many: Any) -> None:
    host.parts(f"/documents/visit/{many.id}/list")
    rows = alone(host, many).locator(".mf-row")
    expect(rows).to_have_count(50)
    for count in (100, 121):
        rows.last.scroll_into_view_if_needed()
        host.page.mouse.wheel(0, 10_000)
        expect(rows).to_have_count(count)
    assert len(set(rows.locator(".mf-file-name").all_inner_texts())) == 121


def test_a_reader_sees_documents_and_no_control_that_would_be_refused(
    person: Person, world: World, open_context: Callable[..., BrowserContext]
) -> None:
    visit = person.visit(*PAPERS)
    reader = Person(world, f"reader-of-{person.email}")
    world.share(world.records(person.email).patient(visit.patient_id).patient, reader.email)
    host = Host(open_context(reader).new_page(), "4.0.1")
    parts_of(host, visit)
    expect(badge(host, visit)).to_have_text("3 documents")
    for part in (manager(host, visit), alone(host, visit)):
        says(part, "Note.txt", "Scan.jpg", "Letter.pdf")
        shown = part.locator("button:visible, a:visible, input:visible").evaluate_all(CONTROLS)
        offered = {words.split(" ")[0] for words in shown} - {"Preview"}  # by the name alone where it is narrow
        assert offered == {"Select", "Name", "Type", "Size", "Added", "Download", *PAPERS}


CONTROLS = "(all) => all.map((one) => (one.ariaLabel ?? one.innerText).replace(/\\s+/g, ' ').trim())"


@pytest.mark.parametrize("htmx", ["4.0.1", "2.0.11", ""])
def test_each_part_says_that_nobody_is_signed_in(
    person: Person, open_context: Callable[..., BrowserContext], complaints: Complaints, htmx: str
) -> None:
    complaints.expect("401")
    visit = person.visit("Note.txt")
    host = Host(open_context().new_page(), htmx)
    host.example(visit, visit, visit)
    said = host.page.get_by_role("alert")
    expect(said).to_have_count(3)
    for part in range(3):
        expect(said.nth(part)).to_contain_text("You were signed out.")
    assert host.page.evaluate(IDS) == []
    said.last.get_by_role("link", name="Sign in again").click()
    expect(host.page).to_have_url("/sign-in?next=/host.html")


@pytest.mark.parametrize("failing", ["", "/list", "/badge"])
def test_one_part_that_fails_can_be_tried_again_while_the_others_work(
    host: Host, person: Person, complaints: Complaints, failing: str
) -> None:
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
    expect(host.page.get_by_role("alert")).to_contain_text("Something went wrong on our side.")
    assert "Bad gateway" not in host.page.inner_text("body")
    host.page.unroute(f"**{at}{failing}")
    host.page.get_by_role("button", name="Try again").click()
    expect(shown[failing]).to_be_visible()
    expect(host.page.get_by_role("alert")).to_have_count(0)


def test_a_record_that_is_not_there_is_said_in_its_part(host: Host, person: Person, complaints: Complaints) -> None:
    complaints.expect("404")
    visit = person.visit("Note.txt")
    host.example(visit, 999_999_999, 999_999_998)
    expect(row(manager(host, visit), "Note.txt")).to_be_visible()
    expect(host.page.get_by_role("alert").filter(has_text="Not found")).to_have_count(2)


def test_the_badges_of_the_documentation_come_in_one_request_and_follow_changes(host: Host, person: Person) -> None:
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


def test_a_list_asks_again_when_the_host_says_so(host: Host, person: Person) -> None:
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


def test_what_happened_is_told_to_the_host(host: Host, person: Person) -> None:
    visit = person.visit()
    at = f"/documents/visit/{visit.id}"
    listen = """for (const name of ["documents:changed", "documents:error"])
      document.addEventListener(name, ({ detail }) => (window.heard ??= []).push([name, detail]));"""
    host.parts(at, js=listen)
    pick(host.page, "Note.txt")
    expect(row(manager(host, visit), "Note.txt")).to_be_visible()
    heard = host.page.evaluate("window.heard")
    assert heard == [["documents:changed", {"type": "visit", "id": visit.id, "count": 1}]]
