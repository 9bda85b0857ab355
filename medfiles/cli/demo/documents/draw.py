"""Draw the demo's documents from contents.toml: `.venv/bin/python medfiles/cli/demo/documents/draw.py`.

Requires the libraries that `make setup-dev` installs. Dates have the fixed-width formats that `family.py` can shift,
and PDF files are not compressed, so that it finds them.
"""

import random
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import docx
import numpy
import openpyxl
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000, UID, DigitalXRayImageStorageForPresentation
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate, Table

FOLDER = Path(__file__).parent
CONTENTS = tomllib.loads((FOLDER / "contents.toml").read_text())
PRACTICES: Mapping[str, Sequence[str]] = CONTENTS.pop("practices")
NOTICE = "SAMPLE - NOT A REAL DOCUMENT"
INK, FAINT, RULE, LIGHT, PEN = "#27313c", "#5b6673", "#cfd6de", "#f1f4f7", "#1d3a8a"
WIDTH, HEIGHT = A4
MARGIN = 22 * mm
TEXT = ParagraphStyle("text", fontName="Helvetica", fontSize=11, leading=16.5, spaceAfter=8)
TITLE = ParagraphStyle("title", TEXT, fontName="Helvetica-Bold", fontSize=18, leading=24, spaceAfter=4)
HEADING = ParagraphStyle("heading", TEXT, fontName="Helvetica-Bold", fontSize=12, spaceBefore=9, spaceAfter=4)
SMALL = ParagraphStyle("small", TEXT, fontSize=9.5, leading=13, textColor=HexColor(FAINT), spaceAfter=14)
CELL = ParagraphStyle("cell", TEXT, fontSize=10, leading=14, spaceAfter=0)
UID_ROOT = "1.2.826.0.1.3680043.8.498.2026.4711."

Patient = Mapping[str, Any]


def draw(folder: Path = FOLDER) -> None:
    family = tomllib.loads((FOLDER.parent / "family.toml").read_text())["patients"]
    patients = {patient["first_name"].lower(): patient for patient in family}
    for function, files in CONTENTS.items():
        for name, contents in files.items():
            (folder / name).write_bytes(FUNCTIONS[function](patients[name.partition("-")[0]], **contents))


def letter(patient: Patient, practice: str, title: str, date: date, body: Sequence[Any]) -> bytes:
    name, *_, colour = PRACTICES[practice]
    about = f"{patient['first_name']} {patient['last_name']} · born {patient['birth_date']:%d %b %Y} · {date:%d %b %Y}"
    story = [Paragraph(title, TITLE), Paragraph(about, SMALL), *(flowable(part, HexColor(colour)) for part in body)]
    page, file = partial(letterhead, practice), BytesIO()
    sheet = SimpleDocTemplate(
        file, pagesize=A4, pageCompression=0, invariant=1, title=title, author=name, subject=NOTICE,
        leftMargin=MARGIN, rightMargin=MARGIN, topMargin=46 * mm, bottomMargin=24 * mm,
    )  # fmt: skip
    sheet.build(story, onFirstPage=page, onLaterPages=page)
    return file.getvalue()


def letterhead(practice: str, pen: Canvas, sheet: Any) -> None:
    name, line, address, phone, colour = PRACTICES[practice]
    top, left, right = HEIGHT - 16 * mm, MARGIN, WIDTH - MARGIN
    pen.setFillColor(HexColor(colour))
    pen.rect(0, HEIGHT - 4 * mm, WIDTH, 4 * mm, stroke=0, fill=1)
    pen.roundRect(left, top - 11 * mm, 13 * mm, 13 * mm, 2.5 * mm, stroke=0, fill=1)
    pen.setFont("Helvetica-Bold", 13)
    pen.setFillColor(HexColor("#ffffff"))
    pen.drawCentredString(left + 6.5 * mm, top - 6.2 * mm, "".join(word[0] for word in name.split()[:2]))
    pen.setFillColor(HexColor(INK))
    pen.drawString(left + 17 * mm, top - 3.2 * mm, name)
    pen.setFillColor(HexColor(FAINT))
    pen.setFont("Helvetica", 8.5)
    pen.drawString(left + 17 * mm, top - 8.4 * mm, line)
    pen.drawRightString(right, top - 3.2 * mm, address)
    pen.drawRightString(right, top - 8.4 * mm, f"Phone {phone}")
    pen.setFont("Helvetica", 7)
    pen.drawString(left, 12 * mm, NOTICE)
    pen.drawRightString(right, 12 * mm, f"{name} · page {sheet.page}")
    pen.setStrokeColor(HexColor(RULE))
    pen.line(left, 17 * mm, right, 17 * mm)


