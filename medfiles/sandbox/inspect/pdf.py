"""Inspect PDF files: pdfium must find a page in them, or fail only for lack of a password or certificate."""

from typing import Any, BinaryIO

import pypdfium2
from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY

from medfiles.sandbox.inspect.signatures import PDF_WITHIN, Damaged, Unsafe, WrongType, pdf_start

LOCKED = (FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY)
MAX_PAGES = 20_000


def inspect(file: BinaryIO, media_type: str) -> dict[str, Any]:
    head = file.read(PDF_WITHIN)
    if pdf_start(head) is None:
        raise (
            Unsafe("This PDF has unexpected content at the beginning. Save it as a new PDF, then upload that.")
            if b"%PDF-" in head
            else WrongType()
        )
    return {"media_type": media_type, "pages": count(file)}


def count(file: BinaryIO) -> int | None:
    """Return the number of pages without interpreting their content; None if the file is encrypted."""
    file.seek(0)
    try:
        with pypdfium2.PdfDocument(file) as document:
            pages = len(document)
            if 0 < pages <= MAX_PAGES:
                document.get_page_size(0)
    except pypdfium2.PdfiumError as error:
        if error.err_code in LOCKED:
            return None
        raise Damaged from error
    if pages > MAX_PAGES:
        raise Unsafe(f"This PDF has {pages:,} pages. The limit is {MAX_PAGES:,}. Split it into smaller files.")
    if pages < 1:
        raise Damaged
    return pages
