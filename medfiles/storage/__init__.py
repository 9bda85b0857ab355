"""Storage backends. One takes new documents; each row names the one that holds its bytes."""

import re
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

NAMED = re.compile(r"(?P<name>[a-z][a-z0-9-]{0,49})=(?P<url>.*)")


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
        if folder.name in self._by_name:
            raise ValueError(f"MEDFILES_STORAGE_ALSO: no store can be named {folder.name!r}.")
        self.attached[folder.name] = folder

    def __iter__(self) -> Iterator[Storage]:
        return iter(self._by_name.values())


def open_storages(url: str, staging: Path, also: str = "") -> Storages:
    """Open the backends that the settings name. ValueError for a setting that cannot be used.

    url      MEDFILES_STORAGE_URL: where new documents go, `file:///folder` or `s3://bucket/folder`
    also     MEDFILES_STORAGE_ALSO: where others are, separated by spaces
    staging  folder of uploads on their way to a bucket

    Rows give a backend's name: `disk` or `objects`, or the one before its URL, as in `archive=s3://bucket`.
    """
    places = [("MEDFILES_STORAGE_URL", url), *(("MEDFILES_STORAGE_ALSO", item) for item in also.split())]
    opened = [_opened(setting, item, staging) for setting, item in places]
    addresses, names = [_split(item)[1].rstrip("/") for _, item in places], [storage.name for storage in opened]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(
            f"MEDFILES_STORAGE_ALSO: two stores are named {twice!r}. Name one: new-name=file:///folder. "
            "Existing documents are found under the name their store had when they were added."
        )
    if len(set(addresses)) < len(addresses):
        raise ValueError("MEDFILES_STORAGE_ALSO: one store cannot have two names.")
    return Storages(*opened)


def _split(item: str) -> tuple[str, str]:
    """The name and the URL of `name=url`; the name is empty if there is none."""
    found = NAMED.fullmatch(item)
    return (found["name"], found["url"]) if found else ("", item)


def _opened(setting: str, item: str, staging: Path) -> Storage:
    name, url = _split(item)
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return DiskStorage(Path(unquote(parts.path)), name or DiskStorage.NAME)
    if parts.scheme == "memory":
        return MemoryStorage(name or MemoryStorage.NAME)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"{setting}={item!r} cannot be used: write file:///folder or s3://bucket/folder.")
    try:
        return ObjectStorage(url, staging, name or ObjectStorage.NAME)
    except ValueError as error:
        raise ValueError(f"{setting}={item!r} cannot be used: {error}.") from error
