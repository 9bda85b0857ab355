"""Uploads in progress: what a row of the queue shows, real progress, three at a time, canceling, leaving."""

import re
from contextlib import suppress

from playwright.sync_api import Dialog, Locator, Page, expect

from tests.browser.people import Complaints, Person
from tests.browser.states import change_elsewhere
from tests.browser.uploads import (
    Answers,
    answer_first,
    button,
    digests,
    digests_of,
    eventually,
    expect_nothing_kept,
    expect_state,
    heard,
    hold,
    kept,
    listen,
    long_note,
    note,
    notes,
    payload,
    queued,
    said,
    slow,
    staged,
)
from tests.browser.widget import badge, focused, menu, names, open_visit, pick, row
from tests.support import samples

MB = 1024 * 1024
SIZE = 4 * MB
REMEMBER_PROGRESS = """() => {
  window.steps = [0];
  const look = ({ target: bar }) => bar.localName === "progress" && bar.hasAttribute("value") && steps.push(bar.value);
  const options = { subtree: true, attributeFilter: ["value"] };
  new MutationObserver((changes) => changes.forEach(look)).observe(document, options);
}"""


def field(page: Page, label: str, name: str) -> Locator:
    return queued(page, name).get_by_label(f"{label}: {name}")


def test_row_shows_picture_name_and_size_during_the_upload(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    hold(page)
    pick(page, payload("Growth.png", samples.png(), "image/png"), "Letter.pdf")
    expect(queued(page, "Growth.png").locator("[data-mf-size]")).to_have_text(f"{len(samples.png())} bytes")
    expect(queued(page, "Letter.pdf").locator("[data-mf-thumb]")).to_have_text("PDF")
    shown = queued(page, "Growth.png").locator("[data-mf-thumb] img")
    eventually(page, lambda: shown.evaluate("(image) => image.complete && image.naturalWidth") == 64)
    expect(queued(page, "Growth.png").get_by_role("progressbar", name="Growth.png")).to_be_visible()
    expect(row(page, "Growth.png")).to_have_count(0)


def test_description_and_category_entered_while_waiting_are_sent_with_the_file(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    held = hold(page)
    pick(page, *notes(4))
    eventually(page, lambda: len(held) == 3)
    field(page, "Description", "Note 4.txt").fill("Fever at night & in the morning")
    field(page, "Category", "Note 4.txt").select_option("summary")
    page.get_by_role("button", name="Choose files").focus()
    held[0].continue_()
    eventually(page, lambda: len(held) == 4)
    assert "description=Fever" in held[3].request.url
    for route in held[1:]:
        route.continue_()
    expect(row(page, "Note 4.txt")).to_contain_text("Fever at night & in the morning")
    stored = person.file_named(visit, "Note 4.txt")
    assert (stored.description, stored.category) == ("Fever at night & in the morning", "summary")


def test_details_entered_during_the_upload_are_saved_when_the_row_loses_focus(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    held = hold(page)
    pick(page, note(1))
    field(page, "Description", "Note 1.txt").fill("First half,")
    held[0].continue_()
    expect_state(page, "Note 1.txt", "done")
    expect(row(page, "Note 1.txt")).to_be_visible()
    field(page, "Description", "Note 1.txt").press_sequentially(" second half")
    field(page, "Category", "Note 1.txt").select_option("referral")
    page.get_by_role("button", name="Choose files").focus()
    expect(queued(page, "Note 1.txt")).to_have_count(0)
    expect(row(page, "Note 1.txt")).to_contain_text("First half, second half")
    stored = person.file_named(visit, "Note 1.txt")
    assert (stored.description, stored.category) == ("First half, second half", "referral")


def test_list_that_changes_leaves_the_focus_in_the_field(page: Page, person: Person) -> None:
    visit = person.visit("Old.txt")
    open_visit(page, visit)
    hold(page)
    with page.expect_download():
        menu(row(page, "Old.txt")).get_by_role("link", name="Download").click()
    pick(page, note(1))
    field(page, "Description", "Note 1.txt").fill("half written")
    person.attach(visit, "Other.txt")
    change_elsewhere(page)
    expect(row(page, "Other.txt")).to_be_visible()
    expect(field(page, "Description", "Note 1.txt")).to_be_focused()


def test_progress_rises_in_steps_and_matches_the_bytes_received(page: Page, person: Person) -> None:
    visit, file = person.visit(), long_note("Diary.txt", SIZE // MB)
    open_visit(page, visit)
    slow(page, MB)
    page.evaluate(REMEMBER_PROGRESS)
    pick(page, file)
    expect(said(page, "Diary.txt")).to_have_text(re.compile(r"^\d+% · [\d.]+ [KM]B/s · about \d+ seconds? left$"))
    for before, shown, after in watch_progress(page, person):
        assert before - MB < shown < after + MB
    expect(row(page, "Diary.txt")).to_be_visible()
    steps = page.evaluate("window.steps")
    assert len(steps) >= 8, f"it jumped: {steps}"
    assert steps == sorted(steps)
    assert digests(person, visit) == digests_of(file)


def watch_progress(page: Page, person: Person) -> list[tuple[int, int, int]]:
    """Until all is sent: what the server had, what the page showed, what the server had then; in bytes."""
    eventually(page, lambda: received(person))
    looks = []
    while 0 < (before := received(person)) < SIZE and (shown := page.evaluate("window.steps.at(-1)")) < 100:
        if (after := received(person)) >= before:  # else it has just been stored
            looks.append((before, int(shown / 100 * SIZE), after))
        page.wait_for_timeout(50)
    assert len(looks) >= 3
    return looks


def received(person: Person) -> int:
    """Bytes of the one file the server is receiving; 0 when it receives none any more."""
    with suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in staged(person))
    return 0


def test_nothing_is_kept_of_a_file_canceled_during_the_upload(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    slow(page, MB)
    pick(page, long_note("Diary.txt", 4))
    eventually(page, lambda: received(person) > 0)
    button(page, "Cancel", "Diary.txt").click()
    expect(page.locator(".mf-upload")).to_have_count(0)
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()
    expect_nothing_kept(page, person, visit)
    assert names(page) == []


def test_nothing_is_kept_of_a_file_canceled_after_the_server_stored_it(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    answers = Answers(page)
    pick(page, note(1))
    answers.wait()
    expect_state(page, "Note 1.txt", "processing")
    expect(said(page, "Note 1.txt")).to_have_text("Processing…")
    assert queued(page, "Note 1.txt").locator("progress").get_attribute("value") is None
    assert digests(person, visit) == digests_of(note(1))
    button(page, "Cancel", "Note 1.txt").click()
    expect(page.locator(".mf-upload")).to_have_count(0)
    expect_nothing_kept(page, person, visit)
    page.reload()
    assert names(page) == []


def test_new_row_asks_for_its_details_until_dismissed(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    pick(page, note(1))
    asking = page.get_by_role("form", name="Details of Note 1.txt")
    asking.get_by_text("Referral", exact=True).click()
    expect(row(page, "Note 1.txt")).to_contain_text("Referral")
    asking.get_by_label("Description").fill("From the front desk")
    page.keyboard.press("Enter")
    expect(row(page, "Note 1.txt")).to_contain_text("From the front desk")
    expect(asking.get_by_label("Description")).to_be_focused()
    (file,) = kept(person, visit)
    assert (file.category, file.description) == ("referral", "From the front desk")
    pick(page, note(2))
    expect(page.get_by_role("form", name="Details of Note 2.txt")).to_be_visible()
    asking.get_by_role("button", name="Done").click()
    expect(asking).to_be_hidden()
    expect(page.get_by_role("form", name="Details of Note 2.txt")).to_be_visible()


def test_several_files_are_canceled_together(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    held = hold(page)
    pick(page, *notes(4))
    page.get_by_role("button", name="Cancel all 4").click()
    eventually(page, lambda: len(held) == 3)
    expect(page.locator(".mf-upload")).to_have_count(0)
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()
    expect_nothing_kept(page, person, visit)


def test_file_canceled_before_its_turn_is_never_sent(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    held = hold(page)
    pick(page, *notes(4))
    button(page, "Cancel", "Note 4.txt").click()
    expect(queued(page, "Note 4.txt")).to_have_count(0)
    eventually(page, lambda: len(held) == 3)
    for route in held:
        route.continue_()
    expect(page.locator(".mf-upload")).to_have_count(0)
    assert len(held) == 3
    assert digests(person, visit) == digests_of(*notes(3))


def test_three_files_are_sent_at_a_time_in_the_order_selected(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    held = hold(page)
    pick(page, *notes(5))
    eventually(page, lambda: len(held) == 3)
    expect_state(page, "Note 4.txt", "queued")
    expect(said(page, "Note 4.txt")).to_have_text("Waiting…")
    assert len(held) == 3
    held[1].continue_()
    eventually(page, lambda: len(held) == 4)
    expect_state(page, "Note 5.txt", "queued")
    for number in (0, 2, 3):
        held[number].continue_()
    eventually(page, lambda: len(held) == 5)
    held[4].continue_()
    expect(page.locator(".mf-row")).to_have_count(5)
    order = [re.findall(r"Note%20(\d)", route.request.headers["content-disposition"])[0] for route in held]
    assert (sorted(order[:3]), order[3:]) == (["1", "2", "3"], ["4", "5"])  # of three at a time any may come first


def test_leaving_the_page_asks_during_an_upload(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    held = hold(page)
    pick(page, note(1))
    eventually(page, lambda: held)
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    held[0].continue_()
    expect(row(page, "Note 1.txt")).to_be_visible()


def test_leaving_the_page_does_not_ask_when_all_uploads_are_done(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    pick(page, note(1))
    expect(page.locator(".mf-upload")).to_have_count(0)
    asked: list[Dialog] = []
    page.on("dialog", lambda dialog: asked.append(dialog))
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == []


def test_uploads_continue_after_the_sheet_is_closed_and_reopens_with_the_row(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    held = hold(page)
    pick(page, *notes(2))
    field(page, "Description", "Note 2.txt").fill("half written")
    page.get_by_role("button", name="Close").click()
    bar = page.locator("#mf-uploads")
    expect(bar).to_have_text("Adding 2 files…")
    held[0].continue_()
    expect(bar).to_have_text("Adding 1 file…")
    expect(badge(page, visit)).to_have_text("1 document")
    bar.get_by_role("link").click()
    expect(page.locator("#mf-sheet[open]").get_by_role("heading", level=1)).to_have_text(visit.reason)
    expect(field(page, "Description", "Note 2.txt")).to_have_value("half written")
    expect(bar).to_have_count(0)
    held[1].continue_()
    expect(page.locator(".mf-row")).to_have_count(2)


def test_selecting_canceling_and_retrying_need_no_mouse(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("422")
    open_visit(page, person.visit())
    answer_first(page, 422)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").press("Enter")
    chooser.value.set_files([note(1)])
    expect_state(page, "Note 1.txt", "failed")
    held = hold(page)
    tab_to(page, "Try again: Note 1.txt")
    page.keyboard.press("Enter")
    eventually(page, lambda: held)
    assert focused(page) == "Cancel: Note 1.txt"
    page.keyboard.press("Enter")
    expect(page.locator(".mf-upload")).to_have_count(0)
    assert focused(page) == "Choose files"


def tab_to(page: Page, words: str) -> None:
    for _ in range(12):
        if focused(page) == words:
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never came to “{words}”")


def test_focus_moves_to_the_next_row_or_else_the_previous_when_a_row_is_removed(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    hold(page)
    pick(page, *notes(6))
    button(page, "Cancel", "Note 5.txt").press("Enter")
    expect(button(page, "Cancel", "Note 6.txt")).to_be_focused()
    page.keyboard.press("Enter")
    expect(button(page, "Cancel", "Note 4.txt")).to_be_focused()


def test_start_results_and_total_are_announced_but_never_a_percentage(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    listen(page)
    slow(page, MB)
    pick(page, long_note("Diary.txt", 1), note(1), payload("Holiday.mp3", b"ID3"))
    expect(page.locator(".mf-row")).to_have_count(2)
    eventually(page, lambda: "2 files added." in " ".join(heard(page)))
    words = " ".join(heard(page))
    for sentence in (
        "Adding 2 files.",
        "Holiday.mp3: .mp3 files can’t be added",
        "Note 1.txt added.",
        "Diary.txt added.",
    ):
        assert words.count(sentence) == 1
    assert "%" not in words
    assert "left" not in words


def test_new_document_shows_its_date_like_the_others(page: Page, person: Person) -> None:
    open_visit(page, person.visit("Letter.pdf"))
    pick(page, "Note.txt")
    expect(row(page, "Note.txt").locator("time")).to_have_text(row(page, "Letter.pdf").locator("time").inner_text())
    expect(page.locator("time[data-mf-when]")).to_have_count(0)
