"""The demo family stays within the limits of its record types, and its files are what their names say."""

import csv
import io
import re
import tomllib
import zipfile
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path, PurePath

import pydicom
import pypdfium2
import pytest
from PIL import Image, ImageOps

from medfiles.cli.demo.documents import draw
from medfiles.cli.demo.family import FOLDER, DemoDocument, family, move_dates
from medfiles.record_types.declared import RECORD_TYPES

TODAY = date(2027, 2, 28)
DRAWN = date(2026, 6, 1)
TYPES = {record_type.name: record_type for record_type in RECORD_TYPES}
FAMILY = family(TODAY)
RECORDS = [record for patient in FAMILY for record in patient.records]
FILES = [(record, document) for record in RECORDS for document in record.documents]
LETTERS = [
    (patient.fields["birth_date"], document)
    for patient in FAMILY
    for record in patient.records
    for document in record.documents
    if document.name.endswith(".pdf")
]


def texts_of(pdf_data: bytes) -> list[str]:
    with pypdfium2.PdfDocument(pdf_data) as pdf:
        return [page.get_textpage().get_text_bounded() for page in pdf]


def pdf_opens(data: bytes) -> bool:
    return all("NOT A REAL DOCUMENT" in text for text in texts_of(data))


def picture_opens(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.width >= 1000


def dicom_opens(data: bytes) -> bool:
    image = pydicom.dcmread(io.BytesIO(data))
    return bool(
        image.pixel_array.shape == (1024, 1024)
        and image.PhotometricInterpretation == "MONOCHROME2"
        and data[:128] == bytes(128)
    )


def csv_opens(data: bytes) -> bool:
    head, *rows = csv.reader(io.StringIO(data.decode()))
    return len(rows) > 100 and {len(row) for row in rows} == {len(head)}


def text_opens(data: bytes) -> bool:
    return "NOT A REAL DOCUMENT" in data.decode()


def office_opens(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.testzip() is None and "[Content_Types].xml" in archive.namelist()


OPENERS: dict[str, Callable[[bytes], bool]] = {
    ".pdf": pdf_opens, ".jpg": picture_opens, ".png": picture_opens, ".dcm": dicom_opens, ".csv": csv_opens,
    ".txt": text_opens, ".docx": office_opens, ".xlsx": office_opens,
}  # fmt: skip


def extension(document: DemoDocument) -> str:
    return PurePath(document.name).suffix


@pytest.mark.parametrize("suffix", OPENERS)
def test_demo_files_open_and_stay_within_their_limits(suffix: str) -> None:
    found = [(record, document) for record, document in FILES if extension(document) == suffix]
    assert found
    for record, document in found:
        record_type = TYPES[record.record_type]
        assert OPENERS[suffix](document.content)
        assert suffix in record_type.accepts
        assert 0 < len(document.content) <= record_type.max_size
        assert document.category in (None, *record_type.categories)


def test_family_is_two_adults_and_two_children() -> None:
    ages = sorted((TODAY - patient.fields["birth_date"]).days // 365 for patient in FAMILY)
    assert [age >= 18 for age in ages] == [False, False, True, True]


def test_every_record_has_its_required_fields() -> None:
    required = {name: {field.name for field in kind.fields if field.required} for name, kind in TYPES.items()}
    assert [record for record in RECORDS if required[record.record_type] - record.fields.keys()] == []


def test_there_are_empty_and_full_records_and_documents_with_and_without_a_description() -> None:
    left = [TYPES[record.record_type].max_files - len(record.documents) for record in RECORDS]
    assert min(left) == 0
    assert any(not record.documents for record in RECORDS)
    assert {document.description is None for _, document in FILES} == {True, False}


def test_nothing_completed_is_in_the_future() -> None:
    done = [record for record in RECORDS if record.fields.get("status") == "Completed"]
    dates = [record.fields.get("completed_date", record.fields.get("date")) for record in done]
    assert dates
    assert all(day is not None and day <= TODAY for day in dates)


def test_phone_photo_is_stored_on_its_side_and_turned_by_its_exif() -> None:
    photo = next(document for _, document in FILES if document.name == "IMG_2041.jpg").content
    with Image.open(io.BytesIO(photo)) as picture:
        assert picture.width > picture.height
        assert ImageOps.exif_transpose(picture).width < picture.width


# --- dates move with the day the demo is created --------------------------------------------------------------------


def test_every_date_in_a_letter_is_moved() -> None:
    committed = {path.read_bytes() for path in (FOLDER / "documents").glob("*.pdf")}
    assert len(LETTERS) > 5
    for born, document in LETTERS:
        birth_date, written = re.findall(r"\d\d [A-Z][a-z]{2} \d{4}", "\n".join(texts_of(document.content)))
        assert birth_date == f"{born:%d %b %Y}"
        assert written in {f"{TODAY - timedelta(days=ago):%d %b %Y}" for ago in range(1000)}
        assert move_dates(document.content, DRAWN - TODAY) in committed


def test_dates_in_tables_photos_and_scans_are_moved() -> None:
    content = {document.name: document.content for _, document in FILES}
    by_name = {record.fields.get("test_name", record.fields.get("procedure_name")): record.fields for record in RECORDS}
    *_, last = csv.reader(io.StringIO(content["Blood pressure at home.csv"].decode()))
    assert last[0] == by_name["Blood pressure diary"]["completed_date"].isoformat()
    scan = pydicom.dcmread(io.BytesIO(content["Left knee, front view.dcm"]))
    assert scan.StudyDate == f"{by_name['Knee X-ray, left']['date']:%Y%m%d}"
    assert scan.PatientBirthDate == f"{FAMILY[0].fields['birth_date']:%Y%m%d}"
    with Image.open(io.BytesIO(content["IMG_2041.jpg"])) as photo:
        assert photo.getexif()[0x0132] == f"{TODAY - (DRAWN - date(2026, 2, 2)):%Y:%m:%d} 18:20:00"


@pytest.mark.parametrize("today", [date(2024, 2, 29), date(2028, 2, 29), date(2040, 12, 31)])
def test_moving_dates_keeps_the_length_of_every_file(today: date) -> None:
    moved = [
        len(document.content)
        for patient in family(today)
        for record in patient.records
        for document in record.documents
    ]
    assert moved == [len(document.content) for _, document in FILES]


# --- the committed documents ----------------------------------------------------------------------------------------


def test_every_committed_document_is_used_once_and_all_are_small() -> None:
    patients = tomllib.loads((FOLDER / "family.toml").read_text())["patients"]
    used = [
        file["file"] for patient in patients for record in patient["records"] for file in record.get("documents", ())
    ]
    paths = [path for path in (FOLDER / "documents").iterdir() if path.suffix in OPENERS]
    assert sorted(used) == sorted(path.name for path in paths)
    assert sum(path.stat().st_size for path in paths) <= 600_000


def test_committed_documents_are_what_the_script_draws(tmp_path: Path) -> None:
    draw.draw(tmp_path)
    committed = {path.name: path for path in (FOLDER / "documents").iterdir() if path.suffix in OPENERS}
    written_by_hand = {"martin-blood-pressure-at-home.csv", "martin-phone-call-notes.txt"}
    assert {path.name for path in tmp_path.iterdir()} == committed.keys() - written_by_hand
    for letter in tmp_path.glob("*.pdf"):
        assert letter.read_bytes() == committed[letter.name].read_bytes()
