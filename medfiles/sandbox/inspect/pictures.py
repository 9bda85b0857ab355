"""Inspect images: check the size declared in the header, then decode the frames."""

import re
from typing import Any, BinaryIO

from PIL import Image

from medfiles.sandbox.inspect.signatures import BROKEN, Damaged, Unsafe, Unsupported
from medfiles.sandbox.inspect.structure import is_nearly_whole, is_sound
from medfiles.sandbox.pillow import open_image

MAX_PIXELS = 100_000_000
MAX_DECODED = 4 * MAX_PIXELS
MAX_FRAMES = 500
PAGED = {"image/tiff"}
FRAMED = {"image/tiff", "image/gif", "image/webp"}
DECLARATIONS = 1024**2
HEIC_SIZE = re.compile(rb"ispe\0{4}(.{4})(.{4})", re.DOTALL)


def inspect(file: BinaryIO, media_type: str) -> dict[str, Any]:
    try:
        check_declared_size(file)
        with open_image(file, media_type) as picture:
            check_size(picture.size)
            frames = decode(picture, MAX_FRAMES if media_type in FRAMED else 1)
    except BROKEN as error:
        file.seek(0)
        data = file.read()
        if media_type == "image/jpeg" and is_nearly_whole(data):
            return {"media_type": media_type, "pages": None}
        if is_sound(data, media_type):
            raise Unsupported from error
        raise Damaged from error
    return {"media_type": media_type, "pages": frames if media_type in PAGED else None}


def check_declared_size(file: BinaryIO) -> None:
    """Check the sizes declared in HEIC boxes first, because libheif allocates that much memory on opening."""
    head = file.read(DECLARATIONS)
    for box in HEIC_SIZE.finditer(head if head[4:8] == b"ftyp" else b""):
        check_size((int.from_bytes(box[1]), int.from_bytes(box[2])))
    file.seek(0)


def decode(picture: Image.Image, most: int) -> int:
    """Decode the frames and return their number. Beyond MAX_DECODED pixels, frames are counted but not decoded."""
    decoded = 0
    for number in range(most):
        check_size(picture.size)
        decoded += picture.width * picture.height
        if decoded <= MAX_DECODED:
            picture.load()
        if most == 1 or not advance(picture, number + 1):
            return number + 1
    raise Unsafe(f"This file contains more than {most} images. Split it into smaller files.")


def advance(picture: Image.Image, number: int) -> bool:
    try:
        picture.seek(number)
    except EOFError:
        return False
    return True


def check_size(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise Unsafe(
            f"This image is {width} × {height} pixels ({width * height / 1e6:,.0f} megapixels). The limit is "
            f"{MAX_PIXELS // 10**6} megapixels. Make it smaller, then upload it again."
        )
