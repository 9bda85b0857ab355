"""The folder of the older lab-results feature: its files are read where they lie, and none is ever changed. One goes
only when its document was deleted for ever, or when all were moved and that was finished."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from medfiles.errors import BlobMissing
from medfiles.storage.base import KEY, Stored, sync_folder, translated
from medfiles.storage.disk import Reader

FOLDER = "lab_result_files"


class Unreachable(BlobMissing):
    """No path of the older table leads here; `reason`: missing, outside (of its folder), or link."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            "The content of this document is missing from the previous lab results folder. Contact your administrator."
        )
        self.reason = reason


class OlderFolder:
    """`root` is the older feature's upload folder; a key is a path as its table has it, whatever that may be."""

    name = "older"
    remote = False

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

    def canonical(self, key: str) -> str:
        """The one way to write this path, from `root`: `Unreachable`."""
        return f"{FOLDER}/{self._path(key).relative_to(os.path.realpath(self.root / FOLDER)).as_posix()}"

    def delete(self, key: str) -> None:
        """Remove the file; quiet when it is gone already."""
        with translated(), suppress(BlobMissing):
            path = self._path(key)
            path.unlink(missing_ok=True)
            sync_folder(path.parent)

    def paths(self) -> Iterator[str]:
        """Every file and link in the folder, written from `root`."""
        yield from self._below(FOLDER)

    def trash(self) -> Iterator[str]:
        """What the older feature's own trash holds: it lies beside ours, under other names."""
        yield from (path for path in self._below("trash") if not KEY.fullmatch(path))

    def _below(self, start: str) -> Iterator[str]:
        for folder, _, names in os.walk(os.path.realpath(self.root / start)):
            inside = Path(folder).relative_to(os.path.realpath(self.root / start))
            yield from (Path(start, inside, name).as_posix() for name in sorted(names))

    def _path(self, key: str) -> Path:
        """The one place where a path of the older table becomes one of ours: a regular file in its folder, no link.

        Its paths were written from the upload folder, from the folder around it, or whole; the folder may have been
        called otherwise, or have been elsewhere, when they were.
        """
        inside, reason = Path(os.path.realpath(self.root / FOLDER)), "outside"
        tail = key.rpartition(f"{FOLDER}/")[2]
        tries = (self.root / key, self.root.parent / key, self.root / FOLDER / key, self.root / FOLDER / tail)
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
