"""What texts, tables and letters say, as blocks to typeset: JSON that needs no further parsing of the document.

A block is {"text", "style", "indent"}, with a style of STYLES, or {"rows": [[cell]]}.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from lxml import html as markup

from medfiles.sandbox.render.base import CannotRender, PreviewData
from medfiles.sandbox.render.table import MAX_COLUMNS
from medfiles.sandbox.render.tasks import previewer

STYLES = PLAIN, HEADING, LETTERS = "plain", "heading", "letters"  # the last is text whose lines and spaces matter
ADVICE = re.compile(r"\s*Download the document[^.]*\.")
SPACES = re.compile(r"\s+")
BREAK = "\u2028"  # a line break in HTML, while spaces are collapsed
LEVELS = {"h1", "h2", "h3", "h4", "h5", "h6"}
BLOCKS = LEVELS | {"p", "li", "dt", "dd", "blockquote", "pre", "ul", "ol", "dl", "table"}
LINES, CELLS = BLOCKS | {"tr"}, {"td", "th"}
LISTS = {"ul", "ol", "dl", "blockquote"}
NOTHING = "This document has no text to show."

Block = dict[str, Any]


def as_json(file: BinaryIO, media_type: str) -> bytes:
    """Return {"note", "blocks"}. Raises `CannotRender` if the document has no text."""
    preview = previewer(media_type).describe(file)
    blocks = list(blocks_of(preview))
    if not blocks:
        raise CannotRender(preview.reason or NOTHING)
    note = ADVICE.sub("", preview.note or "").strip() or None
    return json.dumps({"note": note, "blocks": blocks}).encode()


def blocks_of(preview: PreviewData) -> Iterator[Block]:
    if preview.text and preview.text.strip():
        yield block(preview.text, LETTERS)
    if preview.html:
        yield from html_blocks(markup.fragment_fromstring(preview.html, create_parent="div"))
    for name, rows in preview.sheets:
        if name:
            yield block(name, HEADING)
        yield {"rows": rows}


def html_blocks(element: Any, indent: int = 0, mark: str = "") -> Iterator[Block]:
    """Yield the blocks of an element: those of the blocks in it, and what stands between them."""
    style = HEADING if element.tag in LEVELS else PLAIN
    if element.tag == "table":
        yield {"rows": [list(cells_of(row)) for row in element.xpath("./tr|./thead/tr|./tbody/tr|./tfoot/tr")]}
        return
    loose = [element.text or ""]
    for number, child in enumerate(element, 1):
        if child.tag not in BLOCKS:
            loose.append(words_of(child, collapsed=False))
        else:
            before = list(paragraph(mark, loose, style, indent))
            yield from before
            deeper = indent + (child.tag in LISTS and element.tag != "div")
            yield from html_blocks(child, deeper, bullet(child, element, number) or ("" if before else mark))
            loose, mark = [], ""
        loose.append(child.tail or "")
    yield from paragraph(mark, loose, style, indent)


def cells_of(row: Any) -> Iterator[str]:
    """Yield the text of each cell, and nothing for the other columns that it spans."""
    for cell in row.iterchildren("td", "th"):
        yield words_of(cell)
        spanned = cell.get("colspan", "1")
        yield from [""] * (min(int(spanned), MAX_COLUMNS) - 1 if spanned.isdecimal() else 0)


def bullet(child: Any, parent: Any, number: int) -> str:
    if child.tag != "li":
        return ""
    return f"{number}. " if parent.tag == "ol" else "• "


def paragraph(mark: str, loose: list[str], style: str, indent: int) -> Iterator[Block]:
    words = collapse("".join(loose))
    if words:
        yield block(mark + words, style, indent)


def words_of(element: Any, *, collapsed: bool = True) -> str:
    """Return the text of an element. Blocks and breaks in it are lines."""
    parts = [element.text or ""]
    for child in element:
        separate = BREAK if child.tag in LINES else " " if child.tag in CELLS else ""
        parts += [separate, words_of(child, collapsed=False), separate, child.tail or ""]
    words = "".join(parts) + (BREAK if element.tag == "br" else "")
    return collapse(words) if collapsed else words


def collapse(words: str) -> str:
    lines = (SPACES.sub(" ", line).strip() for line in words.split(BREAK))
    return "\n".join(line for line in lines if line)


def block(text: str, style: str = PLAIN, indent: int = 0) -> Block:
    return {"text": text, "style": style, "indent": indent}
