"""Texts, tables and letters as blocks to typeset."""

import json
from io import BytesIO
from typing import Any

import pytest
from lxml import html

from medfiles.sandbox.render import wording
from medfiles.sandbox.render.base import CannotRender
from tests.support import samples


def blocks(markup: str) -> list[tuple[str, int] | list[list[str]]]:
    """Return the blocks of a letter: (text, indent) or rows."""
    found = wording.html_blocks(html.fragment_fromstring(markup, create_parent="div"))
    return [block["rows"] if "rows" in block else (block["text"], block["indent"]) for block in found]


def said(data: bytes, media_type: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(wording.as_json(BytesIO(data), media_type))
    return answer


def test_paragraphs_are_blocks_and_breaks_are_lines() -> None:
    assert blocks("<p>one <b>bold</b><br>next\n line</p>loose") == [("one bold\nnext line", 0), ("loose", 0)]


def test_lists_have_marks_and_are_indented() -> None:
    assert blocks("<ul><li>one<ol><li>deep</li></ol></li><li><p>two</p></li></ul>") == [
        ("• one", 0),
        ("1. deep", 1),
        ("• two", 0),
    ]


def test_headings_are_headings() -> None:
    first, second = wording.html_blocks(html.fragment_fromstring("<h2>Summary</h2><p>Well</p>", create_parent="div"))
    assert (first["style"], second["style"]) == (wording.HEADING, wording.PLAIN)


def test_cells_of_a_table_keep_their_columns() -> None:
    table = "<table><tr><td colspan='2'>a<p>b</p></td><td>c</td></tr><tr><td>1</td><td>2</td><td>3</td></tr></table>"
    assert blocks(table) == [[["a\nb", "", "c"], ["1", "2", "3"]]]


def test_a_table_in_a_table_is_lines_of_its_cell() -> None:
    inner = "<table><tr><td>1</td><td>2</td></tr><tr><td>3</td></tr></table>"
    assert blocks(f"<table><tr><td>{inner}</td></tr></table>") == [[["1 2\n3"]]]


def test_text_keeps_its_lines_and_spaces() -> None:
    [block] = said(samples.txt("a  b\n\n c"), "text/plain")["blocks"]
    assert (block["text"], block["style"]) == ("a  b\n\n c", wording.LETTERS)


def test_sheets_have_their_names() -> None:
    heading, table = said(samples.xlsx(), samples.SHEET)["blocks"]
    assert heading["text"] == "Results"
    assert table["rows"]


def test_the_note_gives_no_advice_for_the_app() -> None:
    note = said(samples.txt("line\n" * 60_000), "text/plain")["note"]
    assert note == "Only the first 200,000 characters are shown."


@pytest.mark.parametrize(("data", "media_type"), [(b" \n", "text/plain"), (samples.doc(), "application/msword")])
def test_a_document_without_text_has_no_words(data: bytes, media_type: str) -> None:
    with pytest.raises(CannotRender):
        wording.as_json(BytesIO(data), media_type)
