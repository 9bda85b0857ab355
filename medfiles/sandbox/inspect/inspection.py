"""The `inspect` task: check that a file is what its extension says, and safe to store."""

from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

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
from medfiles.sandbox.media_types import BY_EXTENSION, MEDIA_TYPES, MediaType

Inspector = Callable[[BinaryIO, str], dict[str, Any]]
INSPECTORS: Mapping[str, Inspector] = {
    "compound": office.inspect_compound,
    "dicom": dicom.inspect,
    "image": pictures.inspect,
    "json": text.inspect_json,
    "package": office.inspect_package,
    "pdf": pdf.inspect,
    "text": text.inspect_text,
    "xml": text.inspect_xml,
}
TEXTS = {"json", "text", "xml"}


def inspect(file: BinaryIO, extension: str) -> dict[str, Any]:
    """Return {"media_type", "pages"}, or the reason why the file is not accepted.

    The reason is {"unsafe": message}, or {"unlike": description of the actual type, or None}. The latter also contains
    {"like": extension} if the actual type is accepted under another extension.
    """
    wanted = BY_EXTENSION[extension]
    try:
        if wanted.signature not in (None, signature(file.read(HEAD))):
            raise WrongType
        file.seek(0)
        return INSPECTORS[wanted.inspector](file, wanted.name)
    except Unsafe as danger:
        return {"unsafe": str(danger)}
    except Damaged:
        return {"unlike": None}
    except WrongType:
        return explain(file, wanted)


def explain(file: BinaryIO, wanted: MediaType) -> dict[str, Any]:
    file.seek(0)
    kind = identify(file.read())
    if kind in MARKUP | PROGRAMS and wanted.inspector in TEXTS:
        return {"unsafe": str(text.active_content(kind))}
    if not kind or kind == wanted.content:
        return {"unlike": None}
    like = next((row.extensions[0] for row in MEDIA_TYPES if row.content == kind), None)
    return {"unlike": NAMES[kind]} | ({"like": like} if like else {})


TASKS = {"inspect": inspect}
