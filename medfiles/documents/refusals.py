"""The sentences in which an upload is refused: what is wrong, and what works for this type of record.

Advice never names a format that the record does not accept.
"""

from collections.abc import Collection, Sequence

from medfiles.record_types.media_types import BY_ALIAS, BY_EXTENSION, alternatives, words_for
from medfiles.sandbox.inspect.signatures import NAMES, PROGRAMS

FORMATS = {".pdf": "PDF", ".jpg": "JPG", ".png": "PNG"}  # others are called by their extension
WORD, EXCEL = ("Open it in Word", (".docx", ".pdf")), ("Open it in Excel", (".xlsx", ".pdf"))
IMAGE = ("Open it on your device", (".jpg", ".png", ".pdf"))
TEXT = ("Open it on your device", (".txt", ".pdf"))
SAVE_AS: dict[str, tuple[str, Sequence[str]]] = {
    "doc": WORD, "docx": WORD, "opendocument": WORD, "rtf": WORD, "word xml": WORD, "word 2": WORD,
    "word macros": WORD, "ole": WORD, "xls": EXCEL, "xlsx": EXCEL, "excel xml": EXCEL, "excel macros": EXCEL,
    "powerpoint": ("Open it in PowerPoint", (".pdf",)), "outlook message": ("Open it in Outlook", (".pdf",)),
    "e-book": ("Open it on your device", (".pdf",)), "web page": ("Open it in a browser", (".pdf",)),
    "dicom": ("Open it in a DICOM viewer", (".jpg", ".png", ".pdf")),
    "pdf": ("Open it on your device", (".jpg", ".png")),
    **dict.fromkeys(("xml", "text"), TEXT),
    **dict.fromkeys(("avif", "bmp", "gif", "heic", "jpeg", "jpeg 2000", "photoshop", "png", "svg"), IMAGE),
    **dict.fromkeys(("tiff", "webp"), IMAGE),
}  # fmt: skip
OTHER_ADVICE = {
    **dict.fromkeys(("zip", "7z", "rar", "gzip", "bzip2", "xz", "tar"), "Unpack it and add the documents inside."),
    "dicom directory": "Add the images on the disc instead.",
}
PREFIX_OF_SYSTEM_FILES = "._"  # macOS stores attributes in them
SYSTEM_FILES = {"dicomdir", "autorun.inf", "desktop.ini", "thumbs.db", ".ds_store", "ds_store"}
WEB_PAGES = {".htm", ".html", ".xhtml", ".shtml", ".mht", ".mhtml", ".svg"}
SCRIPTS = {
    ".asp", ".bat", ".cmd", ".com", ".exe", ".hta", ".jar", ".js", ".jse", ".jsp", ".lnk", ".msi", ".php", ".ps1",
    ".reg", ".scr", ".sh", ".url", ".vbe", ".vbs", ".wsf", ".wsh",
}  # fmt: skip


def save_as(kind: str, accepts: Collection[str], where: str = "") -> str:
    """Return how to turn a file of this kind into one that is accepted."""
    if kind in OTHER_ADVICE:
        return OTHER_ADVICE[kind]
    place, formats = SAVE_AS.get(kind, ("", ()))
    possible = [FORMATS.get(extension, extension) for extension in formats if extension in accepts]
    if not possible:
        return f"You can add {words_for(accepts)}."
    verb = "print it to" if possible == ["PDF"] and place.endswith("browser") else "save it as"
    return f"{where or place} and {verb} {alternatives(possible)}."


def unsupported(kind: str, extension: str, accepts: Collection[str]) -> str:
    """Return the refusal of a sound file. `kind` is a key of NAMES, or an extension for a rare variant of its type."""
    if kind in BY_EXTENSION:
        row = BY_EXTENSION[kind]
        what = (
            f"This kind of {row.label} {'image' if row.group in ('image', 'dicom') else 'file'} is not supported here."
        )
        if kind not in accepts:
            what = f"This is {row.description}, which cannot be added here."
        return f"{what} {save_as(row.content or 'text', accepts)}"
    declared, name = BY_ALIAS.get(extension), NAMES[kind]
    if kind in PROGRAMS:
        what = f"This file is named {extension} but is actually {name}." if declared else f"This file is {name}."
        return f"{what} Programs can do harm and are not accepted."
    if kind == "locked office":
        names = [known for known in (".docx", ".xlsx") if known in accepts]
        known = f" Add it under a name that ends in {' or '.join(names)}." if names else ""
        return f"This is {name}, and its name does not say of which kind.{known or ' ' + save_as(kind, accepts)}"
    if declared and declared.content != kind:
        office = {"doc": "Open it in Word", "xls": "Open it in Excel"}.get(
            (declared.content or "").removesuffix("x"), ""
        )
        if kind == "web page" and office:
            advice = save_as("xls" if office.endswith("Excel") else "doc", accepts, office)
            return f"This is {name} saved as {extension}. {advice}"
        return f"This is {name} saved as {extension}. {save_as(kind, accepts)}"
    return f"This is {name}, which cannot be added here. {save_as(kind, accepts)}"


def damaged(named: str, extension: str) -> str:
    """Return the refusal of a file that cannot be read. `named` is an extension of the type that it should be."""
    row = BY_EXTENSION[named]
    if extension in BY_ALIAS and BY_ALIAS[extension] is row:
        what = f"This file is named {extension} but cannot be read as {row.description}."
    else:
        what = f"This is {row.description}, but it cannot be read."
    return f"{what} It may be damaged or incomplete. Open it on your device, save it again and upload the new file."


def unknown(extension: str, accepts: Collection[str]) -> str:
    which = f"{extension} files cannot be added here" if extension else "The type of this file could not be recognized"
    return f"{which}. You can add {words_for(accepts)}."


def named_for_other_use(name: str, extension: str, accepts: Collection[str]) -> str | None:
    """Return why a text with this name is no document: it is part of a disc or system, a web page or a script."""
    if name.lower() in SYSTEM_FILES or name.startswith(PREFIX_OF_SYSTEM_FILES):
        return "This file belongs to the disc or computer that it comes from. It is not a document."
    if extension in WEB_PAGES:
        return f"This is a web page. {save_as('web page', accepts)}"
    if extension in SCRIPTS:
        return f"{extension} files can run as programs and are not accepted. You can add {words_for(accepts)}."
    return None
