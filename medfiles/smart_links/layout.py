"""Lay out plain text, lists and tables on pages.

Any text can be drawn: each character is in the first font that has it, and one without a glyph becomes a box.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Literal

from fpdf import FPDF
from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection

MARGIN, FOOTER = 56.0, 34.0  # points
LEADING = 1.35  # height of a line, in multiples of the size of its letters
BLACK, GRAY, LINE = 0, 90, 190  # shades
TEXT, WIDE, EVEN = "text", "wide", "courier"  # families: for Latin and others, for Chinese …, all letters alike
EVEN_WIDTH = 600  # in thousandths of the size
BOX = "□"
SPELLED = {"☐": "[ ]", "☑": "[x]", "☒": "[x]"}
DROPPED = ("Cc", "Cf", "Cs", "Mn", "Me")  # without a glyph of their own, if the font has none
MIRRORED = dict(zip("()[]{}<>«»", ")(][}{><»«", strict=True))
PAD, CELL, NARROWEST, BROADEST = 4.0, 8.0, 30.0, 180.0  # of tables, in points
MOST_MISSING = 0.2  # share of boxes above which a text says nothing


class Full(Exception):
    """The document has reached its limit of pages."""


class Unreadable(Exception):
    """There are no glyphs for much of the text."""


@dataclass(frozen=True)
class Fonts:
    """Files of the fonts TEXT and WIDE."""

    text: str
    wide: str


@dataclass
class Place:
    """Where a line begins, and how it looks."""

    left: float
    size: float
    shade: int = BLACK
    family: str | None = None


class Sheets:
    """Pages that are filled from top to bottom. `most` limits their number: beyond it, `Full` is raised.

    If `letters` has all that will be written, the larger font loads in half the time.
    """

    def __init__(self, title: str, fonts: Fonts, *, letters: str = "", most: int = 1000) -> None:
        self.fonts, self.most, self.drawn, self.missing = fonts, most, 0, 0
        self.letters = sorted({ord(letter) for letter in unicodedata.normalize("NFC", letters + title)})
        self.orientation: Literal["portrait", "landscape"] = "portrait"
        self.pdf = FPDF("portrait", "pt", "A4")
        self.pdf.set_auto_page_break(False)
        self.pdf.set_title("".join(letter for letter in title if letter.isprintable()))
        self.pdf.set_lang("en")
        self.pdf.set_producer("medfiles")
        self.pdf.add_font(TEXT, fname=fonts.text)
        self.footer = self.fit(title, 8, self.width - 80)
        self.start_page()

    @property
    def width(self) -> float:
        return self.pdf.w - 2 * MARGIN

    @property
    def right(self) -> float:
        return self.pdf.w - MARGIN

    @property
    def bottom(self) -> float:
        return self.pdf.h - MARGIN

    @property
    def pages(self) -> int:
        return self.pdf.pages_count

    def start_page(self) -> None:
        if self.pages == self.most:
            raise Full
        self.pdf.add_page(self.orientation)
        self.y = self.pdf.h - FOOTER
        self.draw(self.footer, Place(MARGIN, 8, GRAY))
        number = str(self.pages)
        self.draw(number, Place(self.right - self.measure(number, 8), 8, GRAY))
        self.y = MARGIN

    def need(self, height: float) -> None:
        """Start a page unless this much room is left on the current one."""
        if self.y + height > self.bottom and self.y > MARGIN:
            self.start_page()

    def skip(self, height: float) -> None:
        self.y += height

    def rule(self) -> None:
        self.pdf.set_draw_color(LINE)
        self.pdf.line(MARGIN, self.y, self.right, self.y)

    def text(self, words: str, place: Place, width: float | None = None) -> None:
        """Draw text below the text before it."""
        height = place.size * LEADING
        for line in self.lines(words, place, width or self.right - place.left):
            self.need(height)
            self.y += height
            self.draw(line, place)

    def lines(self, words: str, place: Place, width: float) -> list[str]:
        family = place.family
        paragraphs = (self.wrap(self.clean(one), place.size, width, family) for one in as_lines(words))
        return list(chain.from_iterable(paragraphs))

    def draw(self, line: str, place: Place) -> None:
        """Draw a line of clean text at the current height."""
        left = place.left
        if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in line):
            line = in_visual_order(line)
        self.pdf.set_text_color(place.shade)
        for family, run in groupby(line, lambda letter: place.family or self.family(letter)):
            part = "".join(run)
            self.pdf.set_font(family, size=place.size)
            self.pdf.text(left, self.y, part)
            left += self.measure(part, place.size, family)

    def measure(self, words: str, size: float, family: str | None = None) -> float:
        return sum(self.advance(letter, family) for letter in words) * size / 1000

    def advance(self, letter: str, family: str | None = None) -> float:
        if family == EVEN:
            return EVEN_WIDTH
        return float(self.pdf.fonts[self.family(letter)].cw[ord(letter)])  # type: ignore[index]

    def family(self, letter: str) -> str:
        return TEXT if self.has(TEXT, letter) else WIDE

    def has(self, family: str, letter: str) -> bool:
        if family not in self.pdf.fonts:  # it takes most of a second to load, and is rarely used
            self.pdf.add_font(family, fname=self.fonts.wide, unicode_range=self.letters)
        return ord(letter) in self.pdf.fonts[family].cmap  # type: ignore[union-attr]

    def clean(self, words: str) -> str:
        """Return the text with only characters that can be drawn."""
        return "".join(self.drawable(letter) for letter in unicodedata.normalize("NFC", words))

    def drawable(self, letter: str) -> str:
        self.drawn += 1
        category = unicodedata.category(letter)
        if category in DROPPED[:3]:
            return ""
        if category == "Zs":
            return " "
        if self.has(TEXT, letter) or self.has(WIDE, letter):
            return letter
        if category in DROPPED:
            return ""
        self.missing += letter not in SPELLED
        return SPELLED.get(letter, BOX)

    def check(self) -> None:
        """Raise `Unreadable` if too many characters became boxes."""
        if self.missing > MOST_MISSING * self.drawn:
            raise Unreadable

    def fit(self, words: str, size: float, width: float) -> str:
        """Return the text on one line, shortened if it is too long."""
        whole = self.clean(" ".join(words.split()))
        first, *more = self.wrap(whole, size, width - size)
        return f"{first}…" if more else first

    def wrap(self, words: str, size: float, width: float, family: str | None = None) -> Iterator[str]:
        """Break clean text into lines: at spaces, between Chinese characters, or anywhere in longer words."""
        room, start, used, gap = width * 1000 / size, 0, 0.0, 0
        for place, letter in enumerate(words):
            used += self.advance(letter, family)
            while used > room and place > start and letter != " ":
                cut = gap if gap > start else place
                yield words[start:cut].rstrip()
                start, used = cut, sum(self.advance(one, family) for one in words[cut : place + 1])
            if letter in " -/" or unicodedata.east_asian_width(letter) in ("W", "F"):
                gap = place + 1
        yield words[start:].rstrip()

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Draw a table, across if it is broad. Columns that do not fit beside the others are below them."""
        columns = max(map(len, rows), default=0)
        whole = [[*row, *[""] * (columns - len(row))] for row in rows]
        first = 0
        widths = self.natural_widths(whole)
        if sum(widths) > self.width and self.orientation == "portrait":
            self.orientation = "landscape"
            self.start_page()
        while first < columns:
            last = first + fitting(widths[first:], self.width)
            for row in whole:
                self.row(row[first:last], widths[first:last])
            self.skip(12)
            first = last

    def natural_widths(self, rows: Iterable[Sequence[str]]) -> list[float]:
        """Return the width of each column: that of its longest line, within limits."""
        return [
            min(max(NARROWEST, *(self.longest(cell) + 2 * PAD + 1 for cell in column)), BROADEST)
            for column in zip(*rows, strict=True)
        ]

    def longest(self, cell: str) -> float:
        most = int(BROADEST)  # more characters are wider than any column
        return max(self.measure(self.clean(line[:most]), CELL) for line in as_lines(cell))

    def row(self, cells: Sequence[str], widths: Sequence[float]) -> None:
        """Draw a row on one page if it fits on one."""
        style = Place(0, CELL)
        columns = [self.lines(cell, style, width - 2 * PAD) for cell, width in zip(cells, widths, strict=True)]
        count, height = max(map(len, columns)), CELL * LEADING
        self.need(min(count * height + PAD, self.bottom - MARGIN))
        for number in range(count):
            self.need(height)
            self.y += height
            left = MARGIN
            for lines, width in zip(columns, widths, strict=True):
                if number < len(lines):
                    self.draw(lines[number], Place(left + PAD, CELL))
                left += width
        self.y += PAD
        self.pdf.set_draw_color(LINE)
        self.pdf.line(MARGIN, self.y, MARGIN + sum(widths), self.y)

    def save(self, path: str) -> int:
        """Write the PDF and return the number of its pages."""
        self.pdf.output(path)
        return self.pages


def as_lines(words: str) -> list[str]:
    return words.expandtabs(8).splitlines() or [""]


def fitting(widths: Sequence[float], room: float) -> int:
    """Return how many of these columns fit side by side, at least one."""
    used = 0.0
    for count, width in enumerate(widths):
        used += width
        if used > room and count:
            return count
    return len(widths)


def in_visual_order(line: str) -> str:
    """Return a line as it is drawn from left to right, with brackets turned where the text runs the other way."""
    strong = (unicodedata.bidirectional(letter) for letter in line)
    first = next((kind for kind in strong if kind in ("L", "R", "AL")), "L")
    paragraph = BidiParagraph(line, TextDirection.LTR if first == "L" else TextDirection.RTL)
    return "".join(
        MIRRORED.get(one.character, one.character) if one.embedding_level % 2 else one.character
        for one in paragraph.get_reordered_characters()
    )
