"""Store documents as files in a folder, each durable before `commit` returns."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from medfiles.storage.base import CHUNK, KEY, Staged, Storage, Stored, check_key, make_folder, sync_folder, translated

PICTURES = "previews/"
LOST = "lost+found"
PROBE_SIZE = 4096
NO_LINKS = {errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class DiskStorage(Storage):
    """Storage in a local or mounted folder, `root`. Staged files are published with hard links."""

    NAME = "disk"

    def __init__(self, root: Path, name: str = "") -> None:
        super().__init__(name, root / "staged")
        self.root: Path = root

    def commit(self, staged: Staged, key: str) -> Stored:
        path = self._path(key)
        with translated():
            staged.finish()
            for last in (False, True):
                make_folder(path.parent)
                try:
                    os.link(staged.path, path)
                    break
                except FileNotFoundError:  # the folder was empty and has just been removed
                    if last:
                        raise
                except OSError as error:
                    if error.errno not in NO_LINKS:
                        raise
                    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # replaced by the rename
                    os.replace(staged.path, path)
                    break
            sync_folder(path.parent)
        staged.discard()  # removes the staged name; if a crash brings it back, `clear_staged` removes it
        return Stored(key, staged.size, staged.sha256)

    def open(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        with translated():
            file = self._path(key).open("rb", buffering=0)
            file.seek(start)
        return Reader(file, None if end is None else end - start)

    def copy(self, key: str, new_key: str) -> Stored:
        source, target = self._path(key), self._path(new_key)
        with translated():
            make_folder(target.parent)
            try:
                os.link(source, target)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                with self.staged(self.open(key), self.stat(key).size) as staged:
                    return self.commit(staged, new_key)
            sync_folder(target.parent)
        return self.stat(new_key)

    def stat(self, key: str) -> Stored:
        with translated():
            return Stored(key, self._path(key).stat().st_size)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with translated():
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)
        if key.startswith(PICTURES):  # preview folders are named after a document's hash
            for folder in (path.parent, path.parent.parent):
                with suppress(OSError):  # not empty
                    folder.rmdir()

    def keys(self, prefix: str = "") -> Iterator[Stored]:
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                key = path.relative_to(self.root).as_posix()
                if key.startswith(prefix) and KEY.fullmatch(key):
                    with suppress(FileNotFoundError):  # deleted since it was listed
                        yield Stored(key, path.stat().st_size)

    def accel_path(self, key: str) -> str | None:
        return check_key(key) if self.name == self.NAME else None  # MEDFILES_ACCEL serves only one folder

    def check(self) -> None:
        """Write a small file, because an empty one can be created even on a full disk."""
        staged = self.stage(PROBE_SIZE)
        try:
            staged.write(bytes(PROBE_SIZE))
            staged.finish()
        finally:
            staged.discard()

    def set_aside(self, key: str) -> None:
        path, target = self._path(key), self.root / LOST / key
        with translated():
            make_folder(target.parent)
            with suppress(FileNotFoundError):
                path.replace(target)
                sync_folder(target.parent)
                sync_folder(path.parent)

    def free(self) -> int | None:
        with translated():
            make_folder(self.root)
            return shutil.disk_usage(self.root).free

    def _path(self, key: str) -> Path:
        """Return the path for a key. The key format allows no path outside the root."""
        return self.root / check_key(key)


class Reader(Iterator[bytes]):
    """An iterator over the chunks of an open file, up to `length` bytes in total.

    `fileno` lets a server send the file directly, from its current position.
    """

    def __init__(self, file: IO[bytes], length: int | None) -> None:
        self._file = file
        self._left = sys.maxsize if length is None else length

    def __next__(self) -> bytes:
        chunk = self.read(CHUNK)
        if not chunk:
            raise StopIteration
        return chunk

    def read(self, size: int) -> bytes:
        if self._file.closed:
            return b""
        chunk = self._file.read(max(0, min(size, self._left)))
        self._left -= len(chunk)
        if not chunk:
            self.close()
        return chunk

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()
