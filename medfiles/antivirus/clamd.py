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
MAX_REPLY = 4096  # bytes of a reply
VERSION_SECONDS = 3  # the status page waits for it
BEYOND_LIMITS = "Heuristics.Limits.Exceeded"  # reported for files that were scanned only in part
HUNG_UP = "hung up: "
VERSION = re.compile(r"ClamAV (?P<engine>[^/]+)(?:/(?P<signatures>\d+)/(?P<made>.+))?")


@dataclass(frozen=True)
class Verdict:
    """A scan result: CLEAN, INFECTED or UNSCANNED.

    `detail`: the signature's name, or why the bytes were not scanned. `unreachable`: the daemon could not be reached,
    so the result says nothing about these bytes.
    """

    result: str
    detail: str = ""
    unreachable: bool = False


@dataclass(frozen=True)
class Version:
    """The daemon's version, and the number and date of its signatures, if any."""

    engine: str
    signatures: int | None = None
    made_at: datetime | None = None


@dataclass(frozen=True)
class Clamd:
    """A daemon at tcp://host:port or unix:/path; `seconds` bounds a whole exchange."""

    address: str
    seconds: float

    def scan(self, chunks: Iterable[bytes]) -> Verdict:
        return _verdict(self._request("INSTREAM", chunks, self.seconds))

    def version(self) -> Version | None:
        """Return the version; None when the daemon does not answer."""
        reply = self._request("VERSION", None, min(self.seconds, VERSION_SECONDS))
        found = None if isinstance(reply, OSError) else VERSION.fullmatch(reply)
        if found is None:
            return None
        signatures = int(found["signatures"]) if found["signatures"] else None
        return Version(found["engine"].strip(), signatures, _parse_date(found))

    def _request(self, command: str, chunks: Iterable[bytes] | None, seconds: float) -> str | OSError:
        """Send a command and return the reply, or the OSError.

        A reply that came before everything was sent starts with HUNG_UP: it cannot be a verdict on the whole stream.
        """
        try:
            with _Connection(self.address, seconds) as connection:
                reply = HUNG_UP
                with suppress(BrokenPipeError, ConnectionResetError):  # its reply says why it hung up
                    connection.send(b"z%s\0" % command.encode())
                    if chunks is not None:
                        connection.send_all(chunks)
                    reply = ""
                return reply + connection.read_reply()
        except OSError as error:
            return error


class _Connection:
    """A connection with one deadline for everything sent and received."""

    def __init__(self, address: str, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._socket = _connect(address, seconds)

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.settimeout(self._seconds_left())
        self._socket.sendall(data)

    def send_all(self, chunks: Iterable[bytes]) -> None:
        for chunk in chunks:
            if chunk:
                self.send(struct.pack("!L", len(chunk)) + chunk)
        self.send(struct.pack("!L", 0))

    def read_reply(self) -> str:
        reply = b""
        while not reply.endswith(b"\0") and len(reply) < MAX_REPLY:
            self._socket.settimeout(self._seconds_left())
            part = self._socket.recv(MAX_REPLY)
            if not part:
                break
            reply += part
        return reply.removesuffix(b"\0").decode("utf-8", "replace") if reply.endswith(b"\0") else ""

    def _seconds_left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("it took too long")
        return left


def open_scanner(address: str, seconds: float) -> Clamd | None:
    return Clamd(address, seconds) if address else None


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


def _verdict(read_reply: str | OSError) -> Verdict:
    if isinstance(read_reply, OSError):
        return Verdict(UNSCANNED, f"the daemon could not be asked: {read_reply}", unreachable=True)
    reply = read_reply.removeprefix("stream: ")
    if reply == "OK" and reply != read_reply:
        return Verdict(CLEAN)
    if reply.endswith(" FOUND") and reply != read_reply:
        name = reply.removesuffix(" FOUND")[:255]
        return Verdict(UNSCANNED, name) if name.startswith(BEYOND_LIMITS) else Verdict(INFECTED, name)
    reply = read_reply.removeprefix(HUNG_UP)
    return Verdict(UNSCANNED, reply[:255] or "the daemon said nothing", unreachable=not reply)


def _parse_date(found: re.Match[str]) -> datetime | None:
    with suppress(TypeError, ValueError):
        return datetime.strptime(found["made"], "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    return None
