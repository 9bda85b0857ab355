"""Documents that take more to look at than one page: slices of a scan, tables of several sheets."""

import io
import warnings
from collections.abc import Callable, Mapping
from functools import partial

import numpy
import openpyxl
import pydicom
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen import canvas

from tests.support import samples

LINES = (
    "The knee is stable, the swelling has gone down, and the wound is dry.",
    "Physiotherapy goes on for six weeks, twice a week.",
    "",
    "Please come back in three months, or at once if there is fever or pain.",
    "The values of the last blood count are all in range.",
)


def scan(slices: int) -> bytes:
    """A CT image whose frames move to the right, one after the other."""
    with warnings.catch_warnings(action="ignore"):
        data = pydicom.dcmread(io.BytesIO(samples.dicom()))
        pixels = data.pixel_array
        data.NumberOfFrames = slices
        data.PixelData = b"".join(numpy.roll(pixels, 6 * number, axis=1).tobytes() for number in range(slices))
        target = io.BytesIO()
        data.save_as(target)
    return target.getvalue()


def workbook(*sheets: str, rows: int = 30) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name in sheets:
        sheet = book.create_sheet(name)
        sheet.append(("Day", "Morning", "Evening", "Note"))
        for number in range(1, rows):
            sheet.append((f"{number} May", 118 + number % 9, 124 + number % 7, "after a walk" if number % 3 else ""))
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def diary(days: int = 60) -> bytes:
    return samples.txt(
        "".join(f"{day}. Slept well, no fever, a walk in the afternoon.\n" for day in range(1, days + 1))
    )


def letter(pages: int) -> bytes:
    """As it is written to a patient: a heading, lines, page after page."""
    target = io.BytesIO()
    paper = canvas.Canvas(target, pagesize=A4)
    for page in range(1, pages + 1):
        paper.setFont("Helvetica-Bold", 18)
        paper.drawString(64, 760, "Discharge letter" if page == 1 else f"Discharge letter, page {page}")
        paper.setFont("Helvetica", 11)
        for line in range(32):
            paper.drawString(64, 720 - 19 * line, LINES[(line + page) % len(LINES)])
        paper.showPage()
    paper.save()
    return target.getvalue()


def photo() -> bytes:
    """A sheet of paper on a table."""
    table = Image.radial_gradient("L").resize((1500, 2000)).point(lambda grey: 110 - grey // 4)
    table.paste(samples.picture(1000, 1400, 200).convert("L"), (250, 300))
    return samples.encoded(table.convert("RGB"), "JPEG", quality=85)


OF_A_SCAN: Mapping[str, Callable[[], bytes]] = {
    "Physiotherapy plan.docx": samples.docx,
    "Old letter.doc": samples.doc,
    "Chest.dcm": partial(scan, 12),
    "The sheet on the fridge.jpg": photo,
    "Discharge letter.pdf": partial(letter, 12),
}
OF_A_TEST: Mapping[str, Callable[[], bytes]] = {
    "Sleep.txt": diary,
    "Blood pressure.xlsx": partial(workbook, "Spring", "Summer", rows=400),
}
