"""Uploads when something goes wrong: said in words with a way on, and no file is lost or stored twice."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from medfiles.accounts import service as accounts
from medfiles.sandbox.pool import Sandbox
from tests.browser.people import Complaints, Person, Site
from tests.browser.uploads import (
    Answers,
    answer_all,
    answer_first,
    button,
    digests,
    digests_of,
    eventually,
    expect_nothing_kept,
    expect_state,
    hold,
    kept,
    keys,
    long_note,
    note,
    notes,
    payload,
    pick_paths,
    queued,
    said,
    sent,
    slow,
    staged,
)
from tests.browser.widget import names, open_visit, pick, press, row
from tests.support import samples
from tests.support.factories import install
from tests.support.server import reserved_port, serve

MB = 1024 * 1024
PASSWORD = "a long and quiet river"
SIGNED_OUT = "You were signed out. Sign in again in another tab. Your files are kept here."


class Fickle:
    """A server of one test's own, which stops in the middle of anything and comes back at the same address."""

    def __init__(self, settings: Mapping[str, str], port: int) -> None:
        self.settings, self.port = settings, port
        self.running = ExitStack()
        self.address = ""

    def start(self) -> None:
        self.address = self.running.enter_context(serve(self.settings, self.port))

    def stop(self) -> None:
        self.running.close()


@pytest.fixture
def fickle(new_database: Callable[[Path], str], tmp_path: Path) -> Iterator[Fickle]:
    settings = {"MEDFILES_INSTANCE": str(tmp_path), "MEDFILES_DATABASE_URL": new_database(tmp_path)}
    settings |= {"MEDFILES_WORKERS": "1", "GUNICORN_CMD_ARGS": "--graceful-timeout 0"}
    with reserved_port() as port:
        server = Fickle(settings, port)
        server.start()
        yield server
        server.stop()


