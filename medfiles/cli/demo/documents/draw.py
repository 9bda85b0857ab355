"""Print and photograph the papers in `papers.html`: `.venv/bin/python medfiles/cli/demo/documents/draw.py`.

Requires the libraries installed by `make setup-dev`, Chromium and the Liberation fonts. Text, tables and office files
are written by hand.
"""

import json
import os
import re
import shutil
import tomllib
import zlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import numpy
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000, UID, DigitalXRayImageStorageForPresentation, MRImageStorage
from reportlab.pdfbase.pdfmetrics import stringWidth

from medfiles.cli.demo.family import DATES, FOLDER

HERE = FOLDER / "documents"
INTER = FOLDER.parents[2] / "static" / "vendor" / "inter" / "inter-latin-wght-normal.woff2"
NOTICE = "SAMPLE, not a real document"
UID_ROOT = "1.2.826.0.1.3680043.8.498.2026.4711."
ONLY = "name => document.querySelectorAll('article').forEach(one => { one.hidden = one.dataset.file != name })"
FONTS: Mapping[bytes, str] = {
    b"LiberationSans": "Helvetica", b"LiberationSans-Bold": "Helvetica-Bold",
    b"LiberationSerif": "Times-Roman", b"LiberationSerif-Bold": "Times-Bold",
    b"LiberationSerif-Italic": "Times-Italic", b"LiberationSerif-BoldItalic": "Times-BoldItalic",
    b"LiberationMono": "Courier", b"LiberationMono-Bold": "Courier-Bold",
}  # fmt: skip


def draw(folder: Path = HERE) -> None:
    patients = people()
    with opened(papers(patients)) as page:
        for paper in page.eval_on_selector_all("article", "all => all.map(one => ({...one.dataset}))"):
            page.evaluate(ONLY, paper["file"])
            (folder / paper["file"]).write_bytes(file_of(page, paper, patients))


def people() -> dict[str, dict[str, Any]]:
    """Return the patients in `family.toml` by lowercase first name, each with an insurance member ID."""
    patients = tomllib.loads((FOLDER / "family.toml").read_text())["patients"]
    for patient in patients:
        patient["member_id"] = next(entry["member_id"] for entry in patient["records"] if "member_id" in entry)
    return {patient["first_name"].lower(): patient for patient in patients}


