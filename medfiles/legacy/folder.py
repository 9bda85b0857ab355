"""The folder of the older lab-results feature: its files are read where they are and never changed.

A file is deleted only when its document was deleted permanently, or when the move was finished.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import cast

from sqlalchemy import select

from medfiles.database.session import db
from medfiles.errors import BadKey, BlobMissing
from medfiles.models import LabResultFile
from medfiles.storage import Storages
from medfiles.storage.base import CHUNK, KEY, Stored, sync_folder, translated
from medfiles.storage.disk import Reader

FILES, TRASH = "lab_result_files", "trash"


class Unreachable(BlobMissing):
    """A path of the older table that leads to no file. `reason`: missing, outside (of the folder) or link."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "The content of this document is missing from the previous lab results folder. Contact your administrator."
        )
        self.reason = reason


class LegacyFolder:
    """The older feature's upload folder at `root`. A key is a path as the older table spells it."""

    name = "older"
    unverified = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Chunks of the bytes from `start` up to but without `end`: `BlobMissing` before the first chunk."""
        with translated():
            file = os.fdopen(os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW), "rb")
            file.seek(start)
        return Reader(file, None if end is None else end - start)

    def stat(self, key: str) -> Stored:
        """Size without reading: `BlobMissing`."""
        with translated():
            return Stored(key, self._path(key).stat().st_size)

    def url(self, key: str, seconds: int) -> str | None:
        return None

    def accel_path(self, key: str) -> str | None:
        return None

    def canonical(self, key: str) -> str:
        """The one spelling of this path, from `root`: `Unreachable`."""
        return f"{FILES}/{self._path(key).relative_to(os.path.realpath(self.root / FILES)).as_posix()}"

    def delete(self, key: str) -> None:
        """Remove the file; quiet when it is gone already."""
        with translated(), suppress(BlobMissing):
            path = self._path(key)
            path.unlink(missing_ok=True)
            sync_folder(path.parent)

    def files(self) -> Iterator[str]:
        """Every file, named by a row or not, as a path from `root`. Links are left out."""
        return (path for path in self._below(FILES) if not (self.root / path).is_symlink())

    def trash(self) -> Iterator[str]:
        """Files of the older feature's own trash, which is beside ours under other names."""
        return (path for path in self._below(TRASH) if not KEY.fullmatch(path))

    def paths(self) -> Iterator[str]:
        yield from self.files()
        yield from (path for path in self.trash() if not (self.root / path).is_symlink())

    def read(self, path: str) -> Iterator[bytes]:
        with translated(), os.fdopen(os.open(self.root / path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def place(self, path: str) -> Path:
        parts = PurePosixPath(path).parts
        if parts[:1] not in ((FILES,), (TRASH,)) or ".." in parts:
            raise BadKey(f"{path} points outside the folder of the previous feature.")
        return self.root / path

    def named(self, keys: Collection[str]) -> set[str]:
        """Files that a row of the older table may still name: however it spells a path, the file's name ends it."""
        if not keys:
            return set()
        paths = db.session.scalars(select(LabResultFile.file_path).execution_options(yield_per=1000))
        names = {PurePosixPath(key).name for key in keys} & {path.rpartition("/")[2] for path in paths}
        return {key for key in keys if PurePosixPath(key).name in names}

    def _below(self, start: str) -> Iterator[str]:
        top = os.path.realpath(self.root / start)
        for folder, _, names in os.walk(top):
            yield from (Path(start, Path(folder).relative_to(top), name).as_posix() for name in sorted(names))

    def _path(self, key: str) -> Path:
        """The one place where a path of the older table becomes one of ours: a regular file in its folder, no link.

        Its paths were written from the upload folder, from the folder around it, or absolute; the folder may have had
        another name or place then.
        """
        inside, reason = Path(os.path.realpath(self.root / FILES)), "outside"
        tail = key.rpartition(f"{FILES}/")[2]
        tries = (self.root / key, self.root.parent / key, self.root / FILES / key, self.root / FILES / tail)
        for named in tries if "\0" not in key else ():
            place = Path(os.path.realpath(named.parent)) / named.name
            if not place.is_relative_to(inside):
                continue
            if os.path.islink(place):
                raise Unreachable("link")
            if os.path.isfile(place):
                return place
            reason = "missing"
        raise Unreachable(reason)


def folder_of(storages: Storages) -> LegacyFolder:
    """Return the older feature's folder of this installation."""
    return cast(LegacyFolder, storages.attached[LegacyFolder.name])
