"""Which files are accepted under which name: the bytes decide, the name follows."""

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from PIL import Image, PngImagePlugin
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MediaStorageDirectoryStorage

from medfiles.documents import detection, refusals
from medfiles.documents.detection import Found
from medfiles.documents.rules import require_document
from medfiles.errors import ContentMismatch, Rejected, TypeNotAllowed
from medfiles.record_types.declared import INSURANCE, LAB_RESULT, PROCEDURE, RECORD_TYPES, VISIT, RecordType
from medfiles.record_types.media_types import BY_EXTENSION, MEDIA_TYPES, words_for
from medfiles.sandbox.inspect.signatures import NAMES
from medfiles.sandbox.pool import Sandbox
from tests.support import samples

Add = Callable[..., tuple[str, Found]]


@pytest.fixture
def add(sandbox: Sandbox, tmp_path: Path) -> Add:
    """Return the name and type under which a record takes these bytes."""

    def under(data: bytes, name: str, record_type: RecordType = LAB_RESULT) -> tuple[str, Found]:
        path = tmp_path / "upload"
        path.write_bytes(data)
        sent = detection.clean_name(name)
        found = detection.inspect(path, detection.declared_extension(sent), sandbox, record_type.takes)
        require_document(record_type, detection.original_name(name), found)
        return detection.named(sent, found.extension), found

    return under


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("IM000001", "IM000001.dcm"),
        ("I0000042.", "I0000042.dcm"),
        ("1.2.840.113619.2.55", "1.2.840.113619.2.55.dcm"),
        ("scan.ima", "scan.dcm"),
        ("scan.dicom", "scan.dcm"),
        ("IM0001.DCM;1", "IM0001.DCM"),
        ("IM0001;1", "IM0001.dcm"),
        ("knee.jpg", "knee.dcm"),
        ("knee.dcm", "knee.dcm"),
    ],
)
def test_an_image_from_a_cd_is_accepted_as_dicom(add: Add, name: str, becomes: str) -> None:
    named, found = add(samples.dicom(), name, PROCEDURE)
    assert (named, found.media_type) == (becomes, "application/dicom")


@pytest.mark.parametrize("name", ["IM000001", "scan.dcm"])
def test_dicom_without_the_preamble_is_accepted(add: Add, name: str) -> None:
    assert add(samples.dicom("ExplVR_LitEndNoMeta.dcm"), name, PROCEDURE)[1].media_type == "application/dicom"


def test_dicom_is_refused_where_it_is_not_accepted(add: Add) -> None:
    with pytest.raises(TypeNotAllowed, match=r"^This is a DICOM image, .* save it as JPG, PNG or PDF\.$"):
        add(samples.dicom(), "IM000001", VISIT)


def test_the_index_and_the_system_files_of_a_cd_are_refused(add: Add) -> None:
    data = pydicom.Dataset()
    data.DirectoryRecordSequence = []
    data.FileSetID = "CD"
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    target = io.BytesIO()
    pydicom.dcmwrite(target, data, enforce_file_format=False, implicit_vr=False, little_endian=True)
    index = bytes(128) + b"DICM" + target.getvalue().removeprefix(bytes(128) + b"DICM")
    with pytest.raises(Rejected, match="table of contents of a DICOM disc"):
        add(index, "DICOMDIR", PROCEDURE)
    for name in ("AUTORUN.INF", "desktop.ini", "._scan", "Thumbs.db"):
        with pytest.raises(TypeNotAllowed, match="not a document"):
            add(b"[autorun]\r\nopen=viewer.exe\r\n", name)


