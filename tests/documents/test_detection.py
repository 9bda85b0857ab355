"""Names are cleaned once, and what a file is comes from its bytes alone, judged in the sandbox."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfiles.documents.detection import Found, clean_name, extension_of
from medfiles.errors import BadName, ContentMismatch, EmptyFile
from medfiles.record_types.media_types import BY_EXTENSION
from tests.support.samples import SAMPLES, SHEET, WORD

MEDIA_TYPES = {
    ".pdf": "application/pdf", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".tiff": "image/tiff",
    ".tif": "image/tiff", ".bmp": "image/bmp", ".gif": "image/gif", ".txt": "text/plain", ".csv": "text/csv",
    ".xml": "application/xml", ".json": "application/json", ".doc": "application/msword", ".docx": WORD,
    ".xls": "application/vnd.ms-excel", ".xlsx": SHEET, ".heic": "image/heic", ".dcm": "application/dicom",
    ".webp": "image/webp",
}  # fmt: skip
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


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_sample_is_recognised_under_every_extension(look: Look, kind: str) -> None:
    sample, row = SAMPLES[kind](), BY_EXTENSION[kind]
    for extension in SAMPLES:
        found = look(sample, extension)
        is_text = (
            kind in TEXTS and BY_EXTENSION[extension].inspector == "text" and (kind, extension) != (".xml", ".csv")
        )
        same = BY_EXTENSION[extension] is row or is_text
        assert found.media_type == MEDIA_TYPES[found.extension]
        assert found.extension == extension if same else BY_EXTENSION[found.extension] is row or kind in TEXTS


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_sample_is_recognised_without_an_extension(look: Look, kind: str) -> None:
    sample = ".txt" if kind == ".csv" else kind
    assert look(SAMPLES[kind](), "").media_type == MEDIA_TYPES[sample]


def test_an_empty_file_is_refused(look: Look) -> None:
    with pytest.raises(EmptyFile, match="0 bytes"):
        look(b"", ".pdf")


@pytest.mark.parametrize("kind", SAMPLES)
def test_truncated_files_random_bytes_and_programs_are_refused(look: Look, kind: str) -> None:
    whole = SAMPLES[kind]()
    for share in (0.3, 0.6) if kind not in (".txt", ".csv") else ():
        with pytest.raises(ContentMismatch, match="damaged or incomplete"):
            look(whole[: int(len(whole) * share)], kind)
    with pytest.raises(ContentMismatch):
        look(bytes(range(256)) * 40, kind)
    for name, content in PROGRAMS.items() if kind not in TEXTS else ():
        with pytest.raises(ContentMismatch, match=f"{name}( saved as|\\. Programs)"):
            look(content, kind)


CLEANED = {
    "Blood results.pdf": "Blood results.pdf", "Mu\u0308ller.pdf": "Müller.pdf", "日本.pdf": "日本.pdf",
    "👩\u200d⚕️ visit.pdf": "👩\u200d⚕️ visit.pdf", "~$draft -final-.docx": "~$draft -final-.docx",
    "HbA1c: good? *.pdf": "HbA1c: good? *.pdf", "../../etc/passwd": "passwd", "..\\..\\x": "x",
    "C:\\fakepath\\r.pdf": "r.pdf", "C:fakepathr.pdf": "fakepathr.pdf", "scans/": "scans", "a.pdf\0.exe": "a.pdf.exe",
    "a\r\nb.pdf": "ab.pdf", "report\u202efdp.exe": "reportfdp.exe", "a\u2028b\u2029\ud800.pdf": "ab.pdf",
    "\u2066a\u2069\u200e\u200f\u061c\ufeff.pdf": "a.pdf", "a \u00a0\u202f  b.pdf": "a b.pdf", " a.pdf. . ": "a.pdf",
    "..htaccess": "htaccess", "CON.pdf": "_CON.pdf", "aux": "_aux", "COM¹": "_COM¹", "nul .pdf": "_nul .pdf",
    "lpt9.tar.gz": "_lpt9.tar.gz", "console.pdf": "console.pdf",
}  # fmt: skip


def test_a_name_is_kept_except_for_what_harms() -> None:
    assert {raw: clean_name(raw) for raw in CLEANED} == CLEANED


@pytest.mark.parametrize("raw", ["", "..", "....//", "\0\x1f", "\u202e", "\\", "\ud800", "\u200b", " . . "])
def test_a_name_of_which_nothing_is_left_is_refused(raw: str) -> None:
    with pytest.raises(BadName, match="no usable name"):
        clean_name(raw)


@pytest.mark.parametrize("stem", ["a" * 4000, "é" * 200, "a" * 239 + "😀"])
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


def test_the_extension_is_what_follows_the_last_dot() -> None:
    found = {"a.PDF": ".pdf", "a.tar.gz": ".gz", "a": "", ".pdf": "", "a.": ".", "": "", "Ä.TIFF": ".tiff"}
    assert {name: extension_of(name) for name in found} == found
