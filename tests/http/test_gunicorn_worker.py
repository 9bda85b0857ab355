"""The gunicorn worker: slow clients hold connections, not threads."""

import os
import re
import resource
import selectors
import socket
import sys
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from medfiles.http import gunicorn_worker
from medfiles.http.capacity import SMALL_BODY
from medfiles.http.gunicorn_worker import (
    HEAD_BYTES,
    HEAD_SECONDS,
    RATE,
    WINDOW,
    Outlet,
    Rest,
    Unreader,
    Worker,
    is_whole,
)
from medfiles.sandbox.pool import Sandbox
from tests.support import samples
from tests.support.api_client import script
from tests.support.factories import World, install
from tests.support.server import serve

SECONDS = 60
THREADS = 2
HEAD = b"POST /documents/visit/1/files HTTP/1.1\r\nHost: medfiles.example\r\n"
LENGTH = b"content-length: 6\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "whole"),
    [
        (b"", False),
        (HEAD, False),
        (HEAD + b"\r\n", True),
        (HEAD + LENGTH + b"12345", False),
        (HEAD + LENGTH + b"123456", True),
        (HEAD + b"Expect: 100-continue\r\n" + LENGTH, True),
        (HEAD + f"Content-Length:{SMALL_BODY}\r\n\r\n".encode(), False),
        (HEAD + f"Content-Length:{SMALL_BODY + 1}\r\n\r\n".encode(), True),
        (HEAD + b"X: " + b"x" * HEAD_BYTES, True),
    ],
)
def test_a_request_is_whole_with_its_head_and_a_small_body(request_: bytes, whole: bool) -> None:
    assert is_whole(request_) is whole


class Clock:
    """Stands still; each `recv` takes `pause` seconds and brings `size` bytes."""

    def __init__(self, pause: float, size: int) -> None:
        self.now, self.pause, self.size = 1.0, pause, size

    def monotonic(self) -> float:
        return self.now

    def recv(self, size: int) -> bytes:
        self.now += self.pause
        return b"x" * min(size, self.size)

    def gettimeout(self) -> None:
        return None

    def settimeout(self, seconds: float | None) -> None:
        assert seconds is None or 0 < seconds <= WINDOW


def received(monkeypatch: pytest.MonkeyPatch, clock: Clock, reads: int) -> float:
    """Return after how many seconds a body was given up; 0 if it was received."""
    monkeypatch.setattr(gunicorn_worker, "time", clock)
    unreader = Unreader(clock)
    unreader.begin_body()
    try:
        for _ in range(reads):
            unreader.chunk(SMALL_BODY)
    except TimeoutError:
        return clock.now - 1
    return 0


def test_a_body_that_is_too_slow_is_given_up_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert received(monkeypatch, Clock(1, RATE), 600) == 0
    assert received(monkeypatch, Clock(1, RATE - 1), 600) == WINDOW
    assert received(monkeypatch, Clock(30, SMALL_BODY), 600) == WINDOW


def test_a_body_is_given_up_after_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    assert received(monkeypatch, Clock(1, 2 * RATE), 4000) == 3600


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox
) -> Iterator[tuple[World, tuple[str, int]]]:
    place = tmp_path_factory.mktemp("worker")
    settings = {
        "MEDFILES_INSTANCE": str(place),
        "MEDFILES_DATABASE_URL": new_database(place),
        "MEDFILES_WORKERS": "1",
        "MEDFILES_THREADS": str(THREADS),
        "MEDFILES_JOBS": "worker",
    }
    with install(settings, sandbox) as world, ExitStack() as stack:
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, usual[1]), usual[1]))
        try:
            at = urlsplit(stack.enter_context(serve(settings)))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        yield world, (str(at.hostname), int(at.port or 0))


@pytest.fixture
def server(site: tuple[World, tuple[str, int]]) -> tuple[str, int]:
    return site[1]


