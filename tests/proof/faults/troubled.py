"""Stands between the app and its object store and does to one of the requests what networks and stores do to them."""

import http.client
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

HANG = 0.8  # seconds, until when whoever asked has given up
WAITS = {"slow": 0.1, "late": HANG}
FAULTS = (
    "500 before", "503 before", "500 after", "503 after", "reset before", "reset after", "hang before", "hang after",
    "412 after", "cut", "corrupt", "slow", "late",
)  # fmt: skip
PASSED_ON = ("content-length", "etag", "last-modified", "content-type", "content-range", "accept-ranges")


@dataclass
class Trouble:
    """`arm` says what happens to which request from now on, counted from 0: to it alone, or to all from it on."""

    endpoint: str
    asked: int = 0
    fault: str = ""
    which: int = 0
    lasting: bool = False
    _busy: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def arm(self, fault: str, which: int, lasting: bool) -> None:
        self.asked, self.fault, self.which, self.lasting = 0, fault, which, lasting

    def mend(self) -> None:
        """And wait for everything that is still on its way to the store."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, timeout=30)
        self.arm("", 0, False)

    @contextmanager
    def next(self) -> Iterator[str]:
        with self._changed:
            number, self.asked = self.asked, self.asked + 1
            self._busy += 1
        try:
            yield self.fault if number == self.which or (self.lasting and number > self.which) else ""
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()


@contextmanager
def troubled(store: str) -> Iterator[Trouble]:
    """The same store under another address."""

    class Handler(_Handler):
        place = urlsplit(store)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Handler.trouble = Trouble(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield Handler.trouble
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    trouble: ClassVar[Trouble]
    place: ClassVar[SplitResult]

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.trouble.next() as fault:
            self.treat(body, *fault.partition(" ")[::2])

    def treat(self, body: bytes, what: str, when: str) -> None:
        if when == "before":
            self.fail(what)
            return
        if what in WAITS:
            time.sleep(WAITS[what])
        status, headers, content = self.forward(body)
        if when == "after":
            self.fail(what)
        elif what == "cut" and content:
            self.answer(status, headers, content[: len(content) // 2], len(content))
            self.close_connection = True
        elif what == "corrupt" and content:
            self.answer(status, headers, bytes([content[0] ^ 1]) + content[1:], len(content))
        else:
            self.answer(status, headers, content, len(content))

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        line = http.client.HTTPConnection(str(self.place.hostname), self.place.port, timeout=30)
        with closing(line):
            line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():  # with the host it was signed for
                line.putheader(name, value)
            line.endheaders(body)
            told = line.getresponse()
            headers = {name: value for name, value in told.getheaders() if name.lower() in PASSED_ON}
            return told.status, headers, told.read()

    def fail(self, what: str) -> None:
        self.close_connection = True
        if what == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif what == "hang":
            time.sleep(HANG)
        else:
            self.answer(int(what), {}, b"", 0)

    def answer(self, status: int, headers: dict[str, str], content: bytes, length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        told = headers.get("Content-Length", "0") if self.command == "HEAD" else str(length)
        self.send_header("Content-Length", told)
        self.end_headers()
        self.wfile.write(content)
