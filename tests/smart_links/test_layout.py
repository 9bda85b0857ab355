"""Text on pages: any text can be drawn, and its lines stay within their width."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfiles.smart_links import typesetting
from medfiles.smart_links.layout import EVEN, MARGIN, Fonts, Full, Place, Sheets, as_lines, in_visual_order
from medfiles.smart_links.typesetter import font_files
from tests.smart_links.conftest import PDF, Maker, pages
from tests.support import samples

NASTY = [
    "", " ", "\x00\x07\x1b[31m", "\ud800", "\u202eabc\u202c", "שלום (abc) 123", "مرحبا", "患者の記録" * 200,
    "👩‍👩‍👧‍👦" * 50,
    "a" * 100_000, "%(name)s {} %s \\ ( ) <b>", "e\u0301\u0301\u0301", "\u2028\u2029\x85", "\ufffe\uffff\U0010ffff",
    "नमस्ते", "\t\t\tx", "{nb}", "ﬁ½µ→≤☐☒✓",
]  # fmt: skip


@pytest.fixture(scope="module")
def fonts() -> Fonts:
    return Fonts(**font_files())


@pytest.fixture(scope="module")
def sheets(fonts: Fonts) -> Sheets:
    """Loading the fonts takes most of a second, so all tests write on the same pages."""
    every = "".join(map(chr, range(0x10000)))
    return Sheets("Letter", fonts, letters=every, most=100_000)


@settings(max_examples=300, deadline=None)
@given(words=st.text() | st.sampled_from(NASTY), size=st.sampled_from((8.0, 20.0)), width=st.floats(1, 500))
def test_any_text_is_drawn_and_no_line_is_wider_than_its_room(
    sheets: Sheets, words: str, size: float, width: float
) -> None:
    sheets.text(words[:2000], Place(MARGIN, size))
    for line in sheets.wrap(sheets.clean(words[:2000]), size, width):
        assert len(line) == 1 or sheets.measure(line, size) <= width + 0.01 or is_marks(line[1:])


def is_marks(letters: str) -> bool:
    return all(unicodedata.combining(letter) for letter in letters)


@settings(max_examples=200, deadline=None)
@given(words=st.text(st.characters(categories=("L", "N", "P", "Zs"))), width=st.floats(10, 300))
def test_breaking_lines_loses_nothing_but_spaces(sheets: Sheets, words: str, width: float) -> None:
    clean = sheets.clean(words)
    assert "".join(sheets.wrap(clean, 10, width)).replace(" ", "") == clean.replace(" ", "")


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.lists(st.text(max_size=60), max_size=12), max_size=8))
def test_any_table_is_drawn(sheets: Sheets, rows: list[list[str]]) -> None:
    before = (sheets.pages, sheets.y)
    sheets.table(rows)
    assert (sheets.pages, sheets.y) > before or not any(rows)


def test_lines_break_between_words_and_within_long_ones(sheets: Sheets) -> None:
    assert list(sheets.wrap("Blood count of March", 10, 60)) == ["Blood count", "of March"]
    assert list(sheets.wrap("Electrocardiogram", 10, 40)) == ["Electroc", "ardiogra", "m"]


def test_hebrew_is_drawn_from_right_to_left_with_its_brackets_turned() -> None:
    assert in_visual_order("שלום (abc) 12") == "12 (abc) םולש"
    assert in_visual_order("abc שלום") == "abc םולש"


def test_a_character_without_a_glyph_is_a_box(sheets: Sheets) -> None:
    assert sheets.clean("a👍\x07ب☒") == "a□□[x]"


def test_columns_of_plain_text_stay_in_line(sheets: Sheets) -> None:
    assert sheets.measure("iiii", 10, EVEN) == sheets.measure("MMMM", 10, EVEN)
    assert as_lines("a\tb\nlonger\tb") == ["a       b", "longer  b"]


def test_a_document_has_no_more_pages_than_allowed(fonts: Fonts) -> None:
    sheets = Sheets("Letter", fonts, most=2)
    with pytest.raises(Full):
        sheets.text("line\n" * 500, Place(MARGIN, 10))
    assert sheets.pages == 2


def test_words_of_another_shape_are_no_document(fonts: Fonts, tmp_path: Path) -> None:
    asked = {"words": "words.json", "pdf": "own.pdf", "title": "Letter", "cut": "Cut."}
    shapes: list[Any] = [[], {}, {"note": 1, "blocks": []}, {"note": None, "blocks": [{"rows": 5}]}, {"blocks": [{}]}]
    for wrong in shapes:
        (tmp_path / "words.json").write_text(json.dumps(wrong))
        assert typesetting.document(tmp_path, asked, fonts) is None
    (tmp_path / "words.json").write_text("no JSON")
    assert typesetting.document(tmp_path, asked, fonts) is None


def test_names_and_notes_may_hold_any_text(make: Maker) -> None:
    papers = [make.paper(samples.pdf(), PDF, name or "-", about=name) for name in NASTY]
    papers += [make.paper(samples.txt(), "text/plain", name or "-") for name in NASTY[:4]]
    words = "".join(NASTY)
    made = make.story(*papers, patient=words, sender=words, note=words)
    assert None not in made.documents
    assert "Blood count" in "".join(pages(made.story))
