"""The storage contract, the key format, and the staging area for uploads.

To add a backend, subclass `Storage` and register the subclass in `storage._open`.
"""

import hashlib
import os
import re
import secrets
import shutil
import time
import uuid
from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import IO, Any, Protocol

from medfiles.clock import SKEW
from medfiles.errors import BadKey, BlobMissing, KeyTaken, StorageError, TooLarge

UUID4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
EXTENSION = r"\.[a-z0-9]{1,10}"
TRASH = "trash/"  # key prefix for documents in the trash
KEY = re.compile(
    rf"(files/[a-z][a-z0-9-]{{0,49}}/{UUID4}{EXTENSION}"
    rf"|{TRASH}\d{{4}}-\d\d-\d\d/mf-{UUID4}{EXTENSION}"
    rf"|previews/[0-9a-f]{{2}}/[0-9a-f]{{64}}-[a-z0-9]{{1,32}}/\d{{1,6}}\.webp"
    rf"|shl/{UUID4}\.jwe)"
)
CHUNK = 256 * 1024


def live_key(directory: str, extension: str) -> str:
    """Return a new, random key for a document, which reveals no name, patient or record."""
    return f"files/{directory}/{uuid.uuid4()}{extension}"


def trash_key(day: date, extension: str) -> str:
    return f"{TRASH}{day.isoformat()}/mf-{uuid.uuid4()}{extension}"


def key_beside(key: str) -> str:
    """Return a new key for the same document in the same state, live or in the trash."""
    start, extension = key[: key.rindex("/") + 1], key[key.rindex(".") :]
    return f"{start}{'mf-' if start.startswith(TRASH) else ''}{uuid.uuid4()}{extension}"


def picture_key(sha256: str, recipe: str, page: int) -> str:
    """Return the key for an image rendered from the document with this hash."""
    return f"previews/{sha256[:2]}/{sha256}-{recipe}/{page}.webp"


def smart_link_key() -> str:
    """Return a new, random key for the encrypted documents of a SMART Health Link."""
    return f"shl/{uuid.uuid4()}.jwe"


def digest(chunks: Iterable[bytes]) -> tuple[str, int]:
    """Return the SHA-256 hash (in hex) and the size of these bytes, reading them only once."""
    found, size = hashlib.sha256(), 0
    for chunk in chunks:
        found.update(chunk)
        size += len(chunk)
    return found.hexdigest(), size


def check_key(key: str) -> str:
    if not KEY.fullmatch(key):
        raise BadKey()
    return key


@dataclass(frozen=True)
class Stored:
    """A durable object. `size` is in bytes; `sha256` is in hex, or None if not computed."""

    key: str
    size: int
    sha256: str | None = None


