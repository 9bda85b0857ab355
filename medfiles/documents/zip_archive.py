"""Write documents to one ZIP archive while it is sent. Its exact size is known before the first byte."""

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
from medfiles.i18n import N_, gettext

NOTE = N_("Missing documents.txt")
NOTE_HEAD = N_("These documents could not be added to this archive:")
NOTE_END = N_("Documents that still appear in the list are missing or damaged.\nContact your administrator.")
NOT_ON_WINDOWS = re.compile(r'[<>:"|?*]')
EARLIEST, LATEST = datetime(1980, 1, 1, tzinfo=UTC), datetime(2038, 1, 19, tzinfo=UTC)  # range of a ZIP timestamp
SEPARATORS = re.compile(r"[/\\]")
MOST_IN_FOLDER = 80  # characters of a folder's name, since Windows limits whole paths
UTF8 = 1 << 11


@dataclass(frozen=True)
class Member:
    """One document: display name, size in bytes, time of the last change, and a function that reads its bytes.

    `folder` is a portable path, or "" for the top of the archive.
    """

    name: str
    size: int
    modified: datetime
    read: Callable[[], Iterator[bytes]]
    folder: str = ""

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}" if self.folder else self.name


@dataclass(frozen=True)
class Archive:
    """A ZIP archive. Iterate over it to get its bytes; `size` is its exact size in bytes.

    Iterating raises an error if a document cannot be read or is not of the announced size. The archive is then
    incomplete.
    """

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
    """Return an archive of the members with unique, portable names, and a note that lists any `missing` documents."""
    if missing:
        listed = "".join(f"- {name}\n" for name in missing)
        note = f"{gettext(NOTE_HEAD)}\n\n{listed}\n{gettext(NOTE_END)}\n".encode()
        members = [*members, Member(gettext(NOTE), len(note), now(), lambda: iter([note]))]
    members = placed(members)
    sink = _Sink()  # compute the size of the archive without reading any content
    with ZipFile(sink, "w") as zipped:
        for member in members:
            entry = _entry(member)
            with zipped.open(entry, "w"):
                sink.skip(member.size)
            entry.file_size = entry.compress_size = member.size
    return Archive(members, sink.tell())


def placed(members: Sequence[Member]) -> Sequence[Member]:
    """Return the members with portable names that are unique in their folder. Doing so again changes nothing."""
    by_folder: dict[str, list[str]] = {}
    for member in members:
        by_folder.setdefault(member.folder, []).append(portable(member.name))
    names = {folder: iter(unique_names(those)) for folder, those in by_folder.items()}
    return [replace(member, name=next(names[member.folder])) for member in members]


def folder_names(titles: Sequence[str]) -> Sequence[str]:
    """Return a unique, portable and not too long folder name for each title."""
    names = [portable(SEPARATORS.sub("-", title))[:MOST_IN_FOLDER].rstrip(" .") for title in titles]
    return unique_names(names, extensions=False)


def portable(name: str) -> str:
    """Return the name without path separators or characters that some systems cannot store."""
    try:
        return NOT_ON_WINDOWS.sub("_", detection.clean_name(name))
    except BadName:
        return gettext("Document")


def unique_names(names: Sequence[str], *, extensions: bool = True) -> Sequence[str]:
    """Make names unique by numbering repeated ones, ignoring case and Unicode composition.

    The number is put before the extension, unless the names have none.
    """
    originals, used = {_folded(name) for name in names}, set[str]()
    next_number: dict[str, int] = {}
    unique = []
    for name in names:
        folded = _folded(name)
        if folded in used:
            path, number = PurePosixPath(name), next_number.get(folded, 2)
            stem, suffix = (path.stem, path.suffix) if extensions else (name, "")
            while _folded(name := f"{stem} ({number}){suffix}") in originals:
                number += 1
            next_number[folded] = number + 1
        used.add(folded)
        unique.append(name)
    return unique


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _exactly(member: Member) -> Iterator[bytes]:
    """Yield the announced number of bytes. Raises IntegrityFailed if the document has more or fewer bytes."""
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
        raise IntegrityFailed(gettext("A document changed during the download. Please try again."))


def _entry(member: Member) -> "Entry":
    moment = min(max(member.modified, EARLIEST), LATEST).astimezone(UTC)
    entry = Entry(member.path, moment.timetuple()[:6])
    entry.file_size = member.size
    entry.extra = struct.pack("<HHBi", 0x5455, 5, 1, int(moment.timestamp()))  # in UTC: ZIP timestamps have no zone
    return entry


class Entry(ZipInfo):
    """A member whose name is always UTF-8. Newer versions of Python write some names in the DOS code page."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(), self.flag_bits | UTF8


class _Sink(io.RawIOBase):
    """A write-only file that is emptied chunk by chunk while the archive is written."""

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
