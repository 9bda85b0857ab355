"""Render the first sheets, rows and columns of workbooks as text."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO

from python_calamine import CalamineError, CalamineWorkbook

from medfiles.sandbox.render.base import DAMAGED, CannotRender, PreviewData
from medfiles.sandbox.render.locked import LOCKED, is_locked

MAX_SHEETS, MAX_ROWS, MAX_COLUMNS, LONGEST = 10, 200, 50, 1000
LEFT_OUT = "Only the first {} are shown. Download the document to see all of it."
PANIC = "PanicException"  # from Rust: neither an Exception nor importable
EMPTY = "This document contains no values to preview. Download it to open it on your device."


def describe(file: BinaryIO) -> PreviewData:
    if is_locked(file):
        raise CannotRender(LOCKED)
    try:
        with CalamineWorkbook.from_filelike(file) as book:
            names = book.sheet_names
            sheets = [(name, rows_of(book, name)) for name in names[:MAX_SHEETS]]
    except BaseException as error:
        if isinstance(error, CalamineError) or type(error).__name__ == PANIC:
            raise CannotRender(DAMAGED) from error
        raise
    return table_preview(sheets, more=len(names) > MAX_SHEETS)


def rows_of(book: CalamineWorkbook, name: str) -> list[list[Any]]:
    return book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=MAX_ROWS + 1)


def table_preview(sheets: Sequence[tuple[str, list[list[Any]]]], *, more: bool = False) -> PreviewData:
    """Return a preview of the first rows of these sheets. `more` says whether there are further sheets."""
    shown = tuple((name, tuple(cells(rows[:MAX_ROWS]))) for name, rows in sheets)
    if not any(rows for _, rows in shown):
        raise CannotRender(EMPTY)
    return PreviewData("table", sheets=shown, note=truncation_note([rows for _, rows in sheets], more))


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
