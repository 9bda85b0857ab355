"""The room in an output file: a map of it, because a confined worker may not write to any file."""

import ctypes
import mmap
from collections.abc import Callable
from typing import Any, BinaryIO

from pypdfium2 import PdfiumError, raw


class NoRoom(Exception):
    """The output file is too small. The argument says how many bytes are needed."""


class Room:
    """Takes what is written. Without a file, it only counts; beyond the end of the file too."""

    def __init__(self, file: BinaryIO | None = None) -> None:
        self.most = file.seek(0, 2) if file else 0
        self.map = mmap.mmap(file.fileno(), self.most) if file else None
        self.used = 0

    def write(self, data: bytes) -> None:
        start, self.used = self.used, self.used + len(data)
        if self.map and self.used <= self.most:
            self.map[start : self.used] = data

    def finish(self) -> int:
        """Return the number of bytes. Raises `NoRoom` if they do not fit into the file."""
        if self.map and self.used > self.most:
            raise NoRoom(self.used)
        return self.used

    def save(self, document: Any) -> int:
        """Write a PDF and return its size."""
        save(document, self.write)
        return self.finish()


def save(document: Any, take: Callable[[bytes], None]) -> None:
    """Write a PDF piece by piece."""

    def write(_: Any, data: Any, size: int) -> int:
        take(ctypes.string_at(data, size))
        return 1

    target = raw.FPDF_FILEWRITE(version=1)
    target.WriteBlock = type(target.WriteBlock)(write)
    if not raw.FPDF_SaveAsCopy(document, target, raw.FPDF_NO_INCREMENTAL):
        raise PdfiumError("The document cannot be saved.")
