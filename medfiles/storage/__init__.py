"""Where the bytes are kept: one backend takes new documents, each row remembers which one holds it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from medfiles.errors import StorageError
from medfiles.storage.base import (
    AttachedFolder,
    Readable,
    Staged,
    Storage,
    Stored,
    digest,
    key_beside,
    live_key,
    picture_key,
    trash_key,
)
from medfiles.storage.disk import DiskStorage
from medfiles.storage.memory import MemoryStorage
from medfiles.storage.objects import SCHEMES, ObjectStorage

__all__ = [
    "AttachedFolder",
    "DiskStorage",
    "MemoryStorage",
    "ObjectStorage",
    "Readable",
    "Staged",
    "Storage",
    "Storages",
    "Stored",
    "digest",
    "key_beside",
    "live_key",
    "open_storages",
    "picture_key",
    "trash_key",
]


class Storages:
    """The backends of an installation by name; `default` takes what is new.

    `attached` are folders of other features. They take no documents and are not iterated over.
    """

    def __init__(self, default: Storage, *others: Storage, attached: Iterable[AttachedFolder] = ()) -> None:
        self.default = default
        self.attached = {folder.name: folder for folder in attached}
        self._by_name = {storage.name: storage for storage in (default, *others)}

    def __getitem__(self, name: str) -> Storage:
        try:
            return self._by_name[name]
        except KeyError as error:
            raise StorageError() from error

    def attach(self, folder: AttachedFolder) -> None:
        self.attached[folder.name] = folder

    def __iter__(self) -> Iterator[Storage]:
        return iter(self._by_name.values())


def open_storages(url: str, staging: Path, also: str = "") -> Storages:
    """Backends for `file:///folder` or a bucket (or `memory://`, for tests), and what is still in another place `also`;
    `staging` is the folder of what is on its way to a bucket. ValueError for anything else."""
    default = _opened("MEDFILES_STORAGE_URL", url, staging)
    others = [_opened("MEDFILES_STORAGE_ALSO", also, staging)] if also else []
    if default.name in [other.name for other in others]:
        raise ValueError(
            "MEDFILES_STORAGE_ALSO and MEDFILES_STORAGE_URL must be of different kinds: one a folder, one a bucket."
        )
    return Storages(default, *others)


def _opened(setting: str, url: str, staging: Path) -> Storage:
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return DiskStorage(Path(unquote(parts.path)))
    if parts.scheme == "memory":
        return MemoryStorage()
    if parts.scheme not in SCHEMES:
        raise ValueError(f"{setting}={url!r} cannot be used: write file:///folder or s3://bucket/folder.")
    try:
        return ObjectStorage(url, staging)
    except ValueError as error:
        raise ValueError(f"{setting}={url!r} cannot be used: {error}.") from error
