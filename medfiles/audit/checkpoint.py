"""Store the head of the audit chain outside the database, to detect truncation.

The ids of changed accounts are stored with it, so that restoring a backup can report the changes that it undoes.
"""

import json
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from logging.handlers import SysLogHandler
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError

from medfiles.errors import StorageError
from medfiles.storage.durable import write_private
from medfiles.storage.objects import SCHEMES, bucket

SYSLOG = "syslog:"
MAX_BYTES, KEPT_LINES = 1024 * 1024, 1000  # file size that triggers trimming, and lines of each kind kept
ACCOUNTS = "accounts"  # key in a line, folder in a bucket
STAMP = "%Y%m%dT%H%M%S.%fZ"  # format for the time of a change; backup names use it, too
UNREADABLE = "The audit checkpoint cannot be read from its bucket."


@dataclass(frozen=True)
class Head:
    """The last seal: its position and HMAC."""

    position: int
    mac: str
    at: str


class FileAnchor:
    """Append each head as a line to a file, which is trimmed when it grows too large."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, head: Head) -> None:
        self._append(asdict(head))

    def write_changed(self, accounts: Collection[int], at: datetime) -> None:
        self._append({ACCOUNTS: sorted(accounts), "at": at.strftime(STAMP)})

    def changed_since(self, stamp: str) -> set[int]:
        found: set[int] = set()
        for line in filter(_has_accounts, self._lines()):
            with suppress(ValueError):
                entry = json.loads(line)
                found.update(entry[ACCOUNTS] if entry["at"] >= stamp else ())
        return found

    def _append(self, entry: Mapping[str, Any]) -> None:
        try:
            if self.path.exists() and self.path.stat().st_size > MAX_BYTES:
                lines = self._lines()
                earlier = [line for line in lines[:-KEPT_LINES] if _has_accounts(line)][-KEPT_LINES:]
                write_private(self.path, "\n".join([*earlier, *lines[-KEPT_LINES:]]) + "\n")
            with open(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w") as file:
                file.write(json.dumps(entry) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"The audit checkpoint cannot be written: {error.strerror}.") from error

    def read(self) -> Head | None:
        """Return the newest head, skipping a last line that a crash cut off."""
        for line in reversed(self._lines()):
            with suppress(ValueError, TypeError):
                return Head(**json.loads(line))
        return None

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(f"The audit checkpoint cannot be read: {error.strerror}.") from error


class SyslogAnchor:
    """Log each head to syslog. Heads cannot be read back: pass one to `audit verify --head`."""

    def __init__(self, address: str = "/dev/log") -> None:
        self.address = address

    def write(self, head: Head) -> None:
        self._log(f"audit head {head.position}:{head.mac}")

    def write_changed(self, accounts: Collection[int], at: datetime) -> None:
        self._log(f"audit accounts {','.join(map(str, sorted(accounts)))}")

    def read(self) -> Head | None:
        return None

    def changed_since(self, stamp: str) -> set[int]:
        return set()

    def _log(self, message: str) -> None:
        try:
            handler = SysLogHandler(self.address, SysLogHandler.LOG_AUTHPRIV)
        except OSError as error:
            raise StorageError("The system log is unavailable.") from error
        handler.ident = "medfiles: "
        handler.emit(logging.makeLogRecord({"msg": message, "levelno": logging.INFO}))
        handler.close()


class BucketAnchor:
    """Store each day's newest head as an object, which the bucket may version and lock."""

    def __init__(self, url: str) -> None:
        self._objects: Any = bucket(url)

    def write(self, head: Head) -> None:
        self._put(f"{head.at[:10]}.json", asdict(head))

    def write_changed(self, accounts: Collection[int], at: datetime) -> None:
        self._put(f"{ACCOUNTS}/{at.strftime(STAMP)}.json", sorted(accounts))

    def read(self) -> Head | None:
        try:
            # Sort by the bucket's own clock: if ours was ahead, a head may be stored under a future date.
            days = [(changed, path) for changed, path in self._listed() if not path.startswith(f"{ACCOUNTS}/")]
            return Head(**self._get(max(days)[1])) if days else None
        except (BaseError, OSError, ValueError, TypeError) as error:
            raise StorageError(UNREADABLE) from error

    def changed_since(self, stamp: str) -> set[int]:
        try:
            paths = [path for _, path in self._listed(ACCOUNTS) if path >= f"{ACCOUNTS}/{stamp}"]
            return {account for path in paths for account in self._get(path)}
        except (BaseError, OSError, ValueError, TypeError) as error:
            raise StorageError(UNREADABLE) from error

    def _put(self, path: str, entry: Any) -> None:
        try:
            obstore.put(self._objects, path, json.dumps(entry).encode())
        except (BaseError, OSError) as error:
            raise StorageError("The audit checkpoint cannot be written: the bucket rejects it.") from error

    def _get(self, path: str) -> Any:
        return json.loads(bytes(obstore.get(self._objects, path).bytes()))

    def _listed(self, prefix: str | None = None) -> Sequence[tuple[datetime, str]]:
        return [(one["last_modified"], one["path"]) for some in obstore.list(self._objects, prefix) for one in some]


def _has_accounts(line: str) -> bool:
    return line.startswith(f'{{"{ACCOUNTS}"')


# Stores heads: `write` stores one durably or raises StorageError; `read` returns the newest, or None.
# `write_changed` stores account ids; `changed_since` returns those stored since a STAMP, if they can be read back.
Anchor = FileAnchor | SyslogAnchor | BucketAnchor


def open_anchor(place: str, instance: Path) -> Anchor:
    """Return the anchor for `syslog:`, a bucket URL or a path; "" stands for the default file.

    Raises ValueError if a bucket URL is malformed.
    """
    if place.partition("://")[0] in SCHEMES:
        try:
            return BucketAnchor(place)
        except ValueError as error:
            raise ValueError(f"MEDFILES_AUDIT_ANCHOR={place!r} cannot be used: {error}.") from error
    return SyslogAnchor() if place == SYSLOG else FileAnchor(Path(place or instance / "audit-anchor"))
