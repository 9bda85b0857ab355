"""Workbooks: their first sheets, so many rows and columns of each, as text."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, BinaryIO

from python_calamine import CalamineError, CalamineWorkbook

from medfiles.sandbox.render.base import DAMAGED, Facts, Unshowable

MOST_SHEETS, MOST_ROWS, MOST_COLUMNS, LONGEST = 10, 200, 50, 1000
LEFT_OUT = "Only the first {} are shown. Download the document to see all of it."
PANIC = "PanicException"  # Rust's, which is no Exception and has no module to be imported from
EMPTY = "This document contains no values to preview. Download it to open it on your device."


def look(file: BinaryIO) -> Facts:
    try:
        with CalamineWorkbook.from_filelike(file) as book:
            names = book.sheet_names
            sheets = [(name, rows_of(book, name)) for name in names[:MOST_SHEETS]]
    except BaseException as error:
        if isinstance(error, CalamineError) or type(error).__name__ == PANIC:
            raise Unshowable(DAMAGED) from error
        raise
    return tabled(sheets, more=len(names) > MOST_SHEETS)


def rows_of(book: CalamineWorkbook, name: str) -> list[list[Any]]:
    return book.get_sheet_by_name(name).to_python(skip_empty_area=False, nrows=MOST_ROWS + 1)


def tabled(sheets: Sequence[tuple[str, list[list[Any]]]], *, more: bool = False) -> Facts:
    """Rows of any values as a table of words, cut to what is shown; `more`: there are other sheets."""
    shown = tuple((name, tuple(cells(rows[:MOST_ROWS]))) for name, rows in sheets)
    if not any(rows for _, rows in shown):
        raise Unshowable(EMPTY)
    return Facts("table", sheets=shown, note=left_out([rows for _, rows in sheets], more))


def left_out(sheets: list[list[list[Any]]], more: bool) -> str | None:
    cuts = {
        f"{MOST_SHEETS} sheets": more,
        f"{MOST_ROWS} rows": any(len(rows) > MOST_ROWS for rows in sheets),
        f"{MOST_COLUMNS} columns": any(len(row) > MOST_COLUMNS for rows in sheets for row in rows[:MOST_ROWS]),
    }
    cut = [words for words, is_cut in cuts.items() if is_cut]
    return LEFT_OUT.format(" and ".join([", ".join(cut[:-1]), cut[-1]] if cut[1:] else cut)) if cut else None


def cells(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, ...]]:
    return (tuple(word(value) for value in row[:MOST_COLUMNS]) for row in rows)


def word(value: Any) -> str:
    """As it is read: 5.0 of a workbook is the 5 that somebody entered."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "minutes") if value.time() != time() else value.date().isoformat()
    if isinstance(value, date | time | timedelta):
        return str(value)
    return str(value)[:LONGEST]
