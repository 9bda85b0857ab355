"""The upload queue as tests see it: its rows, requests and answers held back or lost, and what the server kept."""

import hashlib
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, FilePayload, Locator, Page, Request, Route, expect

from medfiles.models import EntityFile
from tests.browser.people import Person
from tests.support import samples

SECONDS = 15
UPLOADS = re.compile(r"/documents/[a-z-]+/\d+/files(\?|$)")
HEARD = """() => {
  window.heard = [];
  for (const live of document.querySelectorAll("[data-mf-live]")) {
    new MutationObserver(() => window.heard.push(live.textContent)).observe(live, { childList: true });
  }
}"""


def payload(name: str, content: bytes, kind: str = "application/octet-stream") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": content}


def note(number: int) -> FilePayload:
    return payload(f"Note {number}.txt", samples.txt(f"Note {number}: slept well.\n"))


def notes(count: int) -> list[FilePayload]:
    return [note(number) for number in range(1, count + 1)]


def long_note(name: str, megabytes: int) -> FilePayload:
    line = b"Slept well, no fever, a walk in the afternoon.\n"
    return payload(name, (line * (megabytes * 1024 * 1024 // len(line) + 1))[: megabytes * 1024 * 1024])


def pick_paths(page: Page, *paths: Path) -> None:
    """Choose files that lie on the disk."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(paths)


def queued(page: Page, name: str) -> Locator:
    """The row of one file in the queue."""
    return page.locator(".mf-upload").filter(has=page.locator("[data-mf-name]").get_by_text(name, exact=True))


def said(page: Page, name: str) -> Locator:
    """What the row of one file says about it."""
    return queued(page, name).locator("[data-mf-status]")


def button(page: Page, words: str, name: str) -> Locator:
    return queued(page, name).get_by_role("button", name=f"{words}: {name}", exact=True)


def expect_state(page: Page, name: str, state: str) -> None:
    expect(queued(page, name)).to_have_attribute("data-mf-state", state)


def eventually(page: Page, check: Callable[[], object]) -> None:
    """Waits, as `expect` does, for what cannot be seen in the page."""
    end = time.monotonic() + SECONDS
    while not check():
        assert time.monotonic() < end, "it did not happen"
        page.wait_for_timeout(20)


def sent(page: Page) -> list[Request]:
    """The uploads this page sends from here on, in their order."""
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request) if UPLOADS.search(request.url) else None)
    return requests


def keys(requests: list[Request]) -> set[str]:
    return {request.headers["idempotency-key"] for request in requests}


def hold(page: Page) -> list[Route]:
    """From here on uploads wait until they are let through one by one."""
    held: list[Route] = []
    page.route(UPLOADS, lambda route: held.append(route))
    return held


def answer_first(page: Page, status: int, **answer: Any) -> None:
    """The first upload from here on is answered so, the others by the server."""
    page.route(UPLOADS, lambda route: route.fulfill(status=status, **{"body": "", **answer}), times=1)


def answer_all(page: Page, status: int, **answer: Any) -> None:
    page.route(UPLOADS, lambda route: route.fulfill(status=status, **{"body": "", **answer}))


class Answers:
    """Holds back what the server answers to uploads: it has done its part, and the page does not know."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.held: list[str] = []
        self.devtools = page.context.new_cdp_session(page)
        self.devtools.on("Fetch.requestPaused", lambda event: self.held.append(event["requestId"]))
        patterns = [{"urlPattern": pattern, "requestStage": "Response"} for pattern in ("*/files", "*/files\\?*")]
        self.devtools.send("Fetch.enable", {"patterns": patterns})

    def wait(self) -> None:
        eventually(self.page, lambda: self.held)

    def lose(self) -> None:
        """The connection breaks before the first answer arrives; later ones arrive."""
        self.wait()
        self.devtools.send("Fetch.failRequest", {"requestId": self.held[0], "errorReason": "ConnectionReset"})
        self.devtools.send("Fetch.disable")


def slow(page: Page, bytes_a_second: int) -> CDPSession:
    """Uploads of this page go no faster, until the session that is returned is detached."""
    devtools = page.context.new_cdp_session(page)
    speeds = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second}
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", speeds)
    return devtools


def kept(person: Person, record: Any) -> list[EntityFile]:
    """The documents the server has of a record, in the trash or not."""
    kind = next(
        record_type.name for record_type in person.world.parts.registry.every if isinstance(record, record_type.model)
    )
    return [file for file in person.world.files() if (file.entity_type, file.entity_id) == (kind, record.id)]


def digests(person: Person, record: Any) -> dict[str, str]:
    return {file.file_name: file.sha256 for file in kept(person, record)}


def digests_of(*files: FilePayload) -> dict[str, str]:
    return {file["name"]: hashlib.sha256(file["buffer"]).hexdigest() for file in files}


def staged(person: Person) -> list[Path]:
    """Files the server is receiving just now."""
    folder = person.world.uploads / "staged"
    return list(folder.iterdir()) if folder.is_dir() else []


def expect_nothing_kept(page: Page, person: Person, record: Any) -> None:
    """Neither row nor object nor temporary file; the server may need a moment to notice."""
    eventually(page, lambda: not kept(person, record) and not staged(person))
    person.world.assert_settled()


def listen(page: Page) -> None:
    """Collects from here on what a screen reader says."""
    page.evaluate(HEARD)


def heard(page: Page) -> list[str]:
    return list(page.evaluate("window.heard"))
