"""The two tasks of this package: `look`, what can be shown of a document, and `picture`, one page of it as WebP."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.media_types import BY_NAME
from medfiles.sandbox.render import dicom, image, office, pdf, table, text
from medfiles.sandbox.render.base import DAMAGED, Facts, NoSuchPage, Unshowable

Draw = Callable[[BinaryIO, int, int, tuple[float, float] | None], dict[str, Any]]


class Previewer(NamedTuple):
    look: Callable[[BinaryIO], Facts]
    draw: Draw | None = None  # None: it has no pictures


PREVIEWERS: Mapping[str, Previewer] = {
    "csv": Previewer(text.look_at_table),
    "dicom": Previewer(dicom.look, dicom.picture),
    "old word": Previewer(office.look_at_old),
    "pdf": Previewer(pdf.look, pdf.picture),
    "sheet": Previewer(table.look),
    "text": Previewer(text.look),
    "word": Previewer(office.look),
}


def previewer(media_type: str) -> Previewer:
    if (key := BY_NAME[media_type].previewer) != "image":
        return PREVIEWERS[key]
    return Previewer(partial(image.look, media_type=media_type), partial(image.picture, media_type=media_type))


def look(file: BinaryIO, media_type: str) -> dict[str, Any]:
    """The fields of `Facts`; of kind "none", with the reason, when it cannot be shown."""
    try:
        return previewer(media_type).look(file).answer()
    except Unshowable as error:
        return Facts("none", reason=str(error)).answer()
    except (RecursionError, *BROKEN):
        return Facts("none", reason=DAMAGED).answer()


def picture(
    file: BinaryIO, media_type: str, page: int, width: int, window: tuple[float, float] | None = None
) -> dict[str, Any]:
    """{"webp": base64, "width", "height"}, or {"reason": sentence}, or {"missing": true} when there is no such page."""
    draw = previewer(media_type).draw
    try:
        return draw(file, page, width, window) if draw else {"missing": True}
    except NoSuchPage:
        return {"missing": True}
    except Unshowable as error:
        return {"reason": str(error)}
    except (RecursionError, *BROKEN):
        return {"reason": DAMAGED}


TASKS = {"look": look, "picture": picture}
