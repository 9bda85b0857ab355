"""Code shared by all renderers: the result type, resizing and WebP encoding."""

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any

from PIL import Image

from medfiles.sandbox.render.spec import fit_size

QUALITY, EFFORT = 84, 3  # for WebP: sharp text, and well under a second per page
MAX_PIXELS = 100_000_000
MAX_PAGES = 20_000
DAMAGED = "This document is too damaged to preview. Download it to open it on your device."


class CannotRender(Exception):
    """No preview is possible. The argument is the message shown to the user."""


class NoSuchPage(Exception):
    """The document does not have this page."""


@dataclass(frozen=True)
class PreviewData:
    """The content of a preview. `width` and `height` are those of the first page, in pixels."""

    kind: str
    pages: int | None = None
    width: int | None = None
    height: int | None = None
    animated: bool = False
    reason: str | None = None
    windows: tuple[tuple[str, float, float], ...] = ()  # label, center, width; the first is the default
    tags: tuple[tuple[str, str], ...] = ()
    text: str | None = None
    html: str | None = None
    sheets: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...] = ()  # name, rows
    note: str | None = None  # states what the preview leaves out
    encoding: str | None = None  # of text that does not declare it

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def join_notes(*notes: str | None) -> str | None:
    """Join the notes, each only once."""
    return " ".join(dict.fromkeys(note for note in notes if note)) or None


def listed(names: Sequence[str], count: int | None = None) -> str:
    """Join the names with commas. `count` is their full number, if only some are given."""
    more = (count or len(names)) - len(names)
    shown = [printable(name) for name in names] + ([f"{more} more"] if more > 0 else [])
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown)


def printable(name: str) -> str:
    return "".join(letter for letter in name if letter.isprintable()).strip()[:80] or "unnamed"


def fit(image: Image.Image, width: int) -> Image.Image:
    """Shrink the image to the size for this width. Never enlarge it."""
    size = fit_size(image.size, width)
    if size[0] >= image.width:
        return image
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def encode_webp(image: Image.Image, note: str | None = None, *, exact: bool = False) -> dict[str, Any]:
    """Encode the image as WebP, without metadata.

    `note` states what the picture leaves out. `exact` keeps every pixel as it is.
    """
    bare, target = Image.new("RGB", image.size), BytesIO()
    bare.paste(image)
    bare.save(target, "WEBP", quality=QUALITY, method=EFFORT, lossless=exact)
    webp = base64.b64encode(target.getvalue()).decode()
    return {"webp": webp, "width": image.width, "height": image.height, "note": note}


def check_size(width: int, height: int) -> None:
    if width < 1 or height < 1:
        raise CannotRender(DAMAGED)
    if width * height > MAX_PIXELS:
        raise CannotRender(
            f"This image is {width} × {height} pixels, too large to preview. Download it to open it on your device."
        )
