"""Text as it is written, whatever its encoding; comma separated values as the table they are."""

import csv
import io
from typing import BinaryIO

from medfiles.inspectors.signatures import Unlike
from medfiles.inspectors.text import decode
from medfiles.previews.base import DAMAGED, Facts, Unshowable
from medfiles.previews.table import MOST_ROWS, tabled

MOST = 200_000  # characters
MOST_CSV = 20 * 1024**2
DELIMITERS = ",;\t|"
SAMPLE = 20_000
SHORTENED = f"Only the first {MOST:,} characters are shown. Download the document to read all of it."


def look(file: BinaryIO) -> Facts:
    text = read(file)
    return Facts("text", text=text[:MOST], note=SHORTENED if len(text) > MOST else None)


def look_at_table(file: BinaryIO) -> Facts:
    text = read(file)[:MOST_CSV]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text[:SAMPLE]))  # cells may hold lines
    try:
        rows = [row for row, _ in zip(reader, range(MOST_ROWS + 1), strict=False)]
    except csv.Error as error:
        raise Unshowable(DAMAGED) from error
    return tabled([("", rows)])


def delimiter_of(sample: str) -> str:
    try:
        return csv.Sniffer().sniff(sample, DELIMITERS).delimiter
    except csv.Error:
        return max(DELIMITERS, key=sample.count)


def read(file: BinaryIO) -> str:
    try:
        return decode(file.read()).replace("\r\n", "\n").replace("\r", "\n")
    except Unlike as error:
        raise Unshowable(DAMAGED) from error
