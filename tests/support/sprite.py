"""The icons as one SVG sprite: `python -m tests.support.sprite` writes it, which `make assets` does."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

STATIC = Path(__file__).parents[2] / "static"
ICONS, SPRITE = STATIC / "icons", STATIC / "dist" / "icons.svg"
SVG = "http://www.w3.org/2000/svg"


def sprite() -> str:
    names = [path.stem for path in ICONS.glob("*.svg")]
    return f'<!-- Icons of Lucide, see icons/LICENSE -->\n<svg xmlns="{SVG}">\n{symbols(names)}</svg>\n'


def symbols(names: Iterable[str]) -> str:
    return "".join(_symbol(name) for name in sorted(set(names)))


def _symbol(name: str) -> str:
    """Return an icon without its color and size, which it inherits where it is used."""
    icon = ElementTree.parse(ICONS / f"{name}.svg").getroot()
    shapes = "".join(_shape(shape) for shape in icon)
    return f'<symbol id="{name}" viewBox="{icon.get("viewBox")}">{shapes}</symbol>\n'


def _shape(element: ElementTree.Element) -> str:
    attributes = "".join(f' {name}="{value}"' for name, value in element.items())
    return f"<{element.tag.removeprefix(f'{{{SVG}}}')}{attributes}/>"


if __name__ == "__main__":
    SPRITE.write_text(sprite())
