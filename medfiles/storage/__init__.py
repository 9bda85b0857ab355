"""Where the bytes are kept: one backend takes new documents, each row remembers which one holds it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from medfiles.errors import StorageError
from medfiles.storage.base import Staged, Storage, Stored, live_key, trash_key
from medfiles.storage.disk import DiskStorage
from medfiles.storage.memory import MemoryStorage

__all__ = [
    "DiskStorage",
    "MemoryStorage",
    "Staged",
    "Storage",
    "Storages",
    "Stored",
    "live_key",
    "open_storages",
    "trash_key",
]


class Storages:
    """The backends of an installation by name; `default` takes what is new."""

    def __init__(self, default: Storage, *others: Storage) -> None:
        self.default = default
        self._by_name = {storage.name: storage for storage in (default, *others)}

    def __getitem__(self, name: str) -> Storage:
        try:
            return self._by_name[name]
        except KeyError as error:
            raise StorageError() from error

    def __iter__(self) -> Iterator[Storage]:
        return iter(self._by_name.values())


def open_storages(url: str) -> Storages:
    """Backends for `file:///folder` (or `memory://`, for tests); ValueError for anything else."""
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return Storages(DiskStorage(Path(unquote(parts.path))))
    if parts.scheme == "memory":
        return Storages(MemoryStorage())
    raise ValueError(f"MEDFILES_STORAGE_URL={url!r} cannot be used: write file:///folder.")
