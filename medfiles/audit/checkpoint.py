"""The head of the trail's chain, outside the database: without it, a tail that was cut off would not be missed."""

import json
import logging
import os
from dataclasses import asdict, dataclass
from logging.handlers import SysLogHandler
from pathlib import Path
from typing import Any, Protocol

import obstore
from obstore.exceptions import BaseError

from medfiles.errors import StorageError
from medfiles.storage.durable import publish
from medfiles.storage.objects import SCHEMES, bucket

SYSLOG = "syslog:"
MOST, KEPT = 1024 * 1024, 1000  # bytes of the file, and lines that stay when it has more


@dataclass(frozen=True)
class Head:
    """The last seal: how many there are, and its code."""

    position: int
    mac: str
    at: str


class Anchor(Protocol):
    def drop(self, head: Head) -> None:
        """Keep this head durably: StorageError."""

    def last(self) -> Head | None:
        """The newest that was kept; None when there is none, or none can be read back."""


class FileAnchor:
    """A line for each head in a file that is only appended to, shortened now and then."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def drop(self, head: Head) -> None:
        try:
            self._shorten()
            with open(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
                file.write(json.dumps(asdict(head)) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"The audit checkpoint cannot be written: {error.strerror}.") from error

    def last(self) -> Head | None:
        """A last line that was cut off by a crash is passed over."""
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

    def _shorten(self) -> None:
        if self.path.exists() and self.path.stat().st_size > MOST:
            part = self.path.with_name(f"{self.path.name}.part")
            part.write_text("\n".join(self._lines()[-KEPT:]) + "\n")
            publish(part, self.path)


class SyslogAnchor:
    """A line of the system's log, which another machine may keep. Not read back: `audit verify --head` is told."""

    def __init__(self, address: str = "/dev/log") -> None:
        self.address = address

    def drop(self, head: Head) -> None:
        try:
            handler = SysLogHandler(self.address, SysLogHandler.LOG_AUTHPRIV)
        except OSError as error:
            raise StorageError("The system log is unavailable.") from error
        handler.ident = "medfiles: "
        handler.emit(logging.makeLogRecord({"msg": f"audit head {head.position}:{head.mac}", "levelno": logging.INFO}))
        handler.close()

    def last(self) -> Head | None:
        return None


class BucketAnchor:
    """The newest head of each day as an object, whose older versions the bucket itself may keep and lock."""

    def __init__(self, url: str) -> None:
        self._objects: Any = bucket(url)

    def drop(self, head: Head) -> None:
        try:
            obstore.put(self._objects, f"{head.at[:10]}.json", json.dumps(asdict(head)).encode())
        except (BaseError, OSError) as error:
            raise StorageError("The audit checkpoint cannot be written: the bucket rejects it.") from error

    def last(self) -> Head | None:
        try:
            days = [one["path"] for some in obstore.list(self._objects) for one in some]
            return Head(**json.loads(bytes(obstore.get(self._objects, max(days)).bytes()))) if days else None
        except (BaseError, OSError, ValueError, TypeError) as error:
            raise StorageError("The audit checkpoint cannot be read from its bucket.") from error


def anchor_at(place: str, instance: Path) -> Anchor:
    """`syslog:`, a bucket, or a file; empty: one in the instance folder. ValueError for a bucket's URL that is none."""
    if place.partition("://")[0] in SCHEMES:
        try:
            return BucketAnchor(place)
        except ValueError as error:
            raise ValueError(f"MEDFILES_AUDIT_ANCHOR={place!r} cannot be used: {error}.") from error
    return SyslogAnchor() if place == SYSLOG else FileAnchor(Path(place or instance / "audit-anchor"))
