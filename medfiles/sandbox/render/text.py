"""Text as it is written, whatever its encoding; comma separated values as the table they are."""

import csv
import io
from dataclasses import replace
from typing import BinaryIO

from medfiles.sandbox.inspect.signatures import Unlike
from medfiles.sandbox.inspect.text import encoding_of
from medfiles.sandbox.render.base import DAMAGED, Facts, Unshowable
from medfiles.sandbox.render.table import MOST_ROWS, tabled

MOST = 200_000  # characters
MOST_CSV = 20 * 1024**2
DELIMITERS = ",;\t|"
SAMPLE = 20_000
SHORTENED = f"Only the first {MOST:,} characters are shown. Download the document to read all of it."


GUESSED = "This file does not declare its text encoding. It is shown as {}."
NAMES = {
    "cp932": "Japanese (Shift JIS)",
    "cp1250": "Central European (Windows-1250)",
    "cp1251": "Cyrillic (Windows-1251)",
    "cp1252": "Western European (Windows-1252)",
    "cp1253": "Greek (Windows-1253)",
}


def look(file: BinaryIO) -> Facts:
    text, guessed = read(file)
    return Facts("text", text=text[:MOST], note=noted(guessed, SHORTENED if len(text) > MOST else None))


def noted(*notes: str | None) -> str | None:
    return " ".join(note for note in notes if note) or None


def look_at_table(file: BinaryIO) -> Facts:
    text, guessed = read(file)
    text = text[:MOST_CSV]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text[:SAMPLE]))  # cells may hold lines
    try:
        rows = [row for row, _ in zip(reader, range(MOST_ROWS + 1), strict=False)]
    except csv.Error as error:
        raise Unshowable(DAMAGED) from error
    facts = tabled([("", rows)])
    return replace(facts, note=noted(guessed, facts.note))


def delimiter_of(sample: str) -> str:
    try:
        return csv.Sniffer().sniff(sample, DELIMITERS).delimiter
    except csv.Error:
        return max(DELIMITERS, key=sample.count)


def read(file: BinaryIO) -> tuple[str, str | None]:
    """What is written, and the sentence that says how it was read when that had to be guessed."""
    data = file.read()
    try:
        encoding = encoding_of(data)
        text = data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except (Unlike, UnicodeError) as error:
        raise Unshowable(DAMAGED) from error
    return text, None if encoding.startswith("utf") else GUESSED.format(NAMES.get(encoding, encoding))
