"""Render PDF pages with pdfium, including forms and annotations but without running scripts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import pypdfium2
from PIL import Image
from pypdfium2.raw import FPDF_ERR_PASSWORD

from medfiles.sandbox.render.base import DAMAGED, MAX_PAGES, CannotRender, NoSuchPage, PreviewData, encode_webp
from medfiles.sandbox.render.spec import fit_size

SCREEN = 96 / 72  # pixels per point
LOCKED = "This PDF is protected with a password. Download it to open it with the password."


def describe(file: BinaryIO) -> PreviewData:
    with open_pdf(file) as document:
        pages = len(document)
        if not 0 < pages <= MAX_PAGES:
            raise CannotRender(DAMAGED)
        width, height = document.get_page_size(0)
        return PreviewData("pages", pages, round(width * SCREEN), round(height * SCREEN))


def picture(file: BinaryIO, page: int, width: int, window: tuple[float, float] | None) -> dict[str, Any]:
    with open_pdf(file) as document:
        if page > len(document):
            raise NoSuchPage
        if document.get_formtype():
            document.init_forms()
        return encode_webp(render(document[page - 1], width))


def render(page: Any, width: int) -> Image.Image:
    size = page.get_size()
    if min(size) <= 0:
        raise CannotRender(DAMAGED)
    scale = fit_size(size, width)[0] / size[0]
    image: Image.Image = page.render(scale=scale, rev_byteorder=True).to_pil()
    return image


@contextmanager
def open_pdf(file: BinaryIO) -> Iterator[Any]:
    try:
        with pypdfium2.PdfDocument(file) as document:
            yield document
    except pypdfium2.PdfiumError as error:
        raise CannotRender(LOCKED if error.err_code == FPDF_ERR_PASSWORD else DAMAGED) from error
