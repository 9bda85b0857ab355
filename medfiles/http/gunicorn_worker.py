"""A gunicorn worker in which slow clients hold connections, not threads.

gunicorn's own worker assigns a thread to a request when the first bytes arrive, reads bodies without a time limit,
sends a file for as long as the client takes to read it, and waits several seconds for the client before it closes a
connection.
"""

import os
import re
import select
import socket
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import ThreadWorker

from medfiles.http.capacity import SMALL_BODY

HEAD_SECONDS = 20.0  # to receive a request's head, and its body if that is small
HEAD_BYTES = 64 * 1024
STALL_SECONDS = 60.0  # before a client that stops reading the response is dropped
RATE, WINDOW = 1024, 60.0  # minimum bytes per second of a body or file, on average over each window of seconds
BODY_SECONDS = 3600.0
SEND_SECONDS = 1.0  # for which a thread sends a file, before it leaves the rest to the poller
SEND_BYTES = 256 * 1024  # sent at a time by the poller
SLOW_FILES = 200  # sent by the poller at the same time; each is an open file
DRAIN_SECONDS = 0.05  # to discard the part of a refused body that has already arrived
LINGER_SECONDS, LINGER_BYTES = 2.0, 1024 * 1024  # limits for discarding the rest while the client reads the response
LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
EXPECT = re.compile(rb"\r\nexpect:", re.IGNORECASE)


class Unreader(SocketUnreader):  # type: ignore[misc]
    """Read request bodies, requiring a minimum rate. Heads have already been received."""

    begun = started = 0.0  # when the body began; when the current window started
    received = 0

    def begin_body(self) -> None:
        self.begun, self.started, self.received = time.monotonic(), time.monotonic(), 0

    def end_body(self) -> None:
        self.begun = 0.0

    def chunk(self, size_hint: int | None = None) -> bytes:
        if not self.begun:
            return b""  # the rest of an incomplete head is not read
        now = time.monotonic()
        if self.received >= RATE * WINDOW:
            self.started, self.received = now, 0
        left = min(self.started + WINDOW, self.begun + BODY_SECONDS) - now
        if left <= 0:
            raise TimeoutError("the body is too slow")
        usual = self.sock.gettimeout()
        self.sock.settimeout(min(left, usual or left))
        try:
            piece: bytes = super().chunk(size_hint)
        finally:
            self.sock.settimeout(usual)
        self.received += len(piece)
        return piece


@dataclass
class Rest:
    """The part of a file that is still to be sent, with a descriptor of its own."""

    file: int
    offset: int
    left: int
    started: float = field(default_factory=lambda: time.monotonic())  # when the current window started
    sent: int = 0  # since then

    def send(self, client: Any) -> None:
        """Send as much as the client accepts now. Raises OSError if the connection is closed or the file too short."""
        with suppress(BlockingIOError):
            sent = os.sendfile(client.fileno(), self.file, self.offset, min(self.left, SEND_BYTES))
            if not sent:
                raise OSError("the file is shorter than announced")
            self.offset, self.left, self.sent = self.offset + sent, self.left - sent, self.sent + sent

    def is_too_slow(self) -> bool:
        now = time.monotonic()
        if now - self.started < WINDOW:
            return False
        too_slow = self.sent < RATE * WINDOW
        self.started, self.sent = now, 0
        return too_slow


