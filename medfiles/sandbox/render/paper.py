"""Pictures as pages of a PDF: a JPEG with its bytes unchanged, other pictures with all their pixels."""

from io import BytesIO
from typing import Any, BinaryIO

import pypdfium2
from PIL import Image, ImageOps
from pypdfium2 import PdfBitmap, PdfImage, PdfiumError, PdfMatrix

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.pillow import open_image
from medfiles.sandbox.render import image as pictures
from medfiles.sandbox.render.base import check_size

SCREEN = 72 / 96  # points per pixel
LONG, SHORT = 842.0, 595.0  # A4, in points: no page is larger
LEAST = 3.0  # points: a smaller page is not valid
QUALITY = 95  # for photos that have lost detail before: without loss they would be ten times as large as their file
TURNS = {  # by EXIF orientation: how the unit square of the picture lies on that of the page
    1: (1, 0, 0, 1, 0, 0),
    2: (-1, 0, 0, 1, 1, 0),
    3: (-1, 0, 0, -1, 1, 1),
    4: (1, 0, 0, -1, 0, 1),
    5: (0, -1, -1, 0, 1, 1),
    6: (0, -1, 1, 0, 0, 1),
    7: (0, 1, 1, 0, 0, 0),
    8: (0, 1, -1, 0, 1, 0),
}


def as_pdf(file: BinaryIO, media_type: str) -> Any:
    """Return a PDF with a page for each page of the picture."""
    document = pypdfium2.PdfDocument.new()
    with open_image(file, media_type) as opened:
        frames = min(getattr(opened, "n_frames", 1), pictures.MAX_FRAMES) if media_type == "image/tiff" else 1
        for frame in range(frames):
            opened.seek(frame)
            check_size(*opened.size)
            orientation = pictures.orientation(opened) if media_type != "image/tiff" else 1
            shape = pictures.true_size(opened)
            source, turn = unchanged(document, file, media_type), orientation
            if source is None:
                source, turn = pixels(document, opened, orientation, has_lost_detail(file, media_type)), 1
            add_page(document, source, pictures.oriented_size(shape, orientation), TURNS.get(turn, TURNS[1]))
    return document


def unchanged(document: Any, file: BinaryIO, media_type: str) -> Any | None:
    """Return a JPEG as it is, or None for other pictures and for JPEGs that PDF readers may not show alike."""
    if media_type != "image/jpeg":
        return None
    file.seek(0)
    content = file.read()
    try:
        return jpeg(document, content) if is_whole(content) else None
    except PdfiumError:
        return None


def is_whole(content: bytes) -> bool:
    """Return whether a JPEG can be decoded to its end."""
    with Image.open(BytesIO(content), formats=["JPEG", "MPO"]) as photo:
        try:
            photo.draft(None, pictures.DRAFT)
            photo.load()
        except BROKEN:
            return False
    return True


def has_lost_detail(file: BinaryIO, media_type: str) -> bool:
    file.seek(0)
    return media_type == "image/heic" or (media_type == "image/webp" and b"VP8L" not in file.read())


def jpeg(document: Any, content: bytes) -> Any:
    source = PdfImage.new(document)
    source.load_jpeg(BytesIO(content), inline=True)
    return source


def pixels(document: Any, opened: Image.Image, orientation: int, lossy: bool) -> Any:
    """Return the picture in 8 bits per color, upright, in sRGB, on white."""
    with pictures.lenient():
        opened.load()
    profile = opened.info.get("icc_profile")
    upright = ImageOps.exif_transpose(opened) if 1 < orientation <= 8 else opened
    flat = pictures.flatten(pictures.to_resizable_mode(upright))
    plain = flat if flat.mode == "L" and not profile else pictures.to_srgb(flat, profile)
    if lossy:
        target = BytesIO()
        plain.save(target, "JPEG", quality=QUALITY, subsampling=0)
        return jpeg(document, target.getvalue())
    source = PdfImage.new(document)
    source.set_bitmap(PdfBitmap.from_pil(plain))
    return source


def add_page(document: Any, source: Any, shape: tuple[int, int], turn: tuple[int, ...]) -> None:
    """Add a page of the picture's proportions: as large as on a screen, but no larger than A4."""
    across, down = shape
    room = (LONG, SHORT) if across > down else (SHORT, LONG)
    scale = min(SCREEN, room[0] / across, room[1] / down)
    width, height = max(across * scale, LEAST), max(down * scale, LEAST)
    source.set_matrix(PdfMatrix(*turn).scale(width, height))
    page = document.new_page(width, height)
    page.insert_obj(source)
    page.gen_content()
    page.close()
