"""Render text in any encoding, and CSV files as tables."""

import csv
import io
from dataclasses import replace
from typing import BinaryIO

from medfiles.sandbox.inspect.signatures import WrongType
from medfiles.sandbox.inspect.text import encoding_of
from medfiles.sandbox.render.base import DAMAGED, CannotRender, PreviewData, join_notes
from medfiles.sandbox.render.table import MAX_ROWS, table_preview

MAX_CHARACTERS = 200_000  # characters
MAX_CSV_CHARACTERS = 20 * 1024**2
DELIMITERS = ",;\t|"
SAMPLE = 20_000
SHORTENED = f"Only the first {MAX_CHARACTERS:,} characters are shown. Download the document to read all of it."


GUESSED = "This file does not declare its text encoding. It is shown as {}."
NAMES = {
    "cp932": "Japanese (Shift JIS)",
    "cp1250": "Central European (Windows-1250)",
    "cp1251": "Cyrillic (Windows-1251)",
    "cp1252": "Western European (Windows-1252)",
    "cp1253": "Greek (Windows-1253)",
}


def describe(file: BinaryIO) -> PreviewData:
    text, guessed = read_text(file)
    return PreviewData(
        "text", text=text[:MAX_CHARACTERS], note=join_notes(guessed, SHORTENED if len(text) > MAX_CHARACTERS else None)
    )


def describe_csv(file: BinaryIO) -> PreviewData:
    text, guessed = read_text(file)
    text = text[:MAX_CSV_CHARACTERS]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text[:SAMPLE]))  # cells may have newlines
    try:
        rows = [row for row, _ in zip(reader, range(MAX_ROWS + 1), strict=False)]
    except csv.Error as error:
        raise CannotRender(DAMAGED) from error
    facts = table_preview([("", rows)])
    return replace(facts, note=join_notes(guessed, facts.note))


def delimiter_of(sample: str) -> str:
    try:
        return csv.Sniffer().sniff(sample, DELIMITERS).delimiter
    except csv.Error:
        return max(DELIMITERS, key=sample.count)


def read_text(file: BinaryIO) -> tuple[str, str | None]:
    """Return the text, and a note if its encoding had to be guessed."""
    data = file.read()
    try:
        encoding = encoding_of(data)
        text = data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except (WrongType, UnicodeError) as error:
        raise CannotRender(DAMAGED) from error
    return text, None if encoding.startswith("utf") else GUESSED.format(NAMES.get(encoding, encoding))
