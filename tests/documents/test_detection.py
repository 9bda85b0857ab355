"""Names are cleaned once, and what a file is comes from its bytes alone, judged in the sandbox."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfiles.documents.detection import Found, clean_name, extension_of
from medfiles.errors import BadName, ContentMismatch, EmptyFile, TypeNotAllowed
from medfiles.record_types.media_types import BY_EXTENSION
from tests.support import samples
from tests.support.samples import SAMPLES, SHEET, WORD

MEDIA_TYPES = {
    ".pdf": "application/pdf",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".tiff": "image/tiff",
    ".tif": "image/tiff",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".xml": "application/xml",
    ".json": "application/json",
    ".doc": "application/msword",
    ".docx": WORD,
    ".xls": "application/vnd.ms-excel",
    ".xlsx": SHEET,
    ".heic": "image/heic",
    ".dcm": "application/dicom",
}
# one type under two spellings, and text that is no markup is text whatever its shape
ALSO = {
    ".jpg": {".jpeg"},
    ".jpeg": {".jpg"},
    ".tif": {".tiff"},
    ".tiff": {".tif"},
    ".txt": {".csv"},
    ".csv": {".txt"},
    ".json": {".txt", ".csv"},
}
ACCEPTED = [(kind, name) for kind in SAMPLES for name in [kind, *sorted(ALSO.get(kind, ()))]]
REFUSED = [(kind, name) for kind in SAMPLES for name in SAMPLES if (kind, name) not in ACCEPTED]
TEXTS = (".txt", ".csv", ".json", ".xml")
PROGRAMS = {
    "a Windows program": b"MZ\x90\0\3\0\0\0",
    "a Linux program": b"\x7fELF\2\1\1\0",
    "a Mac or Java program": b"\xcf\xfa\xed\xfe\7\0\0\1",
    "a script": b"#!/bin/sh\nid\n",
    "a web page": b"<!doctype html><p>hello",
    "an SVG drawing": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}
Look = Callable[[bytes, str], Found]


def test_every_accepted_type_has_a_sample_and_a_name() -> None:
    assert SAMPLES.keys() == MEDIA_TYPES.keys() == BY_EXTENSION.keys()


@pytest.mark.parametrize(("kind", "extension"), ACCEPTED)
def test_a_sample_is_recognised_under_the_extensions_of_its_type(look: Look, kind: str, extension: str) -> None:
    assert look(SAMPLES[kind](), extension).media_type == MEDIA_TYPES[extension]


@pytest.mark.parametrize(("kind", "extension"), REFUSED)
def test_a_sample_is_refused_under_every_other_extension(look: Look, kind: str, extension: str) -> None:
    with pytest.raises(ContentMismatch, match=f"^This file is named {extension} but "):
        look(SAMPLES[kind](), extension)


@pytest.mark.parametrize("kind", sorted(set(SAMPLES) - {".txt", ".csv", ".json", ".pdf"}))
def test_the_refusal_names_what_the_content_is(look: Look, kind: str) -> None:
    with pytest.raises(ContentMismatch, match=f"but its content is {BY_EXTENSION[kind].description}"):
        look(SAMPLES[kind](), ".pdf")


def test_the_refusal_says_what_to_do(look: Look) -> None:
    with pytest.raises(ContentMismatch) as refusal:
        look(samples.png(), ".pdf")
    assert refusal.value.message == (
        "This file is named .pdf but its content is a PNG image. Rename it to end in .png, then upload it again."
    )


def test_an_unknown_extension_is_not_looked_at(look: Look) -> None:
    with pytest.raises(TypeNotAllowed, match="type .exe"):
        look(b"MZ", ".exe")


def test_an_empty_file_is_refused(look: Look) -> None:
    with pytest.raises(EmptyFile, match="0 bytes"):
        look(b"", ".pdf")


@pytest.mark.parametrize("kind", sorted(set(SAMPLES) - {".txt", ".csv"}))
@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_file_cut_off_is_refused_as_damaged(look: Look, kind: str, share: float) -> None:
    whole = SAMPLES[kind]()
    with pytest.raises(ContentMismatch, match="damaged or incomplete"):
        look(whole[: int(len(whole) * share)], kind)


@pytest.mark.parametrize("extension", SAMPLES)
def test_random_bytes_are_no_accepted_type(look: Look, extension: str) -> None:
    with pytest.raises(ContentMismatch):
        look(bytes(range(256)) * 40, extension)


@pytest.mark.parametrize("extension", sorted(set(SAMPLES) - set(TEXTS)))
@pytest.mark.parametrize("content", PROGRAMS)
def test_a_program_or_web_page_under_a_document_name_is_named(look: Look, content: str, extension: str) -> None:
    with pytest.raises(ContentMismatch, match=f"its content is {content}"):
        look(PROGRAMS[content], extension)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Blood results.pdf", "Blood results.pdf"),
        ("Mu\u0308ller.pdf", "Müller.pdf"),
        ("日本.pdf", "日本.pdf"),
        ("👩\u200d⚕️ visit.pdf", "👩\u200d⚕️ visit.pdf"),
        ("~$draft -final-.docx", "~$draft -final-.docx"),
        ("HbA1c: good? *.pdf", "HbA1c: good? *.pdf"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\x", "x"),
        ("C:\\fakepath\\r.pdf", "r.pdf"),
        ("C:fakepathr.pdf", "fakepathr.pdf"),
        ("scans/", "scans"),
        ("a\0.pdf", "a.pdf"),
        ("a.pdf\0.exe", "a.pdf.exe"),
        ("a\r\nb.pdf", "ab.pdf"),
        ("report\u202efdp.exe", "reportfdp.exe"),
        ("\u2066a\u2069\u200e\u200f\u061c\ufeff.pdf", "a.pdf"),
        ("a\u2028b\u2029\ud800.pdf", "ab.pdf"),
        ("a \u00a0\u202f  b.pdf", "a b.pdf"),
        (" a.pdf. . ", "a.pdf"),
        ("..htaccess", "htaccess"),
        ("CON.pdf", "_CON.pdf"),
        ("aux", "_aux"),
        ("COM¹", "_COM¹"),
        ("nul .pdf", "_nul .pdf"),
        ("lpt9.tar.gz", "_lpt9.tar.gz"),
        ("console.pdf", "console.pdf"),
    ],
)
def test_a_name_is_kept_but_for_what_harms(raw: str, clean: str) -> None:
    assert clean_name(raw) == clean


@pytest.mark.parametrize(
    "raw", ["", " ", ".", "..", "....//", "\0\x1f", "\u202e", "/", "\\", "\ud800", "\u200b", " . . "]
)
def test_a_name_of_which_nothing_is_left_is_refused(raw: str) -> None:
    with pytest.raises(BadName, match="no usable name"):
        clean_name(raw)


@pytest.mark.parametrize("stem", ["a" * 4000, "😀" * 100, "é" * 200, "a" * 239 + "😀"])
def test_a_long_name_is_cut_between_characters_and_keeps_its_extension(stem: str) -> None:
    clean = clean_name(stem + ".PDF")
    assert clean.endswith(".PDF")
    assert stem.startswith(clean.removesuffix(".PDF"))
    assert 236 < len(clean.encode()) <= 240


NAMES_LIKELY = st.lists(
    st.one_of(
        st.characters(),
        st.sampled_from([*"./\\: ~-_\u202e\u0308\u200d\ud800", "con", "nul", "com1", ".pdf", "C:", "a" * 120]),
    ),
    max_size=40,
).map("".join)


@settings(max_examples=1000)
@given(NAMES_LIKELY)
def test_a_cleaned_name_is_safe_and_cleaning_it_again_changes_nothing(raw: str) -> None:
    try:
        clean = clean_name(raw)
    except BadName:
        return
    assert clean_name(clean) == clean == unicodedata.normalize("NFC", clean)
    assert 1 <= len(clean) <= 255
    assert len(clean.encode()) <= 240
    assert not set(clean) & set("/\\")
    assert clean == clean.strip(" .")
    assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in clean)


@given(st.text("abc ü😀.", min_size=1, max_size=400))
def test_the_extension_survives_cleaning(stem: str) -> None:
    assert extension_of(clean_name(f"a{stem}.Pdf")) == ".pdf"


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("a.PDF", ".pdf"),
        ("a.tar.gz", ".gz"),
        ("a", ""),
        (".pdf", ""),
        ("a.", "."),
        ("", ""),
        ("Ä.TIFF", ".tiff"),
    ],
)
def test_the_extension_is_what_follows_the_last_dot(name: str, extension: str) -> None:
    assert extension_of(name) == extension
