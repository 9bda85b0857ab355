"""Render PDF pages and their filled-in form fields, and say which text cannot be shown."""

import ctypes
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy
import pypdfium2
from PIL import Image
from pypdfium2 import raw

from medfiles.sandbox.render import fonts
from medfiles.sandbox.render.base import (
    DAMAGED,
    MAX_PAGES,
    CannotRender,
    NoSuchPage,
    PreviewData,
    encode_webp,
    join_notes,
    listed,
)
from medfiles.sandbox.render.spec import fit_size

SCREEN = 96 / 72  # pixels per point
MAX_CHARACTERS = 200_000  # of a page, checked for missing glyphs
CHECK_SECONDS = 3.0  # for the pages of a document
WHITE = 250  # nothing on a page is darker: it looks blank
INVISIBLE = (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP)
PICTORIAL = re.compile("wingding|webding|dingbat|symbol|marlett|mt ?extra|barcode|code ?(39|128)|icons?$", re.I)
BUILT_IN_SYMBOLS = ("symbol", "zapfdingbats")
LOCKED = "This PDF is locked with a password. Download it to open it with the password."
NEEDS_READER = "This form needs Adobe Reader. Download it and open it there."
STATIC_FORM = "This form was made for Adobe Reader, which may show it differently."
PLACEHOLDER = re.compile(r"please wait|adobe reader|not (yet )?supported by your", re.I)
ATTACHED = "Attached files are not shown: {}. Download the document to open them."
MISSING = (
    "Some characters are in a font that this file does not contain and cannot be shown. "
    "Download the document to open it on your device."
)
UNSURE = (
    "Some text is in a font that this file does not contain and may be shown with the wrong characters. "
    "Download the document to open it on your device."
)
UNCHECKED = "Only the first {} pages were checked for missing characters."
BLANK = "The text of this page cannot be shown. Download the document to open it on your device."

FALLBACK = fonts.install()


def describe(file: BinaryIO) -> PreviewData:
    with open_pdf(file) as document:
        pages = len(document)
        if not 0 < pages <= MAX_PAGES:
            raise CannotRender(DAMAGED)
        width, height = document.get_page_size(0)
        notes = [form_note(document), attachments_note(document)]
    notes += text_notes(file)
    return PreviewData("pages", pages, round(width * SCREEN), round(height * SCREEN), note=join_notes(*notes))


def picture(file: BinaryIO, page: int, width: int, window: tuple[float, float] | None) -> dict[str, Any]:
    for wide in (False, True):
        with open_pdf(file, wide=wide) as document:
            if page > len(document):
                raise NoSuchPage
            if document.get_formtype():
                document.init_forms()
            text = PageText(document[page - 1])
            if wide or not text.is_missing:
                image = render(document[page - 1], width)
                break
    if text.is_visible and is_blank(image):
        raise CannotRender(BLANK)
    return encode_webp(image, text.note)


def render(page: Any, width: int) -> Image.Image:
    size = page.get_size()
    if min(size) <= 0:
        raise CannotRender(DAMAGED)
    scale = fit_size(size, width)[0] / size[0]
    image: Image.Image = page.render(scale=scale, rev_byteorder=True).to_pil()
    return image


def is_blank(image: Image.Image) -> bool:
    return int(numpy.asarray(image.convert("RGB")).min()) > WHITE


def text_notes(file: BinaryIO) -> list[str]:
    """Return what text the pictures of the first pages lack. How many pages that are depends on their length."""
    wide, place, notes = False, 0, set[str]()
    deadline = time.monotonic() + CHECK_SECONDS
    while True:
        with open_pdf(file, wide=wide) as document:
            while place < len(document):
                text = PageText(document[place])
                if text.is_missing and not wide:
                    break  # try the wider fonts from here
                notes.update([text.note] if text.note else [])
                place += 1
                if time.monotonic() > deadline and place < len(document):
                    return [*sorted(notes), UNCHECKED.format(place)]
            else:
                return sorted(notes)
        wide = True


