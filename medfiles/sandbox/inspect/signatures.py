"""File signatures, display names for formats, and the exceptions that inspectors raise."""

import re
import struct
import zlib

from medfiles.i18n import N_
from medfiles.sandbox.inspect.markup import BLANK, TAGS, markup
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
    (0, b"\x7fELF", "linux program"),
    (0, b"\xfe\xed\xfa\xce", "mac program"),
    (0, b"\xfe\xed\xfa\xcf", "mac program"),
    (0, b"\xce\xfa\xed\xfe", "mac program"),
    (0, b"\xcf\xfa\xed\xfe", "mac program"),
    (0, b"\xca\xfe\xba\xbe", "mac program"),
    (0, b"\0asm", "web program"),
    (0, b"dex\n0", "android program"),
    (0, b"L\0\0\0\x01\x14\x02\0", "windows shortcut"),
    (0, b"%!PS", "postscript"),
    (0, b"\xc5\xd0\xd3\xc6", "postscript"),
    (0, b"{\\rtf", "rtf"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\7", "rar"),
    (0, b"\x1f\x8b", "gzip"),
    (4, b"1AY&SY", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (257, b"ustar\0", "tar"),
    (257, b"ustar  \0", "tar"),
    (0, b"\xdb\xa5\x2d\0", "word 2"),
    (0, b"\x09\0\x04\0", "xls"),  # Excel 2 to 4, and later versions without a container
    (0, b"\x09\x02\x06\0", "xls"),
    (0, b"\x09\x04\x06\0", "xls"),
    (0, b"\x09\x08\x08\0", "xls"),
    (0, b"\x09\x08\x10\0", "xls"),
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
INSIDE: dict[str, tuple[tuple[re.Pattern[bytes], str], ...]] = {
    "zip": (
        (re.compile(rb"word[/\\]document\d*\.xml", re.IGNORECASE), "docx"),
        (re.compile(rb"xl[/\\]workbook\d*\.(?:xml|bin)", re.IGNORECASE), "xlsx"),
        (re.compile(rb"ppt[/\\]presentation\d*\.xml", re.IGNORECASE), "powerpoint"),
        (re.compile(rb"application/vnd\.oasis\.opendocument"), "opendocument"),
        (re.compile(rb"application/epub\+zip"), "e-book"),
    ),
    "ole": tuple(
        (re.compile(re.escape(name.encode("utf-16-le"))), kind)
        for name, kind in (
            ("EncryptedPackage", "locked office"),
            ("WordDocument", "doc"),
            ("Workbook", "xls"),
            ("Book\0", "xls"),
            ("PowerPoint Document", "powerpoint"),
            ("__substg1.0_", "outlook message"),
            ("\u4840\u3f3f\u4577", "installer"),  # the encoded name of a table that every Windows Installer file has
        )
    ),
}


def _described(row: MediaType) -> str:
    """Return the description, with the extension if two formats would otherwise read the same."""
    return f"{row.description} ({row.extensions[0]})" if row.signature in ("ole", "zip") else row.description


NAMES: dict[str, str] = {row.content: _described(row) for row in MEDIA_TYPES if row.content} | {
    "webp": N_("a WebP image"),
    "avif": N_("an AVIF image"),
    "jpeg 2000": N_("a JPEG 2000 image"),
    "photoshop": N_("a Photoshop image"),
    "powerpoint": N_("a presentation"),
    "opendocument": N_("an OpenDocument file"),
    "locked office": N_("an Office document locked with a password"),
    "word xml": N_("a Word 2003 XML document"),
    "excel xml": N_("an Excel 2003 XML workbook"),
    "word 2": N_("a Word 2 document"),
    "word macros": N_("a Word document with macros, or a template"),
    "excel macros": N_("an Excel workbook with macros, a binary one or a template"),
    "outlook message": N_("an Outlook message"),
    "e-book": N_("an e-book"),
    "dicom directory": N_("the table of contents of a DICOM disc"),
    "ole": N_("an old Office document"),
    "rtf": N_("a rich text document"),
    "zip": N_("a ZIP archive"),
    "7z": N_("a 7-Zip archive"),
    "rar": N_("a RAR archive"),
    "gzip": N_("a gzip archive"),
    "bzip2": N_("a bzip2 archive"),
    "xz": N_("an xz archive"),
    "tar": N_("a tar archive"),
    "windows program": N_("a Windows program"),
    "linux program": N_("a Linux program"),
    "mac program": N_("a Mac or Java program"),
    "web program": N_("a WebAssembly program"),
    "android program": N_("an Android program"),
    "installer": N_("a Windows installer"),
    "windows shortcut": N_("a Windows shortcut"),
    "script": N_("a script"),
    "postscript": N_("a PostScript program"),
    "svg": N_("an SVG drawing"),
    "web page": N_("a web page"),
    "sound": N_("an audio file"),
    "film": N_("a video"),
    "database": N_("a database"),
}
PROGRAMS = {
    "windows program",
    "linux program",
    "mac program",
    "web program",
    "android program",
    "installer",
    "windows shortcut",
    "script",
    "postscript",
}
ARCHIVES = {"zip", "7z", "rar", "gzip", "bzip2", "xz", "tar"}
GENERAL_BRANDS = (b"mif1", b"msf1")
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
PADDING = b"\0\x1a"  # at the end of texts from older systems
SHEBANG = re.compile(rb"#![ \t]*/[\w.+-]+/\S")
ID3_FRAME = re.compile(rb"[A-Z0-9]{3}[A-Z0-9\0]")
DATA_SET = re.compile(  # of DICOM, without the preamble: its first element is of group 8 and short
    rb"\x08\x00[\x00-\x70]\x00(?:(?:CS|UI|UL|DA|TM|SH|LO).\x00|[\x02-\xff]\x00\x00\x00[ -~])|"
    rb"\x00\x08\x00[\x00-\x70](?:CS|UI|UL|DA|TM|SH|LO)\x00.",
    re.DOTALL,
)
PDF_WITHIN = 1024 + len(b"%PDF-")  # readers look for the start of a PDF in this many bytes
OTHER_STARTS = {"bmp": b"BM", "pdf": b"%PDF-", "webp": b"RIFF"}
BITMAP_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}


class WrongType(Exception):
    """The content is not of the type that the extension claims."""


class Damaged(WrongType):
    """The type is right, but the file is too damaged to read."""


class Unsupported(Exception):
    """The file is sound, but of a kind that cannot be opened here. The argument is that kind, a key of NAMES or None.

    If None, it is a rare variant of the type that was inspected.
    """

    def __init__(self, kind: str | None = None) -> None:
        super().__init__(kind)
        self.kind = kind


class Unsafe(Exception):
    """The file is dangerous. The argument is the message shown to the user."""


def identify(data: bytes) -> str | None:
    """Return the format as a key of NAMES, or None. More data gives a more specific answer."""
    kind = signature(data)
    if kind == "tiff" and data[128:132] == b"DICM":  # DICOM allows a TIFF header in its preamble
        return "dicom"
    return next((finer for needle, finer in INSIDE.get(kind or "", ()) if needle.search(data)), kind)


def signature(data: bytes) -> str | None:
    for offset, magic, kind in SIGNATURES:
        if data.startswith(magic, offset):
            return kind
    return (
        compound_signature(data)
        or weak_signature(data)
        or ("dicom" if data[128:132] == b"DICM" or DATA_SET.match(data) else markup(data[:HEAD]))
        or ("pdf" if pdf_start(data) is not None else None)
    )


def begins_like(row: MediaType, data: bytes) -> bool:
    """Return whether the data begin like files of a type, or are the beginning of one."""
    kinds = {row.content, row.signature} - {None}
    starts = [magic for offset, magic, kind in SIGNATURES if offset == 0 and kind in kinds]
    starts += [magic for kind, magic in OTHER_STARTS.items() if kind in kinds]
    return any(data[: len(magic)] == magic[: len(data)] for magic in starts)


def compound_signature(data: bytes) -> str | None:
    """Detect formats whose signature consists of several parts."""
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in BITMAP_HEADERS:
        return "bmp"
    if data[:1] == b"\0" and data[4:8] == b"ftyp":
        return brand(data)
    return RIFF.get(data[8:12]) if data[:4] == b"RIFF" else None


def brand(data: bytes) -> str:
    """Return the format of an ISO base media file. General brands are narrowed down by the compatible ones."""
    compatible = data[16 : int.from_bytes(data[:4])] if data[8:12] in GENERAL_BRANDS else b""
    names = [data[8:12], *(compatible[at : at + 4] for at in range(0, min(len(compatible), 400), 4))]
    return "avif" if {b"avif", b"avis"} & set(names) else BRANDS.get(names[0], "film")


def weak_signature(data: bytes) -> str | None:
    """Detect formats whose few letters also begin ordinary texts, so that their structure must confirm them."""
    if data[:2] == b"MZ":
        at = int.from_bytes(data[60:64], "little")
        if data[at : at + 2] in (b"PE", b"NE", b"LE", b"LX") or b"\0" in data[:64].rstrip(PADDING):
            return "windows program"
    if SHEBANG.match(data.removeprefix(b"\xef\xbb\xbf")):
        return "script"
    if data[:3] == b"ID3" and data[3:4] in b"\2\3\4" and ID3_FRAME.match(data, 10):
        return "sound"
    return None


def pdf_start(data: bytes) -> int | None:
    """Return where a PDF starts: after blanks or text that is of no other format. Return None if it is no PDF."""
    at = data[:PDF_WITHIN].find(b"%PDF-")
    return None if at < 0 or (at > 0 and not is_harmless(data[:at])) else at


def is_harmless(before: bytes) -> bool:
    """Return whether content in front of a document is text that belongs to no other format."""
    start = before.lower().lstrip(BLANK + b"\0")
    foreign = (magic for offset, magic, _ in SIGNATURES if offset == 0)
    if before.startswith(tuple(foreign)) or start.startswith((b"#!", b"mz", b"<")) or TAGS.search(start):
        return False
    try:
        return not CONTROL.search(before.decode().replace("\0", ""))
    except UnicodeDecodeError:
        return False
