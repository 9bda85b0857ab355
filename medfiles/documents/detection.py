"""Clean file names, and detect file types from the bytes in the sandbox.

The type claimed by the sender is never used, and content is never parsed in this process.
"""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from medfiles.errors import BadName, ContentMismatch, EmptyFile, Rejected, TypeNotAllowed
from medfiles.i18n import N_, gettext
from medfiles.record_types.media_types import BY_EXTENSION
from medfiles.sandbox.pool import Sandbox

MAX_BYTES = 240
MAX_EXTENSION = 16
# C0, DEL, C1; bidirectional controls; byte order mark; line separators; lone surrogates
REMOVED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u2028\u2029\ud800-\udfff]")
LEADING = re.compile(r"^(?:[ .]|[A-Za-z]:(?=\S))+")
DEVICE = re.compile(r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9¹²³]) *(?:\.|$)", re.IGNORECASE)
IN_WORD = N_("Open it in Word and save it as .docx or PDF.")
AS_IMAGE = N_("Open it on your device and save it as JPG or PNG.")
ADVICE = {  # for content that renaming cannot fix
    N_("an OpenDocument file"): IN_WORD,
    N_("a rich text document"): IN_WORD,
    N_("an old Office document"): IN_WORD,
    N_("a presentation"): N_("Open it in PowerPoint and save it as PDF."),
    N_("an Office document protected with a password"): N_("Remove the password, save it and upload it again."),
    N_("a WebP image"): AS_IMAGE,
    N_("an AVIF image"): AS_IMAGE,
    N_("a JPEG 2000 image"): AS_IMAGE,
    N_("a Photoshop image"): AS_IMAGE,
    N_("an SVG drawing"): AS_IMAGE,
    N_("a web page"): N_("Open it in a browser and save it as PDF."),
}
OTHER_ADVICE = N_("Select the right file.")


@dataclass(frozen=True)
class Found:
    """The detected media type; `pages` is None for formats without pages and for password-protected files."""

    media_type: str
    pages: int | None


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


def inspect(path: Path, extension: str, sandbox: Sandbox) -> Found:
    """Detect a file's type and check that it matches the extension.

    Raises TypeNotAllowed if the extension is unknown, EmptyFile if the file is empty, ContentMismatch if the types
    differ, Rejected if the content is unsafe, NotChecked if the inspection failed, or Busy if no worker was free.
    """
    if extension not in BY_EXTENSION:
        raise TypeNotAllowed(
            gettext("Files of type %(extension)s are not accepted.", extension=extension or gettext("unknown"))
        )
    if path.stat().st_size == 0:
        raise EmptyFile(
            gettext("This file is empty (0 bytes). Check that it was saved completely, then upload it again.")
        )
    answer = sandbox.run("inspect", file=path, extension=extension)
    if "unsafe" in answer:
        raise Rejected(answer["unsafe"])
    if "unlike" in answer:
        raise ContentMismatch(mismatch(extension, answer["unlike"], answer.get("like")))
    return Found(answer["media_type"], answer["pages"])


def recognise(path: Path, extension: str, sandbox: Sandbox) -> Found | None:
    """Detect the type of a file that is kept even if its extension does not match its content.

    Return None if the type is unknown.
    """
    if extension not in BY_EXTENSION or path.stat().st_size == 0:
        return None
    answer = sandbox.run("inspect", file=path, extension=extension)
    if "like" in answer:
        answer = sandbox.run("inspect", file=path, extension=answer["like"])
    return Found(answer["media_type"], answer["pages"]) if "media_type" in answer else None


def mismatch(extension: str, content: str | None, like: str | None = None) -> str:
    if content:
        advice = gettext(ADVICE.get(content, OTHER_ADVICE))
        if like:
            advice = gettext("Rename it to end in %(extension)s, then upload it again.", extension=like)
        named = {"extension": extension, "content": gettext(content)}
        return gettext("This file is named %(extension)s but is actually %(content)s.", **named) + " " + advice
    return gettext(
        "This file is named %(extension)s but cannot be read as %(type)s. It may be damaged or incomplete. Open it on "
        "your device, save it again and upload the new file.",
        extension=extension,
        type=gettext(BY_EXTENSION[extension].description),
    )


def shorten(name: str) -> str:
    extension = name[len(name) - len(extension_of(name)) :]
    if not 0 < len(extension.encode()) <= MAX_EXTENSION:
        extension = ""
    room = MAX_BYTES - len(extension.encode())
    stem = name.removesuffix(extension).encode()
    return (stem[:room].decode(errors="ignore").rstrip(" .") if len(stem) > room else stem.decode()) + extension
