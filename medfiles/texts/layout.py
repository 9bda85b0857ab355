"""Put the recognized lines of a page in reading order."""

from collections.abc import Sequence
from typing import NamedTuple

LEAST_CONFIDENCE = 0.5
SAME_LINE = 0.5  # share of the lower line's height by which pieces of one line overlap


class Word(NamedTuple):
    """A word with its place: left, top, width and height as fractions of the page."""

    text: str
    x: float
    y: float
    width: float
    height: float


Line = Sequence[tuple[str, float, float, float, float, float]]  # words: text, confidence and box


def in_reading_order(lines: Sequence[Line]) -> tuple[str, list[Word]]:
    """Return the text and its words, from top to bottom and from left to right. Doubtful words are left out."""
    pieces = [
        [Word(text, *box) for text, confidence, *box in line if text and confidence >= LEAST_CONFIDENCE]
        for line in lines
    ]
    rows: list[list[list[Word]]] = []
    for piece in sorted(filter(None, pieces), key=_middle):
        row = next((row for row in reversed(rows[-3:]) if _overlap(row[0], piece)), None)
        if row is None:
            rows.append([piece])
        else:
            row.append(piece)
    ordered = [sorted(row, key=lambda piece: piece[0].x) for row in rows]
    text = "\n".join(" ".join(word.text for piece in row for word in piece) for row in ordered)
    return text, [word for row in ordered for piece in row for word in piece]


def _extent(piece: Sequence[Word]) -> tuple[float, float]:
    return min(word.y for word in piece), max(word.y + word.height for word in piece)


def _middle(piece: Sequence[Word]) -> float:
    return sum(_extent(piece)) / 2


def _overlap(first: Sequence[Word], second: Sequence[Word]) -> bool:
    (top, bottom), (other_top, other_bottom) = _extent(first), _extent(second)
    common = min(bottom, other_bottom) - max(top, other_top)
    return common > SAME_LINE * min(bottom - top, other_bottom - other_top)
