"""Capacity: how many uploads and large bodies a process receives at a time, and what the others are told."""

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import lxml.html
import pytest
from werkzeug.test import TestResponse

from medfiles.http.capacity import ARCHIVES_PER_ACCOUNT, SMALL_BODY, UPLOADS_PER_ACCOUNT, Room
from medfiles.sandbox.pool import Busy
from tests.support import samples
from tests.support.api_client import RAW, disposition, script
from tests.support.factories import World, token_of

SECONDS = 30
LARGE = samples.pdf(trailer="%" + "x" * SMALL_BODY + "\n")
ANN, BEN = "ann@sample.example", "ben@sample.example"


class Held(io.BytesIO):
    """A body whose bytes come once they are `released`; `asked` is set when the first one is wanted."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.asked, self.released = threading.Event(), threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        self.asked.set()
        assert self.released.wait(SECONDS)
        return super().read(size)


class Noticed(threading.Condition):
    """Sets `waiting` as soon as a thread waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Event()

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        self.waiting.set()
        return super().wait_for(predicate, timeout)


class Uploads:
    """Uploads of one account; those that have begun wait for their bytes."""

    def __init__(self, world: World, pool: ThreadPoolExecutor, email: str) -> None:
        self.world, self.pool = world, pool
        self.headers = script(world, email).headers
        self.path = f"/api/v1/visit/{world.record(email=email).id}/files"
        self.begun: list[tuple[Held, Future[TestResponse]]] = []

    def send(self, body: io.BytesIO, length: int) -> TestResponse:
        return self.world.app.test_client().post(
            self.path,
            headers={**self.headers, "Content-Type": RAW, "Content-Disposition": disposition("letter.pdf")},
            environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": str(length)},
        )

    def whole(self, content: bytes = LARGE) -> TestResponse:
        return self.send(io.BytesIO(content), len(content))

    def begin(self, count: int) -> None:
        """Return once each of them reads its body."""
        for _ in range(count):
            body = Held(LARGE)
            self.begun.append((body, self.pool.submit(self.send, body, len(LARGE))))
            assert body.asked.wait(SECONDS)

    def finish(self) -> list[int]:
        for body, _ in self.begun:
            body.released.set()
        return [answer.result(SECONDS).status_code for _, answer in self.begun]


Make = Callable[..., Uploads]


@pytest.fixture
def uploads(make_world: Callable[..., World]) -> Iterator[Make]:
    """Makes uploads of an account in one installation, whose settings the first call gives."""
    made: list[Uploads] = []
    with ThreadPoolExecutor(16) as pool:

        def make(email: str = ANN, seconds: float = 0, **settings: str) -> Uploads:
            world = made[0].world if made else make_world(**settings)
            world.app.extensions["medfiles.http.capacity"].seconds = seconds
            made.append(Uploads(world, pool, email))
            return made[-1]

        yield make
        for one in made:
            one.finish()


def test_half_of_the_threads_read_bodies_and_another_upload_is_told_to_retry(uploads: Make) -> None:
    ann = uploads(THREADS="8")
    ann.begin(4)
    refused = ann.whole()
    assert (refused.status_code, refused.get_json()["code"], refused.headers["Retry-After"]) == (503, "busy", "5")
    assert ann.world.client(ANN).get("/").status_code == 200
    assert ann.finish() == [201] * 4
    assert ann.whole().status_code == 201


def test_an_upload_waits_for_another_to_be_received(uploads: Make) -> None:
    ann = uploads(seconds=SECONDS, THREADS="8")
    ann.world.app.extensions["medfiles.http.capacity"]._changed = noticed = Noticed()
    ann.begin(4)
    last = ann.pool.submit(ann.whole)
    assert noticed.waiting.wait(SECONDS)
    assert not last.done()
    assert ann.finish() == [201] * 4
    assert last.result(SECONDS).status_code == 201


