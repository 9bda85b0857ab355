"""The tasks `describe` (what can be shown) and `picture` (one page as WebP)."""

from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.render import dicom, image, office, pdf, table, text
from medfiles.sandbox.render.base import DAMAGED, CannotRender, NoSuchPage, PreviewData

Draw = Callable[[BinaryIO, int, int, tuple[float, float] | None], dict[str, Any]]

OPEN_XML = "application/vnd.openxmlformats-officedocument."


class Previewer(NamedTuple):
    describe: Callable[[BinaryIO], PreviewData]
    draw: Draw | None = None  # None: shown as text or tables


def pictures(media_type: str) -> Previewer:
    return Previewer(
        lambda file: image.describe(file, media_type),
        lambda file, *wanted: image.picture(file, media_type, *wanted),
    )


PREVIEWERS = {
    "application/pdf": Previewer(pdf.describe, pdf.picture),
    "application/dicom": Previewer(dicom.describe, dicom.picture),
    "application/json": Previewer(text.describe),
    "application/msword": Previewer(office.describe_old_word),
    "application/vnd.ms-excel": Previewer(table.describe),
    f"{OPEN_XML}spreadsheetml.sheet": Previewer(table.describe),
    f"{OPEN_XML}wordprocessingml.document": Previewer(office.describe),
    "application/xml": Previewer(text.describe),
    "text/csv": Previewer(text.describe_csv),
    "text/plain": Previewer(text.describe),
    **{media_type: pictures(media_type) for media_type in image.FORMATS},
}


def describe(file: BinaryIO, media_type: str) -> dict[str, Any]:
    """Return the fields of `PreviewData`; kind "none" with a reason if not possible."""
    try:
        return PREVIEWERS[media_type].describe(file).as_dict()
    except CannotRender as error:
        return PreviewData("none", reason=str(error)).as_dict()
    except (RecursionError, *BROKEN):
        return PreviewData("none", reason=DAMAGED).as_dict()


def picture(
    file: BinaryIO, media_type: str, page: int, width: int, window: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Return {"webp": base64, "width", "height"}, {"reason"} or {"missing": true}."""
    draw = PREVIEWERS[media_type].draw
    try:
        return draw(file, page, width, window) if draw else {"missing": True}
    except NoSuchPage:
        return {"missing": True}
    except CannotRender as error:
        return {"reason": str(error)}
    except (RecursionError, *BROKEN):
        return {"reason": DAMAGED}


TASKS = {"look": describe, "picture": picture}
