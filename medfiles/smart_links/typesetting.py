"""The program that typesets texts and the contents page, in a process of its own, whose memory is freed at its end.

Its argument is a folder with `plan.json`: {"fonts", "documents": [{"words", "title", "cut", "pdf"}], "cover"}. It
writes the PDFs and `typeset.json`: {"documents": [pages, or null], "cover": pages}.
"""

import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fpdf.errors import FPDFException

from medfiles.smart_links.layout import EVEN, GRAY, LEADING, MARGIN, Fonts, Full, Place, Sheets, Unreadable

CPU, MEMORY, LARGEST = 60, 2 * 1024**3, 256 * 1024**2
MOST_PAGES = 100  # of a document
HEADING, LETTERS = "heading", "letters"  # styles in sandbox.render.wording
SIZE, INDENT = 10.0, 18.0
DAY, PAGE = 150.0, 40.0  # columns of the contents, from the right
UNUSABLE = (FPDFException, LookupError, TypeError, ValueError, AttributeError)


def main() -> None:
    limit()
    folder = Path(sys.argv[1])
    plan = json.loads((folder / "plan.json").read_text())
    fonts = Fonts(**plan["fonts"])
    counts = [document(folder, one, fonts) for one in plan["documents"]]
    pages = cover(folder, plan["cover"], fonts, iter(counts))
    (folder / "typeset.json").write_text(json.dumps({"documents": counts, "cover": pages}))


def limit() -> None:
    for name, most in {"CPU": CPU, "AS": MEMORY, "FSIZE": LARGEST, "CORE": 0}.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def document(folder: Path, asked: dict[str, Any], fonts: Fonts) -> int | None:
    """Typeset a document and return the number of its pages, or None if it cannot be read."""
    try:
        words = json.loads((folder / asked["words"]).read_bytes())
        sheets = Sheets(asked["title"], fonts, letters=letters_of(words), most=MOST_PAGES)
        sheets.text(asked["title"], Place(MARGIN, 14))
        if words["note"]:
            sheets.text(words["note"], Place(MARGIN, 8, GRAY))
        sheets.skip(10)
        fill(sheets, words["blocks"], asked["cut"])
        sheets.check()
        return sheets.save(str(folder / asked["pdf"]))
    except (Unreadable, *UNUSABLE):
        return None


def letters_of(words: Any) -> str:
    return json.dumps(words, ensure_ascii=False)


def fill(sheets: Sheets, blocks: list[dict[str, Any]], cut: str) -> None:
    """Draw the blocks. At the limit of pages, say that the rest is cut."""
    try:
        for block in blocks:
            if "rows" in block:
                sheets.table(block["rows"])
            else:
                sheets.skip(SIZE if block["style"] == HEADING else SIZE / 2)
                sheets.text(block["text"], place_of(block))
    except Full:
        sheets.y = sheets.bottom + SIZE  # there is always room between the text and the footer
        sheets.draw(sheets.clean(cut), Place(MARGIN, 8, GRAY))


def place_of(block: dict[str, Any]) -> Place:
    if block["style"] == HEADING:
        return Place(MARGIN, 12)
    family = EVEN if block["style"] == LETTERS and fits_even(block["text"]) else None
    return Place(MARGIN + INDENT * min(block["indent"], 6), 9 if family else SIZE, family=family)


def fits_even(text: str) -> bool:
    """Return whether the text can be in the font whose letters are all alike, so that columns stay in line."""
    return all(letter in "\n\t" or (letter.isprintable() and ord(letter) < 256) for letter in text)


def cover(folder: Path, asked: dict[str, Any], fonts: Fonts, counts: Iterator[int | None]) -> int:
    """Typeset the contents page. Where it says at which page a document begins, its own length matters."""
    entries = [{**entry, "pages": next(counts)} if entry["typeset"] else entry for entry in asked["entries"]]
    own = 1
    while (sheets := contents(asked, entries, own, fonts)).pages != own:
        own = sheets.pages
    return sheets.save(str(folder / "cover.pdf"))


def contents(asked: dict[str, Any], entries: list[dict[str, Any]], own: int, fonts: Fonts) -> Sheets:
    sheets = Sheets(asked["title"], fonts, letters=letters_of([asked, entries]))
    sheets.text(asked["title"], Place(MARGIN, 20))
    sheets.skip(6)
    for fact in asked["facts"]:
        sheets.text(fact, Place(MARGIN, SIZE, GRAY))
    if asked["note"]:
        sheets.skip(20)
        sheets.text(asked["note"]["words"], Place(MARGIN, 13))
        sheets.skip(4)
        sheets.text(asked["note"]["text"], Place(MARGIN, 11))
    sheets.skip(20)
    sheets.text(asked["heading"], Place(MARGIN, 13))
    sheets.skip(8)
    page = own + 1
    for entry in entries:
        add_entry(sheets, entry, page, asked["absent"])
        page += entry["pages"] or 0
    return sheets


def add_entry(sheets: Sheets, entry: dict[str, Any], page: int, absent: str) -> None:
    """Add a document: its name and what it is about, its day, and where it begins."""
    width = sheets.width - DAY - PAGE - 10
    sheets.need(4 * SIZE * LEADING)
    sheets.rule()
    sheets.skip(4)
    top, sheet = sheets.y + SIZE * LEADING, sheets.pages
    sheets.text(entry["name"], Place(MARGIN, SIZE), width)
    for words in (entry["about"], "" if entry["pages"] else absent):
        if words:
            sheets.text(words, Place(MARGIN, 8, GRAY), width)
    sheets.skip(6)
    end, sheets.y = sheets.y, top
    if sheets.pages == sheet:
        sheets.draw(entry["day"], Place(sheets.right - DAY - PAGE, SIZE))
        number = str(page) if entry["pages"] else "–"
        sheets.draw(number, Place(sheets.right - sheets.measure(number, SIZE), SIZE))
    sheets.y = end


if __name__ == "__main__":
    main()
