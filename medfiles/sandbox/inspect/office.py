"""Inspect Office documents: compound files (.doc, .xls) and ZIP packages (.docx, .xlsx).

Package sizes are checked before and during decompression; [Content_Types].xml must declare the right main part.
"""

import re
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, LargeZipFile, ZipFile, ZipInfo

import olefile

from medfiles.sandbox.inspect.signatures import (
    ARCHIVES,
    BROKEN,
    HEAD,
    Damaged,
    Unsafe,
    Unsupported,
    WrongType,
    identify,
    signature,
)
from medfiles.sandbox.inspect.text import parse_xml

STREAMS = {"application/msword": ("WordDocument",), "application/vnd.ms-excel": ("Workbook", "Book")}
OPEN_XML = "application/vnd.openxmlformats-officedocument."
MAIN_PART = re.compile(r"[./](document|sheet|template|presentation|slideshow)\b.*\.main(\+xml)?$")
ENCRYPTED_PACKAGE = "EncryptedPackage"
DEEPEST = 3
CHUNK = 1024**2
MAX_MEMBERS = 10_000
MAX_INFLATED = 200 * 1024**2
LOCAL_HEADER = struct.Struct("<4s5H3L2H")
ENCRYPTED, SIZES_FOLLOW, ZIP64 = 0x1, 0x8, 0xFFFFFFFF
CONTENT_TYPES = "[content_types].xml"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
UNSAFE_NAME = re.compile(r"^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\0")
COMPRESSED_DRAWINGS = (".emz", ".wmz")


@dataclass
class Budget:
    """The number of bytes that may still be decompressed, shared by a package and its embedded packages."""

    left: int = MAX_INFLATED

    def spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise unsafe(f"it unpacks to more than {MAX_INFLATED // 1024**2} MB")


def unsafe(reason: str) -> Unsafe:
    return Unsafe(
        f"This Office document could not be checked safely: {reason}. "
        "Open it and save it as a new document, then upload that."
    )


def inspect_compound(file: BinaryIO, media_type: str) -> dict[str, Any]:
    if signature(file.read(HEAD)) == "xls":  # early versions have no container
        return {"media_type": media_type, "pages": None}
    file.seek(0)
    try:
        with olefile.OleFileIO(file) as compound:
            streams = [name for name in STREAMS[media_type] if compound.exists(name)]
            if not streams:
                raise WrongType
            if not any(has_whole_stream(compound, name) for name in streams):
                raise Damaged
    except BROKEN as error:
        raise Damaged from error
    return {"media_type": media_type, "pages": None}


def is_locked(file: BinaryIO) -> bool:
    """Return whether the file is a package locked with a password, which is stored in a compound file."""
    file.seek(0)
    try:
        with olefile.OleFileIO(file) as compound:
            return bool(compound.exists(ENCRYPTED_PACKAGE)) and has_whole_stream(compound, ENCRYPTED_PACKAGE)
    except BROKEN:
        return False


def has_whole_stream(compound: olefile.OleFileIO, name: str) -> bool:
    size: int = compound.get_size(name)
    return 0 < size == len(compound.openstream(name).read())


def inspect_package(file: BinaryIO, media_type: str) -> dict[str, Any]:
    if file.read(len(OLE)) == OLE:
        if not is_locked(file):
            raise WrongType
        return {"media_type": media_type, "pages": None}
    file.seek(0)
    try:
        types = check(file.read(), Budget(), 0)
    except (BadZipFile, LargeZipFile, *BROKEN) as error:
        raise Damaged from error
    if f"{media_type}.main+xml" not in types:
        raise other_package(types)
    return {"media_type": media_type, "pages": None}


def other_package(types: set[str]) -> Exception:
    """Return the error for a package without the right main part."""
    mains = " ".join(sorted(name for name in types if MAIN_PART.search(name)))
    if "macroenabled" in mains or "template" in mains or "binary" in mains:
        kind = "excel macros" if "excel" in mains or "spreadsheet" in mains else "word macros"
        return Unsupported("powerpoint" if "powerpoint" in mains or "presentation" in mains else kind)
    return WrongType()


