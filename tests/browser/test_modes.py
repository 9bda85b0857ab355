"""Documents in the form of a record: files marked and added there are trashed and uploaded when it is saved."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Dialog, Locator, Page, Request, Route, expect

from medfiles.database.session import db
from tests.browser.people import Complaints, Person, Site, real_file
from tests.browser.states import hold_uploads
from tests.browser.uploads import answer_first, eventually, hold, kept, queued, said
from tests.browser.widget import open_visit, pick, row

Open = Callable[[Page, Any], None]
QUESTION = "Discard changes?"
CHANGED_ELSEWHERE = """(id) => document.dispatchEvent(
  new CustomEvent("documents:changed", { detail: { type: "visit", id, count: 1, remote: true } })
)"""
WAITS = "Will be added when you save."


def edit_in_sheet(page: Page, visit: Any) -> None:
    open_visit(page, visit).get_by_role("link", name="Edit Annual check-up").click()
    expect(heading(page)).to_have_text("Edit visit")


def edit_on_page(page: Page, visit: Any) -> None:
    page.goto(f"/visit/{visit.id}/edit")


def edit_by_address(page: Page, visit: Any) -> None:
    page.goto(f"/documents/visit/{visit.id}?mode=edit")


def new_in_sheet(page: Page, patient: Any) -> None:
    page.goto(f"/patients/{patient.id}/visits")
    page.get_by_role("link", name="New visit").click()
    expect(heading(page)).to_have_text("New visit")


def new_on_page(page: Page, patient: Any) -> None:
    page.goto(f"/patients/{patient.id}/visits/new")


def new_by_address(page: Page, patient: Any) -> None:
    page.goto(f"/documents/visit/new?patient={patient.id}")


@pytest.fixture(params=[edit_in_sheet, edit_on_page])
def edit(request: pytest.FixtureRequest) -> Open:
    opened: Open = request.param
    return opened


@pytest.fixture(params=[new_in_sheet, new_on_page])
def new(request: pytest.FixtureRequest) -> Open:
    opened: Open = request.param
    return opened


@pytest.fixture
def stored_once(person: Person) -> Iterator[Callable[[Any], None]]:
    """Says of which patient there must be one visit, with its two documents, when the test is over."""
    patients: list[Any] = []
    yield patients.append
    for patient in patients:
        visit = only_visit(person, patient)
        assert (visit.reason, live(person, visit)) == ("Sore knee", ["Growth.png", "Note.txt"])


def heading(page: Page) -> Locator:
    return page.locator("article.mf-record h1")


def mark_of(page: Page, name: str) -> Locator:
    return page.get_by_role("checkbox", name=f"Move {name} to trash on save")


def mark(page: Page, name: str) -> None:
    row(page, name).locator(".mf-remove").click()


def reason(page: Page) -> Locator:
    return page.get_by_label("Reason for the visit")


def save(page: Page) -> Locator:
    return page.locator(".mf-form > .mf-buttons").get_by_role("button", name="Save")


def fill_in(page: Page) -> None:
    """A new visit with two files."""
    reason(page).fill("Sore knee")
    page.get_by_label("Date", exact=True).fill("2026-05-12")
    pick(page, "Growth.png", "Note.txt")
    expect(said(page, "Note.txt")).to_have_text(WAITS)


def expect_saved(page: Page, title: str = "Sore knee", *documents: str) -> None:
    """The record is shown with these documents, and nothing waits any more."""
    expect(heading(page)).to_have_text(title)
    for name in documents:
        expect(row(page, name)).to_be_visible()
    expect(page.locator(".mf-upload")).to_have_count(0)


def live(person: Person, record: Any, *, trashed: bool = False) -> list[str]:
    return sorted(file.file_name for file in kept(person, record) if bool(file.deleted_at) == trashed)


def trashed(person: Person, record: Any) -> list[str]:
    return live(person, record, trashed=True)


def only_visit(person: Person, patient: Any) -> Any:
    db.session.rollback()
    [visit] = person.world.records(person.email).list(patient.id, person.world.kind("visit"))
    return visit


def answer_questions(page: Page, *answers: bool) -> list[str]:
    """Answers what the page asks, in this order; the questions asked so far."""
    left, asked = list(answers), list[str]()

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message or dialog.type)
        if left.pop(0):
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", answer)
    return asked


def sent(page: Page, ending: str) -> list[Request]:
    """Requests that change something and go to addresses that end like this, from now on."""
    found: list[Request] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.split("?")[0].endswith(ending):
            found.append(request)

    page.on("request", note)
    return found


def lose_answer(route: Route) -> None:
    route.fetch()
    route.abort("connectionreset")


# Edit mode


def test_marks_are_set_by_mouse_counted_and_removed_by_keyboard(page: Page, person: Person, edit: Open) -> None:
    edit(page, person.visit("Letter.pdf", "Scan.jpg"))
    for name, words in (("Letter.pdf", "1 document"), ("Scan.jpg", "2 documents")):
        mark(page, name)
        expect(mark_of(page, name)).to_be_checked()
        expect(row(page, name).locator(".mf-file-name")).to_have_css("text-decoration-line", "line-through")
        expect(page.locator("[data-mf-marked]")).to_have_text(f"{words} will move to trash when you save.")
    mark_of(page, "Letter.pdf").focus()
    page.keyboard.press("Space")
    expect(row(page, "Letter.pdf").locator(".mf-file-name")).to_have_css("text-decoration-line", "none")
    expect(page.locator(".mf-manager [data-mf-live]")).to_have_text("1 document will move to trash when you save.")
    page.keyboard.press("Space")
    expect(mark_of(page, "Letter.pdf")).to_be_checked()


@pytest.mark.parametrize("edit", [edit_in_sheet, edit_on_page, edit_by_address])
def test_one_save_applies_fields_and_marks_and_then_uploads_the_files(page: Page, person: Person, edit: Open) -> None:
    visit = person.visit("Letter.pdf", "Scan.jpg")
    edit(page, visit)
    saves, uploads = sent(page, "/edit"), sent(page, "/files")
    reason(page).fill("Sore knee")
    mark(page, "Letter.pdf")
    pick(page, "Growth.png")
    expect(said(page, "Growth.png")).to_have_text(WAITS)
    assert (uploads, live(person, visit)) == ([], ["Letter.pdf", "Scan.jpg"])
    save(page).click()
    expect_saved(page, "Sore knee", "Growth.png", "Scan.jpg")
    expect(page).to_have_url(f"/visit/{visit.id}")
    assert (live(person, visit), trashed(person, visit)) == (["Growth.png", "Scan.jpg"], ["Letter.pdf"])
    assert (len(saves), len(uploads)) == (1, 1)
    expect(page.get_by_text("1 document moved to trash.", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect(page.locator("[data-mf-show-changes]")).to_have_count(0)
    person.world.assert_sound()


@pytest.mark.parametrize(
    ("kind", "title"), [("lab-result", "Test name"), ("procedure", "Procedure name"), ("insurance", "Insurer")]
)
def test_every_record_type_is_edited_with_its_documents(page: Page, person: Person, kind: str, title: str) -> None:
    record = person.world.record(kind, email=person.email)
    person.attach(record, "Letter.pdf")
    page.goto(f"/patients/{record.patient_id}/{person.world.kind(kind).plural}")
    page.locator(f"#mf-card-{kind}-{record.id}").click()
    page.get_by_role("link", name="Edit Something").click()
    page.get_by_label(title).fill("Sore knee")
    mark(page, "Letter.pdf")
    pick(page, "Growth.png")
    save(page).click()
    expect_saved(page, "Sore knee", "Growth.png")
    assert (live(person, record), trashed(person, record)) == (["Growth.png"], ["Letter.pdf"])


@pytest.mark.parametrize("others", [(), ("Scan.jpg",)], ids=["empty", "not empty"])
def test_list_from_before_an_upload_does_not_hide_it(page: Page, person: Person, others: tuple[str, ...]) -> None:
    visit = person.visit(*others)
    edit_in_sheet(page, visit)
    pick(page, "Growth.png")
    late: list[tuple[Route, APIResponse]] = []
    page.route("**/list?*", lambda route: late.append((route, route.fetch())), times=1)
    uploads = hold(page)
    save(page).click()
    expect(heading(page)).to_have_text("Annual check-up")
    page.evaluate(CHANGED_ELSEWHERE, visit.id)
    eventually(page, lambda: late and uploads)
    uploads[0].continue_()
    expect(page.locator(".mf-manager [data-mf-live]")).to_contain_text("Growth.png added.")
    [(route, before)] = late
    route.fulfill(response=before)
    expect_saved(page, "Annual check-up", "Growth.png", *others)


def test_cancel_asks_only_after_changes_and_discards_them(page: Page, person: Person) -> None:
    visit = person.visit("Letter.pdf")
    edit_in_sheet(page, visit)
    asked, saves = answer_questions(page, False, True), sent(page, "")
    cancel = page.locator(".mf-form").get_by_role("link", name="Cancel", exact=True)
    cancel.click()
    expect(heading(page)).to_have_text("Annual check-up")
    assert asked == []
    page.get_by_role("link", name="Edit Annual check-up").click()
    reason(page).fill("Sore knee")
    mark(page, "Letter.pdf")
    pick(page, "Growth.png")
    cancel.click()
    expect(reason(page)).to_have_value("Sore knee")
    expect(mark_of(page, "Letter.pdf")).to_be_checked()
    expect(said(page, "Growth.png")).to_have_text(WAITS)
    cancel.click()
    expect_saved(page, "Annual check-up", "Letter.pdf")
    assert (asked, saves, live(person, visit)) == ([QUESTION] * 2, [], ["Letter.pdf"])
    page.get_by_role("link", name="Edit Annual check-up").click()
    expect(mark_of(page, "Letter.pdf")).not_to_be_checked()
    expect(page.locator(".mf-upload")).to_have_count(0)


def test_invalid_form_keeps_marks_and_files(page: Page, person: Person, complaints: Complaints, edit: Open) -> None:
    complaints.expect("422")
    visit = person.visit("Letter.pdf", "Scan.jpg")
    edit(page, visit)
    page.get_by_label("Clinician").fill("Dr. Sample")
    reason(page).fill("")
    reason(page).evaluate("(field) => field.style.setProperty('height', '140px')")  # as dragging its corner does
    mark(page, "Letter.pdf")
    pick(page, "Growth.png")
    save(page).click()
    expect(page.get_by_role("alert").get_by_role("link")).to_have_text("Enter the reason for the visit.")
    expect(page.get_by_label("Clinician")).to_have_value("Dr. Sample")
    expect(mark_of(page, "Letter.pdf")).to_be_checked()
    expect(page.locator("[data-mf-marked]")).to_have_text("1 document will move to trash when you save.")
    expect(said(page, "Growth.png")).to_have_text(WAITS)
    assert live(person, visit) == ["Letter.pdf", "Scan.jpg"]
    reason(page).fill("Sore knee")
    save(page).click()
    expect_saved(page, "Sore knee", "Growth.png", "Scan.jpg")
    assert trashed(person, visit) == ["Letter.pdf"]


def test_invalid_form_is_not_closed_without_asking(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("422")
    edit_in_sheet(page, person.visit())
    asked = answer_questions(page, False)
    reason(page).fill("")
    save(page).click()
    expect(page.get_by_role("alert")).to_be_focused()
    page.keyboard.press("Escape")
    expect(save(page)).to_be_visible()
    assert asked == [QUESTION]


def test_full_record_accepts_a_file_in_place_of_a_marked_one(page: Page, person: Person) -> None:
    visit = person.visit(*(f"Note {number}.txt" for number in range(1, 9)))
    edit_in_sheet(page, visit)
    pick(page, "Growth.png")
    expect(said(page, "Growth.png")).to_contain_text("This visit is full (8 of 8).")
    mark(page, "Note 3.txt")
    queued(page, "Growth.png").get_by_role("button", name="Try again").click()
    expect(said(page, "Growth.png")).to_have_text(WAITS)
    save(page).click()
    expect_saved(page, "Annual check-up", "Growth.png")
    expect(page.locator(".mf-manager-head")).to_contain_text("8 of 8")
    assert (len(live(person, visit)), trashed(person, visit)) == (8, ["Note 3.txt"])


def test_failed_save_can_be_tried_again(page: Page, person: Person, complaints: Complaints, edit: Open) -> None:
    complaints.expect("503")
    visit = person.visit("Letter.pdf")
    edit(page, visit)
    page.route("**/edit", lambda route: route.fulfill(status=503, body=""), times=1)
    reason(page).fill("Sore knee")
    mark(page, "Letter.pdf")
    pick(page, "Growth.png")
    save(page).click()
    expect(page.get_by_role("alert")).to_be_in_viewport()
    expect(page.get_by_role("alert")).to_contain_text("Something went wrong on our end.")
    expect(reason(page)).to_have_value("Sore knee")
    expect(mark_of(page, "Letter.pdf")).to_be_checked()
    expect(said(page, "Growth.png")).to_have_text(WAITS)
    assert (live(person, visit), trashed(person, visit)) == (["Letter.pdf"], [])
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect_saved(page, "Sore knee", "Growth.png")
    assert (live(person, visit), trashed(person, visit)) == (["Growth.png"], ["Letter.pdf"])


# Create mode


@pytest.mark.parametrize("new", [new_in_sheet, new_on_page, new_by_address])
def test_files_wait_with_their_details_until_their_record_is_saved(page: Page, person: Person, new: Open) -> None:
    patient = person.patient()
    new(page, patient)
    saves, uploads = sent(page, "/new"), sent(page, "/files")
    fill_in(page)
    queued(page, "Growth.png").get_by_label("Description").fill("Curve of May")
    queued(page, "Growth.png").get_by_label("Category").select_option("Referral")
    assert (saves, uploads) == ([], [])
    save(page).click()
    expect_saved(page, "Sore knee", "Growth.png", "Note.txt")
    visit = only_visit(person, patient)
    expect(page).to_have_url(f"/visit/{visit.id}")
    file = person.file_named(visit, "Growth.png")
    assert (file.description, file.category) == ("Curve of May", "referral")
    assert (live(person, visit), len(saves), len(uploads)) == (["Growth.png", "Note.txt"], 1, 2)
    person.world.assert_sound()


def test_files_selected_while_the_record_is_saved_are_added_to_it(page: Page, person: Person) -> None:
    patient = person.patient()
    new_in_sheet(page, patient)
    reason(page).fill("Sore knee")
    page.get_by_label("Date", exact=True).fill("2026-05-12")
    with page.expect_file_chooser() as chooser:
        page.locator("[data-mf-pick]").click()
    save(page).click()
    expect(heading(page)).to_have_text("Sore knee")
    chooser.value.set_files([real_file("Growth.png")])
    expect_saved(page, "Sore knee", "Growth.png")
    assert live(person, only_visit(person, patient)) == ["Growth.png"]


def test_record_is_shown_while_its_files_are_uploaded(page: Page, person: Person) -> None:
    patient = person.patient()
    new_in_sheet(page, patient)
    fill_in(page)
    hold_uploads(page)
    save(page).click()
    expect(heading(page)).to_have_text("Sore knee")
    expect(said(page, "Growth.png")).to_contain_text("64%")
    expect(queued(page, "Growth.png").get_by_role("progressbar")).to_have_attribute("value", "64")
    expect(said(page, "Note.txt")).to_contain_text("31%")
    assert live(person, only_visit(person, patient)) == []


def test_refused_file_is_tried_again_without_a_second_record(
    page: Page, person: Person, complaints: Complaints, stored_once: Callable[[Any], None]
) -> None:
    complaints.expect("415")
    patient = person.patient()
    stored_once(patient)
    new_on_page(page, patient)
    saves = sent(page, "/new")
    fill_in(page)
    answer_first(page, 415)
    save(page).click()
    expect(page.locator(".mf-upload[data-mf-state=failed]")).to_have_count(1)
    page.locator(".mf-upload").get_by_role("button", name="Try again").click()
    expect_saved(page, "Sore knee", "Growth.png", "Note.txt")
    assert len(saves) == 1


def test_lost_response_to_the_save_makes_no_second_record(
    page: Page, person: Person, complaints: Complaints, stored_once: Callable[[Any], None], new: Open
) -> None:
    complaints.expect("net::ERR_")
    complaints.expect("Failed to fetch")
    patient = person.patient()
    stored_once(patient)
    new(page, patient)
    fill_in(page)
    page.route("**/new*", lose_answer, times=1)
    save(page).click()
    expect(page.get_by_role("alert")).to_contain_text("Can’t reach the server. Check your connection.")
    expect(reason(page)).to_have_value("Sore knee")
    assert only_visit(person, patient).reason == "Sore knee", "the server had stored it all the same"
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect_saved(page, "Sore knee", "Growth.png", "Note.txt")


def test_double_click_saves_once(page: Page, person: Person, stored_once: Callable[[Any], None], new: Open) -> None:
    patient = person.patient()
    stored_once(patient)
    new(page, patient)
    fill_in(page)
    save(page).dblclick()
    expect_saved(page, "Sore knee", "Growth.png", "Note.txt")


def test_session_that_ended_before_the_save_keeps_form_and_files(
    page: Page, person: Person, site: Site, complaints: Complaints, stored_once: Callable[[Any], None], new: Open
) -> None:
    complaints.expect("401")
    complaints.expect("403")
    patient = person.patient()
    stored_once(patient)
    new(page, patient)
    fill_in(page)
    page.context.clear_cookies()
    save(page).click()
    expect(page.get_by_role("alert")).to_contain_text("You were signed out.")
    expect(page.get_by_role("link", name="Sign in again")).to_be_focused()
    expect(page.get_by_role("link", name="Sign in again")).to_have_attribute("target", "_blank")
    expect(reason(page)).to_have_value("Sore knee")
    expect(said(page, "Note.txt")).to_have_text(WAITS)
    person.sign_in(page.context, site.address)  # in another tab: a new session with another token
    save(page).click()
    expect_saved(page, "Sore knee", "Growth.png", "Note.txt")


def leave_by_escape(page: Page) -> None:
    page.keyboard.press("Escape")


def leave_by_button(page: Page) -> None:
    page.get_by_role("button", name="Close").click()


def leave_by_cancel(page: Page) -> None:
    page.locator(".mf-form").get_by_role("button", name="Cancel", exact=True).click()


def leave_by_going_back(page: Page) -> None:
    page.evaluate("history.back()")


@pytest.mark.parametrize("leave", [leave_by_escape, leave_by_button, leave_by_cancel, leave_by_going_back])
def test_sheet_asks_before_it_discards_waiting_files(page: Page, person: Person, leave: Callable[[Page], None]) -> None:
    patient = person.patient()
    new_in_sheet(page, patient)
    pick(page, "Growth.png")
    expect(said(page, "Growth.png")).to_have_text(WAITS)
    asked = answer_questions(page, False, True)
    leave(page)
    expect(said(page, "Growth.png")).to_have_text(WAITS)
    expect(page).to_have_url(f"/patients/{patient.id}/visits/new")
    leave(page)
    expect(page.locator("#mf-sheet[open]")).to_have_count(0)
    expect(page).to_have_url(f"/patients/{patient.id}/visits")
    assert asked == [QUESTION] * 2
    page.get_by_role("link", name="New visit").click()
    expect(save(page)).to_be_visible()
    expect(page.locator(".mf-upload")).to_have_count(0)


def write(page: Page) -> None:
    reason(page).press_sequentially("Sore")


@pytest.mark.parametrize("enter", [lambda page: pick(page, "Growth.png"), write], ids=["files", "words"])
def test_leaving_the_page_asks_about_unsaved_changes(page: Page, person: Person, enter: Callable[[Page], None]) -> None:
    new_on_page(page, person.patient())
    enter(page)
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    expect(save(page)).to_be_visible()


def test_leaving_the_page_does_not_ask_after_the_save(page: Page, person: Person) -> None:
    new_on_page(page, person.patient())
    fill_in(page)
    asked = answer_questions(page, True)
    save(page).click()
    expect_saved(page, "Sore knee", "Growth.png", "Note.txt")
    page.goto("/")
    assert asked == []
