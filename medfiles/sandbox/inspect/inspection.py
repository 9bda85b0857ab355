"""The `inspect` task: find out what a file is, and check that it is safe to store.

The bytes decide. The extension only says which type to try first, and decides between types that look alike.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, BinaryIO

from medfiles.sandbox.inspect import dicom, office, pdf, pictures, text
from medfiles.sandbox.inspect.markup import MARKUP, OFFICE_XML
from medfiles.sandbox.inspect.signatures import (
    HEAD,
    PADDING,
    PROGRAMS,
    Damaged,
    Unsafe,
    Unsupported,
    WrongType,
    begins_like,
    identify,
    signature,
)
from medfiles.sandbox.media_types import BY_ALIAS, BY_EXTENSION, MEDIA_TYPES, MediaType

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
OFFICE = {"compound", "package"}
LOCKED = "locked office"
LOCKED_AS = {".doc": ".docx", ".xls": ".xlsx"}  # programs save locked packages under the older extensions, too
CONTENTS = {row.content for row in MEDIA_TYPES if row.content}
NOT_TEXT = MARKUP | OFFICE_XML  # readable as text, but not what the sender means by .xls


def inspect(file: BinaryIO, extension: str, accepts: Collection[str] | None = None) -> dict[str, Any]:
    """Return {"media_type", "pages", "extension"}, or the reason why the file is not accepted.

    The extension in the answer is one of those in `accepts` (None: all) that fits the bytes: the given one if possible.
    The reason is {"unsafe": message}, {"damaged": content} or {"unsupported": content}, where content is a key of NAMES
    or an extension. {"unlike": None} means that the bytes are of no known type.
    """
    accepts = BY_EXTENSION if accepts is None else accepts
    data = file.read()
    head = _plain_head(data)
    declared, kind = BY_ALIAS.get(extension), identify(data) or identify(head)
    try:
        for row in _candidates(declared, kind, extension, data, head):
            if fitting := _fitting(row, extension, accepts):
                try:
                    file.seek(0)
                    return {**INSPECTORS[row.inspector](file, row.name), "extension": fitting}
                except Damaged:
                    mentioned = kind == "pdf" and not data.startswith(b"%PDF-")
                    is_guess = row is not declared and (mentioned or row.inspector in TEXTS)
                    if not is_guess and (kind not in CONTENTS or row.content == kind):
                        raise
                except WrongType as error:
                    kind = str(error) or kind  # what a text turned out to be
    except Unsafe as danger:
        return {"unsafe": str(danger)}
    except Damaged:
        return {"damaged": row.extensions[0]}
    except Unsupported as error:
        return {"unsupported": error.kind or row.extensions[0]}
    return _reason(declared, kind, accepts)


def _candidates(
    declared: MediaType | None, kind: str | None, extension: str, data: bytes, head: bytes
) -> Iterator[MediaType]:
    """Yield the types that the bytes could be of, the declared one first."""
    if kind == LOCKED:
        yield from (BY_EXTENSION[name] for name in {LOCKED_AS.get(extension, extension)} & {".docx", ".xlsx"})
        return
    first = declared if declared and declared.signature in (None, kind, signature(data[:HEAD])) else None
    if first:
        yield first
    yield from (row for row in MEDIA_TYPES if row.content and row.content == kind and row is not first)
    is_office = declared is not None and declared.inspector in OFFICE
    if not _could_be_text(data) or (is_office and kind in NOT_TEXT) or (declared and begins_like(declared, data)):
        return
    names: tuple[str, ...] = (".csv", ".txt") if is_office and _is_tabular(head) else (".txt", ".csv")
    if head.lstrip()[:1] in (b"{", b"["):
        names = (".json", *names)
    yield from (BY_EXTENSION[name] for name in names if BY_EXTENSION[name] is not first)


def _plain_head(data: bytes) -> bytes:
    """Return the beginning of the data, in UTF-8 if they are text that says which other encoding it is in."""
    encoding = next((name for mark, name in text.BYTE_ORDER_MARKS if data.startswith(mark)), None)
    return data[:HEAD].decode(encoding, "ignore").encode() if encoding else data[:HEAD]


def _could_be_text(data: bytes) -> bool:
    head = data.rstrip(PADDING)[:HEAD]
    marked = data.startswith(tuple(mark for mark, _ in text.BYTE_ORDER_MARKS))
    return marked or head.count(b"\0") <= text.CONTROL_SHARE * len(head)


def _fitting(row: MediaType, extension: str, accepts: Collection[str]) -> str | None:
    """Return the accepted extension for a type: the given one if it is one of them."""
    fitting = [known for known in row.extensions if known in accepts]
    return extension if extension in fitting else next(iter(fitting), None)


def _is_tabular(head: bytes) -> bool:
    """Return whether the text consists of lines with cells separated by tabs or semicolons."""
    lines = [line for line in head.splitlines()[:20] if line.strip()]
    return bool(lines) and any(all(separator in line for line in lines) for separator in (b"\t", b";"))


def _reason(declared: MediaType | None, kind: str | None, accepts: Collection[str]) -> dict[str, Any]:
    if kind in MARKUP | PROGRAMS and declared and declared.inspector in TEXTS:
        return {"unsafe": str(text.active_content(kind))}
    if declared and kind in (None, declared.content):
        tried = _fitting(declared, "", accepts)
        return {"damaged" if tried else "unsupported": declared.extensions[0]}
    return {"unsupported": kind} if kind else {"unlike": None}


TASKS = {"inspect": inspect}
