"""The folder of the older lab-results feature: its files are read where they lie, and nothing there is ever changed."""

import os
from collections.abc import Iterator
from pathlib import Path

from medfiles.errors import BlobMissing
from medfiles.storage.base import Stored
from medfiles.storage.disk import Reader, translated

FOLDER = "lab_result_files"


class OlderFolder:
    """`root` is the older feature's upload folder; a key is a path as its table has it, whatever that may be."""

    name = "older"

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

    def _path(self, key: str) -> Path:
        """The one place where a path of the older table becomes one of ours: a regular file in its folder, no link.

        Its paths were written from the upload folder, from the folder around it, or whole.
        """
        inside = Path(os.path.realpath(self.root / FOLDER))
        for start in (self.root, self.root.parent, self.root / FOLDER) if "\0" not in key else ():
            named = start / key
            place = Path(os.path.realpath(named.parent)) / named.name
            if place.is_relative_to(inside) and os.path.isfile(place) and not os.path.islink(place):
                return place
        raise BlobMissing("The content of this document cannot be found where the older feature kept it.")