def check(data: bytes, budget: Budget, depth: int) -> set[str]:
    """Check every member, and return the content types that the package declares, in lower case."""
    types: set[str] = set()
    for member, extent in members(data):
        content = b"".join(inflate(extent, member, budget))
        if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
            raise unsafe("the sizes or checksums of its parts are wrong")
        if part_name(member) == CONTENT_TYPES:
            types = declared_types(content)
        check_nested(member.filename, content, budget, depth)
    return types


def part_name(member: ZipInfo) -> str:
    """Return the name by which readers find a part: some programs write backslashes or another case."""
    return member.filename.replace("\\", "/").lower()


def check_nested(name: str, content: bytes, budget: Budget, depth: int) -> None:
    """Allow embedded Office packages, such as a chart's workbook or an inserted document, but no other archives."""
    kind = identify(content[:HEAD]) if not name.lower().endswith(COMPRESSED_DRAWINGS) else None
    if kind in ARCHIVES | {"docx", "xlsx", "powerpoint", "opendocument"}:
        if depth == DEEPEST or kind in ARCHIVES - {"zip"}:
            raise unsafe("it contains other archives")
        if not any(OPEN_XML in declaration for declaration in check(content, budget, depth + 1)):
            raise unsafe("it contains other archives")


def members(data: bytes) -> list[tuple[ZipInfo, bytes]]:
    """Return each member with its compressed bytes, in file order."""
    with ZipFile(BytesIO(data)) as package:
        entries, directory = (
            sorted(package.infolist(), key=lambda entry: entry.header_offset),
            package.start_dir,
        )
    if len(entries) > MAX_MEMBERS:
        raise unsafe(f"it has more than {MAX_MEMBERS:,} parts")
    if len({part_name(entry) for entry in entries}) < len(entries):
        raise unsafe("two of its parts have the same name")
    for entry in entries:
        check_member(entry)
    spans = [span(data, entry) for entry in entries]
    check_order([entry.header_offset for entry in entries] + [directory], [end for _, end in spans])
    return [(entry, data[start:end]) for entry, (start, end) in zip(entries, spans, strict=True)]


def check_order(starts: list[int], ends: list[int]) -> None:
    """Require that members start at byte 0 and do not overlap, which zipfile does not check."""
    if starts[0] > 0 or any(end > following for end, following in zip(ends, starts[1:], strict=True)):
        raise unsafe("its parts overlap, or there is other content before them")


def check_member(entry: ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if UNSAFE_NAME.search(entry.orig_filename):
        raise unsafe("the name of a part points outside the document")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise unsafe("it contains links or devices")
    if entry.flag_bits & ENCRYPTED:
        raise unsafe("it is protected with a password")
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise unsafe("it uses an unusual compression")


def span(data: bytes, entry: ZipInfo) -> tuple[int, int]:
    """Return the start and end of a member's data. Raises Unsafe if its local header contradicts the directory."""
    header = LOCAL_HEADER.unpack_from(data, entry.header_offset)
    magic, _, flags, method, _, _, _, packed, size, name, extra = header
    start = entry.header_offset + LOCAL_HEADER.size + name + extra
    agrees = magic == b"PK\3\4" and method == entry.compress_type and not flags & ENCRYPTED
    sizes_agree = (
        flags & SIZES_FOLLOW or ZIP64 in (packed, size) or (packed, size) == (entry.compress_size, entry.file_size)
    )
    if not (agrees and sizes_agree):
        raise unsafe("the sizes of its parts are wrong")
    return start, start + entry.compress_size


def inflate(packed: bytes, entry: ZipInfo, budget: Budget) -> Iterator[bytes]:
    if entry.compress_type == ZIP_STORED:
        budget.spend(len(packed))
        yield packed
        return
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    while packed and not engine.eof:
        piece = engine.decompress(packed, CHUNK)
        packed = engine.unconsumed_tail
        budget.spend(len(piece))
        yield piece


def declared_types(content: bytes) -> set[str]:
    declared = parse_xml(content).iter("{*}Override", "{*}Default")
    return {element.get("ContentType", "").lower() for element in declared}
