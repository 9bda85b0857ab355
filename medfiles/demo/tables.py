"""Small data files: home readings as CSV, notes as text, and the smallest Word and Excel files that open."""

import csv
import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from io import BytesIO, StringIO
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

OFFICE = "http://schemas.openxmlformats.org"
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
WORD_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
BOOK_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
SHEET_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest time a ZIP entry can have


def readings(last: date, days: int) -> list[tuple[str, str, int, int, int]]:
    """Date, time of day, systolic, diastolic (mmHg) and pulse, morning and evening, slowly getting better."""
    dice = random.Random(days)
    rows = []
    for number in range(days):
        for time, lift in (("07:30", 4), ("21:00", 0)):
            upper = round(146 - 14 * number / days + lift + dice.gauss(0, 4))
            day = (last - timedelta(days=days - 1 - number)).isoformat()
            rows.append((day, time, upper, round(upper * 0.62 + dice.gauss(0, 2)), round(dice.gauss(70, 5))))
    return rows


def blood_pressure_csv(last: date, days: int = 60) -> bytes:
    text = StringIO()
    sheet = csv.writer(text)
    sheet.writerow(("date", "time", "systolic_mmHg", "diastolic_mmHg", "pulse_per_min"))
    sheet.writerows(readings(last, days))
    return text.getvalue().encode()


def notes(lines: Sequence[str]) -> bytes:
    return "\n".join((*lines, "", "SAMPLE – NOT A REAL DOCUMENT", "")).encode()


def word(paragraphs: Iterable[str]) -> bytes:
    body = "".join(f"<w:p><w:r><w:t>{escape(text)}</w:t></w:r></w:p>" for text in paragraphs)
    space = f'xmlns:w="{OFFICE}/wordprocessingml/2006/main"'
    main = f"{XML}<w:document {space}><w:body>{body}</w:body></w:document>"
    return package("word/document.xml", main, WORD_TYPE, {}, {})


def workbook(rows: Iterable[Sequence[str | int]]) -> bytes:
    space = f'xmlns="{OFFICE}/spreadsheetml/2006/main"'
    links = f'xmlns:r="{OFFICE}/officeDocument/2006/relationships"'
    listed = '<sheets><sheet name="Values" sheetId="1" r:id="rId1"/></sheets>'
    book = f"{XML}<workbook {space} {links}>{listed}</workbook>"
    data = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    sheet = f"{XML}<worksheet {space}><sheetData>{data}</sheetData></worksheet>"
    inside = {
        "xl/worksheets/sheet1.xml": sheet,
        "xl/_rels/workbook.xml.rels": relation("worksheet", "worksheets/sheet1.xml"),
    }
    return package("xl/workbook.xml", book, BOOK_TYPE, inside, {"/xl/worksheets/sheet1.xml": SHEET_TYPE})


def cell(value: str | int) -> str:
    if isinstance(value, int):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'


def package(main: str, content: str, kind: str, others: dict[str, str], kinds: dict[str, str]) -> bytes:
    """An Open Packaging ZIP: the list of types, the pointer to the main part, and the parts."""
    overrides = {f"/{main}": kind} | kinds
    parts = {
        "[Content_Types].xml": content_types(overrides),
        "_rels/.rels": relation("officeDocument", main),
        main: content,
    }
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, text in (parts | others).items():
            archive.writestr(ZipInfo(name, LONG_AGO), text, ZIP_DEFLATED)
    return file.getvalue()


def content_types(overrides: dict[str, str]) -> str:
    listed = "".join(f'<Override PartName="{name}" ContentType="{kind}"/>' for name, kind in overrides.items())
    defaults = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
    )
    return f'{XML}<Types xmlns="{OFFICE}/package/2006/content-types">{defaults}{listed}</Types>'


def relation(kind: str, target: str) -> str:
    meaning = f"{OFFICE}/officeDocument/2006/relationships/{kind}"
    link = f'<Relationship Id="rId1" Type="{meaning}" Target="{target}"/>'
    return f'{XML}<Relationships xmlns="{OFFICE}/package/2006/relationships">{link}</Relationships>'