class Outlet:
    """A connection's socket that sends files for a limited time only, and keeps what is left of one."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.rest: Rest | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)

    def sendfile(self, file: Any, offset: int = 0, count: int = 0) -> None:
        rest, ends, ready = Rest(os.dup(file.fileno()), offset, count), time.monotonic() + SEND_SECONDS, select.poll()
        ready.register(self.sock, select.POLLOUT)
        try:
            while rest.left:
                wait = ends - time.monotonic()
                if wait <= 0 or not ready.poll(wait * 1000):
                    self.rest = rest
                    return
                rest.send(self.sock)
        finally:
            if self.rest is None:
                os.close(rest.file)


class Worker(ThreadWorker):  # type: ignore[misc]
    """A gthread worker whose poller receives heads and small bodies, sends files slowly, and closes connections."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.closing: deque[Any] = deque()  # in order of deadline
        self.sending: dict[Any, Rest] = {}  # the longest first

    def enqueue_req(self, conn: Any) -> None:
        """Assign a thread to a request that has arrived; leave any other request to the poller."""
        if not conn.initialized:
            conn.init()
            conn.parser.unreader = Unreader(conn.sock)
        conn.parser.unreader.end_body()
        conn.sock.setblocking(False)
        conn.data_ready = True
        if self._has_arrived(conn):
            super().enqueue_req(conn)
            return
        conn.timeout = time.monotonic() + HEAD_SECONDS
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        if self._has_arrived(conn):
            super().on_pending_socket_readable(conn, client)

    def handle_request(self, req: Any, conn: Any) -> Any:
        conn.sock.settimeout(STALL_SECONDS)
        conn.parser.unreader.begin_body()
        conn.sock = outlet = Outlet(conn.sock)
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            self.log.debug("The client took too long.")
            return False
        finally:
            conn.sock, conn.rest = outlet.sock, outlet.rest

    def _keepalive_after(self, conn: Any, keepalive: bool) -> bool:
        return keepalive and bool(conn.parser.finish_body(deadline=time.monotonic() + DRAIN_SECONDS))

    def finish_request(self, conn: Any, fs: Any) -> None:
        rest: Rest | None = getattr(conn, "rest", None)
        if rest and rest.left:
            self._begin_sending(conn, fs, rest)
        else:
            self._finish(conn, fs)

    def _begin_sending(self, conn: Any, fs: Any, rest: Rest) -> None:
        if len(self.sending) >= SLOW_FILES:
            self._stop_sending(next(iter(self.sending)))
        self.sending[conn] = rest
        try:
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_WRITE, partial(self._send, conn, fs))
        except (OSError, ValueError):
            self._stop_sending(conn)

    def _send(self, conn: Any, fs: Any, client: Any) -> None:
        """Send more of a file; after the last byte, do what follows a response."""
        rest = self.sending[conn]
        try:
            rest.send(client)
        except OSError:
            self._stop_sending(conn)
            return
        if not rest.left:
            self._forget(conn)
            self._finish(conn, fs)

    def _stop_sending(self, conn: Any) -> None:
        self._forget(conn)
        self._drop(conn)

    def _forget(self, conn: Any) -> None:
        os.close(self.sending.pop(conn).file)
        with suppress(OSError, KeyError, ValueError):  # not registered
            self.poller.unregister(conn.sock)

    def _finish(self, conn: Any, fs: Any) -> None:
        if fs.cancelled() or fs.exception() or fs.result():
            super().finish_request(conn, fs)
            return
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, EVENT_READ, partial(self._drain, conn))
        except (OSError, ValueError):
            self._drop(conn)
            return
        conn.timeout, conn.drained = time.monotonic() + LINGER_SECONDS, 0
        self.closing.append(conn)

    def murder_pending(self) -> None:
        super().murder_pending()
        while self.closing and self.closing[0].timeout <= time.monotonic():
            self._finish_closing(self.closing[0])
        for conn in [conn for conn, rest in self.sending.items() if rest.is_too_slow()]:
            self._stop_sending(conn)

    def _has_arrived(self, conn: Any) -> bool:
        """Receive the available bytes; return whether the request can be parsed without waiting for more."""
        buffer = conn.parser.unreader.buf
        buffer.seek(0, os.SEEK_END)
        try:
            piece = conn.sock.recv(SMALL_BODY)
        except BlockingIOError:
            piece = None
        except OSError:
            return True
        buffer.write(piece or b"")
        return piece == b"" or is_whole(buffer.getvalue())

    def _drain(self, conn: Any, client: Any) -> None:
        """Discard further data from the client. Closing the connection earlier would cut off the response."""
        piece = b""
        with suppress(OSError):
            piece = client.recv(HEAD_BYTES)
        conn.drained += len(piece)
        if not piece or conn.drained >= LINGER_BYTES:
            self._finish_closing(conn)

    def _finish_closing(self, conn: Any) -> None:
        self.poller.unregister(conn.sock)
        self.closing.remove(conn)
        self._drop(conn)

    def _drop(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


def is_whole(request: bytes) -> bool:
    """Return whether a request's head and, if it is small, its body are complete.

    Also return True if the head is too long to be accepted.
    """
    end = request.find(b"\r\n\r\n")
    if end < 0:
        return len(request) > HEAD_BYTES
    head = request[: end + 2]
    announced = LENGTH.search(head)
    length = int(announced[1]) if announced and not EXPECT.search(head) else 0
    return length > SMALL_BODY or len(request) >= end + 4 + length