@dataclass
class Staged:
    """A local temporary file, hashed as it is written. Writing more than `limit` bytes raises `TooLarge`."""

    path: Path
    limit: int
    synced: bool = True  # whether the local file itself must be durable
    size: int = 0
    _file: IO[bytes] | None = field(default=None, repr=False)
    _hash: Any = field(default_factory=hashlib.sha256, repr=False)

    def write(self, chunk: bytes) -> int:
        self.size += len(chunk)
        if self.size > self.limit:
            raise TooLarge("This file is larger than the limit.")
        self._hash.update(chunk)
        assert self._file is not None
        with translated():
            return self._file.write(chunk)

    def finish(self) -> None:
        """Close the file, after an fsync if `synced`. A failed fsync is never retried."""
        if self._file is None:
            return
        try:
            self._file.flush()
            if self.synced:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise StorageError() from error
        finally:
            self._close()

    def discard(self) -> None:
        """Delete the file. If that fails, `clear_staged` deletes it later."""
        self._close()
        with suppress(OSError):
            self.path.unlink()

    def _close(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # closing flushes, which fails on a full disk
                self._file.close()
            self._file = None

    @property
    def sha256(self) -> str:
        return str(self._hash.hexdigest())


class Readable(Protocol):
    """A backend that can be read from."""

    name: str  # as stored in rows
    unverified: bool  # bytes may be altered in transit, so whole documents are checked against their hash

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` up to but excluding `end`, in chunks. Raises `BlobMissing`."""

    def stat(self, key: str) -> Stored:
        """Return the object's size without reading its content. Raises `BlobMissing`."""

    def url(self, key: str, seconds: int) -> str | None:
        """Return a direct link that is valid for this many seconds; None if bytes must go through the app."""
        return None

    def accel_path(self, key: str) -> str | None:
        """Return the path below MEDFILES_ACCEL from which the proxy can send the object; None if it cannot."""
        return None


class AttachedFolder(Readable, Protocol):
    """Another feature's folder, whose files are read, backed up, restored, and deleted along with their rows."""

    root: Path

    def delete(self, key: str) -> None:
        """Delete a file, if it exists."""

    def paths(self) -> Iterator[str]:
        """Return every file that belongs in a backup, as a path relative to `root`."""

    def read(self, path: str) -> Iterator[bytes]:
        """Yield the chunks of a file listed by `paths()`. Raises `BlobMissing` or `StorageError`."""

    def place(self, path: str) -> Path:
        """Return where to restore a file from a backup. Raises `BadKey` if the path leads outside the folder."""

    def named(self, keys: Collection[str]) -> set[str]:
        """Return those of the keys that one of the feature's rows may still name."""


class Storage(Readable):
    """A storage backend. It knows nothing about HTTP, the database or permissions.

    Uploads are streamed into temporary files in `folder`, which are fsynced if `synced`.
    """

    NAME: str  # used if the settings give no name
    root: Path | None = None  # the local folder that holds the bytes, if any
    unverified = False
    late_writes = False  # whether a failed write may still take effect later

    def __init__(self, name: str, folder: Path, synced: bool = True) -> None:
        self.name = name or self.NAME
        self.folder = folder
        self.synced = synced

    def stage(self, limit: int) -> Staged:
        """Return a temporary file for at most `limit` bytes."""
        path = self.folder / f"{secrets.token_hex(16)}.part"
        with translated():
            make_folder(self.folder)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        return Staged(path, limit, self.synced, _file=os.fdopen(descriptor, "wb"))

    @contextmanager
    def staged(self, chunks: Iterable[bytes], limit: int) -> Iterator[Staged]:
        """Yield a temporary file that contains these bytes, and delete it afterwards."""
        staged = self.stage(limit)
        try:
            for chunk in chunks:
                staged.write(chunk)
            yield staged
        finally:
            staged.discard()

    @contextmanager
    def staged_folder(self) -> Iterator[Path]:
        """Yield a temporary folder for local files, and delete it afterwards."""
        place = self.folder / f"{secrets.token_hex(16)}.part"
        with translated():
            make_folder(self.folder)
            place.mkdir(mode=0o700)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def clear_staged(self, older_than: float) -> int:
        """Delete staged files and folders that have not been written to for this many seconds; return their number.

        A modification time in the future, set while the clock was ahead, is reset to now.
        """
        removed = 0
        for path in self.folder.glob("*.part"):
            with suppress(BlobMissing), translated():  # committed or discarded since it was listed
                idle = time.time() - path.stat().st_mtime
                if idle < -SKEW.total_seconds():
                    os.utime(path)
                elif idle > older_than:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                    removed += 1
        return removed

    @abstractmethod
    def commit(self, staged: Staged, key: str) -> Stored:
        """Store the staged bytes durably under a new key, or change nothing. Raises `KeyTaken`."""

    def commit_all(self, pairs: Sequence[tuple[Staged, str]]) -> None:
        """Store many staged files as `commit` does. If one fails, the caller removes those already stored."""
        for staged, key in pairs:
            self.commit(staged, key)

    @abstractmethod
    def copy(self, key: str, new_key: str) -> Stored:
        """Copy the object durably to a new key. Raises `BlobMissing` or `KeyTaken`."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object, if it exists."""

    @abstractmethod
    def keys(self, prefix: str = "") -> Iterator[Stored]:
        """Yield the objects whose keys are valid and start with `prefix`."""

    @abstractmethod
    def check(self) -> None:
        """Raise `StorageError` if the backend is not currently writable."""

    @abstractmethod
    def set_aside(self, key: str) -> None:
        """Move the object, if it exists, to `lost+found`, which is out of reach of any valid key."""

    def free(self) -> int | None:
        """Return the free space in bytes; None if it is unknown or unlimited."""
        return None


@contextmanager
def translated(
    taken: type[Exception] = FileExistsError, failed: tuple[type[Exception], ...] = (OSError,)
) -> Iterator[None]:
    """Translate a backend's exceptions into those of `medfiles.errors`."""
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissing() from error
    except taken as error:
        raise KeyTaken() from error
    except failed as error:
        raise StorageError() from error


def make_folder(folder: Path) -> None:
    """Create missing folders top-down, accessible only to their owner, each durable before the next."""
    if folder.is_dir():
        return
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=0o700, exist_ok=True)
        sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
