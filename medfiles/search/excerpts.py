"""Cut the words around a hit out of a text, and find the boxes of these words on the picture of a page."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select

from medfiles.database.session import db
from medfiles.models import PageText
from medfiles.search.index import page_texts
from medfiles.search.query import Terms
from medfiles.text import fold, is_unspaced, tokens

LENGTH, LEAD = 200, 60  # characters of an excerpt, and of these before the first hit
MOST_PAGES = 200  # in which a document's hit is looked for
MOST_BOXES = 200  # marked on one page
SPACES = re.compile(r"\s+")

Box = tuple[float, float, float, float]  # x, y, width and height, as fractions of the page
Span = tuple[int, int]


@dataclass(frozen=True)
class Excerpt:
    """Part of a text.

    highlights  start and end of each word that was searched for, in `text`
    page        of the document, if the text comes from a page
    boxes       of these words on the picture of the page, if they are known
    """

    text: str
    highlights: Sequence[Span]
    page: int | None = None
    boxes: Sequence[Box] = ()

    def parts(self) -> Iterator[tuple[str, bool]]:
        """Return the text in pieces, each with whether it is highlighted."""
        at = 0
        for start, end in self.highlights:
            if start > at:
                yield self.text[at:start], False
            yield self.text[start:end], True
            at = end
        if at < len(self.text):
            yield self.text[at:], False


def excerpt(text: str, terms: Terms) -> Excerpt | None:
    """Return the part of a text around the words searched for, or None if it has none of them."""
    found = _spans(text, terms)
    if not found:
        return None
    start, end = _window(text, found)
    return _collapsed(text, start, end, [span for span in found if span[0] >= start and span[1] <= end])


def page_excerpts(wanted: Mapping[int, tuple[str, Terms]]) -> dict[int, Excerpt]:
    """Return for each document the excerpt of the page that has the most of the words, if any has one.

    wanted  SHA-256 and words of each document, by its id
    """
    best: dict[int, tuple[int, int, str]] = {}
    hashes = {sha256 for sha256, _ in wanted.values()}
    pages = page_texts(hashes).where(PageText.page <= MOST_PAGES)
    for sha256, page, text in db.session.execute(pages) if hashes else ():
        folded = fold(text)
        for number, (of, terms) in wanted.items():
            count = sum(term.text in folded for term in terms) if of == sha256 else 0
            if count > best.get(number, (0, 0, ""))[0]:
                best[number] = (count, page, text)
    excerpts = {}
    for number, (_, page, text) in best.items():
        sha256, terms = wanted[number]
        if cut := excerpt(text, terms):
            excerpts[number] = replace(cut, page=page, boxes=boxes(sha256, page, terms))
    return excerpts


def boxes(sha256: str, page: int, terms: Terms) -> Sequence[Box]:
    """Return the boxes of the words searched for on a page; none if the words' places are not known."""
    query = select(PageText.words).where(PageText.sha256 == sha256, PageText.page == page)
    words = db.session.scalar(query.order_by(PageText.recipe.desc()).limit(1))
    found: list[Box] = []
    for word, x, y, width, height in json.loads(words or "[]"):
        if _spans(word, terms):
            found.append((x, y, width, height))
            if len(found) == MOST_BOXES:
                break
    return found


def _spans(text: str, terms: Terms) -> list[Span]:
    """Return where the words searched for stand in a text, in order and without overlaps."""
    found: list[Span] = []
    for token in sorted(tokens(text), key=lambda token: (token.start, -token.end)):
        if any(term.matches(token.text) for term in terms):
            if found and token.start <= found[-1][1] and (token.start < found[-1][1] or is_unspaced(token.text)):
                found[-1] = (found[-1][0], max(found[-1][1], token.end))
            else:
                found.append((token.start, token.end))
    return found


def _window(text: str, found: Sequence[Span]) -> Span:
    """Return where the excerpt starts and ends: where the most words are, at the beginning of a word."""

    def words_after(span: Span) -> int:
        return sum(span[0] <= other[0] and other[1] <= span[0] + LENGTH - LEAD for other in found)

    first = max(found[:50], key=words_after)[0]
    start = max(0, first - LEAD)
    if start:
        space = SPACES.search(text, start, first)
        start = space.end() if space else first
    end = min(len(text), start + LENGTH)
    if end < len(text) and (spaces := list(SPACES.finditer(text, start, end))):
        end = max(spaces[-1].start(), next(span[1] for span in found if span[0] >= first))
    return start, end


def _collapsed(text: str, start: int, end: int, found: Sequence[Span]) -> Excerpt:
    """Return the excerpt with each run of spaces and line breaks as one space."""
    cut, spans, at = ("… " if start else ""), [], start
    for hit_start, hit_end in found:
        cut += SPACES.sub(" ", text[at:hit_start])
        spans.append((len(cut), len(cut) + hit_end - hit_start))
        cut += text[hit_start:hit_end]
        at = hit_end
    cut += SPACES.sub(" ", text[at:end])
    return Excerpt(cut.rstrip() + (" …" if end < len(text.rstrip()) else ""), spans)
