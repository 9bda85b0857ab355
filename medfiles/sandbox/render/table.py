"""Render the first sheets, rows and columns of workbooks as text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO
from zipfile import BadZipFile

from lxml import etree
from python_calamine import CalamineError, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from medfiles.sandbox.inspect.signatures import Unsafe, WrongType
from medfiles.sandbox.render.base import DAMAGED, CannotRender, PreviewData, join_notes, listed
from medfiles.sandbox.render.locked import LOCKED, OLE, is_locked
from medfiles.sandbox.render.number_format import Unsupported, format_number
from medfiles.sandbox.render.workbook import read_workbook

MAX_SHEETS, MAX_ROWS, MAX_COLUMNS, LONGEST = 10, 200, 50, 1000
LEFT_OUT = "Only the first {} are shown. Download the document to see all of it."
PANIC = "PanicException"  # from Rust: neither an Exception nor importable
LONG_CELLS = f"Cells are cut after {LONGEST:,} characters."
UNFORMATTED = "Some numbers are shown without their format in Excel."
UNCALCULATED = "Formulas whose results are not stored in this file are shown as formulas."
HIDDEN = "Hidden sheets are left out: {}."
COMMENTS = "Comments are left out."
DRAWINGS = "Charts and images are left out."
UNKNOWN = "This kind of old workbook cannot be shown here. Download it to open it in Excel."
EMPTY = "This document contains no values to preview. Download it to open it on your device."


def describe(file: BinaryIO) -> PreviewData:
    if is_locked(file):
        raise CannotRender(LOCKED)
    is_old = file.read(len(OLE)) == OLE
    file.seek(0)
    try:
        with CalamineWorkbook.from_filelike(file) as book:
            names, notes = visible_sheets(book)
            sheets = [(name, rows_of(book, name)) for name in names[:MAX_SHEETS]]
    except BaseException as error:
        if isinstance(error, CalamineError) or type(error).__name__ == PANIC:
            raise CannotRender(UNKNOWN if is_old else DAMAGED) from error
        raise
    if is_old and not names:
        raise CannotRender(UNKNOWN)
    if is_old:
        has_numbers = any(isinstance(cell, float) for _, rows in sheets for row in rows for cell in row)
        notes += [UNFORMATTED] if has_numbers else []
    else:
        notes += apply_details(file, sheets)
    preview = table_preview(sheets, more=len(names) > MAX_SHEETS)
    return replace(preview, note=join_notes(preview.note, *notes))


def visible_sheets(book: CalamineWorkbook) -> tuple[list[str], list[str]]:
    """Return the names of the sheets to show, and notes about the others."""
    known = book.sheets_metadata
    hidden = [sheet.name for sheet in known if sheet.visible != SheetVisibleEnum.Visible]
    charts = [sheet.name for sheet in known if sheet.typ not in (SheetTypeEnum.WorkSheet, SheetTypeEnum.DialogSheet)]
    shown = [name for name in book.sheet_names if name not in hidden and name not in charts]
    if not shown:
        return [name for name in book.sheet_names if name not in charts], []
    notes = [HIDDEN.format(listed(hidden[:MAX_SHEETS], len(hidden)))] if hidden else []
    return shown, notes + ([DRAWINGS] if charts else [])


def rows_of(book: CalamineWorkbook, name: str) -> list[list[Any]]:
    return book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=MAX_ROWS + 1)


def apply_details(file: BinaryIO, sheets: list[tuple[str, list[list[Any]]]]) -> list[str]:
    """Format the values of an XLSX workbook in place, as Excel shows them. Return notes about the rest."""
    notes = []
    try:
        workbook = read_workbook(file)
        for name, rows in sheets:
            details = workbook.details(name, MAX_ROWS, MAX_COLUMNS)
            for (row, column), text in details.texts.items():
                put(rows, row, column, text)
            if not format_numbers(rows, details.formats):
                notes.append(UNFORMATTED)
            notes += [UNCALCULATED] if details.has_formulas else []
            notes += [COMMENTS] if details.has_comments else []
            notes += [DRAWINGS] if details.has_drawings else []
    except (BadZipFile, etree.LxmlError, WrongType, Unsafe, LookupError, ValueError):
        notes.append(UNFORMATTED)  # the values themselves were read
    return notes


def put(rows: list[list[Any]], row: int, column: int, text: str) -> None:
    while len(rows) <= row:
        rows.append([])
    rows[row] += [""] * (column + 1 - len(rows[row]))
    rows[row][column] = text


def format_numbers(rows: list[list[Any]], formats: Mapping[tuple[int, int], str]) -> bool:
    """Format numbers in place. Return whether all formats are known."""
    known = True
    for (row, column), code in formats.items():
        value = rows[row][column] if row < len(rows) and column < len(rows[row]) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                rows[row][column] = format_number(float(value), code)
            except (Unsupported, ArithmeticError):
                known = False
    return known


def table_preview(sheets: Sequence[tuple[str, list[list[Any]]]], *, more: bool = False) -> PreviewData:
    """Return a preview of the first rows of these sheets. `more` says whether there are further sheets."""
    shown = tuple((name, tuple(cells(rows[:MAX_ROWS]))) for name, rows in sheets)
    if not any(rows for _, rows in shown):
        raise CannotRender(EMPTY)
    values = (value for _, rows in sheets for row in rows[:MAX_ROWS] for value in row[:MAX_COLUMNS])
    cut = LONG_CELLS if any(isinstance(value, str) and len(value) > LONGEST for value in values) else None
    note = join_notes(truncation_note([rows for _, rows in sheets], more), cut)
    return PreviewData("table", sheets=shown, note=note)


def truncation_note(sheets: list[list[list[Any]]], more: bool) -> str | None:
    cuts = {
        f"{MAX_SHEETS} sheets": more,
        f"{MAX_ROWS} rows": any(len(rows) > MAX_ROWS for rows in sheets),
        f"{MAX_COLUMNS} columns": any(len(row) > MAX_COLUMNS for rows in sheets for row in rows[:MAX_ROWS]),
    }
    cut = [words for words, is_cut in cuts.items() if is_cut]
    return LEFT_OUT.format(" and ".join([", ".join(cut[:-1]), cut[-1]] if cut[1:] else cut)) if cut else None


def cells(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, ...]]:
    return (tuple(cell_text(value) for value in row[:MAX_COLUMNS]) for row in rows)


def cell_text(value: Any) -> str:
    """Format a cell as text. 5.0 is shown as 5, the way it was entered."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes") if value.time() != time() else value.date().isoformat()
    if isinstance(value, date | time | timedelta):
        return str(value)
    return str(value)[:LONGEST]
