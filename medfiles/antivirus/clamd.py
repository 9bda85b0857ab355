"""A client for ClamAV's daemon (clamd(8): INSTREAM, VERSION).

Any reply that is not clearly "clean" or "infected" counts as "not scanned".
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
LONGEST = 4096  # bytes of a reply
VERSION_SECONDS = 3  # the status page waits for it
BEYOND_LIMITS = "Heuristics.Limits.Exceeded"  # reported for files that were scanned only in part
CUT = "hung up: "
VERSION = re.compile(r"ClamAV (?P<engine>[^/]+)(?:/(?P<signatures>\d+)/(?P<made>.+))?")


@dataclass(frozen=True)
class Verdict:
    """A scan result: `kind` is CLEAN, INFECTED or UNSCANNED.

    `words`: the signature's name, or why the bytes were not scanned. `away`: the daemon could not be reached, so the
    result says nothing about these bytes.
    """

    kind: str
    words: str = ""
    away: bool = False


@dataclass(frozen=True)
class Version:
    """The daemon's version, and the number and date of its signatures, if any."""

    engine: str
    signatures: int | None = None
    made: datetime | None = None


@dataclass(frozen=True)
class Clamd:
    """A daemon at tcp://host:port or unix:/path; `seconds` bounds a whole exchange."""

    address: str
    seconds: float

    def scan(self, chunks: Iterable[bytes]) -> Verdict:
        return _verdict(self._asked("INSTREAM", chunks, self.seconds))

    def version(self) -> Version | None:
        """Return the version; None when the daemon does not answer."""
        answer = self._asked("VERSION", None, min(self.seconds, VERSION_SECONDS))
        found = None if isinstance(answer, OSError) else VERSION.fullmatch(answer)
        if found is None:
            return None
        return Version(found["engine"].strip(), int(found["signatures"]) if found["signatures"] else None, _made(found))

    def _asked(self, command: str, chunks: Iterable[bytes] | None, seconds: float) -> str | OSError:
        """Send a command and return the reply, or the OSError.

        A reply that came before everything was sent starts with CUT: it cannot be a verdict on the whole stream.
        """
        try:
            with _Line(self.address, seconds) as line:
                said = CUT
                with suppress(BrokenPipeError, ConnectionResetError):  # its reply says why it hung up
                    line.send(b"z%s\0" % command.encode())
                    if chunks is not None:
                        line.send_all(chunks)
                    said = ""
                return said + line.answer()
        except OSError as error:
            return error


class _Line:
    """A connection with one deadline for everything sent and received."""

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
