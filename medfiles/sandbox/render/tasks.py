"""The two tasks of this package: `look`, what can be shown of a document, and `picture`, one page of it as WebP."""

from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.render import dicom, image, office, pdf, table, text
from medfiles.sandbox.render.base import DAMAGED, Facts, NoSuchPage, Unshowable

Draw = Callable[[BinaryIO, int, int, tuple[float, float] | None], dict[str, Any]]

OPEN_XML = "application/vnd.openxmlformats-officedocument."


class Previewer(NamedTuple):
    look: Callable[[BinaryIO], Facts]
    draw: Draw | None = None  # None: it has no pictures


def pictures(media_type: str) -> Previewer:
    return Previewer(
        lambda file: image.look(file, media_type),
        lambda file, *wanted: image.picture(file, media_type, *wanted),
    )


PREVIEWERS = {
    "application/pdf": Previewer(pdf.look, pdf.picture),
    "application/dicom": Previewer(dicom.look, dicom.picture),
    "application/json": Previewer(text.look),
    "application/msword": Previewer(office.look_at_old),
    "application/vnd.ms-excel": Previewer(table.look),
    f"{OPEN_XML}spreadsheetml.sheet": Previewer(table.look),
    f"{OPEN_XML}wordprocessingml.document": Previewer(office.look),
    "application/xml": Previewer(text.look),
    "text/csv": Previewer(text.look_at_table),
    "text/plain": Previewer(text.look),
    **{media_type: pictures(media_type) for media_type in image.FORMATS},
}


def look(file: BinaryIO, media_type: str) -> dict[str, Any]:
    """The fields of `Facts`; of kind "none", with the reason, when it cannot be shown."""
    try:
        return PREVIEWERS[media_type].look(file).answer()
    except Unshowable as error:
        return Facts("none", reason=str(error)).answer()
    except (RecursionError, *BROKEN):
        return Facts("none", reason=DAMAGED).answer()


def picture(
    file: BinaryIO, media_type: str, page: int, width: int, window: tuple[float, float] | None = None
) -> dict[str, Any]:
    """{"webp": base64, "width", "height"}, or {"reason": sentence}, or {"missing": true} when there is no such page."""
    draw = PREVIEWERS[media_type].draw
    try:
        return draw(file, page, width, window) if draw else {"missing": True}
    except NoSuchPage:
        return {"missing": True}
    except Unshowable as error:
        return {"reason": str(error)}
    except (RecursionError, *BROKEN):
        return {"reason": DAMAGED}


TASKS = {"look": look, "picture": picture}
