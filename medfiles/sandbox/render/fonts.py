"""Fallback fonts for PDF text whose fonts are not embedded.

PDFium has outlines for Latin text only. Noto Sans CJK draws Chinese, Japanese and Korean; Arimo draws Greek, Cyrillic
and Hebrew in the widths of Arial. The files are mapped into memory before the worker is confined, because it can open
none afterwards.
"""

import ctypes
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pypdfium2 import PdfSysfontBase

CJK_CHARSETS = {128, 129, 134, 136}  # Shift JIS, Hangul, GB 2312, Big5
REGULAR_CHARSET = 0
UNICODE_TABLES = ((3, 10), (0, 4), (3, 1), (0, 3))  # platform and encoding, the most complete first


@dataclass(frozen=True)
class FallbackFont:
    """A font file. `family` is the name that PDFium reports for text drawn in it."""

    family: str
    content: mmap.mmap

    @cached_property
    def characters(self) -> frozenset[int]:
        """The code points that the font has a glyph for."""
        return frozenset(read_characters(self.content))


class FallbackFonts(PdfSysfontBase):  # type: ignore[misc]
    """Answers PDFium's questions about installed fonts.

    While `wide` is set, Arimo also takes the place of PDFium's Latin fonts, and so documents opened then show more
    scripts.
    """

    def __init__(self, cjk: FallbackFont, latin: FallbackFont) -> None:
        super().__init__()
        self.fonts = {1: cjk, 2: latin}
        self.by_family = {font.family: font for font in self.fonts.values()}
        self.wide = False

    def EnumFonts(self, _: Any, mapper: Any) -> None:
        """List no fonts: they are only asked for through MapFont."""

    def MapFont(self, _: Any, weight: int, italic: int, charset: int, pitch: int, face: Any, exact: Any) -> int | None:
        if charset in CJK_CHARSETS:
            return 1
        return 2 if self.wide and charset == REGULAR_CHARSET else None

    def GetFont(self, _: Any, face: Any) -> None:
        return None

    def GetFontData(self, _: Any, handle: int, table: int, buffer: Any, size: int) -> int:
        if table:
            return 0
        content = self.fonts[handle].content
        if buffer and size >= len(content):
            ctypes.memmove(buffer, content[:], len(content))
        return len(content)

    def GetFaceName(self, _: Any, handle: int, buffer: Any, size: int) -> int:
        name = self.fonts[handle].family.encode() + b"\0"
        if buffer and size >= len(name):
            ctypes.memmove(buffer, name, len(name))
        return len(name)

    def GetFontCharset(self, _: Any, handle: int) -> int:
        return REGULAR_CHARSET

    def DeleteFont(self, _: Any, handle: int) -> None:
        """Keep the font: it is shared by all documents."""


def install() -> FallbackFonts:
    """Load the fonts and hand them to PDFium."""
    fonts = FallbackFonts(
        FallbackFont("Noto Sans CJK TC", map_file("cvttf_NotoSansCJK_Regular", "NotoSansCJKtc-Regular.otf")),
        FallbackFont("Arimo", map_file("fontpkg_arimo", "files/Arimo[wght].ttf")),
    )
    fonts.setup()
    return fonts


def map_file(package: str, name: str) -> mmap.mmap:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"The font package {package} is not installed.", name=package)
    with (Path(spec.origin).parent / name).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_characters(content: mmap.mmap) -> Iterator[int]:
    """Yield the code points in the best Unicode table of a font's `cmap`."""
    (count,) = struct.unpack_from(">H", content, 4)
    entries = [struct.unpack_from(">4s3L", content, 12 + 16 * number) for number in range(count)]
    cmap = next(offset for tag, _, offset, _ in entries if tag == b"cmap")
    (tables,) = struct.unpack_from(">H", content, cmap + 2)
    found = {
        (platform, encoding): cmap + offset
        for platform, encoding, offset in (struct.unpack_from(">HHL", content, cmap + 4 + 8 * n) for n in range(tables))
    }
    start = next(found[wanted] for wanted in UNICODE_TABLES if wanted in found)
    (layout,) = struct.unpack_from(">H", content, start)
    return read_groups(content, start) if layout == 12 else read_segments(content, start)


def read_groups(content: mmap.mmap, start: int) -> Iterator[int]:
    (count,) = struct.unpack_from(">L", content, start + 12)
    for number in range(count):
        first, last, _ = struct.unpack_from(">3L", content, start + 16 + 12 * number)
        yield from range(first, last + 1)


def read_segments(content: mmap.mmap, start: int) -> Iterator[int]:
    (double,) = struct.unpack_from(">H", content, start + 6)
    ends = struct.unpack_from(f">{double // 2}H", content, start + 14)
    starts = struct.unpack_from(f">{double // 2}H", content, start + 16 + double)
    for first, last in zip(starts, ends, strict=True):
        yield from range(first, min(last, 0xFFFE) + 1)
