"""The text of a document: to read, to copy and to find words in."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response, jsonify, request

from medfiles.http import parameters
from medfiles.http.current import documents, services, texts
from medfiles.http.htmx import fragment, is_htmx
from medfiles.http.views import FileView
from medfiles.i18n import N_, gettext
from medfiles.text import clean_text
from medfiles.texts import finding
from medfiles.web import pages

AT_ONCE = 50  # pages in one answer
FIND_LIMIT = 200
FAILURES = {
    "no-engine": N_("Text in photos and scans is not read: text recognition is not installed (make setup-ocr)."),
    "locked": N_("This document is locked with a password, so its text cannot be read."),
    "damaged": N_("This document is damaged, so its text cannot be read."),
    "unsupported": N_("The text of this kind of document cannot be read."),
    "timeout": N_("Reading the text took too long."),
    "crashed": N_("The text could not be read safely."),
}


@dataclass(frozen=True)
class PageTextView:
    number: int
    source: str  # text-layer, ocr or none
    pieces: Sequence[tuple[str, bool]]  # text, and whether it is a hit
    problem: str  # why there is no text, or not all of it

    @property
    def hits(self) -> int:
        return sum(is_hit for _, is_hit in self.pieces)


@dataclass(frozen=True)
class TextView:
    file: FileView
    q: str
    pages: Sequence[PageTextView]
    first: int
    total: int  # pages of the document; 0: not read yet

    @property
    def next(self) -> int | None:
        last = self.pages[-1].number if self.pages else 0
        return last + 1 if last < self.total and len(self.pages) == AT_ONCE else None

    @property
    def is_unread(self) -> bool:
        """Whether a background job is still to read some of these pages."""
        shown = min(self.total - self.first + 1, AT_ONCE) if self.total else 1
        return len(self.pages) < shown

    @property
    def hits(self) -> int:
        return sum(page.hits for page in self.pages)

    @property
    def problems(self) -> Sequence[str]:
        return list(dict.fromkeys(page.problem for page in self.pages if page.problem))

    @property
    def has_text(self) -> bool:
        return any(page.pieces for page in self.pages)

    @property
    def is_recognized(self) -> bool:
        """Whether some of the text was recognized, so that it may contain mistakes."""
        return any(page.source == "ocr" for page in self.pages)


def answer_words(file_id: int) -> Response:
    """Respond with the words of one page and their places, or with 204 if they are not known."""
    found = texts().pages(file_id, parameters.number(request.args, "page", 1, 1, 999_999), 1)
    if not found or not found[0].words:
        return Response(status=204)
    return jsonify(found[0].words)


def answer(file_id: int) -> Response:
    first = parameters.number(request.args, "page", 1, 1, 999_999)
    q = clean_text(request.args.get("q"), FIND_LIMIT, gettext("The search term (“q”)")) or ""
    found = texts().pages(file_id, first, AT_ONCE)
    file = pages.file_view(documents().get(file_id))
    shown = [
        PageTextView(
            page.page,
            page.source,
            tuple(finding.pieces(page.text, q)),
            gettext(FAILURES[page.failure]) if page.failure in FAILURES else "",
        )
        for page in found
    ]
    view = TextView(file, q, shown, first, found[0].pages if found else 0)
    _, record = pages.record_page(services().registry[file.entity_type], file.entity_id)
    return fragment("previews/_text.html" if is_htmx() else "previews/text.html", view=view, record=record)
