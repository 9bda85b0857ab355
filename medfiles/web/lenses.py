"""Close-ups of the page around the words that a search found."""

from collections.abc import Sequence
from dataclasses import dataclass

from medfiles.search.excerpts import Box

SIZE = 1000  # units per width of the page
WIDTH, HEIGHT = 700, 253  # of the part shown, in these units, as large as its frame
RATIO = 1.414  # of height to width, until the script knows that of the picture


@dataclass(frozen=True)
class Lens:
    """Which part of a page is shown: where its middle is, as fractions of the page, and its corner on an A4 page."""

    middle: tuple[float, float]
    boxes: Sequence[Box]

    @property
    def corner(self) -> tuple[float, float]:
        x, y = self.middle
        return _within(x * SIZE - WIDTH / 2, SIZE - WIDTH), _within(y * self.height - HEIGHT / 2, self.height - HEIGHT)

    @property
    def view(self) -> str:
        """Return the `viewBox` of the part on an A4 page."""
        x, y = self.corner
        return f"{x:.0f} {y:.0f} {WIDTH} {HEIGHT}"

    @property
    def height(self) -> float:
        return SIZE * RATIO


def lens(boxes: Sequence[Box]) -> Lens | None:
    """Return the part of the page with the most of these boxes; None if there are none."""
    if not boxes:
        return None
    middles = [(x + width / 2, y + height / 2) for x, y, width, height in boxes]

    def near(middle: tuple[float, float]) -> int:
        reach = (WIDTH / SIZE / 2, HEIGHT / SIZE / RATIO / 2)
        return sum(all(abs(a - b) < most for a, b, most in zip(middle, other, reach, strict=True)) for other in middles)

    return Lens(max(middles, key=near), boxes)


def _within(value: float, most: float) -> float:
    return min(max(value, 0), most)