def flowable(part: Any, colour: Color) -> Flowable:
    if isinstance(part, list):
        return table(part, colour)
    if part == "---":
        return PageBreak()
    if part.startswith("~ "):
        return Signature(part[2:])
    if part.startswith("# "):
        return Paragraph(part[2:], HEADING)
    for box, sign in (("[x]", "✔"), ("[ ]", "❏")):
        part = part.replace(box, f'<font name="ZapfDingbats">{sign}</font>&nbsp;&nbsp;')
    return Paragraph(part, TEXT)


def table(rows: Sequence[Sequence[str]], colour: Color) -> Table:
    share = (WIDTH - 2 * MARGIN) / (len(rows[0]) + 1)
    style: list[Any] = [
        ("BACKGROUND", (0, 0), (-1, 0), HexColor(LIGHT)),
        ("LINEBELOW", (0, 0), (-1, 0), 1, colour),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, HexColor(RULE)),
    ]
    bold = [[row is rows[0] or cell.endswith("!") for cell in row] for row in rows]
    cells = [
        [
            Paragraph(f"<b>{cell.rstrip('!')}</b>" if strong else cell, CELL)
            for cell, strong in zip(row, marks, strict=True)
        ]
        for row, marks in zip(rows, bold, strict=True)
    ]
    widths = [2 * share] + [share] * (len(rows[0]) - 1)
    return Table(cells, widths, style=style, spaceBefore=4, spaceAfter=10)


