"""The demo family stays within the limits of its record types, and its files are what their names say."""

import csv
import html
import io
import re
import tomllib
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from pathlib import PurePath

import pydicom
import pypdfium2
import pytest
from PIL import Image, ImageOps

from medfiles.cli.demo.documents import draw
from medfiles.cli.demo.family import FOLDER, DemoDocument, family, move_dates
from medfiles.record_types.declared import RECORD_TYPES

TODAY = date(2027, 2, 28)
DRAWN = date(2026, 11, 30)
TYPES = {record_type.name: record_type for record_type in RECORD_TYPES}
FAMILY = family(TODAY)
RECORDS = [record for patient in FAMILY for record in patient.records]
FILES = [(record, document) for record in RECORDS for document in record.documents]
PAPERS = [document for _, document in FILES if document.name.endswith(".pdf")]
BY_HAND = {
    "martin-blood-pressure-at-home.csv", "martin-cholesterol-over-three-years.xlsx", "martin-phone-call-notes.txt",
    "martin-questions-for-next-visit.docx",
}  # fmt: skip
LAYOUTS = {"%d %b %Y": r"\b\d\d [A-Z][a-z]{2} \d{4}\b", "%d.%m.%Y": r"\b\d\d\.\d\d\.\d{4}\b"}


def texts_of(pdf_data: bytes) -> list[str]:
    with pypdfium2.PdfDocument(pdf_data) as pdf:
        return [page.get_textpage().get_text_bounded() for page in pdf]


def pdf_opens(data: bytes) -> bool:
    return all("not a real document" in text for text in texts_of(data))


def picture_opens(data: bytes) -> bool:
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        return picture.width >= 1000


def dicom_opens(data: bytes) -> bool:
    image = pydicom.dcmread(io.BytesIO(data))
    return bool(
        min(image.pixel_array.shape) >= 512
        and image.ImageComments == "SAMPLE, not a real document"
        and image.PhotometricInterpretation == "MONOCHROME2"
        and data[:128] == bytes(128)
    )


def csv_opens(data: bytes) -> bool:
    head, *rows = csv.reader(io.StringIO(data.decode()))
    return len(rows) > 100 and {len(row) for row in rows} == {len(head)}


def text_opens(data: bytes) -> bool:
    return "not a real document" in data.decode()


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


def test_family_is_three_generations() -> None:
    ages = sorted((TODAY - patient.fields["birth_date"]).days // 365 for patient in FAMILY)
    assert [(age >= 18) + (age >= 65) for age in ages] == [0, 0, 1, 1, 2]


def test_documents_span_years_and_some_have_several_pages() -> None:
    assert 45 <= len(FILES) <= 65
    assert len({document.date.year for _, document in FILES}) >= 6
    assert sum(len(texts_of(document.content)) > 1 for document in PAPERS) >= 6


def test_every_record_has_its_required_fields() -> None:
    required = {name: {field.name for field in kind.fields if field.required} for name, kind in TYPES.items()}
    assert [record for record in RECORDS if required[record.record_type] - record.fields.keys()] == []


def test_there_are_records_with_few_and_many_documents_and_documents_with_and_without_a_description() -> None:
    assert max(len(record.documents) for record in RECORDS) >= 5
    assert any(not record.documents for record in RECORDS)
    assert {document.description is None for _, document in FILES} == {True, False}


def test_nothing_completed_is_in_the_future() -> None:
    done = [record for record in RECORDS if record.fields.get("status") == "Completed"]
    dates = [record.fields.get("completed_date", record.fields.get("date")) for record in done]
    assert dates
    assert all(day is not None and day <= TODAY for day in dates)


def test_phone_photo_is_stored_on_its_side_and_turned_by_its_exif() -> None:
    photo = next(document for _, document in FILES if document.name == "Exercise sheet.jpg").content
    with Image.open(io.BytesIO(photo)) as picture:
        assert picture.width > picture.height
        assert ImageOps.exif_transpose(picture).width < picture.width


# --- dates move with the day the demo is created --------------------------------------------------------------------


def dates_in(text: str) -> list[date]:
    found = [(day, layout) for layout, pattern in LAYOUTS.items() for day in re.findall(pattern, text)]
    return sorted(datetime.strptime(day, layout).date() for day, layout in found)


def test_every_date_on_paper_is_moved() -> None:
    committed = {path.read_bytes() for path in (FOLDER / "documents").glob("*.pdf")}
    for document in PAPERS:
        before = move_dates(document.content, DRAWN - TODAY)
        assert before in committed
        drawn, moved = ("\n".join(texts_of(content)) for content in (before, document.content))
        assert dates_in(drawn)
        assert dates_in(moved) == [day + (TODAY - DRAWN) for day in dates_in(drawn)]
        assert not re.search(r"\d (January|February|March|April|May|June|July|August|September)|20[12]\d$", moved)


def test_paper_says_its_date_and_the_birth_date_of_its_patient() -> None:
    for patient in FAMILY:
        for document in (document for record in patient.records for document in record.documents):
            if document.name.endswith(".pdf"):
                said = dates_in("\n".join(texts_of(document.content)))
                assert {document.date, patient.fields["birth_date"]} <= set(said), document.name


def test_dates_in_tables_photos_and_scans_are_moved() -> None:
    content = {document.name: document.content for _, document in FILES}
    by_name = {record.fields.get("test_name", record.fields.get("procedure_name")): record.fields for record in RECORDS}
    *_, last = csv.reader(io.StringIO(content["Blood pressure at home.csv"].decode()))
    assert last[0] == by_name["Blood pressure diary"]["completed_date"].isoformat()
    scan = pydicom.dcmread(io.BytesIO(content["X-ray left wrist.dcm"]))
    assert scan.StudyDate == f"{by_name['X-ray of the left wrist']['date']:%Y%m%d}"
    assert scan.PatientBirthDate == f"{FAMILY[2].fields['birth_date']:%Y%m%d}"
    with Image.open(io.BytesIO(content["Exercise sheet.jpg"])) as photo:
        assert photo.getexif()[0x0132] == f"{TODAY - (DRAWN - date(2026, 11, 12)):%Y:%m:%d} 18:20:00"


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


def test_committed_documents_say_what_their_source_says() -> None:
    """Only letters and digits, in any order: lines break where they like."""
    source = draw.papers(draw.people())
    articles = dict(re.findall(r'<article data-file="(.*?)".*?>(.*?)</article>', source, re.DOTALL))
    committed = {path.name: path for path in (FOLDER / "documents").iterdir() if path.suffix in OPENERS}
    assert articles.keys() == committed.keys() - BY_HAND
    for name in (name for name in articles if name.endswith(".pdf")):
        said = html.unescape(re.sub(r"<.*?>", " ", articles[name], flags=re.DOTALL))
        printed = "".join(texts_of(committed[name].read_bytes()))
        assert sorted(re.sub(r"\W", "", printed)) == sorted(re.sub(r"\W", "", said)), name