def test_an_upload_waits_at_most_twenty_seconds(uploads: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = uploads(seconds=Room(1).seconds, THREADS="8")
    waited: list[float] = []
    changed = ann.world.app.extensions["medfiles.http.capacity"]._changed
    monkeypatch.setattr(changed, "wait_for", lambda _, seconds: waited.append(seconds))
    ann.begin(4)
    assert ann.whole().get_json()["code"] == "busy"
    assert waited == [20]


def test_without_script_a_page_says_that_there_is_no_room_and_offers_another_try(uploads: Make) -> None:
    ann = uploads(THREADS="8")
    browser, record = ann.world.browser(ANN, htmx=False), ann.world.record(email=ANN)
    ann.begin(4)
    here = f"/documents/visit/{record.id}"
    answer = browser.client.post(
        f"{here}/files?csrf_token={browser.token}", data={"file": (io.BytesIO(LARGE), "letter.pdf")},
        headers={"Referer": f"http://localhost{here}"},
    )  # fmt: skip
    page = lxml.html.fromstring(answer.text)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "Too many files are being uploaded" in page.text_content()
    assert page.xpath("//a[normalize-space()='Try again']/@href") == [here]


def test_inspection_waits_in_the_room_of_previews(uploads: Make) -> None:
    ann = uploads(THREADS="3")  # one of which may render or inspect
    with ann.world.parts.render_slots.slot():
        refused = ann.whole(samples.pdf())
    assert (refused.status_code, refused.get_json()["code"], refused.headers["Retry-After"]) == (503, "busy", "5")
    assert ann.whole(samples.pdf()).status_code == 201


def test_a_form_that_is_larger_than_a_page_needs_a_place_and_a_small_one_does_not(uploads: Make) -> None:
    ann = uploads(THREADS="8")
    client = ann.world.client(ANN)
    ann.begin(4)
    sent = {"csrf_token": token_of(client), "first_name": "Ella", "last_name": "Sample", "birth_date": "2018-03-02"}
    assert client.post("/patients/new", data=sent).status_code == 303
    assert client.post("/patients/new", data={**sent, "notes": "x" * SMALL_BODY}).status_code == 503


def test_large_forms_of_strangers_leave_room_for_uploads(uploads: Make) -> None:
    ann = uploads(THREADS="8")

    def sign_in(body: io.BytesIO) -> TestResponse:
        sent = {"wsgi.input": body, "CONTENT_LENGTH": str(len(LARGE))}
        form = "application/x-www-form-urlencoded"
        return ann.world.app.test_client().post("/sign-in", content_type=form, environ_overrides=sent)

    for _ in range(2):
        body = Held(LARGE)
        ann.begun.append((body, ann.pool.submit(sign_in, body)))
        assert body.asked.wait(SECONDS)
    assert sign_in(io.BytesIO(LARGE)).status_code == 503
    assert ann.whole().status_code == 201
    assert 503 not in ann.finish()


def test_an_account_has_six_uploads_at_a_time_and_leaves_room_to_others(uploads: Make) -> None:
    ann = uploads(THREADS="32")
    ben = uploads(BEN)
    ann.begin(UPLOADS_PER_ACCOUNT)
    refused = ann.whole()
    assert (refused.status_code, refused.get_json()["code"]) == (429, "too-many-uploads")
    assert refused.headers["Retry-After"] == "5"
    assert ben.whole().status_code == 201
    assert ann.finish() == [201] * UPLOADS_PER_ACCOUNT


def test_refused_and_truncated_uploads_give_their_places_back(uploads: Make) -> None:
    ann = uploads(THREADS="8")
    for _ in range(UPLOADS_PER_ACCOUNT + 1):
        assert ann.whole(b"\x7fELF".ljust(len(LARGE), b"\x01")).status_code == 415
        assert ann.send(io.BytesIO(LARGE[:99]), len(LARGE)).get_json()["code"] == "truncated"
    assert ann.whole().status_code == 201


def test_an_account_is_sent_two_archives_at_a_time(uploads: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ann = uploads(THREADS="8")
    world, record = ann.world, ann.world.record(email=ANN)
    paths = [f"/files/archive?ids={world.attach(record, email=ANN).id}", f"/patients/{record.patient_id}/export"]
    storage, sending, released = world.parts.storages.default, threading.Semaphore(0), threading.Event()
    read = storage.open

    def slowly(*arguments: Any) -> Iterator[bytes]:
        sending.release()
        assert released.wait(SECONDS)
        return read(*arguments)

    def ask(path: str) -> tuple[int, bytes]:
        with world.app.test_client().get(f"/api/v1{path}", headers=ann.headers) as answer:
            return answer.status_code, answer.data[:2]

    monkeypatch.setattr(storage, "open", slowly)
    slow = [ann.pool.submit(ask, path) for path in paths]
    assert all(sending.acquire(timeout=SECONDS) for _ in range(ARCHIVES_PER_ACCOUNT))
    before = len(world.events())
    assert [ask(path)[0] for path in paths] == [503, 503]
    page = world.client(ANN).get(paths[1])
    assert (page.status_code, page.headers["Retry-After"], len(world.events())) == (503, "5", before)
    assert world.client(ANN).get("/").status_code == 200
    released.set()
    assert [answer.result(SECONDS) for answer in slow] == [(200, b"PK")] * 2
    assert [ask(path) for path in paths * 2] == [(200, b"PK")] * 4


def test_only_so_many_callers_wait_for_a_place() -> None:
    noticed = Noticed()
    room, full, served = Room(1, SECONDS, _changed=noticed), Busy(), threading.Event()

    def wait() -> None:
        with room.place("a", 1, full):
            served.set()

    waiting = threading.Thread(target=wait)
    with room.place("a", 1, full):
        waiting.start()
        assert noticed.waiting.wait(SECONDS)
        with room.place("b", 1, full), pytest.raises(Busy), room.place("a", 1, full):
            pass
        assert not served.is_set()
    waiting.join(SECONDS)
    assert served.is_set()
