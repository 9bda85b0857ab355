"""The gunicorn worker: slow clients hold connections, not threads."""

import re
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from medfiles.http import gunicorn_worker
from medfiles.http.capacity import SMALL_BODY
from medfiles.http.gunicorn_worker import HEAD_BYTES, HEAD_SECONDS, RATE, WINDOW, Unreader, is_whole
from tests.support.server import flask, serve

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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    place = tmp_path_factory.mktemp("worker")
    settings = {
        "MEDFILES_INSTANCE": str(place),
        "MEDFILES_WORKERS": "1",
        "MEDFILES_THREADS": str(THREADS),
        "MEDFILES_JOBS": "worker",
    }
    flask(settings, "db", "upgrade")
    with serve(settings) as address:
        at = urlsplit(address)
        yield str(at.hostname), int(at.port or 0)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_the_server_creates_is_for_its_account_alone(server: tuple[str, int]) -> None:
    listening = [found.pid for found in psutil.net_connections("tcp") if found.laddr == server]
    masks = {
        re.findall(r"^Umask:\t(\d+)$", Path(f"/proc/{pid}/status").read_text(), re.M)[0] for pid in listening if pid
    }
    assert masks == {"0077"}


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
