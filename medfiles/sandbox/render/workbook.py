"""What an XLSX workbook says beside the values: number formats, errors, formulas without results, what is hidden."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO

from lxml import etree

from medfiles.sandbox.inspect.text import parse_xml
from medfiles.sandbox.render.number_format import BUILT_IN, GENERAL
from medfiles.sandbox.render.package import Parts, read_parts, relations, relations_part

R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
STRICT_R = "{http://purl.oclc.org/ooxml/officeDocument/relationships}"
Cells = dict[tuple[int, int], str]


@dataclass
class SheetDetails:
    """Details of cells by row and column, from 0. `texts` take the place of values."""

    formats: Cells = field(default_factory=dict)
    texts: Cells = field(default_factory=dict)
    has_formulas: bool = False  # without results
    has_comments: bool = False
    has_drawings: bool = False


@dataclass
class Workbook:
    """An XLSX workbook. Sheets are read one at a time."""

    parts: Parts
    sheets: dict[str, str]  # name -> part
    formats: list[str]  # by the number of a cell's style

    def details(self, sheet: str, rows: int, columns: int) -> SheetDetails:
        """Return the details of the first rows and columns of a sheet."""
        details, name = SheetDetails(), self.sheets.get(sheet, "")
        if name not in self.parts:
            return details
        for row, column, cell in cells(self.parts[name], rows, columns):
            self._read_cell(details, (row, column), cell)
        kinds = relations(self.parts, relations_part(name), key="Type")
        details.has_comments = any(kind.lower().endswith(("/comments", "/threadedcomment")) for kind in kinds)
        details.has_drawings = any(kind.lower().endswith("/drawing") for kind in kinds)
        return details

    def _read_cell(self, details: SheetDetails, place: tuple[int, int], cell: etree._Element) -> None:
        formula, value = cell.find("{*}f"), cell.findtext("{*}v")
        if cell.get("t") == "e":
            details.texts[place] = value or "#N/A"
        elif formula is not None and not value and cell.get("t") != "str":
            details.texts[place] = f"={formula.text}" if formula.text else "=…"
            details.has_formulas = True
        elif cell.get("t", "n") == "n":
            number = int(cell.get("s") or 0)
            code = self.formats[number] if number < len(self.formats) else GENERAL
            if code != GENERAL:
                details.formats[place] = code


def read_workbook(file: BinaryIO) -> Workbook:
    """Read what all sheets share. Raises the errors of zipfile, lxml and `parse_xml`."""
    parts = read_parts(file)
    main = relations(parts, "_rels/.rels", key="Type")
    name = next((target for kind, target in main.items() if kind.endswith("/officeDocument")), "xl/workbook.xml")
    related = relations(parts, relations_part(name))
    sheets = {
        sheet.get("name", ""): related.get(sheet.get(f"{R}id") or sheet.get(f"{STRICT_R}id") or "", "")
        for sheet in parse_xml(parts[name]).iter("{*}sheet")
    }
    styles = relations(parts, relations_part(name), key="Type")
    style_part = next((target for kind, target in styles.items() if kind.endswith("/styles")), "xl/styles.xml")
    return Workbook(parts, sheets, list(number_formats(parts[style_part])) if style_part in parts else [])


def number_formats(styles: bytes) -> Iterator[str]:
    root = parse_xml(styles)
    own = {one.get("numFmtId"): one.get("formatCode", GENERAL) for one in root.iter("{*}numFmt")}
    for style in root.iterfind("{*}cellXfs/{*}xf"):
        number = style.get("numFmtId", "0")
        yield own.get(number) or BUILT_IN.get(int(number), GENERAL)


def cells(sheet: bytes, rows: int, columns: int) -> Iterator[tuple[int, int, etree._Element]]:
    """Yield (row, column, cell) within these limits. Cells and rows without a reference follow the one before."""
    row = -1
    events = etree.iterparse(BytesIO(sheet), events=("end",), tag="{*}row", resolve_entities=False, no_network=True)
    for _, element in events:
        row = int(element.get("r") or row + 2) - 1
        if row >= rows:
            return
        column = -1
        for cell in element.iterfind("{*}c"):
            column = column_of(cell.get("r")) if cell.get("r") else column + 1
            if column < columns:
                yield row, column, cell
        element.clear()


def column_of(reference: str | None) -> int:
    number = 0
    for letter in reference or "":
        if letter.isalpha():
            number = 26 * number + ord(letter.upper()) - 64
    return number - 1
