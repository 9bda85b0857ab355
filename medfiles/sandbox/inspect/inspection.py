"""The task `inspect`: is this file what its extension says, and safe to store?"""

from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

from medfiles.sandbox.inspect import dicom, office, pdf, pictures, text
from medfiles.sandbox.inspect.signatures import (
    HEAD,
    MARKUP,
    NAMES,
    PROGRAMS,
    Damaged,
    Unsafe,
    WrongType,
    identify,
    signature,
)


class Type(NamedTuple):
    """An accepted file type.

    `kind` is its key in NAMES; `start` the required signature, None where `open` checks that itself.
    """

    kind: str | None
    start: str | None
    media_type: str
    open: Callable[[BinaryIO, str], dict[str, Any]]


JPEG = Type("jpeg", "jpeg", "image/jpeg", pictures.inspect)
TIFF = Type("tiff", "tiff", "image/tiff", pictures.inspect)
TYPES = {
    ".pdf": Type("pdf", None, "application/pdf", pdf.inspect),
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".png": Type("png", "png", "image/png", pictures.inspect),
    ".tiff": TIFF,
    ".tif": TIFF,
    ".bmp": Type("bmp", "bmp", "image/bmp", pictures.inspect),
    ".gif": Type("gif", "gif", "image/gif", pictures.inspect),
    ".heic": Type("heic", "heic", "image/heic", pictures.inspect),
    ".dcm": Type("dicom", None, "application/dicom", dicom.inspect),
    ".txt": Type(None, None, "text/plain", text.inspect_text),
    ".csv": Type(None, None, "text/csv", text.inspect_text),
    ".json": Type(None, None, "application/json", text.inspect_json),
    ".xml": Type("xml", None, "application/xml", text.inspect_xml),
    ".doc": Type("doc", "ole", "application/msword", office.inspect_compound),
    ".xls": Type("xls", "ole", "application/vnd.ms-excel", office.inspect_compound),
    ".docx": Type("docx", "zip", office.OPEN_XML + "wordprocessingml.document", office.inspect_package),
    ".xlsx": Type("xlsx", "zip", office.OPEN_XML + "spreadsheetml.sheet", office.inspect_package),
}
TEXTS = {".txt", ".csv", ".json", ".xml"}


def inspect(file: BinaryIO, extension: str) -> dict[str, Any]:
    """Return {"media_type", "pages"}, or why the file is not accepted.

    {"unsafe": sentence}, or {"unlike": what it is instead, or None}, with {"like": extension} where the actual type
    is accepted under another extension.
    """
    wanted = TYPES[extension]
    try:
        if wanted.start not in (None, signature(file.read(HEAD))):
            raise WrongType
        file.seek(0)
        return wanted.open(file, wanted.media_type)
    except Unsafe as danger:
        return {"unsafe": str(danger)}
    except Damaged:
        return {"unlike": None}
    except WrongType:
        return explain(file, extension)


def explain(file: BinaryIO, extension: str) -> dict[str, Any]:
    file.seek(0)
    kind = identify(file.read())
    if kind in MARKUP | PROGRAMS and extension in TEXTS:
        return {"unsafe": str(text.active_content(kind))}
    if not kind or kind == TYPES[extension].kind:
        return {"unlike": None}
    like = next((name for name, taken in TYPES.items() if taken.kind == kind), None)
    return {"unlike": NAMES[kind]} | ({"like": like} if like else {})


TASKS = {"inspect": inspect}
