"""Keep the head of the audit chain outside the database, to detect truncation."""

import json
import logging
import os
from dataclasses import asdict, dataclass
from logging.handlers import SysLogHandler
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError

from medfiles.errors import StorageError
from medfiles.storage.durable import write_private
from medfiles.storage.objects import SCHEMES, bucket

SYSLOG = "syslog:"
MAX_BYTES, KEPT_LINES = 1024 * 1024, 1000  # size at which the file is shortened, and number of lines it keeps


@dataclass(frozen=True)
class Head:
    """The last seal: its position and HMAC."""

    position: int
    mac: str
    at: str


class FileAnchor:
    """Append each head as a line to a file, which is shortened when it grows too large."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, head: Head) -> None:
        try:
            if self.path.exists() and self.path.stat().st_size > MAX_BYTES:
                write_private(self.path, "\n".join(self._lines()[-KEPT_LINES:]) + "\n")
            with open(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
                file.write(json.dumps(asdict(head)) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"The audit checkpoint cannot be written: {error.strerror}.") from error

    def read(self) -> Head | None:
        """Return the newest head. Skip a last line that was cut off by a crash."""
        for line in reversed(self._lines()):
            try:
                return Head(**json.loads(line))
            except (ValueError, TypeError):
                continue
        return None

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"The audit checkpoint cannot be read: {error.strerror}.") from error


class SyslogAnchor:
    """Log each head to syslog. It cannot be read back: pass it to `audit verify --head`."""

    def __init__(self, address: str = "/dev/log") -> None:
        self.address = address

    def write(self, head: Head) -> None:
        try:
            handler = SysLogHandler(self.address, SysLogHandler.LOG_AUTHPRIV)
        except OSError as error:
            raise StorageError("The system log is unavailable.") from error
        handler.ident = "medfiles: "
        handler.emit(logging.makeLogRecord({"msg": f"audit head {head.position}:{head.mac}", "levelno": logging.INFO}))
        handler.close()

    def read(self) -> Head | None:
        return None


class BucketAnchor:
    """Store each day's newest head as an object, which the bucket may version and lock."""

    def __init__(self, url: str) -> None:
        self._objects: Any = bucket(url)

    def write(self, head: Head) -> None:
        try:
            obstore.put(self._objects, f"{head.at[:10]}.json", json.dumps(asdict(head)).encode())
        except (BaseError, OSError) as error:
            raise StorageError("The audit checkpoint cannot be written: the bucket rejects it.") from error

    def read(self) -> Head | None:
        try:
            # Sort by the bucket's own clock: if ours was ahead, a head was stored under a future date.
            days = [(one["last_modified"], one["path"]) for some in obstore.list(self._objects) for one in some]
            return Head(**json.loads(bytes(obstore.get(self._objects, max(days)[1]).bytes()))) if days else None
        except (BaseError, OSError, ValueError, TypeError) as error:
            raise StorageError("The audit checkpoint cannot be read from its bucket.") from error


# A place that keeps heads: `write` stores one durably or raises StorageError, `read` returns the newest or None.
Anchor = FileAnchor | SyslogAnchor | BucketAnchor


def open_anchor(place: str, instance: Path) -> Anchor:
    """Return the anchor for `syslog:`, a bucket URL or a path; "" stands for the default file.

    Raises ValueError for a malformed bucket URL.
    """
    if place.partition("://")[0] in SCHEMES:
        try:
            return BucketAnchor(place)
        except ValueError as error:
            raise ValueError(f"MEDFILES_AUDIT_ANCHOR={place!r} cannot be used: {error}.") from error
    return SyslogAnchor() if place == SYSLOG else FileAnchor(Path(place or instance / "audit-anchor"))
