"""Access to a document's bytes, wherever they are currently stored."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import select

from medfiles.database.session import db
from medfiles.errors import BlobMissing, IntegrityFailed, StorageError
from medfiles.models import EntityFile
from medfiles.storage import Readable, Storages

T = TypeVar("T")


@dataclass(frozen=True)
class DocumentContent:
    """A document that the actor may read, with access to its bytes."""

    file: EntityFile
    storage: Readable
    others: Storages | None = None  # all storages, in case another request has moved the document

    def size(self) -> int:
        size = self._found(lambda storage, key: storage.stat(key).size)
        if size != self.file.file_size:
            raise IntegrityFailed()
        return size

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        whole = start == 0 and end in (None, self.file.file_size)

        def ask(storage: Readable, key: str) -> Iterator[bytes]:
            chunks = storage.open(key, start, end)
            return proven(chunks, self.file.sha256) if whole and storage.unverified else chunks

        return self._found(ask)

    def accel_path(self) -> str | None:
        """Return the path from which the reverse proxy can serve the bytes, or None if it cannot."""
        return self._found(lambda storage, key: storage.accel_path(storage.stat(key).key))

    def link(self, seconds: int) -> str | None:
        """Return a temporary URL for the bytes, or None if the storage does not support such links."""
        return self._found(lambda storage, key: storage.url(storage.stat(key).key, seconds))

    def _found(self, ask: Callable[[Readable, str], T]) -> T:
        """Call `ask` with the document's storage and key. If the document was moved, retry with the current ones."""
        key = self.file.file_path
        try:
            return ask(self.storage, key)
        except BlobMissing:
            db.session.rollback()
            where = select(EntityFile.storage, EntityFile.file_path).where(EntityFile.id == self.file.id)
            moved = db.session.execute(where).one_or_none()
            if moved is None or moved.file_path == key:
                raise
            return ask(self.others[moved.storage] if self.others else self.storage, moved.file_path)


def opened(file: EntityFile, storages: Storages) -> DocumentContent:
    return DocumentContent(file, storages[file.storage], storages)


def proven(chunks: Iterator[bytes], sha256: str) -> Iterator[bytes]:
    """Yield the chunks, but hold back the last one until the checksum of all chunks is verified.

    Raises StorageError if the checksum does not match.
    """
    found, held = hashlib.sha256(), b""
    for chunk in chunks:
        if held:
            yield held
        found.update(chunk)
        held = chunk
    if found.hexdigest() != sha256:
        raise StorageError()
    yield held
