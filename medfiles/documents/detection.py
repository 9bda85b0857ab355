"""Clean file names, and detect file types from the bytes in the sandbox.

The type claimed by the sender is never used, and content is never parsed in this process.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from medfiles.documents import refusals
from medfiles.errors import BadName, ContentMismatch, EmptyFile, Rejected, TypeNotAllowed
from medfiles.i18n import gettext
from medfiles.record_types.media_types import BY_ALIAS, BY_EXTENSION
from medfiles.sandbox.pool import Sandbox

MAX_BYTES, MAX_CHARACTERS = 240, 255
MAX_EXTENSION = 16
# C0, DEL, C1; bidirectional controls; byte order mark; line separators; lone surrogates
REMOVED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u2028\u2029\ud800-\udfff]")
LEADING = re.compile(r"^(?:[ .]|[A-Za-z]:(?=\S))+")
DEVICE = re.compile(r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|$)", re.IGNORECASE)
VERSION = re.compile(r";\d{1,5}$")  # appended to names on CDs
UNFINISHED = {".download", ".crdownload", ".opdownload", ".part", ".partial", ".tmp"}  # appended by browsers


@dataclass(frozen=True)
class Found:
    """The detected media type, and the extension under which the file is accepted.

    `pages` is None for formats without pages and for password-protected files.
    """

    media_type: str
    pages: int | None
    extension: str = field(default="", compare=False)


def clean_name(raw: str) -> str:
    """Return the name in NFC, without a path, control characters or anything else that file systems reject.

    The result has 1 to 240 bytes of UTF-8 and keeps its extension. Cleaning is idempotent. Raises BadName if nothing
    usable is left.
    """
    whole = unicodedata.normalize("NFC", REMOVED.sub("", raw))
    parts = [part for part in re.split(r"[/\\]", whole) if part.strip()]
    name = LEADING.sub("", re.sub(r"\s+", " ", parts[-1] if parts else "")).rstrip(" .")
    if not any(letter.isprintable() and letter != " " for letter in name):
        raise BadName(gettext("This file has no usable name. Rename it, then upload it again."))
    return shorten("_" + name if DEVICE.match(name) else name)


def extension_of(name: str) -> str:
    """Return the extension in lower case with its dot, or "" if there is none."""
    stem, dot, extension = name.rpartition(".")
    return dot + extension.lower() if stem else ""


def original_name(raw: str) -> str:
    """Return the sender's name as it was, but in NFC and without a path, control characters and excess length."""
    parts = [part for part in re.split(r"[/\\]", unicodedata.normalize("NFC", REMOVED.sub("", raw))) if part.strip()]
    return (parts[-1] if parts else "")[:MAX_CHARACTERS]


def declared_extension(name: str) -> str:
    """Return the extension that says which type a file is, without what CDs and browsers append."""
    return extension_of(_finished(name))


def _finished(name: str) -> str:
    name = VERSION.sub("", name)
    extension = extension_of(name)
    return name[: -len(extension)] if extension in UNFINISHED else name


def named(name: str, extension: str) -> str:
    """Return the name with this extension in place of a missing or wrong one.

    Only an extension of another known type is replaced, because the end of a name such as "1.2.840.10008" is none.
    """
    stem = _finished(name)
    if extension_of(stem) == extension:
        return stem
    if extension_of(stem) in BY_ALIAS:
        stem = stem[: -len(extension_of(stem))]
    return stem if extension_of(stem) == extension else clean_name(stem + extension)


def inspect(path: Path, extension: str, sandbox: Sandbox, accepts: Collection[str] | None = None) -> Found:
    """Detect a file's type, and which of the accepted extensions (None: all) fits it.

    The given extension is only a hint. Raises TypeNotAllowed if the file is of no accepted type, ContentMismatch if it
    is damaged, EmptyFile if it is empty, Rejected if it is unsafe, NotChecked if the inspection failed, or Busy if no
    worker was available.
    """
    if path.stat().st_size == 0:
        raise EmptyFile(
            gettext("This file is empty (0 bytes). Check that it was saved completely, then upload it again.")
        )
    known = sorted(BY_EXTENSION if accepts is None else accepts)
    answer = sandbox.run("inspect", file=path, extension=extension, accepts=known)
    shown = list(BY_EXTENSION if accepts is None else accepts)
    match answer:
        case {"unsafe": message}:
            raise Rejected(message)
        case {"damaged": expected}:
            raise ContentMismatch(refusals.damaged(expected, extension))
        case {"unsupported": kind}:
            expected = BY_ALIAS.get(extension)
            mismatch = expected is not None and set(expected.extensions) & set(shown)
            raise (ContentMismatch if mismatch else TypeNotAllowed)(refusals.unsupported(kind, extension, shown))
        case {"unlike": _}:
            raise TypeNotAllowed(refusals.unknown(extension, shown))
    return Found(answer["media_type"], answer["pages"], answer["extension"])


def recognise(path: Path, extension: str, sandbox: Sandbox) -> Found | None:
    """Detect the type of a file that is kept in any case. Return None if the type is unknown."""
    if path.stat().st_size == 0:
        return None
    answer = sandbox.run("inspect", file=path, extension=extension)
    return Found(answer["media_type"], answer["pages"], answer["extension"]) if "media_type" in answer else None


def shorten(name: str) -> str:
    extension = name[len(name) - len(extension_of(name)) :]
    if not 0 < len(extension.encode()) <= MAX_EXTENSION:
        extension = ""
    room = MAX_BYTES - len(extension.encode())
    stem = name.removesuffix(extension).encode()
    return (stem[:room].decode(errors="ignore").rstrip(" .") if len(stem) > room else stem.decode()) + extension
