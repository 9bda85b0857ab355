"""A file system that loses at a power cut what was not synced, as disks may: bytes of files, and names in folders.

It keeps everything in memory twice: as programs see it, and as it would be found after a cut. `fsync` of a file makes
its bytes durable but not its name; `fsync` of a folder makes the names in it durable. At a cut, what was not synced is
lost, or some of it is there all the same: then any part of it, in any order, and files may have the new length without
the new bytes.

It is a program: FUSE serves the mounted folder, and orders come by standard input, one JSON line each.
"""

import errno
import json
import os
import random
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any, Union

from tests.support.tools import need

PAGE = 4096
ROOT = Path(__file__).parents[3]
Entry = Union["File", "Folder"]


@dataclass(eq=False)
class File:
    now: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    links: int = 0

    def sync(self) -> None:
        self.durable = bytes(self.now)

    def after_cut(self, kept: float, chance: random.Random) -> bytes:
        if not kept or self.durable == self.now:
            return self.durable
        found = bytearray(chance.choice((len(self.durable), len(self.now))))
        for at in range(0, len(found), PAGE):
            source = self.now if chance.random() < kept else self.durable
            found[at : at + PAGE] = source[at : at + PAGE].ljust(min(PAGE, len(found) - at), b"\0")
        return bytes(found)


@dataclass(eq=False)
class Folder:
    now: dict[str, Entry] = field(default_factory=dict)
    durable: dict[str, Entry] = field(default_factory=dict)
    pending: list[tuple[str, Entry | None]] = field(default_factory=list)

    def put(self, name: str, entry: Entry | None) -> None:
        if entry is None:
            del self.now[name]
        else:
            self.now[name] = entry
        self.pending.append((name, entry))

    def sync(self) -> None:
        self.durable, self.pending = dict(self.now), []

    def after_cut(self, kept: float, chance: random.Random) -> Mapping[str, Entry]:
        found: dict[str, Entry | None] = dict(self.durable)
        found |= {name: entry for name, entry in self.pending if chance.random() < kept}
        return {name: entry for name, entry in found.items() if entry is not None}


class Lossy:
    """What FUSE asks for. From the moment of the cut on, every answer is an error."""

    use_ns = True

    def __init__(self) -> None:
        self.root = Folder()
        self.opened: dict[int, File] = {}
        self.changes, self.cut_at, self.cut = 0, 0, False

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        entry = self.opened[fh] if fh else self._find(path)
        times = dict.fromkeys(("st_atime", "st_mtime", "st_ctime"), 1)
        if isinstance(entry, Folder):
            return times | {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
        return times | {"st_mode": stat.S_IFREG | 0o600, "st_nlink": entry.links, "st_size": len(entry.now)}

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *self._folder(path).now]

    def opendir(self, path: str) -> int:
        return 0

    def releasedir(self, path: str, fh: int) -> int:
        return 0

    def open(self, path: str, flags: int) -> int:
        return self._handle(self._file(path))

    def create(self, path: str, mode: int, flags: int) -> int:
        self._change()
        file = File(links=1)
        self._parent(path).put(PurePosixPath(path).name, file)
        return self._handle(file)

    def release(self, path: str, fh: int) -> int:
        self.opened.pop(fh, None)
        return 0

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        self._alive()
        return bytes(self.opened[fh].now[offset : offset + size])

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._change()
        content = self.opened[fh].now
        content.extend(b"\0" * (offset - len(content)))
        content[offset : offset + len(data)] = data
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self._change()
        content = (self.opened[fh] if fh else self._file(path)).now
        del content[length:]
        content.extend(b"\0" * (length - len(content)))
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._change()
        self.opened[fh].sync()
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self._change()
        self._folder(path).sync()
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        self._change()
        self._parent(path).put(PurePosixPath(path).name, Folder())
        return 0

    def unlink(self, path: str) -> int:
        self._change()
        self._file(path).links -= 1
        self._parent(path).put(PurePosixPath(path).name, None)
        return 0

    def rmdir(self, path: str) -> int:
        self._change()
        if self._folder(path).now:
            raise OSError(errno.ENOTEMPTY, path)
        self._parent(path).put(PurePosixPath(path).name, None)
        return 0

    def rename(self, old: str, new: str, *flags: int) -> int:
        self._change()
        entry = self._find(old)
        self._parent(new).put(PurePosixPath(new).name, entry)
        self._parent(old).put(PurePosixPath(old).name, None)
        return 0

    def link(self, target: str, source: str) -> int:
        self._change()
        file = self._file(source)
        file.links += 1
        self._parent(target).put(PurePosixPath(target).name, file)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        return 0

    def chown(self, path: str, user: int, group: int) -> int:
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        return {"f_bsize": PAGE, "f_frsize": PAGE, "f_blocks": 1 << 20, "f_bavail": 1 << 20, "f_bfree": 1 << 20}

    def _alive(self) -> None:
        if self.cut:
            raise OSError(errno.EIO, "no power")

    def _change(self) -> None:
        self._alive()
        self.changes += 1
        if self.changes == self.cut_at:
            self.cut = True
            self._alive()

    def _handle(self, file: File) -> int:
        number = id(file)
        self.opened[number] = file
        return number

    def _find(self, path: str) -> Entry:
        entry: Entry = self.root
        for name in PurePosixPath(path).parts[1:]:
            if not isinstance(entry, Folder) or name not in entry.now:
                raise OSError(errno.ENOENT, path)
            entry = entry.now[name]
        return entry

    def _file(self, path: str) -> File:
        entry = self._find(path)
        if isinstance(entry, Folder):
            raise OSError(errno.EISDIR, path)
        return entry

    def _folder(self, path: str) -> Folder:
        entry = self._find(path)
        if isinstance(entry, File):
            raise OSError(errno.ENOTDIR, path)
        return entry

    def _parent(self, path: str) -> Folder:
        return self._folder(str(PurePosixPath(path).parent))

    def load(self, source: str, name: str) -> int:
        """Begin anew with what lies in a folder, all of it durable, under a name nobody has used before."""
        self.root, self.cut, self.changes, self.cut_at = Folder(), False, 0, 0
        self.root.put(name, _taken_in(Path(source)))
        return 0

    def arm(self, at: int) -> int:
        """Cut before this change; 0: never."""
        self.changes, self.cut_at = 0, at
        return 0

    def fall(self, target: str, kept: float, seed: int) -> list[Any]:
        """Cut, if it was not, and write what is left into a folder: whether it was cut before, and after how many
        changes."""
        was, self.cut = self.cut, True
        chance = random.Random(seed)
        for entry in self.root.now.values():
            _put_out(entry, Path(target), kept, chance)
        return [was, self.changes]


