"""The task `text`: the text of a document's pages, where its words are, and the dates that the file itself declares."""

import ctypes
import json
import re
import time
from collections.abc import Iterator
from datetime import date
from typing import Any, BinaryIO, NamedTuple

import pypdfium2
from lxml import html as markup
from PIL import ExifTags
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pypdfium2 import raw

from medfiles.sandbox.dicom import read_dicom
from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.media_types import BY_NAME
from medfiles.sandbox.pillow import open_image
from medfiles.sandbox.render import locked, office, pdf, table
from medfiles.sandbox.render.base import DAMAGED, MAX_PAGES, CannotRender, PreviewData
from medfiles.sandbox.render.image import MAX_FRAMES
from medfiles.sandbox.render.pdf import open_pdf
from medfiles.sandbox.render.tags import printable
from medfiles.sandbox.render.tasks import previewer

MAX_CHARACTERS = 200_000  # of a page
SECONDS, MAX_ANSWER = 5.0, 8 * 1024**2  # for one call: the caller asks for the remaining pages
FEW = 20  # letters and digits: fewer on a page that shows something else too are a stamp on a scan
MAX_UNKNOWN = 0.2  # share of characters without a meaning, above which a text layer is useless
DEVICE = 1_000_000  # PDFium maps positions to whole pixels of this square
SOFT_HYPHENS = dict.fromkeys((0x02, 0xFFFE), "-")  # how PDFium reports a hyphen at the end of a line
DICOM_TEXTS = ("StudyDescription", "SeriesDescription", "ProtocolName", "BodyPartExamined")
PDF_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?")
BLOCKS = {"p", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "dt", "dd", "blockquote", "pre", "br", "table"}
IMAGE, PDF, DICOM = "image", "pdf", "dicom"
EMPTY = (office.EMPTY, table.EMPTY)
REASONS = {locked.LOCKED: "locked", pdf.LOCKED: "locked", office.OLD: "unsupported", table.UNKNOWN: "unsupported"}

Word = tuple[str, float, float, float, float]  # text, left, top, width and height as fractions of the page


class PageText(NamedTuple):
    """The text of a page. With `ocr`, this is all of it only after its picture has been recognized."""

    text: str
    words: list[Word]
    ocr: bool


def read(file: BinaryIO, media_type: str, first: int, only: bool = False) -> dict[str, Any]:
    """Return the number of pages, the dates the file declares and the texts of pages from `first` on, or of it `only`.

    {"pages", "dates": {source: ISO date}, "texts": [{"text", "words", "ocr"}]}, or {"reason": a value of REASONS}.
    There are fewer texts than pages if the document is long.
    """
    try:
        return _read(file, media_type, first, 1 if only else MAX_PAGES)
    except CannotRender as error:
        if str(error) in EMPTY:
            return whole("")
        return {"reason": REASONS.get(str(error), "damaged")}
    except (RecursionError, *BROKEN):
        return {"reason": "damaged"}


def _read(file: BinaryIO, media_type: str, first: int, most: int) -> dict[str, Any]:
    kind = BY_NAME[media_type].previewer
    if kind == PDF:
        return read_pdf(file, first, most)
    if kind == IMAGE:
        return read_image(file, media_type, first, most)
    if first > 1:
        return {"pages": 1, "dates": dicom_dates(file) if kind == DICOM else {}, "texts": []}
    if kind == DICOM:
        return whole(dicom_text(file), dicom_dates(file))
    return whole(text_of(previewer(media_type).describe(file)))


