"""Uploads when something fails: explained with a way to continue, and no file is lost or stored twice."""

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
PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(9) + bytes(range(256))  # neither a document nor text
SIGNED_OUT = "You were signed out. Sign in again in another tab. Your files will stay here."


class Restartable:
    """A server of one test's own, which stops in the middle of anything and comes back at the same address."""

    def __init__(self, settings: Mapping[str, str], port: int) -> None:
        self.settings, self.port = settings, port
        self.running = ExitStack()
        self.address = ""

    def start(self) -> None:
        self.address = self.running.enter_context(serve(self.settings, self.port))


@pytest.fixture
def server(new_database: Callable[[Path], str], tmp_path: Path) -> Iterator[Restartable]:
    settings = {"MEDFILES_INSTANCE": str(tmp_path), "MEDFILES_DATABASE_URL": new_database(tmp_path)}
    settings |= {"MEDFILES_WORKERS": "1", "GUNICORN_CMD_ARGS": "--graceful-timeout 0"}
    with reserved_port() as port:
        server = Restartable(settings, port)
        server.start()
        yield server
        server.running.close()


def stop_clock(page: Page) -> None:
    """Let time pass in the page only with `page.clock.run_for`, until `page.clock.resume`."""
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now()") + 60_000)  # installed, it runs until here


def is_there_after(page: Page, milliseconds: int) -> bool:
    page.clock.run_for(milliseconds)
    return row(page, "Diary.txt").is_visible()