NAMED_WRONG = [
    (samples.jpeg, "1000012345", "1000012345.jpg"),
    (samples.pdf, "1000012346", "1000012346.pdf"),
    (samples.png, "image", "image.png"),
    (samples.heic, "photo", "photo.heic"),
    (samples.jpeg, "photo.jfif", "photo.jpg"),
    (samples.jpeg, "photo.jpe", "photo.jpg"),
    (samples.jpeg, "photo.JIF", "photo.jpg"),
    (samples.heic, "photo.heif", "photo.heic"),
    (samples.heic, "photo.hif", "photo.heic"),
    (samples.bmp, "scan.dib", "scan.bmp"),
    (samples.tiff, "scan.tif", "scan.tif"),
    (samples.pdf, "report.pdf.download", "report.pdf"),
    (samples.pdf, "report.crdownload", "report.pdf"),
    (samples.txt, "notes.text", "notes.txt"),
    (samples.jpeg, "IMG_1.HEIC", "IMG_1.jpg"),
    (samples.heic, "IMG_1.jpg", "IMG_1.heic"),
    (samples.pdf, "scan.pdf.jpg", "scan.pdf"),
    (samples.pdf, "letter.docx", "letter.pdf"),
    (samples.docx, "letter.doc", "letter.docx"),
    (samples.doc, "letter.docx", "letter.doc"),
    (samples.xlsx, "table.xls", "table.xlsx"),
    (samples.txt, "letter.doc", "letter.txt"),
    (samples.txt, "discharge", "discharge.txt"),
    (samples.txt, "message.hl7", "message.hl7.txt"),
    (samples.json, "bundle", "bundle.json"),
    (samples.xml, "ccda", "ccda.xml"),
    (lambda: b"Test\tValue\nGlucose\t5.4\n", "export.xls", "export.csv"),
    (lambda: b"Test\tValue\nGlucose\t5.4\n", "export.doc", "export.csv"),
    (lambda: "Test\tWert\nGröße\t178\n".encode("utf-16"), "export.xls", "export.csv"),
    (lambda: b"Test\tValue\n", "export.tsv", "export.csv"),
    (lambda: b'{"a": 1}\n{"a": 2}\n', "export.json", "export.txt"),
    (samples.webp, "photo.jpg", "photo.webp"),
    (samples.webp, "photo.webp", "photo.webp"),
]


@pytest.mark.parametrize(("content", "name", "becomes"), NAMED_WRONG, ids=[name for _, name, _ in NAMED_WRONG])
def test_a_good_file_is_accepted_whatever_its_name(
    add: Add, content: Callable[[], bytes], name: str, becomes: str
) -> None:
    named, found = add(content(), name)
    assert named == becomes
    assert found.media_type == BY_EXTENSION[becomes[becomes.rindex(".") :].lower()].name


@pytest.mark.parametrize("record_type", RECORD_TYPES, ids=lambda record_type: record_type.name)
def test_webp_is_accepted_wherever_png_is(record_type: RecordType) -> None:
    assert (".webp" in record_type.takes) == (".png" in record_type.accepts)


def test_structured_text_is_text_where_only_text_is_accepted(add: Add) -> None:
    for content, name in ((samples.xml, "ccda.xml"), (samples.json, "bundle.json"), (samples.csv, "values.csv")):
        named, found = add(content(), name, VISIT)
        assert named.endswith(".txt")
        assert found.media_type == "text/plain"


TEXTS = [
    b"MZ Hospital Mainz, 12.05.2026\n",
    b"MZ\xfcnchen\n",
    b"#! Achtung\n",
    b"#hashtag\n",
    b"ID3\x03 value\n",
    b"<p 0.05 in all groups\n",
    b"<b 5 mmol/l\n",
    b"<p>Result of 12 May</p>\n",
    b"<b>Result</b> high\n",
    b"<5 and > 3",
    b"<% 5 of patients\n",
    b"y" * 128 + b"DICM follows\n",
    b"x" * 257 + b"ustar follows\n",
    b"GIF89a is a format\n",
    b"BM: 3 a day\n",
    b"PK levels\n",
    b"%!important\n",
    b"The file starts with %PDF-1.4\n",
    b"<?xml version='1.0'?><ClinicalDocument xmlns='urn:hl7-org:v3'/>",
    b"<?xml version='1.0'?><Patient xmlns='http://hl7.org/fhir'><text><div xmlns='http://www.w3.org/1999/xhtml'/></text>"
    b"</Patient>",
    b"\x0bMSH|^~\\&|LAB|X\rPID|1\r\x1c\r",
    b"Report\n\x1a",
    b"Report\n" + bytes(100),
    b"Printed " + b"text " * 40 + b"\x1b@\x0f\x12",
    "Hemoglobin normal – ß".encode("cp1252"),
    "Größe: 180, Müdigkeit, Überweisung".encode("mac-roman"),
    "血液検査の結果".encode("iso2022_jp"),
    "Größe".encode("utf-16"),
]


@pytest.mark.parametrize("data", TEXTS)
@pytest.mark.parametrize("name", ["note.txt", "note"])
def test_a_text_is_a_text_whatever_its_first_letters(add: Add, data: bytes, name: str) -> None:
    accepted, found = add(data, name, VISIT)
    assert (accepted, found.media_type) == ("note.txt", "text/plain")


