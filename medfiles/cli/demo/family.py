"""Build the demo family as of a given day from `family.toml` and the documents next to it."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
DATES: Mapping[str, bytes] = {
    "%d %b %Y": rb"\b\d\d [A-Z][a-z]{2} \d{4}\b",  # letters
    "%d.%m.%Y": rb"\b\d\d\.\d\d\.\d{4}\b",  # forms
    "%Y-%m-%d": rb"\b\d{4}-\d\d-\d\d\b",  # tables
    "%Y:%m:%d": rb"\b\d{4}:\d\d:\d\d\b",  # EXIF
    "%Y%m%d": rb"\b(?:19|20)\d{6}\b",  # DICOM
}


@dataclass(frozen=True)
class DemoDocument:
    """A document to add. `date` is the date printed on it; documents are added in date order."""

    content: bytes
    name: str
    date: date
    category: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class DemoRecord:
    """A record to create. `fields` uses the field names from the record type's form."""

    record_type: str
    fields: dict[str, Any]
    documents: list[DemoDocument]


@dataclass(frozen=True)
class DemoPatient:
    fields: dict[str, Any]
    records: list[DemoRecord]


def family(today: date) -> list[DemoPatient]:
    """Return a family of three generations, with all dates relative to `today`."""
    data = tomllib.loads((FOLDER / "family.toml").read_text())
    by = today - data["today"]
    patients = []
    for entry in data["patients"]:
        records = [_record(by, **record) for record in entry.pop("records")]
        patients.append(DemoPatient(_moved(entry, by), records))
    return patients


def _record(by: timedelta, type: str, documents: Iterable[dict[str, Any]] = (), **fields: Any) -> DemoRecord:
    day = fields.get("date") or fields.get("completed_date") or fields.get("effective_date")
    return DemoRecord(type, _moved(fields, by), [_document(by, **{"date": day, **document}) for document in documents])


def _document(by: timedelta, file: str, **about: Any) -> DemoDocument:
    return DemoDocument(content=move_dates((FOLDER / "documents" / file).read_bytes(), by), **_moved(about, by))


def _moved(fields: dict[str, Any], by: timedelta) -> dict[str, Any]:
    return {name: value + by if isinstance(value, date) else value for name, value in fields.items()}


def move_dates(content: bytes, by: timedelta) -> bytes:
    """Shift the dates that a file contains as plain text.

    Each date keeps its width, so offsets and lengths in PDF, EXIF and DICOM files stay correct.
    """
    for layout, pattern in DATES.items():

        def moved(found: re.Match[bytes], layout: str = layout) -> bytes:
            return (datetime.strptime(found[0].decode(), layout) + by).strftime(layout).encode()

        content = re.sub(pattern, moved, content)
    return content
