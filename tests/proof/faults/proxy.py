"""Stands between the app and PostgreSQL and cuts the line: at a COMMIT before or after it took effect, or anywhere."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

COMMIT = b"COMMIT\x00"
CHUNK = 65536


@dataclass
class Proxy:
    """`arm` says where it cuts next: at which COMMIT, and when; or before which message of the app. After a cut at a
    message nobody comes through any more until `mend`."""

    server: tuple[str, int]
    listener: socket.socket
    port: int
    commits: int = 0
    messages: int = 0
    _at: tuple[str, int] = ("", 0)
    _down: bool = False
    _lines: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arm(self, what: str, which: int) -> None:
        """`what`: "before" or "after" a COMMIT, or "message"."""
        self.mend()
        self.commits, self.messages, self._at = 0, 0, (what, which)

    def mend(self) -> None:
        self._at, self._down = ("", 0), False

    def accept(self) -> None:
        while True:
            try:
                app, _ = self.listener.accept()
            except OSError:
                return
            if self._down:
                app.close()
                continue
            server = socket.create_connection(self.server)
            self._lines += [app, server]
            answers = threading.Event()  # set once a COMMIT went through whose answer is to be lost
            for pump, line in ((self._to_server, (app, server)), (self._to_app, (server, app))):
                threading.Thread(target=pump, args=(*line, answers), daemon=True).start()

    def _to_server(self, app: socket.socket, server: socket.socket, answers: threading.Event) -> None:
        with suppress(OSError):
            while data := app.recv(CHUNK):
                with self._lock:
                    self.messages += 1
                    self.commits += COMMIT in data
                    commits = (COMMIT in data, self._at[0], self.commits)
                    gone = self._at == ("message", self.messages)
                if gone:
                    self._down = True
                    self._cut(*self._lines)
                elif commits == (True, "before", self._at[1]):
                    break
                if commits == (True, "after", self._at[1]):
                    answers.set()
                server.sendall(data)
        self._cut(app, server)

    def _to_app(self, server: socket.socket, app: socket.socket, answers: threading.Event) -> None:
        with suppress(OSError):
            while (data := server.recv(CHUNK)) and not answers.is_set():
                app.sendall(data)
        self._cut(app, server)

    def _cut(self, *lines: socket.socket) -> None:
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(host: str, port: int) -> Iterator[Proxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy((host, port), listener, listener.getsockname()[1])
        accepting = threading.Thread(target=proxy.accept, daemon=True)
        accepting.start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join(10)
        for line in proxy._lines:
            line.close()
