"""The demo family keeps to the limits of the contract, and its files are what their names say."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import PurePath

import pydicom
import pypdfium2
import pytest
from PIL import Image, ImageOps

from medfiles.demo import DemoDocument, DemoRecord, family

TODAY = date(2026, 5, 12)
MB = 1024 * 1024
LIMITS = {
    "lab-result": (
        ".pdf .jpg .jpeg .png .tiff .tif .bmp .gif .txt .csv .xml .json .doc .docx .xls .xlsx .heic",
        10 * MB, 10, "result report image document",
    ),
    "insurance": (".pdf .jpg .jpeg .png .doc .docx .heic", 5 * MB, 5, "card policy claim eob correspondence"),
    "visit": (
        ".pdf .doc .docx .jpg .jpeg .png .txt .heic",
        15 * MB, 8, "summary referral prescription test_order correspondence",
    ),
    "procedure": (
        ".pdf .doc .docx .jpg .jpeg .png .dcm .heic",
        20 * MB, 12, "consent report image instructions billing",
    ),
}  # fmt: skip
NEEDED = {
    "lab-result": {"test_name"},
    "insurance": {"insurance_type", "company_name", "member_name", "member_id", "effective_date"},
    "visit": {"reason", "date"},
    "procedure": {"procedure_name", "date"},
}
RECORDS = [record for patient in family(TODAY) for record in patient.records]
FILES = [(record, document) for record in RECORDS for document in record.documents]


def pdf_opens(data: bytes) -> bool:
    with pypdfium2.PdfDocument(data) as pdf:
        return "NOT A REAL DOCUMENT" in pdf[len(pdf) - 1].get_textpage().get_text_bounded()


def picture_opens(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.width >= 1000


def dicom_opens(data: bytes) -> bool:
    image = pydicom.dcmread(io.BytesIO(data))
    whole = len(image.PixelData) == image.Rows * image.Columns * 2 == 512 * 512 * 2
    return bool(whole and image.PhotometricInterpretation == "MONOCHROME2" and data[:128] == bytes(128))


def csv_opens(data: bytes) -> bool:
    head, *rows = csv.reader(io.StringIO(data.decode()))
    return len(rows) > 100 and {len(row) for row in rows} == {len(head)}


def text_opens(data: bytes) -> bool:
    return "NOT A REAL DOCUMENT" in data.decode()


def office_opens(data: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.testzip() is None and archive.namelist()[0] == "[Content_Types].xml"


OPENERS: dict[str, Callable[[bytes], bool]] = {
    ".pdf": pdf_opens, ".jpg": picture_opens, ".png": picture_opens, ".dcm": dicom_opens, ".csv": csv_opens,
    ".txt": text_opens, ".docx": office_opens, ".xlsx": office_opens,
}  # fmt: skip


def extension(document: DemoDocument) -> str:
    return PurePath(document.name).suffix


@pytest.mark.parametrize(("record", "document"), FILES, ids=[document.name for _, document in FILES])
def test_a_demo_file_opens_and_keeps_its_limits(record: DemoRecord, document: DemoDocument) -> None:
    accepts, max_size, _, categories = LIMITS[record.type]
    data = document.make()
    assert OPENERS[extension(document)](data)
    assert extension(document) in accepts.split()
    assert 0 < len(data) <= max_size
    assert document.category is None or document.category in categories.split()


def test_every_sort_of_file_is_there() -> None:
    assert {extension(document) for _, document in FILES} == OPENERS.keys()


def test_the_family_is_two_adults_and_two_children() -> None:
    ages = sorted((TODAY - patient.fields["birth_date"]).days // 365 for patient in family(TODAY))
    assert [age >= 18 for age in ages] == [False, False, True, True]


def test_every_record_has_the_fields_needed_to_create_it() -> None:
    assert [record for record in RECORDS if NEEDED[record.type] - record.fields.keys()] == []


def test_records_without_documents_and_a_full_one_are_there() -> None:
    left = [LIMITS[record.type][2] - len(record.documents) for record in RECORDS]
    assert min(left) == 0
    assert any(not record.documents for record in RECORDS)


def test_some_documents_are_described_and_some_are_not() -> None:
    assert {document.description is None for _, document in FILES} == {True, False}


def test_the_same_day_gives_the_same_bytes() -> None:
    def made() -> list[bytes]:
        return [d.make() for patient in family(TODAY) for record in patient.records for d in record.documents]

    assert made() == made()


def test_nothing_done_lies_in_the_future() -> None:
    done = [record for record in RECORDS if record.fields.get("status") == "Completed"]
    dates = [record.fields.get("completed_date", record.fields.get("date")) for record in done]
    assert dates
    assert all(day is not None and day <= TODAY for day in dates)


def test_a_phone_photo_is_stored_on_its_side_and_turned_by_its_exif() -> None:
    photo = next(document for _, document in FILES if document.name == "IMG_2041.jpg").make()
    with Image.open(io.BytesIO(photo)) as picture:
        assert picture.width > picture.height
        assert ImageOps.exif_transpose(picture).width < picture.width
