"""Family by family: what the inspectors accept, what they take for damaged, and what for unsafe."""

import struct
import zlib
from collections.abc import Callable

import pytest

from medfiles.documents.detection import Found
from medfiles.errors import ContentMismatch, Rejected
from medfiles.sandbox.pool import NotChecked
from tests.support import samples

DISGUISED = [
    b"<!DOCTYPE html>", b"<html>", b" \r\n\t<HTML lang=de>", b"\xef\xbb\xbf<script>alert(1)</script>",
    b"<svg onload=x>", b"<body>", b"<iframe src=x>", b"<!-- hello -->", b"<?php echo 1;", b"#!/bin/sh",
    b"MZ\x90\0\3\0\0\0\4",
    b"\x7fELF and more", b"%!PS-Adobe", "<html>".encode("utf-16"), "<script>".encode("utf-32"), b"<a href=x>",
    b"<?xml version='1.0'?><svg/>",
]  # fmt: skip


Look = Callable[[bytes, str], Found]


def edited(data: bytes, at: int, form: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


def nested_sequences(depth: int) -> bytes:
    """A DICOM file of undefined-length sequences inside each other."""
    deep = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * depth
    return dicom_of(deep, b"1.2.840.10008.1.2.1\0")


def dicom_of(body: bytes, syntax: bytes) -> bytes:
    meta = b"\x02\0\x10\0UI" + struct.pack("<H", len(syntax)) + syntax
    return bytes(128) + b"DICM" + b"\x02\0\0\0UL\4\0" + struct.pack("<I", len(meta)) + meta + body


def deflated_dicom(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = b"\xe0\x7f\x10\0OW\0\0" + struct.pack("<I", size)
    packed = packer.compress(body) + b"".join(packer.compress(bytes(1024**2)) for _ in range(size // 1024**2))
    return dicom_of(packed + packer.flush(), b"1.2.840.10008.1.2.1.99")


@pytest.mark.parametrize("extension", [".txt", ".csv"])
@pytest.mark.parametrize("start", DISGUISED)
def test_text_that_starts_as_markup_or_program_is_refused_as_unsafe(look: Look, start: bytes, extension: str) -> None:
    with pytest.raises(Rejected, match="Such files are not accepted") as refusal:
        look(start, extension)
    assert refusal.type is Rejected


@pytest.mark.parametrize("text", ["<5 mmol/l", "BMI: 24\n", "ECG: P  WAVE normal", "a < b and b > c", "ID3,5\n"])
def test_plain_text_that_only_resembles_a_signature_is_accepted(look: Look, text: str) -> None:
    assert look(text.encode(), ".txt").media_type == "text/plain"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_text_is_accepted_in_the_encodings_people_have(look: Look, encoding: str) -> None:
    text = "Größe;Gewicht;Müdigkeit\n178;80;häufig nach dem Frühstück\n"
    assert look(text.encode(encoding), ".csv").media_type == "text/csv"


@pytest.mark.parametrize("data", [b"result\0value", b"\1\2\3\4 text", "text".encode("utf-16-le"), b"\xff\xfe\0\xd8"])
def test_binary_data_is_no_text(look: Look, data: bytes) -> None:
    with pytest.raises(ContentMismatch):
        look(data, ".txt")


@pytest.mark.parametrize("pages", [1, 3, 40])
def test_the_pages_of_a_pdf_are_counted(look: Look, pages: int) -> None:
    assert look(samples.pdf(pages), ".pdf") == Found("application/pdf", pages)


def test_a_pdf_locked_with_a_password_is_accepted_without_pages(look: Look) -> None:
    assert look(samples.locked_pdf(), ".pdf") == Found("application/pdf", None)


@pytest.mark.parametrize("before", [b"<html><script>alert(1)</script>", b"MZ\x90\0", b"\1", b"PK\3\4"])
def test_a_pdf_that_starts_after_other_content_is_unsafe(look: Look, before: bytes) -> None:
    with pytest.raises(Rejected, match="unexpected content at the beginning") as refusal:
        look(before + samples.pdf(), ".pdf")
    assert refusal.type is Rejected


@pytest.mark.parametrize("data", [b"%PDF-1.7\n", b"%PDF-1.7\n%%EOF\n", samples.pdf(0)])
def test_a_pdf_without_pages_is_refused(look: Look, data: bytes) -> None:
    with pytest.raises(ContentMismatch, match="cannot be read as a PDF"):
        look(data, ".pdf")


def test_a_pdf_whose_page_tree_is_a_circle_is_answered_in_time(look: Look) -> None:
    circle = samples.pdf_file(
        [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 9 >>"]
    )
    with pytest.raises((ContentMismatch, NotChecked)):
        look(circle, ".pdf")


def test_the_pages_of_a_tiff_are_counted(look: Look) -> None:
    assert look(samples.tiff(3), ".tiff") == Found("image/tiff", 3)


def test_the_frames_of_a_gif_are_no_pages(look: Look) -> None:
    assert look(samples.gif(3), ".gif") == Found("image/gif", None)


@pytest.mark.parametrize(
    ("data", "extension"),
    [
        (samples.png_header(50_001, 50_001), ".png"),
        (edited(samples.gif(), 6, "<2H", 65_535, 65_535), ".gif"),
        (edited(samples.bmp(), 18, "<2i", 20_000, 20_000), ".bmp"),
        (edited(samples.jpeg(), samples.jpeg().index(b"\xff\xc0") + 5, ">2H", 65_500, 65_500), ".jpg"),
        (edited(samples.heic(), samples.heic().index(b"ispe") + 8, ">2I", 16_000, 16_000), ".heic"),
    ],
    ids=["png", "gif", "bmp", "jpeg", "heic"],
)
def test_a_picture_over_100_megapixels_is_refused_by_its_header(look: Look, data: bytes, extension: str) -> None:
    with pytest.raises(Rejected, match="megapixels"):
        look(data, extension)


def test_a_large_scan_below_the_limit_is_accepted(look: Look) -> None:
    assert look(samples.png(9_000, 9_000), ".png").media_type == "image/png"


@pytest.mark.parametrize(("data", "extension"), [(samples.many_page_tiff(501), ".tif"), (samples.gif(501), ".gif")])
def test_too_many_frames_are_refused(look: Look, data: bytes, extension: str) -> None:
    with pytest.raises(Rejected, match="more than 500 images"):
        look(data, extension)


def test_a_tiff_that_points_back_to_itself_is_answered(look: Look) -> None:
    circle = edited(samples.many_page_tiff(1), 8 + 2 + 9 * 12, "<I", 8)
    assert look(circle, ".tif").pages == 1


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm", "JPEG2000.dcm", "rtplan.dcm", "waveform_ecg.dcm",
        "test-SR.dcm",
    ],
)  # fmt: skip
def test_dicom_of_many_kinds_is_accepted(look: Look, name: str) -> None:
    assert look(samples.dicom(name), ".dcm") == Found("application/dicom", None)


@pytest.mark.parametrize("preamble", [bytes(128), b"II*\0", b"MM\0*", b"Exported by a scanner"])
def test_a_harmless_dicom_preamble_is_accepted(look: Look, preamble: bytes) -> None:
    assert look(samples.dicom(preamble=preamble), ".dcm").media_type == "application/dicom"


@pytest.mark.parametrize(
    "preamble",
    [
        b"MZ\x90\0", b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!/bin/sh\n",
        b"<script>", b"<html>", b"  <svg ", b"<?xml ?>", b"%PDF-1.7", b"PK\3\4", b"7z\xbc\xaf\x27\x1c",
        b"text <script>", b"{\\rtf1",
    ],
)  # fmt: skip
def test_a_dicom_preamble_that_is_a_program_or_document_is_unsafe(look: Look, preamble: bytes) -> None:
    with pytest.raises(Rejected, match="starts with content that is not part of an image") as refusal:
        look(samples.dicom(preamble=preamble), ".dcm")
    assert refusal.type is Rejected


def test_dicom_without_its_mark_is_refused(look: Look) -> None:
    with pytest.raises(ContentMismatch):
        look(samples.dicom()[132:], ".dcm")


def test_a_dicom_file_that_inflates_without_end_is_unsafe(look: Look) -> None:
    with pytest.raises(Rejected, match="unpacks to more than 200 MB"):
        look(deflated_dicom(512 * 1024**2), ".dcm")


def test_deeply_nested_dicom_is_unsafe(look: Look) -> None:
    with pytest.raises(Rejected, match="nested too deeply"):
        look(nested_sequences(10_000), ".dcm")


def test_a_huge_dicom_picture_is_refused_by_its_header(look: Look) -> None:
    body = b"\x28\0\x10\0US\2\0\xff\xff" + b"\x28\0\x11\0US\2\0\xff\xff"
    with pytest.raises(Rejected, match="megapixels"):
        look(dicom_of(body, b"1.2.840.10008.1.2.1\0"), ".dcm")


def test_billion_laughs_are_refused(look: Look) -> None:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    with pytest.raises(Rejected):
        look(f'<!DOCTYPE r [<!ENTITY l0 "ha">{entities}]><r>&l11;</r>'.encode(), ".xml")


@pytest.mark.parametrize("entity", ["SYSTEM 'file:///etc/passwd'", "SYSTEM 'http://127.0.0.1:9/x'", "'harmless'"])
def test_entities_of_any_kind_are_unsafe(look: Look, entity: str) -> None:
    with pytest.raises(Rejected, match="declares its own entities"):
        look(f"<!DOCTYPE r [<!ENTITY e {entity}>]><r>&e;</r>".encode(), ".xml")


def test_a_document_type_without_entities_is_not_loaded_and_accepted(look: Look) -> None:
    data = b"<!DOCTYPE r SYSTEM 'http://127.0.0.1:9/r.dtd'><r/>"
    assert look(data, ".xml").media_type == "application/xml"


@pytest.mark.parametrize(
    "body",
    [
        "<svg xmlns='http://www.w3.org/2000/svg'/>", "<html xmlns='http://www.w3.org/1999/xhtml'/>", "<html/>",
        "<!-- x --><svg:svg xmlns:svg='http://www.w3.org/2000/svg'/>",
        "<r><script xmlns='http://www.w3.org/1999/xhtml'>alert(1)</script></r>", "<html><p>unclosed</html>",
    ],
)  # fmt: skip
def test_xml_that_a_browser_would_run_is_unsafe(look: Look, body: str) -> None:
    with pytest.raises(Rejected, match="Such files are not accepted"):
        look(body.encode(), ".xml")


def test_a_narrative_in_xhtml_is_accepted(look: Look) -> None:
    body = "<div xmlns='http://www.w3.org/1999/xhtml'><p>All well</p></div>"
    assert look(samples.xml(body), ".xml").media_type == "application/xml"


@pytest.mark.parametrize("data", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 50_000])
def test_deeply_nested_json_is_unsafe(look: Look, data: bytes) -> None:
    with pytest.raises(Rejected, match="nested too deeply"):
        look(data, ".json")


@pytest.mark.parametrize("data", [b"{", b"{'a': 1}", b'{"a": 1} x', b'[1, 2\n{"a": 1}'])
def test_cut_or_malformed_json_is_damaged(look: Look, data: bytes) -> None:
    with pytest.raises(ContentMismatch, match="cannot be read as a JSON file"):
        look(data, ".json")


@pytest.mark.parametrize("data", [b"plain words", b'{"a": 1}\n{"a": 2}\n'])
def test_text_named_json_is_text(look: Look, data: bytes) -> None:
    assert look(data, ".json").media_type == "text/plain"


def test_a_number_of_many_digits_costs_no_time(look: Look) -> None:
    assert look(b"[" + b"9" * 5_000_000 + b"]", ".json").media_type == "application/json"


@pytest.mark.parametrize(
    ("data", "extension"),
    [
        (samples.jpeg() + samples.package({"a": "b"}), ".jpg"),
        (samples.png() + b"<html><script>", ".png"),
        (samples.gif() + b"/*", ".gif"),
    ],
)
def test_what_follows_a_whole_picture_is_kept_because_phones_do_that(look: Look, data: bytes, extension: str) -> None:
    assert look(data, extension).pages is None
