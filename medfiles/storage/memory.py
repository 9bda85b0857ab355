"""Documents in a dictionary, for tests."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from medfiles.errors import BlobMissing, KeyTaken
from medfiles.storage.base import CHUNK, Listed, Staged, Staging, Stored, check_key


class MemoryStorage(Staging):
    NAME = "memory"

    def __init__(self, name: str = NAME) -> None:
        self.name = name
        self._temporary = TemporaryDirectory(prefix="medfiles-")
        super().__init__(Path(self._temporary.name))
        self._objects: dict[str, tuple[bytes, float]] = {}
        self._lost: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        self._temporary.cleanup()

    def commit(self, staged: Staged, key: str) -> Stored:
        staged.finish()
        self._put(key, staged.path.read_bytes())
        staged.discard()
        return Stored(key, staged.size, staged.sha256)

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        content = self._get(key)[start:end]
        return (content[at : at + CHUNK] for at in range(0, len(content), CHUNK))

    def copy(self, key: str, new_key: str) -> Stored:
        content = self._get(key)
        self._put(new_key, content)
        return Stored(new_key, len(content))

    def stat(self, key: str) -> Stored:
        return Stored(key, len(self._get(key)))

    def delete(self, key: str) -> None:
        self._objects.pop(check_key(key), None)

    def keys(self, prefix: str = "") -> Iterator[Listed]:
        for key, (content, made) in list(self._objects.items()):
            if key.startswith(prefix):
                yield Listed(key, time.time() - made, len(content))

    def url(self, key: str, seconds: int) -> str | None:
        return None

    def check(self) -> None:
        return None

    def set_aside(self, key: str) -> None:
        if found := self._objects.pop(check_key(key), None):
            self._lost[key] = found[0]

    def free(self) -> int | None:
        return None

    def _get(self, key: str) -> bytes:
        try:
            return self._objects[check_key(key)][0]
        except KeyError as error:
            raise BlobMissing("The content of this document is missing. Contact your administrator.") from error

    def _put(self, key: str, content: bytes) -> None:
        check_key(key)
        with self._lock:
            if key in self._objects:
                raise KeyTaken()
            self._objects[key] = (content, time.time())