def processes(server: tuple[str, int]) -> list[int]:
    return [found.pid for found in psutil.net_connections("tcp") if found.laddr == server and found.pid]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_the_server_creates_is_for_its_account_alone(server: tuple[str, int]) -> None:
    masks = {
        re.findall(r"^Umask:\t(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.M)[0] for pid in processes(server)
    }
    assert masks == {"0077"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_may_open_more_files_than_it_has_connections(server: tuple[str, int]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limits = {psutil.Process(pid).rlimit(resource.RLIMIT_NOFILE)[0] for pid in processes(server)}
    assert limits == {4096 if hard == resource.RLIM_INFINITY else min(4096, hard)}


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /healthz HTTP/1.1\r\nHost:", b"\r\n\r\nGET /heal", HEAD + b"Content-Length: 9\r\n\r\nhalf"],
    ids=["nothing", "half a head", "blank lines", "half a small body"],
)
def test_unfinished_requests_hold_no_thread(server: tuple[str, int], sent: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(4 * THREADS):
            connection = stack.enter_context(socket.create_connection(server, SECONDS))
            connection.sendall(sent)
        with urllib.request.urlopen(f"http://{server[0]}:{server[1]}/healthz", timeout=HEAD_SECONDS / 2) as answer:
            assert answer.status == 200


def test_a_request_in_pieces_is_answered(server: tuple[str, int]) -> None:
    sent = b"GET /healthz HTTP/1.1\r\nHost: medfiles.example\r\n\r\n"
    with socket.create_connection(server, SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):  # the second one on the connection that was kept
            for byte in sent:
                connection.sendall(bytes([byte]))
            answer = HTTPResponse(connection)
            answer.begin()
            assert (answer.status, answer.read()) == (200, b"ok\n")


def test_requests_sent_at_once_are_answered_one_after_another(server: tuple[str, int]) -> None:
    sent = b"GET /healthz HTTP/1.1\r\nHost: medfiles.example\r\n\r\n"
    last = sent.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with socket.create_connection(server, SECONDS) as connection:
        connection.sendall(sent * 2 + last)
        whole = b"".join(iter(lambda: connection.recv(65536), b""))
    assert whole.count(b"HTTP/1.1 200 OK") == 3


def test_clients_that_keep_a_closed_connection_delay_no_one(server: tuple[str, int]) -> None:
    sent = b"GET /healthz HTTP/1.1\r\nHost: medfiles.example\r\nConnection: close\r\n\r\n"
    with ExitStack() as stack:
        begun = time.monotonic()
        for _ in range(16):
            connection = stack.enter_context(socket.create_connection(server, SECONDS))
            connection.sendall(sent)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert time.monotonic() - begun < 16  # waiting two seconds for each would take 32


# --- files that are read slowly -------------------------------------------------------------------------------------


def test_clients_that_read_slowly_hold_no_thread(site: tuple[World, tuple[str, int]]) -> None:
    world, server = site
    content = samples.pdf(trailer="%" + "x" * 12 * 1024**2 + "\n")
    path = f"/api/v1/files/{world.attach(world.record(), 'film.pdf', content).id}/download"
    fields = {"Host": "medfiles.example", **script(world).headers}
    head = f"GET {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(server, SECONDS)) for _ in range(4 * THREADS)]
        for connection in slow:
            connection.sendall(head.encode())
        with urllib.request.urlopen(f"http://{server[0]}:{server[1]}/healthz", timeout=HEAD_SECONDS / 2) as answer:
            assert answer.status == 200
        for connection in slow:
            assert body(connection) == content
        slow[0].sendall(head.encode())  # the connection was kept
        assert body(slow[0]) == content


def body(connection: socket.socket) -> bytes:
    answer = HTTPResponse(connection)
    answer.begin()
    return answer.read()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film"
    path.write_bytes(os.urandom(8 * 1024**2))
    return path


def test_a_thread_sends_a_file_to_a_fast_client_and_keeps_nothing(film: Path) -> None:
    film.write_bytes(b"0123456789")
    here, there = socket.socketpair()
    with here, there, film.open("rb") as file:
        here.settimeout(SECONDS)
        outlet = Outlet(here)
        outlet.sendfile(file, 2, 5)
        assert (there.recv(100), outlet.rest) == (b"23456", None)


def test_a_file_that_became_shorter_is_an_error(film: Path) -> None:
    film.write_bytes(b"0123456789")
    here, there = socket.socketpair()
    with here, there, film.open("rb") as file, pytest.raises(OSError, match="shorter"):
        here.settimeout(SECONDS)
        Outlet(here).sendfile(file, 2, 50)


@dataclass(eq=False)
class Connection:
    sock: socket.socket
    rest: Rest | None

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def begin(film: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], Connection]]:
    """Makes a worker send a file to one more client, which reads nothing."""
    monkeypatch.setattr(gunicorn_worker, "SEND_SECONDS", 0.01)
    with ExitStack() as stack:

        def send(worker: Any) -> Connection:
            here, there = socket.socketpair()
            stack.enter_context(there)
            here.settimeout(SECONDS)
            outlet = Outlet(here)
            with film.open("rb") as file:
                outlet.sendfile(file, 0, film.stat().st_size)
            assert outlet.rest
            connection = Connection(here, outlet.rest)
            worker.nr_conns += 1
            worker.finish_request(connection, None)
            return connection

        yield send


@pytest.fixture
def worker() -> Iterator[Any]:
    made: Any = object.__new__(Worker)
    made.poller, made.sending, made.nr_conns = selectors.DefaultSelector(), {}, 0
    made.pending_conns, made.closing = deque(), deque()
    yield made
    for connection in list(made.sending):
        made._stop_sending(connection)
    made.poller.close()


def test_a_file_that_is_read_too_slowly_is_given_up(
    worker: Any, begin: Callable[[Any], Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(0, 0)
    monkeypatch.setattr(gunicorn_worker, "time", clock)
    slow, slower = [Rest(0, 0, 1), Rest(0, 0, 1)]
    clock.now += WINDOW
    slow.sent, slower.sent = int(RATE * WINDOW), int(RATE * WINDOW) - 1
    assert (slow.is_too_slow(), slower.is_too_slow()) == (False, True)
    connection = begin(worker)
    for _ in range(2):  # the first part of the file has filled what the connection holds
        worker.murder_pending()
        assert list(worker.sending) == [connection]
        clock.now += WINDOW
    worker.murder_pending()
    assert (worker.sending, worker.nr_conns, connection.sock.fileno()) == ({}, 0, -1)


def test_of_too_many_slow_readers_the_longest_is_dropped(
    worker: Any, begin: Callable[[Any], Connection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gunicorn_worker, "SLOW_FILES", 2)
    first, second, third = [begin(worker) for _ in range(3)]
    assert (list(worker.sending), worker.nr_conns) == ([second, third], 2)
    assert first.sock.fileno() == -1
    assert first.rest
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(first.rest.file)
