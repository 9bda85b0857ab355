"""PDF documents: pages drawn by pdfium, filled-in forms and notes included, scripts never run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pypdfium2
from PIL import Image
from pypdfium2.raw import FPDF_ERR_PASSWORD

from medfiles.sandbox.render.base import DAMAGED, MAX_PAGES, Facts, NoSuchPage, Unshowable, encoded
from medfiles.sandbox.render.spec import boxed

SCREEN = 96 / 72  # pixels in a point
LOCKED = "This PDF is protected with a password. Download it to open it with the password."


def look(file: BinaryIO) -> Facts:
    with opened(file) as document:
        pages = len(document)
        if not 0 < pages <= MAX_PAGES:
            raise Unshowable(DAMAGED)
        width, height = document.get_page_size(0)
        return Facts("pages", pages, round(width * SCREEN), round(height * SCREEN))


def picture(file: BinaryIO, page: int, width: int, window: tuple[float, float] | None) -> dict[str, Any]:
    with opened(file) as document:
        if page > len(document):
            raise NoSuchPage
        if document.get_formtype():
            document.init_forms()
        return encoded(drawn(document[page - 1], width))


def drawn(page: Any, width: int) -> Image.Image:
    size = page.get_size()
    if min(size) <= 0:
        raise Unshowable(DAMAGED)
    scale = boxed(size, width)[0] / size[0]
    image: Image.Image = page.render(scale=scale, rev_byteorder=True).to_pil()
    return image


@contextmanager
def opened(file: BinaryIO) -> Iterator[Any]:
    try:
        with pypdfium2.PdfDocument(file) as document:
            yield document
    except pypdfium2.PdfiumError as error:
        raise Unshowable(LOCKED if error.err_code == FPDF_ERR_PASSWORD else DAMAGED) from error
