"""How a derived picture is made, in one short word that addresses and keys carry: version, width, window."""

import re
from dataclasses import dataclass
from math import sqrt

from medfiles.errors import NotFound

VERSION = 1  # another one makes every picture anew, and tries again what could not be made
THUMBNAIL = 160
WIDTHS = (THUMBNAIL, 480, 960, 1600, 2400)  # pixels
HIGHEST, LARGE = 16_000, 16_000_000  # of any picture: pixels from top to bottom, and in all
SQUARISH = 2.5  # a thumbnail is at most so many times as high as it is wide allowed to be
LOOK = f"v{VERSION}look"
LARGEST = 1_000_000  # of a window's numbers
FIGURE = r"n?\d{1,7}(?:p\d{1,3})?"
WORD = re.compile(rf"v\d+w(\d{{3,4}})(?:c({FIGURE})x({FIGURE}))?", re.ASCII)
LONGEST = 32

Window = tuple[float, float]  # centre and width, in the image's own values


@dataclass(frozen=True)
class Recipe:
    """`width` in pixels, one of WIDTHS; `window` of a DICOM image, None: the first of its own."""

    width: int
    window: Window | None = None

    @property
    def is_thumbnail(self) -> bool:
        return self == Recipe(THUMBNAIL)


def recipe(width: int, window: Window | None = None) -> str:
    """The word for it; NotFound for what cannot be asked for."""
    word = f"v{VERSION}w{width}" + (f"c{_spelled(window[0])}x{_spelled(window[1])}" if window else "")
    if width not in WIDTHS or (window and not is_window(window)) or len(word) > LONGEST:
        raise NotFound()
    return word


def read(word: str) -> Recipe:
    """What the word says; NotFound when it is none that `recipe` would have made."""
    found = WORD.fullmatch(word)
    if not found:
        raise NotFound()
    window = (_meant(found[2]), _meant(found[3])) if found[2] else None
    if recipe(int(found[1]), window) != word:
        raise NotFound()
    return Recipe(int(found[1]), window)


def boxed(size: tuple[float, float], width: int) -> tuple[int, int]:
    """Width and height in pixels of a picture of these proportions that is at most `width` wide."""
    across, down = size
    high = width * SQUARISH if width == THUMBNAIL else HIGHEST
    scale = min(width / across, high / down, sqrt(LARGE / (across * down)))
    return max(1, round(across * scale)), max(1, round(down * scale))


def crash() -> str:
    """No picture: the word for that making one cost a worker."""
    return f"v{VERSION}crash"


def is_window(window: Window) -> bool:
    """Whether it can be spelled: with three digits behind the point, of which the width keeps one."""
    center, width = window
    return abs(center) <= LARGEST and 0 < round(width, 3) <= LARGEST


def _spelled(number: float) -> str:
    text = f"{number:.3f}".rstrip("0").rstrip(".")
    return ("0" if text == "-0" else text).replace("-", "n").replace(".", "p")


def _meant(word: str) -> float:
    return float(word.replace("n", "-").replace("p", "."))
