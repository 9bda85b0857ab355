"""Store documents in an object store: S3 (or compatible), Google Cloud Storage or Azure."""

import hashlib
import mmap
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import parse_qs, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError
from obstore.store import MemoryStore, from_url

from medfiles.errors import StorageError
from medfiles.storage import base
from medfiles.storage.base import CHUNK, KEY, Staged, Storage, Stored, check_key, digest

LOST = "lost+found"
SYNCHRONOUS = 2  # limit of concurrent commits, because a conditional create sends the whole document in one request
CLIENT = {"connect_timeout": "3s", "read_timeout": "15s", "timeout": "300s", "user_agent": "medfiles"}
RETRIES: Any = {"max_retries": 2, "retry_timeout": timedelta(seconds=60)}
SCHEMES = ("s3", "gs", "az")
# S3 supports conditional copies only in multipart uploads.
OF_S3 = {"checksum_algorithm": "SHA256", "copy_if_not_exists": "multipart"}
OPTIONS = ("endpoint", "region")
# Makes browsers save the file behind a direct link instead of opening it.
AS_FILE: Any = {"attributes": {"Content-Disposition": "attachment"}}
translated = partial(base.translated, AlreadyExistsError, (BaseError, OSError))


class ObjectStorage(Storage):
    """Storage in the bucket and folder that `url` names: `s3://bucket/folder?endpoint=https://…&region=…`.

    Credentials come from the environment variables that the providers' own tools use.
    """

    NAME = "objects"
    late_writes = unverified = True

    def __init__(self, url: str, staging: Path, name: str = "") -> None:
        super().__init__(name, staging, synced=False)
        self._objects: Any = bucket(url)
        self._probe: Any = bucket(url, {"read_timeout": "3s"}, {"max_retries": 0})  # for quick readiness checks
        self._slots = BoundedSemaphore(SYNCHRONOUS)

    def commit(self, staged: Staged, key: str) -> Stored:
        check_key(key)
        staged.finish()
        with self._slots, translated(), staged.path.open("rb") as file:
            content: Any = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if staged.size else b""
            if (hashlib.sha256(content).hexdigest(), len(content)) != (staged.sha256, staged.size):
                raise StorageError()  # the temporary file differs from what was received
            self._create(key, content, staged)
        staged.discard()
        return Stored(key, staged.size, staged.sha256)

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        options: Any = {"range": {"offset": start} if end is None else (start, end)} if start or end is not None else {}
        if end is not None and start >= end:
            self.stat(key)
            return iter(())
        with translated():
            try:
                answer = obstore.get(self._objects, check_key(key), options=options)
            except GenericError:
                if options and start >= self.stat(key).size:
                    return iter(())
                raise
            first, last = answer.range
            return received(answer, last - first)

    def copy(self, key: str, new_key: str) -> Stored:
        check_key(new_key)
        self.stat(key)
        with translated():
            try:
                obstore.copy(self._objects, key, new_key, overwrite=False)
            except AlreadyExistsError:
                if digest(self.open(key)) != digest(self.open(new_key)):
                    raise  # otherwise our first attempt succeeded, but its response was lost
        return self.stat(new_key)

    def stat(self, key: str) -> Stored:
        with translated():
            return Stored(key, obstore.head(self._objects, check_key(key))["size"])

    def delete(self, key: str) -> None:
        with translated(), suppress(FileNotFoundError):
            obstore.delete(self._objects, check_key(key))

    def keys(self, prefix: str = "") -> Iterator[Stored]:
        with translated():
            for listed in obstore.list(self._objects, prefix=prefix.rpartition("/")[0] or None):
                for one in listed:
                    if one["path"].startswith(prefix) and KEY.fullmatch(one["path"]):
                        yield Stored(one["path"], one["size"])

    def url(self, key: str, seconds: int) -> str | None:
        with translated():
            return str(obstore.sign(self._objects, "GET", check_key(key), timedelta(seconds=seconds)))

    def check(self) -> None:
        with translated():
            obstore.put(self._probe, "check", b"")

    def set_aside(self, key: str) -> None:
        with translated(), suppress(FileNotFoundError):
            obstore.copy(self._objects, check_key(key), f"{LOST}/{key}")
            obstore.delete(self._objects, key)

    def _create(self, key: str, content: Any, staged: Staged) -> None:
        """Create the object and verify it, because some stores accept content with a wrong checksum."""
        try:
            answer = obstore.put(self._objects, key, content, **AS_FILE, mode="create", use_multipart=False)
        except AlreadyExistsError:
            if not self._holds(key, staged):
                raise  # otherwise our first attempt succeeded, but its response was lost
            return
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if (answer["e_tag"] or "").strip('"') != md5 and not self._holds(key, staged):
            raise StorageError()

    def _holds(self, key: str, staged: Staged) -> bool:
        return digest(self.open(key)) == (staged.sha256, staged.size)


class MemoryStorage(ObjectStorage):
    """In-memory storage for tests: `memory://`."""

    NAME = "memory"
    late_writes = unverified = False

    def url(self, key: str, seconds: int) -> str | None:
        return None


def received(answer: Any, length: int) -> Iterator[bytes]:
    """Yield the chunks of a response. Raises StorageError unless it has exactly `length` bytes."""
    with translated():
        for part in answer.stream(min_chunk_size=CHUNK):
            chunk = bytes(part)
            length -= len(chunk)
            if length < 0:
                raise StorageError()
            yield chunk
    if length:
        raise StorageError()


def bucket(url: str, limits: Mapping[str, str] | None = None, retries: Any = None) -> Any:
    """Open an obstore store. Raises ValueError if the URL names no bucket or has unknown options."""
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return MemoryStore()
    asked = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if parts.scheme not in SCHEMES or not parts.hostname or not asked.keys() <= {*OPTIONS}:
        raise ValueError("write s3://bucket/folder?endpoint=https://…&region=… (or gs://, az://)")
    options: Any = asked | (OF_S3 if parts.scheme == "s3" else {})
    plain = asked.get("endpoint", "").startswith("http://")
    client: Any = {**CLIENT, **(limits or {})} | ({"allow_http": True} if plain else {})
    place: Any = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return from_url(place, config=options, client_options=client, retry_config=retries or RETRIES)