def look_again(page: Page) -> None:
    """What a browser tells a page when its tab is shown again; tabs of tests are always shown."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_busy_server_is_retried_after_the_delay_it_asks_for(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("503")
    visit = person.visit()
    open_visit(page, visit)
    requests = sent(page)
    html = {"body": "<h1>nginx</h1>", "content_type": "text/html"}
    answer_first(page, 503, headers={"Retry-After": "2"}, **html)
    pick(page, note(1))
    expect(said(page, "Note 1.txt")).to_have_text(re.compile(r"^The server is busy\. Retrying in [12] s\.$"))
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert (len(requests), len(keys(requests))) == (2, 1)
    assert digests(person, visit) == digests_of(note(1))
    person.world.assert_settled()


@pytest.mark.parametrize("by", ["the button", "showing the tab again"])
def test_waiting_file_is_retried_at_once_by(page: Page, person: Person, complaints: Complaints, by: str) -> None:
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


def test_file_is_stored_once_although_its_response_was_lost(page: Page, person: Person, complaints: Complaints) -> None:
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


def test_file_canceled_before_a_retry_is_not_kept(own_page: Page, person: Person, complaints: Complaints) -> None:
    page = own_page
    complaints.expect("net::ERR_CONNECTION_RESET")
    visit = person.visit()
    open_visit(page, visit)
    stop_clock(page)
    answers = Answers(page)
    pick(page, note(1))
    answers.lose()
    expect_state(page, "Note 1.txt", "waiting")
    assert digests(person, visit) == digests_of(note(1))
    button(page, "Cancel", "Note 1.txt").click()
    expect(page.locator(".mf-upload")).to_have_count(0)
    expect_nothing_kept(page, person, visit)


def test_upload_survives_a_server_that_is_down_for_20_seconds(
    server: Restartable, sandbox: Sandbox, open_context: Callable[..., BrowserContext], complaints: Complaints
) -> None:
    complaints.expect("net::ERR_")
    file = long_note("Diary.txt", 3)
    with install(server.settings, sandbox) as world:
        person = Person(world, "patient-one@sample.example")
        page, visit = open_context(person, address=server.address).new_page(), person.visit()
        open_visit(page, visit)
        stop_clock(page)  # a slow restart uses up no patience
        requests, throttle = sent(page), slow(page, MB // 2)
        pick(page, file)
        eventually(page, lambda: staged(person))
        server.running.close()
        for _ in range(10):
            expect_state(page, "Diary.txt", "waiting")
            page.clock.run_for(2_000)
        expect(said(page, "Diary.txt")).to_contain_text("Can’t reach the server. Retrying in")
        server.start()
        throttle.detach()
        eventually(page, lambda: is_there_after(page, 250))
        assert len(keys(requests)) == 1
        assert digests(person, visit) == digests_of(file)
        assert len(world.files()) == 1


def test_file_selected_offline_waits_and_resumes(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("net::ERR_INTERNET_DISCONNECTED")
    visit = person.visit()
    open_visit(page, visit)
    page.context.set_offline(True)
    pick(page, note(1))
    expect_state(page, "Note 1.txt", "paused")
    expect(said(page, "Note 1.txt")).to_have_text("You’re offline. The upload will resume when you’re back online.")
    page.context.set_offline(False)
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert digests(person, visit) == digests_of(note(1))


def test_file_whose_connection_was_lost_is_stored_once(page: Page, person: Person, complaints: Complaints) -> None:
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


def test_file_deleted_before_its_turn_fails(page: Page, person: Person, complaints: Complaints, tmp_path: Path) -> None:
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


def test_file_with_wrong_content_stays_with_its_reason(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("415")
    visit = person.visit()
    open_visit(page, visit)
    pick(page, note(1), payload("Letter.pdf", PROGRAM), note(2))
    expect(page.locator(".mf-row")).to_have_count(2)
    expect(page.locator(".mf-upload")).to_have_count(1)
    expect_state(page, "Letter.pdf", "failed")
    expect(said(page, "Letter.pdf")).to_contain_text("named .pdf but is actually a Linux program")
    expect(button(page, "Try again", "Letter.pdf")).to_be_hidden()
    assert digests(person, visit) == digests_of(note(1), note(2))
    button(page, "Remove", "Letter.pdf").click()
    expect(page.locator(".mf-upload")).to_have_count(0)


def test_file_for_a_full_record_is_added_once_there_is_room(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("409")
    visit = person.visit(*(f"Old {number}.txt" for number in range(7)))
    open_visit(page, visit)
    person.attach(visit, "Other.txt")
    pick(page, note(1))
    expect_state(page, "Note 1.txt", "failed")
    expect(said(page, "Note 1.txt")).to_contain_text("full (8 of 8)")
    press(page, "Move to trash", "Old 1.txt")
    expect(page.get_by_role("button", name="restore Old 1.txt")).to_be_visible()
    expect(said(page, "Note 1.txt")).to_have_text("This visit now has room for this file. Try again to add it.")
    button(page, "Try again", "Note 1.txt").click()
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert "Note 1.txt" in digests(person, visit)


def test_unknown_category_is_reported_and_can_be_corrected(page: Page, person: Person, complaints: Complaints) -> None:
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


def test_proxy_error_is_explained_and_the_file_is_not_lost(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("413")
    open_visit(page, person.visit())
    answer_first(page, 413, body="<h1>nginx</h1>", content_type="text/html")
    pick(page, note(1))
    expect(said(page, "Note 1.txt")).to_have_text(
        "A proxy between you and the server doesn’t let files of this size through. Contact your administrator."
    )
    expect_state(page, "Note 1.txt", "failed")
    button(page, "Try again", "Note 1.txt").click()
    expect(row(page, "Note 1.txt")).to_be_visible()


def test_message_of_the_server_is_shown_as_text(page: Page, person: Person, complaints: Complaints) -> None:
    complaints.expect("409")
    open_visit(page, person.visit())
    words = "This record is being moved. <b>Please</b> wait a minute."
    error = json.dumps({"documents:error": {"message": words, "code": "moving"}})
    answer_first(page, 409, headers={"HX-Trigger": error})
    pick(page, note(1))
    expect(said(page, "Note 1.txt")).to_have_text(words)


@pytest.mark.parametrize("by", ["the button", "showing the tab again"])
def test_file_fails_after_minutes_of_retries_and_can_be_sent_later(
    own_page: Page, person: Person, complaints: Complaints, by: str
) -> None:
    page = own_page
    complaints.expect("503")
    visit = person.visit()
    open_visit(page, visit)
    stop_clock(page)
    requests = sent(page)
    answer_all(page, 503)
    pick(page, note(1))
    wait_until_given_up(page)
    expect(said(page, "Note 1.txt")).to_have_text("The server is busy. Try again in 1 minute.")
    assert 5 < len(requests) < 20
    page.clock.resume()
    page.unroute_all()
    if by == "the button":
        button(page, "Try again", "Note 1.txt").click()
    else:
        look_again(page)
    expect(row(page, "Note 1.txt")).to_be_visible()
    assert len(keys(requests)) == 1
    assert digests(person, visit) == digests_of(note(1))


def wait_until_given_up(page: Page) -> None:
    file = queued(page, "Note 1.txt")
    for _ in range(60):
        expect(file).to_have_attribute("data-mf-state", re.compile("waiting|failed"))
        if file.get_attribute("data-mf-state") == "failed":
            return
        page.clock.run_for(10_000)  # far from the time after which an upload counts as stalled
    raise AssertionError("it was never given up")


def test_files_wait_until_the_user_signs_in_again_elsewhere(
    page: Page, person: Person, site: Site, complaints: Complaints
) -> None:
    complaints.expect("401")
    visit = person.visit()
    accounts.set_password(person.email, PASSWORD)
    person.sign_in(page.context, site.address)  # a new password ends other sessions
    open_visit(page, visit)
    page.context.clear_cookies()
    pick(page, *notes(4))
    for number in range(1, 5):
        expect(said(page, f"Note {number}.txt")).to_have_text("Paused. Sign in again to continue.")
    line = page.locator("[data-mf-upload-signed-out]")
    expect(line).to_have_text(f"{SIGNED_OUT} Sign in")
    with page.context.expect_page() as opened:
        line.get_by_role("link", name="Sign in").click()
    tab = opened.value
    tab.get_by_label("Email").fill(person.email)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in").click()
    expect(tab.get_by_role("heading", level=1)).not_to_have_text("Sign in")
    look_again(page)
    expect(page.locator(".mf-row")).to_have_count(4)
    expect(line).to_have_count(0)
    assert digests(person, visit) == digests_of(*notes(4))


def test_csrf_token_of_an_old_session_is_renewed(
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


def test_csrf_token_is_renewed_without_the_sheet(
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
