"""What all previewers share: the answer to "what can be shown", the box a picture fits into, WebP without metadata."""

import base64
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

from PIL import Image

from medfiles.sandbox.render.spec import boxed

QUALITY, EFFORT = 84, 3  # of WebP: sharp letters, and a page in well under a second
MAX_PIXELS = 100_000_000
MAX_PAGES = 20_000
DAMAGED = "This document is too damaged to preview. Download it to open it on your device."


class Unshowable(Exception):
    """It cannot be shown; the argument is the sentence that says why."""


class NoSuchPage(Exception):
    """The document has fewer pages."""


@dataclass(frozen=True)
class Facts:
    """What can be shown of a document; sizes in pixels, of its first page."""

    kind: str
    pages: int | None = None
    width: int | None = None
    height: int | None = None
    animated: bool = False
    reason: str | None = None
    windows: tuple[tuple[str, float, float], ...] = ()  # label, center, width; the first is what is shown by itself
    tags: tuple[tuple[str, str], ...] = ()
    text: str | None = None
    html: str | None = None
    sheets: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = ()  # name, rows
    note: str | None = None  # the sentence that says what is left out

    def answer(self) -> dict[str, Any]:
        return asdict(self)


def shrunk(image: Image.Image, width: int) -> Image.Image:
    """Fitted into the box, never enlarged."""
    size = boxed(image.size, width)
    if size[0] >= image.width:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def encoded(image: Image.Image) -> dict[str, Any]:
    """As WebP, with nothing in it but pixels."""
    bare, target = Image.new("RGB", image.size), BytesIO()
    bare.paste(image)
    bare.save(target, "WEBP", quality=QUALITY, method=EFFORT)
    return {"webp": base64.b64encode(target.getvalue()).decode(), "width": image.width, "height": image.height}


def judge_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise Unshowable(DAMAGED)
    if width * height > MAX_PIXELS:
        raise Unshowable(
            f"This image is {width} × {height} pixels, too large to preview. Download it to open it on your device."
        )