NOT_TEXTS = [
    b"#!/bin/sh\nid\n",
    b"#! /usr/bin/env python3\n",
    b"MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff\0\0" + bytes(44) + b"\x40\0\0\0PE\0\0",
    b"\x7fELF and more",
    b"%!PS-Adobe-3.0\n",
    b"<!doctype html><p>hello",
    b"<script>alert(1)</script>",
    b"<iframe src='//x'></iframe>",
    b"<p onclick=alert(1)>x</p>",
    b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "<html>".encode("utf-16"),
]


@pytest.mark.parametrize("data", NOT_TEXTS)
@pytest.mark.parametrize("name", ["note.txt", "values.csv"])
def test_programs_and_web_pages_named_as_text_are_refused_as_dangerous(add: Add, data: bytes, name: str) -> None:
    with pytest.raises(Rejected, match="Such files are not accepted") as refusal:
        add(data, name)
    assert refusal.type is Rejected


SAVED_AS = [
    (
        b"<table border=1><tr><td>5</td></tr></table>",
        ".xls",
        "a web page",
        "Open it in Excel and save it as .xlsx or PDF.",
    ),
    (b"<html><table></table></html>", ".xls", "a web page", "Open it in Excel and save it as .xlsx or PDF."),
    (
        "<html><table></table></html>".encode("utf-16"),
        ".xls",
        "a web page",
        "Open it in Excel and save it as .xlsx or PDF.",
    ),
    (b"<html></html>", ".doc", "a web page", "Open it in Word and save it as .docx or PDF."),
    (
        b"MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary=x\r\n\r\n--x\r\n",
        ".xls",
        "a web page",
        "Open it in Excel and save it as .xlsx or PDF.",
    ),
    (b"{\\rtf1\\ansi Hello}", ".doc", "a rich text document", "Open it in Word and save it as .docx or PDF."),
    (
        b'<?xml version="1.0"?>\n<?mso-application progid="Word.Document"?>\n<w:wordDocument/>',
        ".doc",
        "a Word 2003 XML document",
        "Open it in Word and save it as .docx or PDF.",
    ),
    (
        b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook/>',
        ".xls",
        "an Excel 2003 XML workbook",
        "Open it in Excel and save it as .xlsx or PDF.",
    ),
]


@pytest.mark.parametrize(("data", "extension", "what", "advice"), SAVED_AS)
def test_other_formats_under_office_names_are_refused_with_a_way_out(
    add: Add, data: bytes, extension: str, what: str, advice: str
) -> None:
    with pytest.raises(ContentMismatch) as refusal:
        add(data, f"export{extension}")
    assert refusal.value.message == f"This is {what} saved as {extension}. {advice}"


def test_web_pages_stay_refused(add: Add) -> None:
    for name in ("page.html", "page.htm", "PAGE.HTML", "page.mht", "drawing.svg"):
        for data in (b"<!doctype html><p>x", b"<p>Result</p>", b"Result 5.4"):
            with pytest.raises(Rejected, match="print it to PDF"):
                add(data, name)


def test_scripts_and_programs_stay_refused_but_a_good_file_is_accepted_under_any_name(add: Add) -> None:
    for name in ("run.bat", "run.js", "setup.exe"):
        with pytest.raises(TypeNotAllowed, match="not accepted"):
            add(b"echo hello\r\n", name)
    with pytest.raises(TypeNotAllowed, match="is a Windows program"):
        add(NOT_TEXTS[2], "setup.exe")
    assert add(samples.pdf(), "report.exe")[0] == "report.exe.pdf"


@pytest.mark.parametrize("extension", [".docx", ".xlsx"])
def test_an_office_document_locked_with_a_password_is_kept(add: Add, extension: str) -> None:
    locked = samples.compound("EncryptedPackage", b"secret")
    named, found = add(locked, f"secret{extension}")
    assert (named, found) == (f"secret{extension}", Found(BY_EXTENSION[extension].name, None))


def test_a_locked_document_under_an_older_name_is_kept_under_the_newer_one(add: Add) -> None:
    locked = samples.compound("EncryptedPackage", b"secret")
    assert add(locked, "secret.xls")[0] == "secret.xlsx"
    assert add(locked, "secret.doc")[0] == "secret.docx"
    with pytest.raises(Rejected, match="locked with a password.* ends in .docx or .xlsx"):
        add(locked, "secret")


def test_a_pdf_locked_for_certificates_is_kept(add: Add) -> None:
    trailer = f"/ID [<{'00' * 16}> <{'00' * 16}>] /Encrypt << /Filter /Adobe.PubSec /V 4 /SubFilter /adbe.pkcs7.s5 >>"
    assert add(samples.pdf(trailer=trailer), "secret.pdf")[1] == Found("application/pdf", None)


