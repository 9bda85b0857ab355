"""Letters, reports and forms of invented practices as PDF files."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor, black
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

NOTICE = "SAMPLE – NOT A REAL DOCUMENT"
NEW_PAGE = "---"
GREY, LIGHT, RULE = HexColor("#5b6673"), HexColor("#f1f4f7"), HexColor("#cfd6de")
WIDTH, HEIGHT = A4
MARGIN = 22 * mm
TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=11, leading=16.5, spaceAfter=8)
TITLE = ParagraphStyle("title", TEXT, fontName="Helvetica-Bold", fontSize=18, leading=24, spaceAfter=4)
HEADING = ParagraphStyle("heading", TEXT, fontName="Helvetica-Bold", fontSize=12, spaceBefore=9, spaceAfter=4)
SMALL = ParagraphStyle("small", TEXT, fontSize=9.5, leading=13, textColor=GREY)
CELL = ParagraphStyle("cell", TEXT, fontSize=10, leading=14, spaceAfter=0)

Rows = tuple[tuple[str, ...], ...]
Part = str | Rows
"""A paragraph, "# heading", "[x] ticked", "[ ] not ticked", "~ signature", "---" (a new page), or a table."""


@dataclass(frozen=True)
class Practice:
    """Who writes: the letterhead."""

    name: str
    line: str
    address: str
    phone: str
    colour: str


class Signature(Flowable):
    """A line with something like handwriting on it; the same name always signs the same way."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.width, self.height = 70 * mm, 22 * mm

    def draw(self) -> None:
        pen, dice = self.canv, random.Random(self.name)
        pen.setStrokeColor(HexColor("#1d3a8a"))
        pen.setLineWidth(1.1)
        path, x = pen.beginPath(), 4.0
        path.moveTo(x, 36)
        for _ in range(len(self.name) // 2):
            step, top, low = dice.uniform(8, 14), dice.uniform(38, 58), dice.uniform(24, 34)
            path.curveTo(x + step * 0.2, top, x + step * 0.9, top, x + step, low)
            x += step
        pen.drawPath(path)
        pen.setStrokeColor(RULE)
        pen.setLineWidth(0.6)
        pen.line(0, 22, self.width, 22)
        pen.setFillColor(GREY)
        pen.setFont("Helvetica", 8.5)
        pen.drawString(0, 11, self.name)


def words(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def letter(practice: Practice, title: str, patient: str, born: date, day: date, parts: Sequence[Part]) -> bytes:
    file = BytesIO()
    page = partial(draw_page, practice)
    sheet = SimpleDocTemplate(
        file, pagesize=A4, invariant=1, title=title, author=practice.name, subject=NOTICE,
        leftMargin=MARGIN, rightMargin=MARGIN, topMargin=46 * mm, bottomMargin=24 * mm,
    )  # fmt: skip
    about = f"{patient} · born {words(born)} · written {words(day)}"
    head = [Paragraph(escape(title), TITLE), Paragraph(escape(about), SMALL), Spacer(1, 4 * mm)]
    colour = HexColor(practice.colour)
    sheet.build(head + [flow(part, colour) for part in parts], onFirstPage=page, onLaterPages=page)
    return file.getvalue()


def draw_page(practice: Practice, pen: Canvas, sheet: Any) -> None:
    draw_letterhead(practice, pen)
    pen.setStrokeColor(RULE)
    pen.setLineWidth(0.6)
    pen.line(MARGIN, 17 * mm, WIDTH - MARGIN, 17 * mm)
    pen.setFillColor(GREY)
    pen.setFont("Helvetica", 7)
    pen.drawString(MARGIN, 12 * mm, NOTICE)
    pen.drawRightString(WIDTH - MARGIN, 12 * mm, f"{practice.name} · page {sheet.page}")


def draw_letterhead(practice: Practice, pen: Canvas) -> None:
    top = HEIGHT - 16 * mm
    pen.setFillColor(HexColor(practice.colour))
    pen.rect(0, HEIGHT - 4 * mm, WIDTH, 4 * mm, stroke=0, fill=1)
    pen.roundRect(MARGIN, top - 11 * mm, 13 * mm, 13 * mm, 2.5 * mm, stroke=0, fill=1)
    pen.setFillColor(HexColor("#ffffff"))
    pen.setFont("Helvetica-Bold", 15)
    pen.drawCentredString(MARGIN + 6.5 * mm, top - 6.6 * mm, initials(practice.name))
    pen.setFillColor(black)
    pen.setFont("Helvetica-Bold", 13)
    pen.drawString(MARGIN + 17 * mm, top - 3.2 * mm, practice.name)
    pen.setFillColor(GREY)
    pen.setFont("Helvetica", 8.5)
    pen.drawString(MARGIN + 17 * mm, top - 8.4 * mm, practice.line)
    pen.drawRightString(WIDTH - MARGIN, top - 3.2 * mm, practice.address)
    pen.drawRightString(WIDTH - MARGIN, top - 8.4 * mm, f"Phone {practice.phone}")


def initials(name: str) -> str:
    return "".join(word[0] for word in name.split()[:2])


def flow(part: Part, colour: Color) -> Flowable:
    if isinstance(part, tuple):
        return table(part, colour)
    if part == NEW_PAGE:
        return PageBreak()
    mark, _, rest = part.partition(" ")
    if mark == "~":
        return Signature(rest)
    if mark == "#":
        return Paragraph(escape(rest), HEADING)
    return paragraph(part)


def paragraph(text: str) -> Paragraph:
    box = {"[x] ": "✔", "[ ] ": "❏"}.get(text[:4])
    if box is None:
        return Paragraph(escape(text), TEXT)
    return Paragraph(f'<font name="ZapfDingbats">{box}</font>&nbsp;&nbsp;{escape(text[4:])}', TEXT)


def table(rows: Rows, colour: Color) -> Table:
    """The first row heads the columns; the first column is the wide one; a cell ending in "!" stands out."""
    share = (WIDTH - 2 * MARGIN) / (len(rows[0]) + 1)
    style: list[Any] = [
        ("BACKGROUND", (0, 0), (-1, 0), LIGHT),
        ("LINEBELOW", (0, 0), (-1, 0), 1, colour),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, RULE),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ]
    cells = [[cell(text, bold=number == 0) for text in row] for number, row in enumerate(rows)]
    return Table(
        cells,
        [2 * share] + [share] * (len(rows[0]) - 1),
        style=style,
        repeatRows=1,
        spaceBefore=4,
        spaceAfter=10,
    )


def cell(text: str, bold: bool) -> Paragraph:
    strong = bold or text.endswith("!")
    safe = escape(text.removesuffix("!"))
    return Paragraph(f"<b>{safe}</b>" if strong else safe, CELL)
