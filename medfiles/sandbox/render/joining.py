"""Append PDFs to each other so that every page looks as before.

What belongs to the whole document stays behind when pages are copied, in particular a form and the switches of layers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import pypdfium2
from pypdfium2 import PdfImage, PdfMatrix, raw

from medfiles.sandbox.render import pdf
from medfiles.sandbox.render.base import DAMAGED, CannotRender
from medfiles.sandbox.render.room import save

MAX_PAGES = 2000  # of one document
LAYERS = b"/OCProperties"
DPI, LONGEST = 200, 2400  # of a page that becomes a picture: pixels per inch, and of its longer side
SMALL, ALIKE = 400, 8  # to compare two pages: pixels of the longer side, and the greatest difference of a color


class Seeker:
    """Takes what is written, and remembers whether the name of layers was in it."""

    def __init__(self) -> None:
        self.end, self.found = b"", False

    def write(self, data: bytes) -> None:
        self.found |= LAYERS in self.end + data
        self.end = data[-len(LAYERS) :]


def append(story: Any, content: bytes) -> None:
    """Append all pages. What is filled into a form becomes part of them."""
    with opened(content) as document:
        hidden = pages_with_hidden_layers(document) if has_layers(document) else []
        kept = [number for number in range(len(document)) if number not in hidden]
        start = len(story)
        if kept:
            story.import_pages(document, kept)
        for number in hidden:
            add_picture(story, document[number], start + number)


@contextmanager
def opened(content: bytes) -> Iterator[Any]:
    pdf.FALLBACK.wide = False
    with pypdfium2.PdfDocument(content) as document:
        if not 0 < len(document) <= MAX_PAGES:
            raise CannotRender(DAMAGED)
        pdf.form_note(document)
        if document.get_formtype() != raw.FORMTYPE_NONE:
            document.init_forms()
            for page in document:
                page.flatten()
                page.close()
        yield document


def has_layers(document: Any) -> bool:
    """Return whether the document has layers. Saved again, all its names are in the open."""
    seeker = Seeker()
    save(document, seeker.write)
    return seeker.found


def pages_with_hidden_layers(document: Any) -> list[int]:
    """Return the pages that look different without the switches of the layers."""
    copy = pypdfium2.PdfDocument.new()
    copy.import_pages(document)
    return [number for number in range(len(document)) if not is_alike(document[number], copy[number])]


def is_alike(page: Any, copy: Any) -> bool:
    scale = SMALL / max(*page.get_size(), 1)
    first, second = (one.render(scale=scale).to_numpy().astype(numpy.int16) for one in (page, copy))
    return first.shape == second.shape and int(numpy.abs(first - second).max()) <= ALIKE


def add_picture(story: Any, page: Any, place: int) -> None:
    """Add a page that is a picture of this one."""
    width, height = page.get_size()
    picture = PdfImage.new(story)
    picture.set_bitmap(page.render(scale=min(DPI / 72, LONGEST / max(width, height, 1))))
    picture.set_matrix(PdfMatrix().scale(width, height))
    target = story.new_page(width, height, place)
    target.insert_obj(picture)
    target.gen_content()
    target.close()
