"""Storage backends. The default one stores new documents; each row names the one that holds its bytes."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from medfiles.errors import StorageError
from medfiles.storage.base import (
    TRASH,
    AttachedFolder,
    Readable,
    Staged,
    Storage,
    Stored,
    digest,
    key_beside,
    live_key,
    picture_key,
    smart_link_key,
    trash_key,
)
from medfiles.storage.disk import DiskStorage
from medfiles.storage.objects import SCHEMES, MemoryStorage, ObjectStorage

NAMED = re.compile(r"([a-z][a-z0-9-]{0,49})=(.*)")


class Storages:
    """The storage backends of an installation, by name. `default` stores new documents.

    `attached` contains other features' folders, which receive no documents and are not part of the iteration.
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
            raise ValueError(f"MEDFILES_STORAGE_ALSO: the name {folder.name!r} is reserved. Choose another name.")
        self.attached[folder.name] = folder

    def __iter__(self) -> Iterator[Storage]:
        return iter(self._by_name.values())


def open_storages(url: str, staging: Path, also: str = "") -> Storages:
    """Open the backends named in the settings. Raises ValueError if a setting cannot be used.

    url      MEDFILES_STORAGE_URL: where new documents are stored, `file:///folder` or `s3://bucket/folder`
    also     MEDFILES_STORAGE_ALSO: where other documents are stored, as URLs separated by spaces
    staging  folder for temporary copies of uploads to a bucket

    Rows contain a backend's name: `disk` or `objects`, or the name before its URL, as in `archive=s3://bucket`.
    """
    opened = [_open(item, "MEDFILES_STORAGE_ALSO", staging) for item in also.split()]
    opened.insert(0, _open(url, "MEDFILES_STORAGE_URL", staging))
    names, addresses = [storage.name for storage, _ in opened], {address.rstrip("/") for _, address in opened}
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(
            f"MEDFILES_STORAGE_ALSO: two stores are named {twice!r}. Name one: new-name=file:///folder. "
            "Existing documents are found under the name their store had when they were added."
        )
    if len(addresses) < len(opened):
        raise ValueError("MEDFILES_STORAGE_ALSO: one store cannot have two names.")
    return Storages(*(storage for storage, _ in opened))


def _open(item: str, setting: str, staging: Path) -> tuple[Storage, str]:
    """Open a backend, given as a URL or as `name=URL`; return the backend and the URL."""
    named = NAMED.fullmatch(item)
    name, url = named.groups() if named else ("", item)
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path:
        return DiskStorage(Path(unquote(parts.path)), name), url
    backend = MemoryStorage if parts.scheme == "memory" else ObjectStorage
    if parts.scheme not in ("memory", *SCHEMES):
        raise ValueError(f"{setting}={item!r} cannot be used: write file:///folder or s3://bucket/folder.")
    try:
        return backend(url, staging, name), url
    except ValueError as error:
        raise ValueError(f"{setting}={item!r} cannot be used: {error}.") from error