BEFORE = [
    b"\r\n",
    b" \t\n",
    bytes(12),
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf\r\n",
    b"leading junk\n\n",
    b"X-Mail: Bericht\r\n" * 50,
]


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("name", ["report.pdf", "report"])
def test_a_pdf_may_start_after_blanks_or_plain_text(add: Add, before: bytes, name: str) -> None:
    assert add(before + samples.pdf(2), name) == ("report.pdf", Found("application/pdf", 2))


@pytest.mark.parametrize(
    "before",
    [
        b"<html><script>alert(1)</script>",
        b"text <script>alert(1)</script>",
        b"#!/bin/sh\nexit\n",
        b"MZ\x90\0",
        b"PK\3\4",
        b"GIF89a",
        b"\xff\xd8\xff\xe0",
        b"x" * 1025,
        b"{\\rtf1 ",
        b"\1\2\3",
    ],
)
def test_a_pdf_after_other_content_stays_refused(add: Add, before: bytes) -> None:
    with pytest.raises(Rejected):
        add(before + samples.pdf(), "report.pdf", INSURANCE)


@pytest.mark.parametrize("cut", [1, 2, 12])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_bytes_is_accepted(add: Add, cut: int, progressive: bool) -> None:
    whole = samples.encoded(samples.picture(400, 300), "JPEG", progressive=progressive)
    assert add(whole[:-cut], "photo.jpg")[1].media_type == "image/jpeg"


