"""Adding files when things are not as they should be: wrong files, no answer, nobody signed in any more."""

from playwright.sync_api import JSHandle, Page, Route, expect

from tests import samples
from tests.browser.people import Complaints, Person
from tests.browser.states import WRONG, fail_uploads, hold_uploads
from tests.browser.widget import badge, names, open_visit, pick, press, row

DROPPED = """(files) => {
  const transfer = new DataTransfer();
  for (const [name, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name));
  return transfer;
}"""


def dropped(page: Page, *names: str) -> JSHandle:
    return page.evaluate_handle(DROPPED, [[name, list(samples.SAMPLES[name[name.rindex(".") :]]())] for name in names])


def test_files_dropped_on_the_zone_are_added(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    zone = page.locator("[data-mf-zone]")
    transfer = dropped(page, "Growth.png", "Note.txt")
    zone.dispatch_event("dragover", {"dataTransfer": transfer})
    expect(zone).to_have_attribute("data-drag", "")
    zone.dispatch_event("drop", {"dataTransfer": transfer})
    expect(page.locator(".mf-row")).to_have_count(2)


def test_a_refused_file_is_named_with_its_reason_while_the_others_arrive(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    pick(page, "Growth.png", WRONG, "Note.txt")
    expect(page.locator(".mf-outcome-error")).to_contain_text("Holiday.mp3 was not added.")
    expect(page.locator(".mf-outcome-error")).to_contain_text("PDF, Word, JPG, PNG, text or HEIC")
    expect(page.locator(".mf-outcome-ok")).to_have_text("2 documents added.")
    assert sorted(names(page)) == ["Growth.png", "Note.txt"]


def test_a_file_that_is_not_what_its_name_says_is_refused_with_the_reason(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("415")
    open_visit(page, person.visit())
    pick(page, {"name": "Letter.pdf", "mimeType": "application/pdf", "buffer": samples.txt()})
    expect(page.locator(".mf-outcome-error")).to_contain_text("Letter.pdf was not added.")
    assert names(page) == []


def test_a_full_record_says_so_instead_of_offering_to_add(page: Page, person: Person) -> None:
    open_visit(page, person.visit(*(f"Note {number}.txt" for number in range(7))))
    pick(page, "Growth.png")
    expect(page.locator(".mf-zone-full")).to_contain_text("This visit holds 8 of 8 documents.")
    expect(page.get_by_role("button", name="Add documents")).to_have_count(0)
    press(page, "Delete", "Growth.png")
    expect(page.get_by_role("button", name="Add documents")).to_be_visible()


def test_a_failing_server_is_told_and_the_same_files_are_sent_again(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("503")
    visit = person.visit()
    open_visit(page, visit)
    fail_uploads(page)
    pick(page, "Growth.png", "Note.txt")
    expect(page.get_by_role("alert")).to_contain_text("Something went wrong on our side.")
    page.unroute("**/files")
    page.get_by_role("button", name="Try again").click()
    expect(badge(page, visit)).to_have_text("2 documents")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_no_answer_at_all_is_told_and_can_be_tried_again(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("net::ERR_INTERNET_DISCONNECTED")
    complaints.expect("Failed to fetch")

    def cut_off(route: Route) -> None:
        route.abort("internetdisconnected")

    open_visit(page, person.visit("Note.txt"))
    page.route("**/delete", cut_off)
    press(page, "Delete", "Note.txt")
    expect(page.get_by_role("alert")).to_contain_text("There was no answer. Are you online?")
    page.unroute("**/delete")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()


def test_an_upload_that_is_cancelled_adds_nothing_and_the_next_one_works(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    hold_uploads(page)
    pick(page, "Growth.png")
    expect(page.get_by_text("Sending 1 file…").first).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Add documents")).to_be_focused()
    page.reload()
    pick(page, "Note.txt")
    expect(row(page, "Note.txt")).to_be_visible()
    assert names(page) == ["Note.txt"]


def test_a_session_that_ended_in_another_tab_asks_to_sign_in(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("401")
    visit = person.visit("Note.txt")
    open_visit(page, visit)
    other = page.context.new_page()
    other.goto("/account")
    other.get_by_role("button", name="Sign out here").click()
    expect(other.get_by_role("heading", level=1)).to_have_text("Sign in")
    press(page, "Delete", "Note.txt")
    expect(page.get_by_role("alert")).to_contain_text("You were signed out.")
    expect(page.get_by_role("alert")).to_be_focused()
    page.get_by_role("link", name="Sign in again").click()
    expect(page).to_have_url(f"/sign-in?next=/visit/{visit.id}")


def test_a_document_deleted_in_another_tab_is_explained_and_the_list_is_set_right(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("409")
    visit = person.visit("Note.txt", "Growth.png")
    open_visit(page, visit)
    person.world.documents(person.email).trash(person.file_named(visit, "Note.txt").id)
    press(page, "Delete", "Note.txt")
    expect(page.locator(".mf-notice-error")).to_contain_text("trash")
    assert names(page) == ["Growth.png"]