class Signature(Flowable):
    """A signature line with imitated handwriting. The same name always has the same signature."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.width, self.height = name, 70 * mm, 22 * mm

    def draw(self) -> None:
        pen, dice, x = self.canv, random.Random(self.name), 4.0
        path = pen.beginPath()
        path.moveTo(x, 36)
        for _ in range(len(self.name) // 2):
            step, top, low = dice.uniform(8, 14), dice.uniform(38, 58), dice.uniform(24, 34)
            path.curveTo(x + step * 0.2, top, x + step * 0.9, top, x + step, low)
            x += step
        pen.setStrokeColor(HexColor(PEN))
        pen.drawPath(path)
        pen.setStrokeColor(HexColor(RULE))
        pen.line(0, 22, self.width, 22)
        pen.setFillColor(HexColor(FAINT))
        pen.setFont("Helvetica", 8.5)
        pen.drawString(0, 11, self.name)


def photo(patient: Patient, paper: Any, desk: Any, texts: Sequence[Any], phone_time: datetime | None = None) -> bytes:
    """Draw a card or a sheet on a desk. With `phone_time`, it is sideways and unevenly lit, and has EXIF data."""
    width, height = paper["size"]
    sheet = Image.new("RGBA", (width, height))
    pen = ImageDraw.Draw(sheet)
    pen.rounded_rectangle((0, 0, width - 1, height - 1), paper["radius"], fill="#fbfaf6")
    top, bottom, colour = paper["band"]
    pen.rectangle((0, top, width, bottom), fill=colour)
    texts = [*texts, (52, height - 46, 20, FAINT, NOTICE)]
    for x, y, size, ink, words in texts:
        pen.text((x, y), words, font=ImageFont.load_default(size), fill=ink, spacing=size * 0.8)
    corners = Image.new("L", sheet.size)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, width - 1, height - 1), paper["radius"], fill=255)
    sheet.putalpha(corners)
    turned = sheet.rotate(desk["angle"], Image.Resampling.BICUBIC, expand=True)
    picture = Image.merge("RGB", [grain(desk["size"], level, level, level + 14) for level in desk["colour"]])
    x, y = (picture.width - turned.width) // 2, (picture.height - turned.height) // 2
    shadow = Image.new("L", picture.size)
    shadow.paste(128, (x + 10, y + 16), turned.getchannel("A"))
    picture.paste("#16110c", (0, 0), shadow.filter(ImageFilter.GaussianBlur(16)))
    picture.paste(turned, (x, y), turned)
    exif, file = Image.Exif(), BytesIO()
    if phone_time:
        light = Image.linear_gradient("L").resize(picture.size).point([255 - level // 4 for level in range(256)])
        picture = Image.composite(picture, Image.new("RGB", picture.size, "#2a2118"), light)
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = 6  # orientation: viewers turn it upright
        exif[0x010F], exif[0x0110], exif[0x0132] = "Sample", "Example Phone 1", f"{phone_time:%Y:%m:%d %H:%M:%S}"
    picture.save(file, "JPEG", quality=66, optimize=True, exif=exif)
    return file.getvalue()


def grain(size: Sequence[int], seed: int, low: int, high: int) -> Image.Image:
    """Return soft noise between two gray levels."""
    width, height = size[0] // 6, size[1] // 6
    noise = Image.frombytes("L", (width, height), random.Random(seed).randbytes(width * height))
    return noise.point([low + (high - low) * level // 255 for level in range(256)]).resize((size[0], size[1]))


def growth_chart(patient: Patient, title: str, heights: Sequence[float]) -> bytes:
    """Draw a chart of height in cm by age in years. Gray lines show an invented normal range."""

    def spot(age: float, height: float) -> tuple[float, float]:
        return 90 + age * 105, 710 - (height - 50) * 6

    chart, file = Image.new("RGB", (1200, 800), "white"), BytesIO()
    pen = ImageDraw.Draw(chart)
    pen.text((80, 34), title, font=ImageFont.load_default(36), fill=INK)
    pen.text((80, 764), f"Height in cm, age in years. {NOTICE}", font=ImageFont.load_default(20), fill=FAINT)
    for age in range(11):
        pen.line((spot(age, 50), spot(age, 150)), fill=RULE)
        pen.text((90 + age * 105, 728), str(age), font=ImageFont.load_default(22), fill=FAINT, anchor="mt")
    for height in range(50, 151, 20):
        pen.line((spot(0, height), spot(10, height)), fill=RULE)
        pen.text((76, spot(0, height)[1]), str(height), font=ImageFont.load_default(22), fill=FAINT, anchor="rm")
    for shift in (-4, 0, 4):
        usual = [spot(age, 54 + 24 * age**0.56 + shift * (1 + age / 9)) for age in range(11)]
        pen.line(usual, fill="#b3bdc8", width=4, joint="curve")
    points = [spot(age, height) for age, height in enumerate(heights)]
    pen.line(points, fill="#6b4fb8", width=6, joint="curve")
    for point in points:
        pen.circle(point, 9, fill="#6b4fb8")
    chart.quantize(64).save(file, "PNG", optimize=True)
    return file.getvalue()


def xray(patient: Patient, tags: Mapping[str, Any], bones: Sequence[Any], flesh: Sequence[Any]) -> bytes:
    """Create a DICOM file like those from hospitals: 12 of 16 bits, JPEG 2000."""
    data, file = Dataset(), BytesIO()
    data.SOPClassUID = DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID, data.StudyInstanceUID, data.SeriesInstanceUID = (UID(f"{UID_ROOT}{n}") for n in (1, 2, 3))
    for name, value in tags.items():
        setattr(data, name, value)
    data.set_pixel_data(knee(bones, flesh), "MONOCHROME2", 12, generate_instance_uid=False)
    data.compress(JPEG2000, j2k_cr=[32], generate_instance_uid=False)
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def knee(bones: Sequence[Any], flesh: Sequence[Any]) -> numpy.ndarray[Any, numpy.dtype[numpy.uint16]]:
    """Draw a knee in soft shapes. Bones are dense at the rim and lighter inside, like the shadow of a tube."""

    def shape(blur: float, outline: Sequence[Sequence[int]]) -> Image.Image:
        picture = Image.new("L", (512, 512))
        ImageDraw.Draw(picture).polygon([(x, y) for x, y in outline], fill=255)
        return picture.filter(ImageFilter.GaussianBlur(blur))

    leg = Image.new("L", (512, 512), 64)
    for outline in bones:
        rim = shape(7, outline).point([255 * (level > 127) for level in range(256)])
        core = rim.filter(ImageFilter.MinFilter(15)).filter(ImageFilter.GaussianBlur(9))
        bone = Image.composite(Image.new("L", leg.size, 158), Image.new("L", leg.size, 214), core)
        bone = Image.blend(bone, grain(leg.size, 11, 0, 26), 0.12)
        leg.paste(bone, (0, 0), rim.filter(ImageFilter.GaussianBlur(1.6)))
    kneecap = Image.new("L", leg.size)
    ImageDraw.Draw(kneecap).circle((256, 172), 44, fill=90)
    leg.paste(236, (0, 0), kneecap.filter(ImageFilter.GaussianBlur(4)))
    soft = Image.composite(leg, Image.new("L", leg.size, 12), shape(9, flesh)).resize((1024, 1024))
    noise = numpy.random.default_rng(4711).normal(0, 24, (1024, 1024))
    return numpy.clip(numpy.asarray(soft) * 15.0 + noise, 0, 4095).astype(numpy.uint16)


def word(patient: Patient, title: str, lines: Sequence[str]) -> bytes:
    document, file = docx.Document(), BytesIO()
    document.add_heading(title)
    for line in lines:
        document.add_paragraph(line, "List Bullet")
    document.add_paragraph(NOTICE)
    document.save(file)
    return file.getvalue()


def workbook(patient: Patient, rows: Sequence[Sequence[str | int]]) -> bytes:
    book, file = openpyxl.Workbook(), BytesIO()
    for row in (*rows, [NOTICE]):
        book.active.append(row)
    book.active.column_dimensions["A"].width = 18
    book.save(file)
    return file.getvalue()


FUNCTIONS: Mapping[str, Callable[..., bytes]] = {
    function.__name__: function for function in (letter, photo, growth_chart, xray, word, workbook)
}

if __name__ == "__main__":
    draw()