def test_half_a_jpeg_is_damaged(add: Add) -> None:
    whole = samples.encoded(samples.picture(400, 300), "JPEG")
    with pytest.raises(ContentMismatch, match="damaged or incomplete"):
        add(whole[: len(whole) // 2], "photo.jpg")


def test_a_png_with_large_metadata_is_accepted(add: Add) -> None:
    about = PngImagePlugin.PngInfo()
    about.add_itxt("XML:com.adobe.xmp", "x" * 3_000_000, zip=True)
    assert add(samples.encoded(samples.picture(), "PNG", pnginfo=about), "photo.png")[1].media_type == "image/png"


def unusual_tiff() -> bytes:
    """A TIFF whose compression no decoder knows."""
    data = bytearray(samples.encoded(samples.picture(), "TIFF"))
    at = data.index((259).to_bytes(2, "little") + (3).to_bytes(2, "little"))
    data[at + 8 : at + 10] = (34676).to_bytes(2, "little")
    return bytes(data)


def unusual_bmp() -> bytes:
    """A BMP of 64 bits per pixel."""
    data = bytearray(samples.bmp())
    data[28:30] = (64).to_bytes(2, "little")
    return bytes(data) + bytes(64 * 48 * 8)


def unusual_jpeg() -> bytes:
    """A JPEG of 12 bits per sample."""
    data = bytearray(samples.jpeg())
    data[data.index(b"\xff\xc0") + 4] = 12
    return bytes(data)


@pytest.mark.parametrize(
    ("content", "extension"), [(unusual_tiff, ".tiff"), (unusual_bmp, ".bmp"), (unusual_jpeg, ".jpg")]
)
def test_what_the_decoder_lacks_is_not_supported_rather_than_damaged(
    add: Add, content: Callable[[], bytes], extension: str
) -> None:
    with pytest.raises(Rejected, match=r"not supported here\. .* save it as JPG, PNG or PDF\.") as refusal:
        add(content(), f"scan{extension}")
    assert "damaged" not in refusal.value.message


def repackaged(data: bytes, rename: Callable[[str], str]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as package:
        for entry in source.infolist():
            renamed = zipfile.ZipInfo(entry.filename)
            renamed.filename = rename(entry.filename)
            package.writestr(renamed, source.read(entry))
    return target.getvalue()


@pytest.mark.parametrize(("content", "extension"), [(samples.docx, ".docx"), (samples.xlsx, ".xlsx")])
@pytest.mark.parametrize("rename", [lambda name: name.replace("/", "\\"), str.upper, str.lower], ids=["\\", "AA", "aa"])
@pytest.mark.parametrize("named", [True, False])
def test_part_names_with_backslashes_or_in_another_case_are_accepted(
    add: Add, content: Callable[[], bytes], extension: str, rename: Callable[[str], str], named: bool
) -> None:
    accepted, found = add(repackaged(content(), rename), f"file{extension}" if named else "file")
    assert (accepted, found.media_type) == (f"file{extension}", BY_EXTENSION[extension].name)


@pytest.mark.parametrize("name", ["../document.xml", "word\\..\\..\\x", "/etc/passwd", "\\\\server\\x", "C:\\x"])
def test_part_names_outside_the_document_stay_refused(add: Add, name: str) -> None:
    with pytest.raises(Rejected, match="points outside"):
        add(samples.package(samples.docx_parts() | {name: "x"}), "letter.docx")


def test_a_document_inside_a_document_is_accepted(add: Add) -> None:
    inner = samples.package(samples.docx_parts() | {"word/embeddings/chart.xlsx": samples.xlsx()})
    outer = samples.package(samples.docx_parts() | {"word/afchunk.docx": inner})
    assert add(outer, "letter.docx")[0] == "letter.docx"
    with pytest.raises(Rejected, match="other archives"):
        add(samples.package(samples.docx_parts() | {"word/x.zip": samples.package({"a": "b"})}), "letter.docx")


def test_macros_and_templates_are_refused_with_a_way_out(add: Add) -> None:
    parts = samples.docx_parts()
    parts["[Content_Types].xml"] = samples.content_types(
        "word/document.xml", "application/vnd.ms-word.document.macroEnabled"
    )
    for name in ("letter.docm", "letter.docx"):
        with pytest.raises(Rejected, match=r"with macros.* Open it in Word and save it as \.docx or PDF\."):
            add(samples.package(parts), name)


FORMATS = {
    "JPG": ".jpg",
    "PNG": ".png",
    "PDF": ".pdf",
    ".docx": ".docx",
    ".xlsx": ".xlsx",
    ".txt": ".txt",
    ".csv": ".csv",
}
SOME_ACCEPTS = [
    *(record_type.accepts for record_type in RECORD_TYPES),
    (".jpg",),
    (".txt",),
    (".dcm", ".docx"),
    (".xlsx",),
]


@pytest.mark.parametrize("accepts", SOME_ACCEPTS, ids=lambda accepts: words_for(accepts)[:30])
@pytest.mark.parametrize("extension", ["", ".xls", ".doc", ".pdf", ".xyz", ".html"])
def test_no_refusal_advises_what_the_record_does_not_accept(accepts: tuple[str, ...], extension: str) -> None:
    offered = words_for(accepts)
    for kind in (*NAMES, *(row.extensions[0] for row in BY_EXTENSION.values())):
        sentence = refusals.unsupported(kind, extension, accepts)
        advice = sentence.removesuffix(f"You can add {offered}.").partition(". ")[2]
        for word, needed in FORMATS.items():
            assert word not in advice.replace(f"saved as {extension}", "") or needed in accepts, sentence
        assert "ename" not in sentence
        assert "damaged" not in sentence


def test_an_image_of_another_kind_says_which_formats_work(add: Add) -> None:
    avif = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(64)
    with pytest.raises(Rejected) as refusal:
        add(avif, "photo.heic", INSURANCE)
    assert refusal.value.message == (
        "This is an AVIF image saved as .heic. Open it on your device and save it as JPG, PNG or PDF."
    )


def test_a_large_picture_is_taken_in_every_mode(add: Add) -> None:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        data = samples.encoded(Image.new(mode, (40, 30)), "PNG")
        assert add(data, "scan", VISIT)[0] == "scan.png"


# The upload queue offers the right name before anything is sent, so scripts have the tables, too.
SCRIPT = (Path(__file__).parents[2] / "static/js/files-types.js").read_text()


def listed_in_script(start: str, end: str) -> str:
    return SCRIPT[SCRIPT.index(start) : SCRIPT.index(end, SCRIPT.index(start))]


def test_the_upload_queue_knows_the_extensions_of_every_type() -> None:
    rows = listed_in_script("const TYPES = [\n", "];\n").replace("TEXT", '".txt"').splitlines()[1:]
    known = [tuple(re.findall(r'"(\.\w+)"', row)) for row in rows]
    assert sorted(known) == sorted(row.extensions + row.aliases for row in MEDIA_TYPES)


def test_the_upload_queue_knows_which_names_are_never_texts() -> None:
    names = re.findall(r'"(\w+)"', listed_in_script("const PAGES", ".map("))
    assert sorted(f".{name}" for name in names) == sorted(refusals.WEB_PAGES | refusals.SCRIPTS)


def test_the_upload_queue_knows_what_browsers_append() -> None:
    names = listed_in_script("const UNFINISHED", "$/i").rpartition("(?:")[2].strip(")").split("|")
    assert {f".{name}" for name in names} == detection.UNFINISHED
