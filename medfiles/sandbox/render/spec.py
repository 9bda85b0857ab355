"""The specification of a rendered picture, and its short form in URLs and storage keys."""

import re
from dataclasses import dataclass
from math import sqrt

from medfiles.errors import NotFound

VERSION = 2  # increase this to render every picture again and retry failures
THUMBNAIL = 240
WIDTHS = (160, THUMBNAIL, 480, 960, 1600, 2400)  # pixels
MAX_HEIGHT, MAX_AREA = 16_000, 16_000_000  # limits for a picture: height, and total number of pixels
THUMBNAIL_RATIO = 2.5  # maximum height of a thumbnail or a smaller picture, in multiples of its width
PREVIEW = f"v{VERSION}look"
LARGEST = 1_000_000  # limit for the center or width of a window
FIGURE = r"n?\d{1,7}(?:p\d{1,3})?"
PATTERN = re.compile(rf"v\d+w(\d{{3,4}})(?:c({FIGURE})x({FIGURE}))?", re.ASCII)
MAX_LENGTH = 32

Window = tuple[float, float]  # center and width, in the units of the image's values


@dataclass(frozen=True)
class PictureSpec:
    """A picture's width in pixels (one of WIDTHS) and its DICOM window.

    If `window` is None, the file's default window is used.
    """

    width: int
    window: Window | None = None

    @property
    def is_thumbnail(self) -> bool:
        return self == PictureSpec(THUMBNAIL)


def recipe(width: int, window: Window | None = None) -> str:
    """Return the short form, such as v2w960c40x400. Raises NotFound if the width or window is invalid."""
    word = f"v{VERSION}w{width}" + (f"c{_format_number(window[0])}x{_format_number(window[1])}" if window else "")
    if width not in WIDTHS or (window and not is_window(window)) or len(word) > MAX_LENGTH:
        raise NotFound()
    return word


def parse_recipe(word: str) -> PictureSpec:
    """Parse a short form. Raises NotFound unless `recipe` would return exactly this one."""
    found = PATTERN.fullmatch(word)
    if not found:
        raise NotFound()
    window = (_parse_number(found[2]), _parse_number(found[3])) if found[2] else None
    if recipe(int(found[1]), window) != word:
        raise NotFound()
    return PictureSpec(int(found[1]), window)


def fit_size(size: tuple[float, float], width: int) -> tuple[int, int]:
    """Return the size in pixels of a picture scaled down to be at most `width` wide."""
    across, down = size
    high = width * THUMBNAIL_RATIO if width <= THUMBNAIL else MAX_HEIGHT
    scale = min(width / across, high / down, sqrt(MAX_AREA / (across * down)))
    return max(1, round(across * scale)), max(1, round(down * scale))


def crash() -> str:
    """Return the recipe under which a worker crash is recorded."""
    return f"v{VERSION}crash"


def is_window(window: Window) -> bool:
    """Return whether a window is in range. The width must be above 0 when rounded to three decimals."""
    center, width = window
    return abs(center) <= LARGEST and 0 < round(width, 3) <= LARGEST


def _format_number(number: float) -> str:
    text = f"{number:.3f}".rstrip("0").rstrip(".")
    return ("0" if text == "-0" else text).replace("-", "n").replace(".", "p")


def _parse_number(word: str) -> float:
    return float(word.replace("n", "-").replace("p", "."))
