"""Asks ClamAV's daemon about bytes. The words are the daemon's own: a command that ends with a zero byte, then chunks
with their length in front, and a length of 0 at the end (clamd(8): INSTREAM, VERSION).

Whatever is not clearly "clean" or "infected" is "not scanned".
"""

import re
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

CLEAN, INFECTED, UNSCANNED = "clean", "infected", "unscanned"
LONGEST = 4096  # bytes of an answer
VERSION_SECONDS = 3  # pages of figures wait for it
BEYOND_LIMITS = "Heuristics.Limits.Exceeded"  # said of what the daemon only looked into in part
CUT = "hung up: "
VERSION = re.compile(r"ClamAV (?P<engine>[^/]+)(?:/(?P<signatures>\d+)/(?P<made>.+))?")


@dataclass(frozen=True)
class Verdict:
    """`kind` is one of the three; `words`: the signature's name, or why it was not scanned. `away`: the daemon could
    not be asked, so that it says nothing about these bytes."""

    kind: str
    words: str = ""
    away: bool = False


@dataclass(frozen=True)
class Version:
    """Of the daemon and its signatures: their number and when they were made, None where it has none of its own."""

    engine: str
    signatures: int | None = None
    made: datetime | None = None


@dataclass(frozen=True)
class Clamd:
    """`address`: tcp://host:port or unix:/path. `seconds`: how long an answer may take, sending included."""

    address: str
    seconds: float

    def scan(self, chunks: Iterable[bytes]) -> Verdict:
        return _verdict(self._asked("INSTREAM", chunks, self.seconds))

    def version(self) -> Version | None:
        """None when it does not answer."""
        answer = self._asked("VERSION", None, min(self.seconds, VERSION_SECONDS))
        found = None if isinstance(answer, OSError) else VERSION.fullmatch(answer)
        if found is None:
            return None
        return Version(found["engine"].strip(), int(found["signatures"]) if found["signatures"] else None, _made(found))

    def _asked(self, command: str, chunks: Iterable[bytes] | None, seconds: float) -> str | OSError:
        """What was said after less than everything was sent begins with CUT: it can be no verdict on the whole."""
        try:
            with _Line(self.address, seconds) as line:
                said = CUT
                with suppress(BrokenPipeError, ConnectionResetError):  # it has said already why it hangs up
                    line.send(b"z%s\0" % command.encode())
                    if chunks is not None:
                        line.send_all(chunks)
                    said = ""
                return said + line.answer()
        except OSError as error:
            return error


class _Line:
    """A connection that is over when its time is."""

    def __init__(self, address: str, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._socket = _connected(address, seconds)

    def __enter__(self) -> "_Line":
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def send_all(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            if chunk:
                self.send(struct.pack("!L", len(chunk)) + chunk)
        self.send(struct.pack("!L", 0))

    def answer(self) -> str:
        said = b""
        while not said.endswith(b"\0") and len(said) < LONGEST:
            self._socket.settimeout(self._left())
            part = self._socket.recv(LONGEST)
            if not part:
                break
            said += part
        return said.removesuffix(b"\0").decode("utf-8", "replace") if said.endswith(b"\0") else ""

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took too long")
        return left


def scanner_at(address: str, seconds: float) -> Clamd | None:
    return Clamd(address, seconds) if address else None


def _connected(address: str, seconds: float) -> socket.socket:
    parts = urlsplit(address)
    if parts.scheme == "tcp":
        return socket.create_connection((parts.hostname or "", parts.port or 0), seconds)
    line = socket.socket(socket.AF_UNIX)
    try:
        line.settimeout(seconds)
        line.connect(parts.path)
    except OSError:
        line.close()
        raise
    return line


def _verdict(answer: str | OSError) -> Verdict:
    if isinstance(answer, OSError):
        return Verdict(UNSCANNED, f"the daemon could not be asked: {answer}", away=True)
    said = answer.removeprefix("stream: ")
    if said == "OK" and said != answer:
        return Verdict(CLEAN)
    if said.endswith(" FOUND") and said != answer:
        name = said.removesuffix(" FOUND")[:255]
        return Verdict(UNSCANNED, name) if name.startswith(BEYOND_LIMITS) else Verdict(INFECTED, name)
    said = answer.removeprefix(CUT)
    return Verdict(UNSCANNED, said[:255] or "the daemon said nothing", away=not said)


def _made(found: re.Match[str]) -> datetime | None:
    with suppress(TypeError, ValueError):
        return datetime.strptime(found["made"], "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    return None