def papers(patients: Mapping[str, Any]) -> str:
    """Return the papers as HTML. No-break spaces keep each date on one line; `compact` makes them plain again."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    style = templates.get_template("papers.css").render(inter=b64encode(INTER.read_bytes()).decode())
    body = templates.get_template("papers.html").render(patients)
    body = re.sub(r"\b(\d\d) ([A-Z][a-z]{2}) (\d{4})\b", "\\1\u00a0\\2\u00a0\\3", body)
    return f"<!doctype html><html lang=en><meta charset=utf-8><style>{style}</style><body>{body}"


@contextmanager
def opened(html: str) -> Iterator[Page]:
    installed = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=installed, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        page = browser.new_page(device_scale_factor=1.35)
        page.set_content(html)
        page.evaluate("document.fonts.ready")
        yield page
        browser.close()


def file_of(page: Page, paper: Mapping[str, str], patients: Mapping[str, Any]) -> bytes:
    if "as" not in paper:
        return compact(page.pdf(prefer_css_page_size=True, print_background=True), paper["title"])
    picture = Image.open(BytesIO(page.locator("article:not([hidden]) > *").screenshot())).convert("RGB")
    if paper["as"] == "photo":
        return photo(picture, paper["taken"])
    if paper["as"] == "film":
        return film(picture, patients[paper["file"].partition("-")[0]], json.loads(paper["tags"]))
    file = BytesIO()
    picture.quantize(32).save(file, "PNG", optimize=True)
    return file.getvalue()


# --- PDF --------------------------------------------------------------------------------------------------------------


def compact(pdf: bytes, title: str) -> bytes:
    """Rewrite a printed PDF's text as plain strings in the fonts that every PDF reader has.

    Chromium embeds fonts and writes glyph numbers, in which `family.py` could not find dates. Streams are compressed,
    except for the few lines that contain a date.
    """
    objects = {int(number): body for number, body in re.findall(rb"(?<=\n)(\d+) 0 obj\n(.*?)\nendobj", pdf, re.DOTALL)}
    fonts = {number: Font(body, objects) for number, body in objects.items() if b"/Subtype /Type0" in body}
    for number, font in fonts.items():
        objects[number] = f"<</Type /Font /Subtype /Type1 /BaseFont /{font.name} /Encoding /WinAnsiEncoding>>".encode()
    pages = {int(found) for body in objects.values() for found in re.findall(rb"/Contents (\d+) 0 R", body)}
    for number, body in list(objects.items()):
        head, _, data = body.partition(b" stream\n")
        if not data or b"/Image" in head:
            continue
        lines = plain(zlib.decompress(data.removesuffix(b"\nendstream")), fonts)
        if number not in pages:
            objects[number] = stream(lines, head)
            continue
        blocks = re.split(rb"(?<=\n)(BT\n.*?ET\n)", lines, flags=re.DOTALL)
        parts = [b"".join(part) for _, part in groupby(blocks, has_date)]
        first = max(objects) + 1
        objects |= {first + n: stream(part) for n, part in enumerate(parts)}
        objects[number] = b"[%s]" % b" ".join(b"%d 0 R" % (first + n) for n in range(len(parts)))
    return written(objects, int(re.findall(rb"/Root (\d+) 0 R", pdf)[0]), title)


class Font:
    """A font embedded by Chromium: the standard font with the same widths, and the character for each glyph."""

    def __init__(self, body: bytes, objects: Mapping[int, bytes]) -> None:
        [name] = re.findall(rb"/BaseFont /(?:[A-Z]{6}\+)?(\S+)", body)
        self.name = FONTS[name.removesuffix(b"-Regular")]
        [mapping] = re.findall(rb"/ToUnicode (\d+) 0 R", body)
        data = objects[int(mapping)].partition(b" stream\n")[2].removesuffix(b"\nendstream")
        text = zlib.decompress(data) if b"/Filter" in objects[int(mapping)] else data
        self.letters: dict[int, str] = {}
        for first, last, letter in re.findall(rb"<(\w{4})> (?:<(\w{4})> )?<(\w{4})>", text):
            for n in range(int(last or first, 16) - int(first, 16) + 1):
                self.letters[int(first, 16) + n] = chr(int(letter, 16) + n).replace("\u00a0", " ")

    def text(self, block: bytes) -> str:
        glyphs = [code for run in re.findall(rb"<(\w+)> Tj", block) for code in re.findall(rb"\w{4}", run)]
        return "".join(self.letters[int(code, 16)] for code in glyphs)


def plain(lines: bytes, fonts: Mapping[int, Font]) -> bytes:
    """Replace each run of glyphs with one string, and round every number to fewer digits."""

    def string(block: re.Match[bytes]) -> bytes:
        [(number, size)] = re.findall(rb"/F(\d+) (\S+) Tf", block[0])
        font = fonts[int(number)]
        text, before = font.text(block[0]), font.text(block[0].rpartition(b" Td ")[0])
        wide = sum(map(float, re.findall(rb"(\S+) 0 Td", block[0])))
        gap = (wide - stringWidth(before, font.name, float(size))) / max(len(before), 1)
        literal = re.sub(rb"([()\\])", rb"\\\1", text.encode("cp1252"))
        [place] = re.findall(rb"[^\n]+ Tm", block[0])
        return b"BT\n/F%s %s Tf\n%s\n%.3f Tc\n(%s) Tj\nET\n" % (number, size, place, gap, literal)

    def shorter(number: re.Match[bytes]) -> bytes:
        value = float(number[0])
        return f"{value:.{2 if abs(value) >= 1 else 5}f}".rstrip("0").rstrip(".").encode()

    lines = re.sub(rb"(?<![\w.])-?\d*\.\d{3,}(?![\w.])", shorter, lines)
    return re.sub(rb"BT\n.*?ET\n", string, lines, flags=re.DOTALL)


def has_date(lines: bytes) -> bool:
    return any(re.search(pattern, lines) for pattern in DATES.values())


def stream(lines: bytes, head: bytes = b"<<>>") -> bytes:
    """Return a PDF stream with these lines. `head` is the stream's original dictionary."""
    head = re.sub(rb"\n?/(Filter /\w+|Length \d+)", b"", head).removesuffix(b">>")
    if not has_date(lines):
        head, lines = head + b" /Filter /FlateDecode", zlib.compress(lines, 9)
    return b"%s /Length %d>> stream\n%s\nendstream" % (head, len(lines), lines)


