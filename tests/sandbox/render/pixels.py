"""What a picture shows at a place, compared with some tolerance: WebP is lossy."""

from collections.abc import Sequence

from PIL import Image

Colour = tuple[int, int, int]
TOLERANCE = 14


def at(image: Image.Image, x: float, y: float) -> Colour:
    """The colour at a share of width and height."""
    place = (int(x * (image.width - 1)), int(y * (image.height - 1)))
    red, green, blue = image.convert("RGB").getpixel(place)  # type: ignore[misc]
    return red, green, blue


def alike(one: Sequence[int], other: Sequence[int], tolerance: int = TOLERANCE) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def corners(image: Image.Image) -> list[Colour]:
    """Top left, top right, bottom left, bottom right."""
    return [at(image, x, y) for y in (0.15, 0.85) for x in (0.15, 0.85)]