def look_again(page: Page) -> None:
    """What a browser tells a page when its tab is shown again; tabs of tests are always shown."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_busy_server_is_asked_again_when_it_said_and_stores_the_file_once(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("503")
    visit = person.visit()
    open_visit(page, visit)
    requests = sent(page)
    answer_first(page, 503, headers={"Retry-After": "2"})
    pick(page, note(1))
    expect(said(page, "Note 1.txt")).to_have_text(re.compile(r"^The server is busy\. Retrying in [12] s\.$"))
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert (len(requests), len(keys(requests))) == (2, 1)
    assert digests(person, visit) == digests_of(note(1))
    person.world.assert_settled()


@pytest.mark.parametrize("by", ["the button", "showing the tab again"])
def test_a_file_that_waits_for_long_is_tried_again_at_once_by(
    page: Page, person: Person, complaints: Complaints, by: str
) -> None:
    complaints.expect("503")
    open_visit(page, person.visit())
    answer_first(page, 503, headers={"Retry-After": "100"})
    pick(page, note(1))
    expect(said(page, "Note 1.txt")).to_contain_text(re.compile(r"Retrying in (100|9\d) s\."))
    if by == "the button":
        button(page, "Try again", "Note 1.txt").click()
    else:
        look_again(page)
    expect(row(page, "Note 1.txt")).to_be_visible()


def test_a_file_whose_answer_was_lost_is_stored_exactly_once(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("net::ERR_CONNECTION_RESET")
    visit = person.visit()
    open_visit(page, visit)
    requests, answers = sent(page), Answers(page)
    pick(page, note(1))
    answers.lose()
    expect(said(page, "Note 1.txt")).to_contain_text("Can’t reach the server. Retrying in 1 s.")
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert (len(requests), len(keys(requests))) == (2, 1)
    assert len(names(page)) == 1
    assert len(kept(person, visit)) == 1


def test_nothing_is_kept_of_a_file_cancelled_while_it_waits_to_be_tried_again(
    own_page: Page, person: Person, complaints: Complaints
) -> None:
    page = own_page
    complaints.expect("net::ERR_CONNECTION_RESET")
    visit = person.visit()
    open_visit(page, visit)
    page.clock.install()
    answers = Answers(page)
    pick(page, note(1))
    answers.lose()
    expect_state(page, "Note 1.txt", "waiting")
    assert digests(person, visit) == digests_of(note(1))
    button(page, "Cancel", "Note 1.txt").click()
    expect(page.locator(".mf-upload")).to_have_count(0)
    expect_nothing_kept(page, person, visit)


def test_a_server_that_stops_during_an_upload_gets_the_file_whole_and_once_when_it_is_back_after_20_seconds(
    fickle: Fickle, sandbox: Sandbox, open_context: Callable[..., BrowserContext], complaints: Complaints
) -> None:
    complaints.expect("net::ERR_")
    file = long_note("Diary.txt", 3)
    with install(fickle.settings, sandbox) as world:
        person = Person(world, "patient-one@sample.example")
        page, visit = open_context(person, address=fickle.address).new_page(), person.visit()
        open_visit(page, visit)
        page.clock.install()
        requests, throttle = sent(page), slow(page, MB // 2)
        pick(page, file)
        eventually(page, lambda: staged(person))
        fickle.stop()
        let_pass(page, 20)
        expect(said(page, "Diary.txt")).to_contain_text("Can’t reach the server. Retrying in")
        fickle.start()
        throttle.detach()
        page.clock.run_for(30_000)
        expect(row(page, "Diary.txt")).to_be_visible()
        assert len(keys(requests)) == 1
        assert digests(person, visit) == digests_of(file)
        assert len(world.files()) == 1


def let_pass(page: Page, seconds: int) -> None:
    """That much time of a page whose file waits for better times, however often it is tried meanwhile."""
    for _ in range(seconds // 2):
        expect_state(page, "Diary.txt", "waiting")
        page.clock.run_for(2_000)
    expect_state(page, "Diary.txt", "waiting")


def test_a_file_chosen_offline_waits_and_goes_on_by_itself(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("net::ERR_INTERNET_DISCONNECTED")
    visit = person.visit()
    open_visit(page, visit)
    page.context.set_offline(True)
    pick(page, note(1))
    expect_state(page, "Note 1.txt", "paused")
    expect(said(page, "Note 1.txt")).to_have_text("You’re offline. The upload resumes when you’re back online.")
    page.context.set_offline(False)
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert digests(person, visit) == digests_of(note(1))


def test_a_connection_lost_before_the_answer_came_pauses_the_file_and_stores_it_once(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("net::ERR_")
    visit = person.visit()
    open_visit(page, visit)
    answers = Answers(page)
    pick(page, note(1))
    answers.wait()
    page.context.set_offline(True)
    answers.lose()
    expect_state(page, "Note 1.txt", "paused")
    page.context.set_offline(False)
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert len(names(page)) == len(kept(person, visit)) == 1


def test_a_file_that_was_deleted_before_its_turn_is_not_tried_for_ever(
    page: Page, person: Person, complaints: Complaints, tmp_path: Path
) -> None:
    complaints.expect("net::ERR_")
    open_visit(page, person.visit())
    path = tmp_path / "Note.txt"
    path.write_bytes(samples.txt())
    page.context.set_offline(True)
    pick_paths(page, path)
    expect_state(page, "Note.txt", "paused")
    path.unlink()
    page.context.set_offline(False)
    expect(said(page, "Note.txt")).to_have_text("This file can no longer be read. Select it again.")
    expect_state(page, "Note.txt", "failed")


def test_a_file_that_is_not_what_its_name_says_stays_with_the_reason_while_the_others_are_stored(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("415")
    visit = person.visit()
    open_visit(page, visit)
    pick(page, note(1), payload("Letter.pdf", samples.txt()), note(2))
    expect(page.locator(".mf-row")).to_have_count(2)
    expect(page.locator(".mf-upload")).to_have_count(1)
    expect_state(page, "Letter.pdf", "failed")
    expect(said(page, "Letter.pdf")).to_contain_text("PDF")
    expect(button(page, "Try again", "Letter.pdf")).to_be_hidden()
    assert digests(person, visit) == digests_of(note(1), note(2))
    button(page, "Remove", "Letter.pdf").click()
    expect(page.locator(".mf-upload")).to_have_count(0)


def test_a_record_that_somebody_else_filled_meanwhile_says_so_and_takes_the_file_once_there_is_room(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("409")
    visit = person.visit(*(f"Old {number}.txt" for number in range(7)))
    open_visit(page, visit)
    person.attach(visit, "Other.txt")
    pick(page, note(1))
    expect_state(page, "Note 1.txt", "failed")
    expect(said(page, "Note 1.txt")).to_contain_text("full (8 of 8)")
    press(page, "Move to trash", "Old 1.txt")
    expect(page.get_by_role("button", name="restore Old 1.txt")).to_be_visible()
    button(page, "Try again", "Note 1.txt").click()
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert "Note 1.txt" in digests(person, visit)


def test_a_category_the_server_does_not_know_is_said_and_can_be_put_right(
    page: Page, person: Person, complaints: Complaints
) -> None:
    complaints.expect("422")
    visit = person.visit()
    open_visit(page, visit)
    held = hold(page)
    pick(page, *notes(4))
    category = queued(page, "Note 4.txt").get_by_label("Category: Note 4.txt")
    category.evaluate("(field) => field.add(new Option('Old', 'old', true, true))")
    eventually(page, lambda: len(held) == 3)
    for route in held:
        route.continue_()
    eventually(page, lambda: len(held) == 4)
    page.unroute_all()
    expect_state(page, "Note 4.txt", "failed")
    expect(said(page, "Note 4.txt")).to_contain_text("category")
    category.select_option("summary")
    button(page, "Try again", "Note 4.txt").click()
    expect(row(page, "Note 4.txt")).to_be_visible()
    assert person.file_named(visit, "Note 4.txt").category == "summary"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (429, "Too many files at once."),
        (500, "Something went wrong on our side."),
        (502, "The server is unavailable."),
        (504, "The server took too long."),
    ],
)
def test_what_a_proxy_answers_for_a_while_is_put_in_words_and_tried_again(
    page: Page, person: Person, complaints: Complaints, status: int, words: str
) -> None:
    complaints.expect(str(status))
    visit = person.visit()
    open_visit(page, visit)
    answer_first(page, status, headers={"Retry-After": "1"}, body="<h1>nginx</h1>", content_type="text/html")
    pick(page, note(1))
    expect(said(page, "Note 1.txt")).to_contain_text(f"{words} Retrying in 1 s.")
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert digests(person, visit) == digests_of(note(1))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "You can’t add documents here."),
        (404, "This record no longer exists."),
        (413, "This file is too large."),
        (415, "This type of file can’t be added here."),
        (418, "The server did not accept this file."),
    ],
)
def test_what_a_proxy_refuses_is_put_in_words_and_the_file_is_not_lost(
    page: Page, person: Person, complaints: Complaints, status: int, words: str
) -> None:
    complaints.expect(str(status))
    open_visit(page, person.visit())
    answer_first(page, status, body="<h1>nginx</h1>", content_type="text/html")
    pick(page, note(1))
    expect(said(page, "Note 1.txt")).to_have_text(words)
    expect_state(page, "Note 1.txt", "failed")
    button(page, "Try again", "Note 1.txt").click()
    expect(row(page, "Note 1.txt")).to_be_visible()


def test_a_sentence_of_the_server_is_shown_as_it_is(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("409")
    open_visit(page, person.visit())
    words = "This record is being moved. <b>Please</b> wait a minute."
    error = json.dumps({"documents:error": {"message": words, "code": "moving"}})
    answer_first(page, 409, headers={"HX-Trigger": error})
    pick(page, note(1))
    expect(said(page, "Note 1.txt")).to_have_text(words)


def test_a_file_is_given_up_after_some_minutes_and_can_be_tried_again(
    own_page: Page, person: Person, complaints: Complaints
) -> None:
    page = own_page
    complaints.expect("503")
    visit = person.visit()
    open_visit(page, visit)
    page.clock.install()
    requests = sent(page)
    answer_all(page, 503)
    pick(page, note(1))
    wait_until_given_up(page)
    expect(said(page, "Note 1.txt")).to_have_text("The server is busy. Try again in 1 minute.")
    assert 5 < len(requests) < 20
    page.unroute_all()
    button(page, "Try again", "Note 1.txt").click()
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert len(keys(requests)) == 1
    assert digests(person, visit) == digests_of(note(1))


def wait_until_given_up(page: Page) -> None:
    file = queued(page, "Note 1.txt")
    for _ in range(20):
        expect(file).to_have_attribute("data-mf-state", re.compile("waiting|failed"))
        if file.get_attribute("data-mf-state") == "failed":
            return
        page.clock.run_for(31_000)
    raise AssertionError("it was never given up")


def test_files_wait_through_a_lost_session_and_go_on_after_signing_in_in_another_tab(
    open_context: Callable[..., BrowserContext], person: Person, complaints: Complaints
) -> None:
    complaints.expect("401")
    visit = person.visit()
    accounts.set_password(person.email, PASSWORD)
    page = open_context(person).new_page()
    open_visit(page, visit)
    page.context.clear_cookies()
    pick(page, *notes(4))
    for number in range(1, 5):
        expect(said(page, f"Note {number}.txt")).to_have_text("Paused. Sign in again to continue.")
    line = page.locator("[data-mf-upload-signed-out]")
    expect(line).to_have_text(f"{SIGNED_OUT} Sign in")
    with page.context.expect_page() as opened:
        line.get_by_role("link", name="Sign in").click()
    sign_in(opened.value, person.email)
    look_again(page)
    expect(page.locator(".mf-row")).to_have_count(4)
    expect(line).to_have_count(0)
    assert digests(person, visit) == digests_of(*notes(4))


def sign_in(tab: Page, email: str) -> None:
    tab.get_by_label("Email").fill(email)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", level=1)).not_to_have_text("Sign in")


def test_a_token_of_an_older_session_is_renewed_without_a_word(
    page: Page, person: Person, site: Site, complaints: Complaints
) -> None:
    complaints.expect("403")
    visit = person.visit()
    open_visit(page, visit)
    person.sign_in(page.context, site.address)
    pick(page, *notes(4))
    expect(page.locator(".mf-row")).to_have_count(4)
    expect(page.locator(".mf-upload")).to_have_count(0)
    assert digests(person, visit) == digests_of(*notes(4))
    press(page, "Move to trash", "Note 1.txt")
    expect(page.get_by_role("button", name="restore Note 1.txt")).to_be_visible()


def test_a_token_is_renewed_for_files_that_go_on_after_their_sheet_was_closed(
    page: Page, person: Person, site: Site, complaints: Complaints
) -> None:
    complaints.expect("403")
    visit = person.visit()
    open_visit(page, visit)
    held = hold(page)
    pick(page, *notes(4))
    eventually(page, lambda: len(held) == 3)
    page.get_by_role("button", name="Close").click()
    person.sign_in(page.context, site.address)
    page.unroute_all()
    expect(page.locator("#mf-uploads")).to_have_count(0)
    assert digests(person, visit) == digests_of(*notes(4))
