"""Many documents as one ZIP, made while it is sent: nothing is held whole, and its size is known before."""

import io
import re
import struct
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any
from zipfile import ZipFile, ZipInfo

from medfiles.clock import now
from medfiles.documents import detection
from medfiles.errors import BadName, IntegrityFailed

NOTE = "Missing documents.txt"
NOTE_HEAD = "These documents could not be added to this archive:\n\n"
NOTE_END = (
    "\nDocuments that are still listed are missing from the document store or damaged.\nContact your administrator.\n"
)
NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]')
EARLIEST, LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2038, 1, 19, tzinfo=UTC)  # what its clocks can tell
UTF8 = 1 << 11


@dataclass(frozen=True)
class Member:
    """One document: its name as displayed, its size in bytes, since when it is as it is, and its bytes."""

    name: str
    size: int
    modified: datetime
    read: Callable[[], Iterator[bytes]]


@dataclass(frozen=True)
class Archive:
    """`size` in bytes, exact. Iterating raises when a document cannot be read or its size is not what was announced:
    what was sent until then is not an archive."""

    members: Sequence[Member]
    size: int

    def __iter__(self) -> Iterator[bytes]:
        sink = _Sink()
        with ZipFile(sink, "w") as zipped:
            for member in self.members:
                with zipped.open(_entry(member), "w") as entry:
                    for chunk in _exactly(member):
                        entry.write(chunk)
                        yield sink.take()
        yield sink.take()


def archive(members: Sequence[Member], missing: Sequence[str] = ()) -> Archive:
    """The members under names that every system keeps apart; `missing` documents are named in a text beside them."""
    everything = [*members, _note(missing)] if missing else members
    names = kept_apart([usable(member.name) for member in everything])
    named = [replace(member, name=name) for member, name in zip(everything, names, strict=True)]
    return Archive(named, _measured(named))


def usable(name: str) -> str:
    """The name without what would lead out of a folder or what some system cannot write."""
    try:
        return NOT_ON_WINDOWS.sub("_", detection.clean_name(name))
    except BadName:
        return "Document"


def kept_apart(names: Sequence[str]) -> Sequence[str]:
    """Where two names are the same to a system that ignores case and how accents are written, the later gets a
    number, one that no document bears itself."""
    borne, given = {_folded(name) for name in names}, set[str]()
    numbers: dict[str, int] = {}
    apart = []
    for name in names:
        folded = _folded(name)
        if folded in given:
            name, numbers[folded] = _numbered(name, numbers.get(folded, 2), borne)
        given.add(folded)
        apart.append(name)
    return apart


def _numbered(name: str, number: int, borne: set[str]) -> tuple[str, int]:
    """The name with the first free number from `number` on, and the number after it."""
    path = PurePosixPath(name)
    while _folded(numbered := f"{path.stem} ({number}){path.suffix}") in borne:
        number += 1
    return numbered, number + 1


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _note(missing: Sequence[str]) -> Member:
    content = (NOTE_HEAD + "".join(f"- {name}\n" for name in missing) + NOTE_END).encode()
    return Member(NOTE, len(content), now(), lambda: iter([content]))


def _measured(members: Sequence[Member]) -> int:
    """What the same writer writes, asked by leaving out all content."""
    sink = _Sink()
    with ZipFile(sink, "w") as zipped:
        for member in members:
            entry = _entry(member)
            with zipped.open(entry, "w"):
                sink.skip(member.size)
            entry.file_size = entry.compress_size = member.size
    return sink.tell()


def _exactly(member: Member) -> Iterator[bytes]:
    """Its bytes; raises before one too many of them goes out, and when they end too soon."""
    left = member.size
    with ExitStack() as stack:
        chunks = member.read()
        stack.callback(getattr(chunks, "close", bool))
        for chunk in chunks:
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
    if left != 0:
        raise IntegrityFailed("A document changed during the download. Please download again.")


def _entry(member: Member) -> "Entry":
    moment = min(max(member.modified, EARLIEST), LATEST).astimezone(UTC)
    entry = Entry(member.name, moment.timetuple()[:6])
    entry.file_size = member.size
    entry.extra = struct.pack("<HHBi", 0x5455, 5, 1, int(moment.timestamp()))  # the same in UTC: ZIP has no time zones
    return entry


class Entry(ZipInfo):
    """A member whose name is UTF-8 and says so: newer Pythons would write some names in the DOS code page."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(), self.flag_bits | UTF8


class _Sink(io.RawIOBase):
    """A file that cannot be read or wound back, only emptied: where the archive is written piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at = 0

    def write(self, data: Any) -> int:
        self._pieces.append(bytes(data))
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def skip(self, size: int) -> None:
        self._at += size

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken
