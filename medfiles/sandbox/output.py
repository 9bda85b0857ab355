"""A file that a worker fills: created at its full size here, because a confined worker cannot make any file grow."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from medfiles.errors import StorageError


@dataclass(frozen=True)
class Output:
    """A new file at `path` with room for `size` bytes. The task receives it open for reading and writing."""

    path: Path
    size: int

    @contextlib.contextmanager
    def created(self) -> Iterator[IO[bytes]]:
        """Reserve the room, so that a full disk is an error here and not a crash of the worker."""
        try:
            with self.path.open("x+b") as file:
                reserve(file.fileno(), self.size)
                yield file
        except OSError as error:
            raise StorageError() from error


def reserve(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
    else:  # macOS
        os.truncate(handle, size)