def _taken_in(place: Path) -> Entry:
    if place.is_file():
        content = place.read_bytes()
        return File(bytearray(content), content, 1)
    entries = {one.name: _taken_in(one) for one in sorted(place.iterdir())}
    return Folder(entries, dict(entries))


def _put_out(entry: Entry, place: Path, kept: float, chance: random.Random) -> None:
    if isinstance(entry, File):
        place.write_bytes(entry.after_cut(kept, chance))
        return
    place.mkdir()
    for name, inner in entry.after_cut(kept, chance).items():
        _put_out(inner, place / name, kept, chance)


@dataclass
class Mounted:
    """Where it is mounted, and orders to it: the public verbs of Lossy that FUSE does not ask for."""

    folder: Path
    process: "subprocess.Popen[str]"

    def order(self, name: str, *arguments: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def mounted(folder: Path) -> Iterator[Mounted]:
    need("fuse")
    command = [sys.executable, "-m", "tests.proof.faults.lossy", str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:  # type: ignore[call-overload]
        if process.stdout.readline() != "mounted\n":
            raise RuntimeError(
                "No file system could be mounted here, which needs the right to mount. Its own words are above."
            )
        yield Mounted(folder, process)
        process.stdin.close()


def _obey(lossy: Lossy, folder: str) -> None:
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        answer: Callable[..., Any] = getattr(lossy, name)
        print(json.dumps(answer(*arguments)), flush=True)
    subprocess.run(["fusermount3", "-u", "-z", folder], check=True)


def _serve(folder: str) -> None:
    fuse = import_module("mfusepy")  # warns where there is no FUSE
    served = type("Served", (Lossy, fuse.Operations), {"init": _mounted(folder)})()
    fuse.FUSE(served, folder, foreground=True, nothreads=True, hard_remove=True, attr_timeout=0, entry_timeout=0)


def _mounted(folder: str) -> Callable[[Any, str], None]:
    def init(lossy: Any, path: str) -> None:
        print("mounted", flush=True)
        threading.Thread(target=_obey, args=(lossy, folder), daemon=True).start()

    return init


if __name__ == "__main__":
    _serve(os.path.abspath(sys.argv[1]))