def whole(text: str, dates: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the answer for a document without pages."""
    return _answer(1, dates or {}, iter([PageText(text[:MAX_CHARACTERS], [], False)]))


def _answer(pages: int, dates: dict[str, str], texts: Iterator[PageText]) -> dict[str, Any]:
    found, size, deadline = [], 0, time.monotonic() + SECONDS
    for text in texts:
        found.append(text._asdict())
        size += len(json.dumps(found[-1]))
        if size > MAX_ANSWER or time.monotonic() > deadline:
            break
    return {"pages": pages, "dates": dates, "texts": found}


def read_pdf(file: BinaryIO, first: int, most: int) -> dict[str, Any]:
    with open_pdf(file) as document:
        pages = min(len(document), MAX_PAGES)
        created = PDF_DATE.match(document.get_metadata_value("CreationDate") or "")
        dates = {"pdf": "-".join(created.groups())} if created and all(created.groups()) else {}
        numbers = range(first, min(pages, first + most - 1) + 1)
        return _answer(pages, _valid(dates), (pdf_page(document, number) for number in numbers))


def read_image(file: BinaryIO, media_type: str, first: int, most: int) -> dict[str, Any]:
    with open_image(file, media_type) as image:
        frames = min(getattr(image, "n_frames", 1), MAX_FRAMES) if media_type == "image/tiff" else 1
        dates: dict[str, str] = {}
        try:
            details = image.getexif().get_ifd(ExifTags.IFD.Exif)
            dates["exif"] = str(details.get(ExifTags.Base.DateTimeOriginal, ""))[:10].replace(":", "-")
        except BROKEN:
            pass  # damaged EXIF in an intact picture
        return _answer(
            frames, _valid(dates), (PageText("", [], True) for _ in range(first, min(frames, first + most - 1) + 1))
        )


def dicom_text(file: BinaryIO) -> str:
    data = open_dicom(file)
    described = filter(None, (printable(data, name) for name in DICOM_TEXTS))
    return "\n".join(dict.fromkeys([*_patient(data), *described]))


def _patient(data: Dataset) -> Iterator[str]:
    """Yield lines that say whose image it is."""
    if name := " ".join(printable(data, "PatientName").partition("=")[0].replace("^", " ").split()):
        yield f"Patient: {name}"
    born = printable(data, "PatientBirthDate")
    if day := _valid({"born": f"{born[:4]}-{born[4:6]}-{born[6:]}"}):
        yield f"Born: {day['born']}"


def dicom_dates(file: BinaryIO) -> dict[str, str]:
    taken = printable(open_dicom(file), "StudyDate")
    return _valid({"dicom": f"{taken[:4]}-{taken[4:6]}-{taken[6:]}"})


def open_dicom(file: BinaryIO) -> Dataset:
    file.seek(0)
    try:
        return read_dicom(file)
    except InvalidDicomError as error:
        raise CannotRender(DAMAGED) from error


def _valid(dates: dict[str, str]) -> dict[str, str]:
    found = {}
    for source, text in dates.items():
        try:
            found[source] = date.fromisoformat(text).isoformat()
        except ValueError:
            continue
    return found


def text_of(preview: PreviewData) -> str:
    """Return a preview without its layout: a line for each paragraph or row."""
    if preview.html is not None:
        return html_text(preview.html)
    if preview.sheets:
        rows = ("\t".join(row).strip() for _, rows in preview.sheets for row in rows)
        names = [name for name, _ in preview.sheets if name]
        return "\n".join([*(names if len(names) > 1 else []), *filter(None, rows)])
    return preview.text or ""


def html_text(html: str) -> str:
    parts: list[str] = []
    root = markup.fragment_fromstring(html, create_parent="div")
    for action, element in iterate(root):
        if action == "start":
            if element.tag in BLOCKS:
                parts.append("\n")
            elif element.tag in ("td", "th"):
                parts.append("\t")
            parts.append(element.text or "")
        else:
            parts += ["\n" if element.tag in BLOCKS else "", (element.tail or "") if element is not root else ""]
    lines = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)


def iterate(root: Any) -> Iterator[tuple[str, Any]]:
    """Walk through all elements without recursion: each at its start and at its end."""
    stack = [("end", root), ("start", root)]
    while stack:
        action, element = stack.pop()
        yield action, element
        if action == "start":
            for child in reversed(element):
                stack += [("end", child), ("start", child)]


def pdf_page(document: Any, number: int) -> PageText:
    """Return the text layer of a page. Without a usable one, the page is to be recognized if it shows anything."""
    try:
        page = document[number - 1]
        text = page.get_textpage()
    except (pypdfium2.PdfiumError, *BROKEN):
        return PageText("", [], True)  # this page only: the others may be intact
    try:
        characters = [character(text, place) for place in range(min(text.count_chars(), MAX_CHARACTERS))]
        unknown = sum(raw.FPDFText_HasUnicodeMapError(text, place) == 1 for place in range(len(characters)))
        unknown += sum(letter == "\ufffd" or 0xE000 <= ord(letter) < 0xF900 for letter in characters)
        known = sum(letter.isalnum() for letter in characters)
        if unknown > MAX_UNKNOWN * max(known, 1):
            return PageText("", [], True)
        is_stamp = known < FEW and shows_more(page)
        return PageText(tidy("".join(characters)), words_of(page, text, characters), is_stamp)
    finally:
        text.close()


def shows_more(page: Any) -> bool:
    """Return whether the page shows anything other than text."""
    objects = (raw.FPDFPage_GetObject(page, place) for place in range(raw.FPDFPage_CountObjects(page)))
    return any(raw.FPDFPageObj_GetType(one) != raw.FPDF_PAGEOBJ_TEXT for one in objects)


def character(text: Any, place: int) -> str:
    code = raw.FPDFText_GetUnicode(text, place)
    if code in SOFT_HYPHENS:
        return SOFT_HYPHENS[code]
    return chr(code) if code and code < 0x110000 and not 0xD800 <= code < 0xE000 else "\ufffd" if code else " "


def tidy(text: str) -> str:
    lines = (line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def words_of(page: Any, text: Any, characters: list[str]) -> list[Word]:
    words: list[Word] = []
    start = 0
    for place, letter in enumerate([*characters, " "]):
        if letter.isspace():
            if place > start:
                box = word_box(page, text, start, place)
                words += [("".join(characters[start:place]), *box)] if box else []
            start = place + 1
    return words


def word_box(page: Any, text: Any, start: int, end: int) -> tuple[float, float, float, float] | None:
    """Return left, top, width and height of characters, as fractions of the page as it is shown."""
    corners, box = [], raw.FS_RECTF()
    for place in range(start, end):
        if raw.FPDFText_GetLooseCharBox(text, place, ctypes.byref(box)):
            corners += [(box.left, box.top), (box.right, box.bottom)]
    if not corners:
        return None
    across, down = zip(*(to_page(page, x, y) for x, y in extremes(corners)), strict=True)
    edges = (min(across), min(down), max(across), max(down))
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in edges)
    if right <= left or bottom <= top:
        return None
    return round(left, 5), round(top, 5), round(right - left, 5), round(bottom - top, 5)


def extremes(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    across, down = zip(*corners, strict=True)
    return [(min(across), min(down)), (max(across), max(down))]


def to_page(page: Any, x: float, y: float) -> tuple[float, float]:
    """Map a position in the PDF's own coordinates to fractions of the page, with its rotation and cropping."""
    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, DEVICE, DEVICE, 0, x, y, ctypes.byref(across), ctypes.byref(down))
    return across.value / DEVICE, down.value / DEVICE


TASKS = {"text": read}
