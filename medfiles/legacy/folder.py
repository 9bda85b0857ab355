"""The upload folder of the older lab-results feature. Its files are read in place and never modified.

A file is deleted only when its document is deleted permanently or the migration is finished.
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
    """Raised if a path in the older table leads to no file. `reason` is missing, outside (the folder) or link."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "The content of this document is missing from the previous lab results folder. Contact your administrator."
        )
        self.reason = reason


class LegacyFolder:
    """The older feature's upload folder at `root`. Keys are paths as stored in the older table."""

    name = "older"
    unverified = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` to before `end`, in chunks. Raises `BlobMissing` if there is no file."""
        with translated():
            file = os.fdopen(os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW), "rb")
            file.seek(start)
        return Reader(file, None if end is None else end - start)

    def stat(self, key: str) -> Stored:
        """Return the size without reading the content. Raises `BlobMissing` if there is no file."""
        with translated():
            return Stored(key, self._path(key).stat().st_size)

    def url(self, key: str, seconds: int) -> str | None:
        return None

    def accel_path(self, key: str) -> str | None:
        return None

    def canonical(self, key: str) -> str:
        """Return the canonical form of this path, relative to `root`. Raises `Unreachable` if it leads to no file."""
        return f"{FILES}/{self._path(key).relative_to(os.path.realpath(self.root / FILES)).as_posix()}"

    def delete(self, key: str) -> None:
        """Delete the file, if it exists."""
        with translated(), suppress(BlobMissing):
            path = self._path(key)
            path.unlink(missing_ok=True)
            sync_folder(path.parent)

    def files(self) -> Iterator[str]:
        """Return the paths of all files, relative to `root`, whether or not a row names them. Skips symbolic links."""
        return (path for path in self._below(FILES) if not (self.root / path).is_symlink())

    def trash(self) -> Iterator[str]:
        """Return the files in the older feature's trash, which shares a folder with ours but uses different names."""
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
        """Return which of these keys a row of the older table may still name.

        Only file names are compared, because the form of the paths varies between rows.
        """
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
        """Resolve a path from the older table to a regular file in the folder. Raises `Unreachable` if there is none.

        This is the only place that interprets these paths. They were written relative to the upload folder, relative to
        the folder around it, or absolute; the folder may have been renamed or moved since.
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
    """Return the older feature's upload folder in this installation."""
    return cast(LegacyFolder, storages.attached[LegacyFolder.name])
