"""What a SMART Health Link holds: a FHIR R4 Bundle with the patient and PDFs, written in a stream."""

import base64
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from medfiles.models import Patient
from medfiles.sandbox.pool import open_file

CONTENT_TYPE = "application/fhir+json"
PDF = "application/pdf"
PIECE = 3 * 64 * 1024  # bytes encoded at once: base64 of multiples of three needs no padding
GENDERS = ("female", "male", "other")  # of FHIR; anything else is unknown
PATIENT_SUMMARY = {  # LOINC, for what patients compile themselves
    "system": "http://loinc.org", "code": "60591-5", "display": "Patient summary Document",
}  # fmt: skip
PATIENT_SHARED = {
    "system": "https://cms.gov/fhir/CodeSystem/patient-shared-category", "code": "patient-shared",
}  # fmt: skip


@dataclass(frozen=True)
class Attachment:
    """A PDF and what is said about it."""

    path: Path
    title: str
    day: date | None = None  # of the document


def chunks(patient: Patient, attachments: Sequence[Attachment], at: datetime) -> Iterator[bytes]:
    """Yield the Bundle as JSON. The PDFs are read and encoded piece by piece."""
    about = f"urn:uuid:{uuid.uuid4()}"
    start = {"resourceType": "Bundle", "type": "collection", "timestamp": _instant(at)}
    yield f'{_json(start)[:-1]},"entry":[{_json({"fullUrl": about, "resource": _patient(patient)})}'.encode()
    for attachment in attachments:
        mark = uuid.uuid4().hex  # stands for the content
        before, after = _json(_document(attachment, about, mark, at)).split(mark)
        yield f",{before}".encode()
        yield from _encoded(attachment.path)
        yield after.encode()
    yield b"]}"


def _patient(patient: Patient) -> dict[str, Any]:
    gender = (patient.gender or "").strip().lower()
    return {
        "resourceType": "Patient",
        "name": [{"family": patient.last_name, "given": [patient.first_name]}],
        "gender": gender if gender in GENDERS else "unknown",
        "birthDate": patient.birth_date.isoformat(),
    }


def _document(attachment: Attachment, about: str, content: str, at: datetime) -> dict[str, Any]:
    said = {"contentType": PDF, "data": content, "size": attachment.path.stat().st_size, "title": attachment.title}
    if attachment.day:
        said["creation"] = attachment.day.isoformat()
    return {
        "fullUrl": f"urn:uuid:{uuid.uuid4()}",
        "resource": {
            "resourceType": "DocumentReference",
            "status": "current",
            "type": {"coding": [PATIENT_SUMMARY]},
            "category": [{"coding": [PATIENT_SHARED]}],
            "subject": {"reference": about},
            "date": _instant(at),
            "author": [{"reference": about}],
            "content": [{"attachment": said}],
        },
    }


def _encoded(path: Path) -> Iterator[bytes]:
    with open_file(path) as file:
        while piece := file.read(PIECE):
            yield base64.b64encode(piece)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
