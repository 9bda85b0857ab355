"""Objects that rows name beside their other columns: photos of patients, encrypted copies of SMART Health Links.

Documents and previews have tables of their own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from medfiles.models import Patient, SmartLink
from medfiles.storage import journal
from medfiles.storage.base import live_key, smart_link_key


@dataclass(frozen=True)
class RowObject:
    """The columns of a table that name an object; all are NULL without one.

    new_key  returns a key for a copy of the object with this key
    """

    model: Any
    storage: str
    key: str
    size: str
    new_key: Callable[[str], str]

    @property
    def columns(self) -> tuple[Any, Any, Any, Any]:
        """The row's id, and where its object is stored: storage, key and size."""
        return self.model.id, *(getattr(self.model, name) for name in (self.storage, self.key, self.size))

    def put(self, row: Any, storage: str, key: str, size: int) -> list[str]:
        """Let a locked row name a new object, in the open transaction. Return the keys to remove after the commit."""
        earlier = self.release(row)
        self._set(row, storage, key, size)
        journal.settle([key])
        return earlier

    def release(self, row: Any) -> list[str]:
        """Take the object from a locked row, in the open transaction. Return the keys to remove after the commit."""
        key, storage = getattr(row, self.key), getattr(row, self.storage)
        self._set(row, None, None, None)
        if key is None or storage is None:
            return []
        journal.release(storage, [key])
        return [key]

    def _set(self, row: Any, storage: str | None, key: str | None, size: int | None) -> None:
        for name, value in ((self.storage, storage), (self.key, key), (self.size, size)):
            setattr(row, name, value)


def _new_photo_key(key: str) -> str:
    _, directory, name = key.split("/")
    return live_key(directory, PurePosixPath(name).suffix)


PHOTO = RowObject(Patient, "photo_storage", "photo_key", "photo_size", _new_photo_key)
SMART_LINK = RowObject(SmartLink, "storage", "key", "size", lambda _: smart_link_key())
ROW_OBJECTS = (PHOTO, SMART_LINK)