@contextmanager
def open_pdf(file: BinaryIO, *, wide: bool = False) -> Iterator[Any]:
    """Open a PDF. `wide` replaces PDFium's Latin fonts with ones that show more scripts."""
    FALLBACK.wide = wide
    file.seek(0)
    try:
        with pypdfium2.PdfDocument(file) as document:
            yield document
    except pypdfium2.PdfiumError as error:
        locked = error.err_code in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)
        raise CannotRender(LOCKED if locked else DAMAGED) from error


def form_note(document: Any) -> str | None:
    """Return what to say of an XFA form. Raises `CannotRender` if its pages are only a placeholder."""
    kind = document.get_formtype()
    if kind not in (raw.FORMTYPE_XFA_FULL, raw.FORMTYPE_XFA_FOREGROUND):
        return None
    text = document[0].get_textpage().get_text_range()
    if kind == raw.FORMTYPE_XFA_FULL or (len(document) == 1 and PLACEHOLDER.search(text)):
        raise CannotRender(NEEDS_READER)
    return STATIC_FORM


def attachments_note(document: Any) -> str | None:
    count = document.count_attachments()
    names = [document.get_attachment(number).get_name() for number in range(min(count, 10))]
    return ATTACHED.format(listed(names, count)) if names else None


class PageText:
    """What can be said of a page's text without looking at it.

    `is_missing`: some characters have no glyph. `is_unsure`: some may be shown as other ones. `is_visible`: there is
    text that is meant to be seen, unlike that behind a scanned page.
    """

    def __init__(self, page: Any) -> None:
        self.is_missing = self.is_unsure = self.is_visible = False
        self._seen: set[tuple[int, int]] = set()
        text = page.get_textpage()
        for place in range(min(text.count_chars(), MAX_CHARACTERS)):
            shown = raw.FPDFText_GetTextObject(text, place)
            character = raw.FPDFText_GetUnicode(text, place)
            if shown and not chr(character).isspace() and is_painted(shown):
                self._check(shown, character, raw.FPDFText_HasUnicodeMapError(text, place) == 1)
        text.close()

    @property
    def note(self) -> str | None:
        return MISSING if self.is_missing else UNSURE if self.is_unsure else None

    def _check(self, shown: Any, character: int, unmapped: bool) -> None:
        self.is_visible = True
        font = raw.FPDFTextObj_GetFont(shown)
        key = (ctypes.addressof(font.contents) if font else 0, character)
        if key in self._seen or not font or raw.FPDFFont_GetIsEmbedded(font) == 1:
            return
        self._seen.add(key)
        name = font_name(font, raw.FPDFFont_GetBaseFontName)
        self.is_unsure |= unmapped or is_pictorial(name)
        self.is_missing |= not unmapped and is_printable(character) and not has_glyph(font, character)


def is_painted(shown: Any) -> bool:
    """Return whether the text is meant to be seen: neither invisible, as behind a scan, nor white."""
    if raw.FPDFTextObj_GetTextRenderMode(shown) in INVISIBLE:
        return False
    color = [ctypes.c_uint() for _ in range(4)]
    known = raw.FPDFPageObj_GetFillColor(shown, *color)
    return not known or (min(part.value for part in color[:3]) <= WHITE and color[3].value > 0)


def has_glyph(font: Any, character: int) -> bool:
    fallback = FALLBACK.by_family.get(font_name(font, raw.FPDFFont_GetFamilyName))
    if fallback and character not in fallback.characters:
        return False
    path = raw.FPDFFont_GetGlyphPath(font, character, 12.0)
    return bool(path) and raw.FPDFGlyphPath_CountGlyphSegments(path) > 0


def font_name(font: Any, read: Any) -> str:
    buffer = ctypes.create_string_buffer(256)
    read(font, buffer, len(buffer))
    return buffer.value.decode("utf-8", "replace")


def is_pictorial(name: str) -> bool:
    """Return whether letters in this font stand for pictures, and no font with these pictures is at hand."""
    return bool(PICTORIAL.search(name)) and name.lower() not in BUILT_IN_SYMBOLS


def is_printable(character: int) -> bool:
    return chr(character).isprintable() and character not in range(0xE000, 0xF900)
