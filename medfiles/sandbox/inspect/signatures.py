"""File signatures, display names for formats, and the exceptions that inspectors raise."""

import re
import struct
import zlib

from medfiles.sandbox.media_types import MEDIA_TYPES, MediaType

HEAD = 4096
BROKEN = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""The exceptions that parsers raise on unexpected input, except MemoryError, which ends the worker."""

SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF-", "pdf"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"II*\0", "tiff"),
    (0, b"MM\0*", "tiff"),
    (0, b"II+\0", "tiff"),
    (0, b"MM\0+", "tiff"),
    (0, b"GIF87a", "gif"),
    (0, b"GIF89a", "gif"),
    (0, b"PK\3\4", "zip"),
    (0, b"PK\5\6", "zip"),
    (0, b"PK\7\x08", "zip"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (0, b"MZ", "windows program"),
    (0, b"\x7fELF", "linux program"),
    (0, b"\xfe\xed\xfa\xce", "mac program"),
    (0, b"\xfe\xed\xfa\xcf", "mac program"),
    (0, b"\xce\xfa\xed\xfe", "mac program"),
    (0, b"\xcf\xfa\xed\xfe", "mac program"),
    (0, b"\xca\xfe\xba\xbe", "mac program"),
    (0, b"\0asm", "web program"),
    (0, b"dex\n0", "android program"),
    (0, b"L\0\0\0\x01\x14\x02\0", "windows shortcut"),
    (0, b"#!", "script"),
    (0, b"%!PS", "postscript"),
    (0, b"\xc5\xd0\xd3\xc6", "postscript"),
    (0, b"{\\rtf", "rtf"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\7", "rar"),
    (0, b"\x1f\x8b", "gzip"),
    (4, b"1AY&SY", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (257, b"ustar", "tar"),
    (0, b"ID3\2", "sound"),
    (0, b"ID3\3", "sound"),
    (0, b"ID3\4", "sound"),
    (0, b"OggS\0", "sound"),
    (0, b"\0\0\0\x0cjP  ", "jpeg 2000"),
    (0, b"8BPS", "photoshop"),
    (0, b"SQLite format 3\0", "database"),
)
RIFF = {b"WEBP": "webp", b"WAVE": "sound", b"AVI ": "film"}
BRANDS = {
    b"avif": "avif",
    b"avis": "avif",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"), "heic"),
}
INSIDE: dict[str, tuple[tuple[bytes, str], ...]] = {
    "zip": (
        (b"word/document.xml", "docx"),
        (b"xl/workbook.xml", "xlsx"),
        (b"ppt/presentation.xml", "powerpoint"),
        (b"application/vnd.oasis.opendocument", "opendocument"),
    ),
    "ole": tuple(
        (name.encode("utf-16-le"), kind)
        for name, kind in (
            ("EncryptedPackage", "locked office"),
            ("WordDocument", "doc"),
            ("Workbook", "xls"),
            ("Book\0", "xls"),
            ("PowerPoint Document", "powerpoint"),
        )
    ),
}


def _described(row: MediaType) -> str:
    """Return the description, with the extension if two formats would otherwise read the same."""
    return f"{row.description} ({row.extensions[0]})" if row.signature in ("ole", "zip") else row.description


NAMES: dict[str, str] = {row.content: _described(row) for row in MEDIA_TYPES if row.content} | {
    "webp": "a WebP image",
    "avif": "an AVIF image",
    "jpeg 2000": "a JPEG 2000 image",
    "photoshop": "a Photoshop image",
    "powerpoint": "a presentation",
    "opendocument": "an OpenDocument file",
    "locked office": "an Office document protected with a password",
    "ole": "an old Office document",
    "rtf": "a rich text document",
    "zip": "a ZIP archive",
    "7z": "a 7-Zip archive",
    "rar": "a RAR archive",
    "gzip": "a gzip archive",
    "bzip2": "a bzip2 archive",
    "xz": "an xz archive",
    "tar": "a tar archive",
    "windows program": "a Windows program",
    "linux program": "a Linux program",
    "mac program": "a Mac or Java program",
    "web program": "a WebAssembly program",
    "android program": "an Android program",
    "windows shortcut": "a Windows shortcut",
    "script": "a script",
    "postscript": "a PostScript program",
    "svg": "an SVG drawing",
    "web page": "a web page",
    "sound": "an audio file",
    "film": "a video",
    "database": "a database",
}
PROGRAMS = {
    "windows program",
    "linux program",
    "mac program",
    "web program",
    "android program",
    "windows shortcut",
    "script",
    "postscript",
}
MARKUP = {"web page", "svg"}
ARCHIVES = {"zip", "7z", "rar", "gzip", "bzip2", "xz", "tar"}
TAGS = re.compile(
    rb"<(?:!doctype\s+html|(?:html|head|body|script|iframe|object|embed|meta|link|base|style|title|h1|div|font|table|"
    rb"a|b|br|p|img|form|input|button|video|audio|template)(?=[\s/>]))|<!--|<\?php|<%"
)
BLANK = b" \t\r\n\f\v\xef\xbb\xbf"
BITMAP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}


class WrongType(Exception):
    """The content is not of the type that the extension claims."""


class Damaged(WrongType):
    """The type is right, but the file is too damaged to read."""


class Unsafe(Exception):
    """The file is dangerous. The argument is the message shown to the user."""


def identify(data: bytes) -> str | None:
    """Return the format as a key of NAMES, or None. More data gives a more specific answer."""
    kind = signature(data)
    if kind == "tiff" and data[128:132] == b"DICM":  # DICOM allows a TIFF header in its preamble
        return "dicom"
    return next((finer for needle, finer in INSIDE.get(kind or "", ()) if needle in data), kind)


def signature(data: bytes) -> str | None:
    for offset, magic, kind in SIGNATURES:
        if data.startswith(magic, offset):
            return kind
    return compound_signature(data) or ("dicom" if data[128:132] == b"DICM" else markup(data[:HEAD]))


def compound_signature(data: bytes) -> str | None:
    """Detect formats whose signature consists of several parts."""
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in BITMAP_HEADERS:
        return "bmp"
    if data[:1] == b"\0" and data[4:8] == b"ftyp":
        return BRANDS.get(data[8:12], "film")
    return RIFF.get(data[8:12]) if data[:4] == b"RIFF" else None


def markup(head: bytes) -> str | None:
    start = head.lstrip(BLANK).lower()
    if start.startswith(b"<?xml"):
        return "svg" if b"<svg" in start else "web page" if b"<html" in start else "xml"
    if re.match(rb"<(!doctype\s+)?svg[\s/>]", start):
        return "svg"
    return "web page" if TAGS.match(start) else None
