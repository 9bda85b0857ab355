"""Workbooks: values as Excel shows them; what cannot be shown that way is named."""

import io
import struct
from typing import Any

import openpyxl
import pytest
from openpyxl.comments import Comment
from openpyxl.drawing.image import Image as Drawing

from medfiles.sandbox.render.number_format import Unsupported, format_number
from tests.sandbox.render.conftest import Previewer
from tests.support import samples

SHEET, OLD = samples.SHEET, "application/vnd.ms-excel"


def saved(book: openpyxl.Workbook) -> bytes:
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def one_cell(value: Any, code: str = "General") -> bytes:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["A1"].number_format = value, code
    return saved(book)


def raw_sheet(cells: str) -> bytes:
    """A workbook whose only row holds these cells."""
    parts = samples.xlsx_parts()
    name = "xl/worksheets/sheet1.xml"
    return samples.package(parts | {name: str(parts[name]).replace('<c r="A1"><v>5.4</v></c>', cells)})


def first_row(show: Previewer, data: bytes) -> list[str]:
    facts = show.look(data, SHEET)
    assert facts["kind"] == "table", facts["reason"]
    row: list[str] = facts["sheets"][0][1][0]
    return row


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        (0.05, "0%", "5%"),
        (0.0512, "0.00%", "5.12%"),
        (4711, "0000000", "0004711"),
        (5.4, "0.00", "5.40"),
        (5, "0.#", "5."),
        (1234567.891, "#,##0.00", "1,234,567.89"),
        (1234567.891, "#,##0", "1,234,568"),
        (-5, "0.00;[Red](0.00)", "(5.00)"),
        (-5.25, "0.0", "-5.3"),
        (0, '0;-0;"none"', "none"),
        (12345, "0.00E+00", "1.23E+04"),
        (0.000012, "0.0E+0", "1.2E-5"),
        (1234.5, '"$"#,##0.00', "$1,234.50"),
        (1234.5, "[$€-407] #,##0.00", "€ 1,234.50"),
        (5.4, '0.0 "mg/l; fasting"', "5.4 mg/l; fasting"),
        (1500000, '0.0,,"M"', "1.5M"),
        (1234.5, '_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)', "$1,234.50"),
        (0, '_("$"* #,##0.00_);_("$"* \\(#,##0.00\\);_("$"* "-"??_);_(@_)', "$-"),
        (1.005, "0.00", "1.01"),
        (0.1, ".00", ".10"),
        (-0.001, "0.00", "0.00"),
        (0, "#", ""),
    ],
)
def test_numbers_are_formatted_as_excel_does(value: float, code: str, shown: str) -> None:
    assert format_number(value, code) == shown


@pytest.mark.parametrize("code", ["# ?/?", "d.m.yyyy", "000-00-0000", "mmm", '"only words"', "[h]:mm"])
def test_formats_that_are_not_common_are_not_guessed(code: str) -> None:
    with pytest.raises(Unsupported):
        format_number(46154.5, code)


@pytest.mark.parametrize(("value", "code", "shown"), [(0.05, "0%", "5%"), (7, "000", "007"), (5.4, "0.00", "5.40")])
def test_cells_are_formatted(show: Previewer, value: float, code: str, shown: str) -> None:
    data = one_cell(value, code)
    assert first_row(show, data) == [shown]
    assert show.look(data, SHEET)["note"] is None


def test_other_formats_are_named(show: Previewer) -> None:
    data = one_cell(0.5, "# ?/?")
    assert first_row(show, data) == ["0.5"]
    assert "without their format" in show.look(data, SHEET)["note"]


@pytest.mark.parametrize("error", ["#DIV/0!", "#N/A", "#VALUE!"])
def test_errors_are_shown(show: Previewer, error: str) -> None:
    assert first_row(show, raw_sheet(f'<c r="A1" t="e"><f>1/0</f><v>{error}</v></c>')) == [error]


def test_formulas_without_results_are_shown_and_named(show: Previewer) -> None:
    data = one_cell("=SUM(B1:B3)*2")
    assert first_row(show, data) == ["=SUM(B1:B3)*2"]
    assert "shown as formulas" in show.look(data, SHEET)["note"]
    stored = raw_sheet('<c r="A1"><f>1+1</f><v>2</v></c><c r="B1" t="str"><f>A1</f><v></v></c>')
    assert first_row(show, stored)[0] == "2"
    assert show.look(stored, SHEET)["note"] is None


def test_hidden_sheets_are_left_out_and_named(show: Previewer) -> None:
    book = openpyxl.Workbook()
    book.active.title, book.active["A1"] = "Results", 1
    hidden = book.create_sheet("Internal")
    hidden["A1"], hidden.sheet_state = "secret", "hidden"
    facts = show.look(saved(book), SHEET)
    assert [name for name, _ in facts["sheets"]] == ["Results"]
    assert "Hidden sheets are left out: Internal." in facts["note"]


def test_comments_and_drawings_are_named(show: Previewer) -> None:
    book = openpyxl.Workbook()
    book.active["A1"] = 1
    book.active["A1"].comment = Comment("Check again", "Ella")
    assert "Comments are left out" in show.look(saved(book), SHEET)["note"]
    book.active["A1"].comment = None
    book.active.add_image(Drawing(io.BytesIO(samples.png())))
    assert "images are left out" in show.look(saved(book), SHEET)["note"]


def test_merged_cells_keep_their_places(show: Previewer) -> None:
    book = openpyxl.Workbook()
    book.active["A1"], book.active["C1"], book.active["C2"] = "Both", 0.5, 0.25
    book.active["C2"].number_format = "0%"
    book.active.merge_cells("A1:B2")
    assert show.look(saved(book), SHEET)["sheets"][0][1] == [["Both", "", "0.5"], ["", "", "25%"]]


def test_cells_without_references_keep_their_formats(show: Previewer) -> None:
    parts = samples.xlsx_parts()
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    styles = '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="9"/></cellXfs>'
    styles = f'<styleSheet xmlns="{main}">{styles}</styleSheet>'
    row = '<row><c><v>1</v></c><c s="1"><v>0.5</v></c></row>'
    sheet = f'<worksheet xmlns="{main}"><sheetData>{row}</sheetData></worksheet>'
    data = samples.package(parts | {"xl/worksheets/sheet1.xml": sheet, "xl/styles.xml": styles})
    assert first_row(show, data) == ["1", "50%"]


def test_backslashes_in_part_names_are_read(show: Previewer) -> None:
    odd = {name.replace("/", "\\"): content for name, content in samples.xlsx_parts().items()}
    assert first_row(show, samples.package(odd)) == ["5.4"]


def test_long_cells_are_cut_and_named(show: Previewer) -> None:
    data = one_cell("a" * 1200)
    assert first_row(show, data) == ["a" * 1000]
    assert "Cells are cut" in show.look(data, SHEET)["note"]


@pytest.mark.parametrize("version", [0x0200, 0x0300, 0x0400])
def test_old_workbooks_of_an_unknown_kind_are_not_called_damaged(show: Previewer, version: int) -> None:
    beginning = struct.pack("<4H", 0x0009, 4, version, 0x10)
    facts = show.look(samples.compound("Workbook", beginning.ljust(4096, b"\0")), OLD)
    assert (facts["kind"], "cannot be shown here" in facts["reason"]) == ("none", True), facts