def written(objects: Mapping[int, bytes], root: int, title: str) -> bytes:
    """Return a PDF file with the objects that can be reached from `root`."""
    order = [root]
    for number in order:
        head = objects[number].partition(b" stream\n")[0]
        order += [found for found in dict.fromkeys(references(head)) if found not in order]
    number_of = {old: new for new, old in enumerate(order, start=1)}
    info = b"<</Title (%s) /Creator (medfiles demo) /Subject (%s)>>" % (title.encode("cp1252"), NOTICE.encode())
    file, offsets = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for body in [*(renumbered(objects[old], number_of) for old in order), info]:
        offsets.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (len(offsets), body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start, size = len(file), len(offsets) + 1
    file += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    file += b"trailer\n<</Size %d /Root 1 0 R /Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, size - 1, start)
    return bytes(file)


def references(head: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"(\d+) 0 R\b", head)]


def renumbered(body: bytes, number_of: Mapping[int, int]) -> bytes:
    head, mark, data = body.partition(b" stream\n")
    return re.sub(rb"(\d+) 0 R\b", lambda found: b"%d 0 R" % number_of[int(found[1])], head) + mark + data


# --- photos and films -------------------------------------------------------------------------------------------------


def photo(picture: Image.Image, taken: str) -> bytes:
    """Return a picture as a phone stores it: portrait pictures are stored on their side."""
    exif, file = Image.Exif(), BytesIO()
    if picture.height > picture.width:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = 6  # orientation: rotated upright for display
    exif[0x010F], exif[0x0110], exif[0x0132] = "Sample", "Example Phone 1", f"{taken.replace('-', ':')}:00"
    picture.save(file, "JPEG", quality=48, optimize=True, progressive=True, exif=exif)
    return file.getvalue()


def film(picture: Image.Image, patient: Mapping[str, Any], tags: Mapping[str, Any]) -> bytes:
    """Return a DICOM file like a hospital's: 12 of 16 bits, JPEG 2000 and a little noise."""
    data, file, scan = Dataset(), BytesIO(), tags["Modality"] == "MR"
    data.SOPClassUID = MRImageStorage if scan else DigitalXRayImageStorageForPresentation
    data.StudyInstanceUID, data.SeriesInstanceUID, data.SOPInstanceUID = (
        UID(f"{UID_ROOT}{tags['StudyDate']}{tags['StudyTime']}.{part}") for part in (1, 2, 3)
    )
    data.PatientName, data.PatientID = f"{patient['last_name']}^{patient['first_name']}", patient["member_id"]
    data.PatientBirthDate = f"{patient['birth_date']:%Y%m%d}"
    data.InstitutionName, data.ImageComments = "Exampleton Imaging Centre", NOTICE
    data.WindowCenter, data.WindowWidth = 2048, 4095
    for name, value in tags.items():
        setattr(data, name, value)
    width = 512 if scan else 1000
    grey = picture.convert("L").resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    noise = numpy.random.default_rng(4711).normal(128, 40, (grey.height // 2, grey.width // 2)).clip(0, 255)
    speckle = numpy.asarray(Image.fromarray(noise.astype(numpy.uint8)).resize(grey.size), float) - 128
    level = numpy.asarray(grey, float)
    pixels = (16 * (level + speckle * (0.03 + level / 1800))).clip(0, 4095).astype(numpy.uint16)
    data.set_pixel_data(pixels, "MONOCHROME2", 12, generate_instance_uid=False)
    data.compress(JPEG2000, j2k_cr=[80], generate_instance_uid=False)
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


if __name__ == "__main__":
    draw()
