"""The tasks `look` (describe the preview), `picture` (render one page as WebP) and `square` (render a photo)."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, BinaryIO, NamedTuple

from medfiles.sandbox.inspect.signatures import BROKEN
from medfiles.sandbox.media_types import BY_NAME
from medfiles.sandbox.render import dicom, image, office, pdf, table, text
from medfiles.sandbox.render.base import DAMAGED, CannotRender, NoSuchPage, PreviewData

Draw = Callable[[BinaryIO, int, int, tuple[float, float] | None], dict[str, Any]]


class Previewer(NamedTuple):
    describe: Callable[[BinaryIO], PreviewData]
    draw: Draw | None = None  # None: shown as text or tables


PREVIEWERS: Mapping[str, Previewer] = {
    "csv": Previewer(text.describe_csv),
    "dicom": Previewer(dicom.describe, dicom.picture),
    "old word": Previewer(office.describe_old_word),
    "pdf": Previewer(pdf.describe, pdf.picture),
    "sheet": Previewer(table.describe),
    "text": Previewer(text.describe),
    "word": Previewer(office.describe),
}


TEXTS: Mapping[str, Callable[[BinaryIO, str], PreviewData]] = {
    row.name: text.describe_csv if row.previewer == "csv" else text.describe
    for row in BY_NAME.values()
    if row.previewer in ("csv", "text")
}


def previewer(media_type: str) -> Previewer:
    if (key := BY_NAME[media_type].previewer) != "image":
        return PREVIEWERS[key]
    return Previewer(partial(image.describe, media_type=media_type), partial(image.picture, media_type=media_type))


def describe(file: BinaryIO, media_type: str, encoding: str | None = None) -> dict[str, Any]:
    """Return the fields of `PreviewData`. If there is no preview, `kind` is "none" and `reason` says why.

    `encoding` replaces that of a text which does not declare it.
    """
    try:
        if encoding and media_type in TEXTS:
            return TEXTS[media_type](file, encoding).as_dict()
        return previewer(media_type).describe(file).as_dict()
    except CannotRender as error:
        return PreviewData("none", reason=str(error)).as_dict()
    except (RecursionError, *BROKEN):
        return PreviewData("none", reason=DAMAGED).as_dict()


def picture(
    file: BinaryIO, media_type: str, page: int, width: int, window: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Return {"webp": base64, "width", "height", "note"}, {"reason"} or {"missing": true}."""
    draw = previewer(media_type).draw
    try:
        return draw(file, page, width, window) if draw else {"missing": True}
    except NoSuchPage:
        return {"missing": True}
    except CannotRender as error:
        return {"reason": str(error)}
    except (RecursionError, *BROKEN):
        return {"reason": DAMAGED}


def square(file: BinaryIO, media_type: str) -> dict[str, Any]:
    """Return the middle of an image as a square {"webp": base64, …}, or {"reason"}."""
    try:
        return image.square(file, media_type)
    except CannotRender as error:
        return {"reason": str(error)}
    except (RecursionError, *BROKEN):
        return {"reason": DAMAGED}


TASKS = {"look": describe, "picture": picture, "square": square}
