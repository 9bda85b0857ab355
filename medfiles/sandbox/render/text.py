"""Render text in any encoding, and CSV files as tables."""

import csv
import io
import re
from dataclasses import dataclass, replace
from typing import BinaryIO

from medfiles.sandbox.encodings import NAMES
from medfiles.sandbox.inspect.text import encoding_of
from medfiles.sandbox.render.base import DAMAGED, CannotRender, PreviewData, join_notes
from medfiles.sandbox.render.table import MAX_ROWS, table_preview

MAX_CHARACTERS = 200_000  # characters
MAX_CSV_CHARACTERS = 20 * 1024**2
DELIMITERS = ",;\t|"
DECLARED_DELIMITER = re.compile(r'"?sep=(.)"?[^\n]*\n', re.I)  # a first line for Excel, not a row
SAMPLE = 20_000
SHORTENED = f"Only the first {MAX_CHARACTERS:,} characters are shown. Download the document to read all of it."


GUESSED = "This file does not declare its text encoding. It is shown as {}."
CHOSEN = "This text is shown as {}, as you chose."
UNREADABLE = "Some characters are not valid in this encoding and are shown as \ufffd."


def describe(file: BinaryIO, encoding: str | None = None) -> PreviewData:
    text, source = read_text(file, encoding)
    cut = SHORTENED if len(text) > MAX_CHARACTERS else None
    return PreviewData("text", text=text[:MAX_CHARACTERS], note=join_notes(source.note, cut), encoding=source.encoding)


def describe_csv(file: BinaryIO, encoding: str | None = None) -> PreviewData:
    text, source = read_text(file, encoding)
    text = text[:MAX_CSV_CHARACTERS]
    declared = DECLARED_DELIMITER.match(text)
    delimiter = declared[1] if declared else delimiter_of(text[:SAMPLE])
    body = text[declared.end() :] if declared else text
    csv.field_size_limit(MAX_CSV_CHARACTERS)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=delimiter)  # cells may have newlines
    try:
        rows = [row for row, _ in zip(reader, range(MAX_ROWS + 1), strict=False)]
    except csv.Error as error:
        raise CannotRender(DAMAGED) from error
    facts = table_preview([("", rows)])
    return replace(facts, note=join_notes(source.note, facts.note), encoding=source.encoding)


def delimiter_of(sample: str) -> str:
    try:
        return csv.Sniffer().sniff(sample, DELIMITERS).delimiter
    except csv.Error:
        return max(DELIMITERS, key=sample.count)


@dataclass(frozen=True)
class Source:
    """How a text was decoded. `encoding` is None if the file declares it, so that there is nothing to choose."""

    encoding: str | None = None
    note: str | None = None


def read_text(file: BinaryIO, encoding: str | None = None) -> tuple[str, Source]:
    """Return the text, decoded as the reader chose or else as it declares or seems to be."""
    data = file.read()
    try:
        found = encoding or encoding_of(data)
        text = data.decode(found, "replace" if encoding or not found.startswith("utf") else "strict")
    except UnicodeError as error:
        raise CannotRender(DAMAGED) from error
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    name = NAMES.get(found, found)
    if encoding:
        return text, Source(found, join_notes(CHOSEN.format(name), UNREADABLE if "\ufffd" in text else None))
    return text, Source() if found.startswith("utf") else Source(
        found, join_notes(GUESSED.format(name), UNREADABLE if "\ufffd" in text else None)
    )
