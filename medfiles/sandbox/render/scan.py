"""The task `scan`: a page as a picture without loss, as text recognition needs it."""

import base64
from io import BytesIO
from typing import Any, BinaryIO

from PIL import Image

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.media_types import BY_NAME
from medfiles.sandbox.render import image, pdf
from medfiles.sandbox.render.base import CannotRender, NoSuchPage

DPI, LONGEST = 200, 2400  # pixels per inch of a page; a side in pixels: A4 at this density has 2,339


def page_image(file: BinaryIO, media_type: str, page: int) -> Image.Image:
    """Return a page in color, the right way up. Raises `CannotRender` or `NoSuchPage`."""
    if BY_NAME[media_type].previewer != "pdf":
        picture, _ = image.upright(file, page, LONGEST, media_type)
        return shrink(picture)
    with pdf.open_pdf(file) as document:
        if page > len(document):
            raise NoSuchPage
        if document.get_formtype():
            document.init_forms()
        across, down = document.get_page_size(page - 1)
        scale = min(DPI / 72, LONGEST / max(across, down, 1))
        return pdf.render(document[page - 1], max(1, round(across * scale))).convert("RGB")


def shrink(picture: Image.Image) -> Image.Image:
    picture.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    return picture


def scan(file: BinaryIO, media_type: str, page: int) -> dict[str, Any]:
    """Return {"png": base64} in shades of gray, or {"reason"}."""
    try:
        picture, target = page_image(file, media_type, page).convert("L"), BytesIO()
    except (CannotRender, NoSuchPage, RecursionError, *BROKEN):
        return {"reason": "damaged"}
    picture.save(target, "PNG", compress_level=1, dpi=(DPI, DPI))
    return {"png": base64.b64encode(target.getvalue()).decode()}


TASKS = {"scan": scan}
