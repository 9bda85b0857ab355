"""A client for ClamAV's daemon (clamd(8): INSTREAM, VERSION).

Any reply that is not clearly "clean" or "infected" counts as "not scanned".
"""

import re
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

CLEAN, INFECTED, UNSCANNED = "clean", "infected", "unscanned"
MAX_REPLY = 4096  # maximum size of a reply in bytes
VERSION_SECONDS = 3  # short, because the status page waits for the reply
BEYOND_LIMITS = "Heuristics.Limits.Exceeded"  # reported for files that were only partly scanned
HUNG_UP = "hung up: "
VERSION = re.compile(r"ClamAV (?P<engine>[^/]+)(?:/(?P<signatures>\d+)/(?P<made>.+))?")


@dataclass(frozen=True)
class Verdict:
    """A scan result."""

    result: str  # CLEAN, INFECTED or UNSCANNED
    detail: str = ""  # the signature's name, or why the bytes were not scanned
    unreachable: bool = False  # the daemon did not answer, so the result says nothing about these bytes


@dataclass(frozen=True)
class Version:
    """The daemon's version, and the version number and date of its signatures, if any."""

    engine: str
    signatures: int | None = None
    made_at: datetime | None = None


@dataclass(frozen=True)
class Clamd:
    """Client for a daemon at tcp://host:port or unix:/path. `seconds` is the time limit for a whole exchange."""

    address: str
    seconds: float

    def scan(self, chunks: Iterable[bytes]) -> Verdict:
        answer = self._request("INSTREAM", chunks, self.seconds)
        if isinstance(answer, OSError):
            return Verdict(UNSCANNED, f"the daemon could not be asked: {answer}", unreachable=True)
        reply = answer.removeprefix("stream: ")
        if reply == "OK" and reply != answer:
            return Verdict(CLEAN)
        if reply.endswith(" FOUND") and reply != answer:
            name = reply.removesuffix(" FOUND")[:255]
            return Verdict(UNSCANNED, name) if name.startswith(BEYOND_LIMITS) else Verdict(INFECTED, name)
        reply = answer.removeprefix(HUNG_UP)
        return Verdict(UNSCANNED, reply[:255] or "the daemon said nothing", unreachable=not reply)

    def version(self) -> Version | None:
        """Return the daemon's version, or None if it cannot be read."""
        reply = self._request("VERSION", None, min(self.seconds, VERSION_SECONDS))
        found = None if isinstance(reply, OSError) else VERSION.fullmatch(reply)
        if found is None:
            return None
        made_at = None
        with suppress(TypeError, ValueError):
            made_at = datetime.strptime(found["made"], "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
        return Version(found["engine"].strip(), int(found["signatures"]) if found["signatures"] else None, made_at)

    def _request(self, command: str, chunks: Iterable[bytes] | None, seconds: float) -> str | OSError:
        """Send a command and return the reply, or the OSError if the exchange failed.

        If the daemon hung up before everything was sent, the reply is prefixed with HUNG_UP, because it cannot be a
        verdict on the whole stream.
        """
        end = time.monotonic() + seconds  # one deadline for everything sent and received

        def wait() -> None:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("it took too long")
            connection.settimeout(left)

        try:
            with _connect(self.address, seconds) as connection:
                start, reply = HUNG_UP, b""
                with suppress(BrokenPipeError, ConnectionResetError):  # the reply says why the daemon hung up
                    for message in _messages(command, chunks):
                        wait()
                        connection.sendall(message)
                    start = ""
                while not reply.endswith(b"\0") and len(reply) < MAX_REPLY:
                    wait()
                    part = connection.recv(MAX_REPLY)
                    if not part:
                        break
                    reply += part
                return start + (reply.removesuffix(b"\0").decode("utf-8", "replace") if reply.endswith(b"\0") else "")
        except OSError as error:
            return error


def _messages(command: str, chunks: Iterable[bytes] | None) -> Iterator[bytes]:
    yield b"z%s\0" % command.encode()
    if chunks is not None:
        for chunk in filter(None, chunks):
            yield struct.pack("!L", len(chunk)) + chunk
        yield struct.pack("!L", 0)


def _connect(address: str, seconds: float) -> socket.socket:
    parts = urlsplit(address)
    if parts.scheme == "tcp":
        return socket.create_connection((parts.hostname or "", parts.port or 0), seconds)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(seconds)
        connection.connect(parts.path)
    except OSError:
        connection.close()
        raise
    return connection
