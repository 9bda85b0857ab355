"""Where the bytes are kept: one backend takes new documents, each row remembers which one holds it."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from medfiles.errors import StorageError
from medfiles.storage.base import Readable, Staged, Storage, Stored, digest, live_key, picture_key, trash_key
from medfiles.storage.disk import DiskStorage
from medfiles.storage.memory import MemoryStorage
from medfiles.storage.older import OlderFolder, Unreachable

__all__ = [
    "DiskStorage",
    "MemoryStorage",
    "OlderFolder",
    "Readable",
    "Staged",
    "Storage",
    "Storages",
    "Stored",
    "Unreachable",
    "digest",
    "live_key",
    "open_storages",
    "picture_key",
    "trash_key",
]


class Storages:
    """The backends of an installation by name; `default` takes what is new.

    `older` takes nothing, and is none of those that are gone through: what lies there is no business of ours.
    """

    def __init__(self, default: Storage, *others: Storage, older: OlderFolder | None = None) -> None:
        self.default = default
        self._older = older
        self._by_name = {storage.name: storage for storage in (default, *others)}

    def __getitem__(self, name: str) -> Storage:
        try:
            return self._by_name[name]
        except KeyError as error:
            raise StorageError() from error

    @property
    def older(self) -> OlderFolder:
        if self._older is None:
            raise StorageError()
        return self._older

    def __iter__(self) -> Iterator[Storage]:
        return iter(self._by_name.values())


def open_storages(url: str, older: Path | None = None) -> Storages:
    """Backends for `file:///folder` (or `memory://`, for tests), and the older feature's folder; ValueError for
    anything else."""
    parts, folder = urlsplit(url), OlderFolder(older) if older else None
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return Storages(DiskStorage(Path(unquote(parts.path))), older=folder)
    if parts.scheme == "memory":
        return Storages(MemoryStorage(), older=folder)
    raise ValueError(f"MEDFILES_STORAGE_URL={url!r} cannot be used: write file:///folder.")
