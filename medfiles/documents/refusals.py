"""The sentences in which an upload is refused: what is wrong, and what works for this type of record.

Advice never names a format that the record does not accept.
"""

from collections.abc import Collection, Sequence

from medfiles.i18n import N_, gettext
from medfiles.record_types.media_types import BY_ALIAS, BY_EXTENSION, alternatives, words_for
from medfiles.sandbox.inspect.signatures import NAMES, PROGRAMS

FORMATS = {".pdf": "PDF", ".jpg": "JPG", ".png": "PNG"}  # others are called by their extension
WORD, EXCEL = (N_("Open it in Word"), (".docx", ".pdf")), (N_("Open it in Excel"), (".xlsx", ".pdf"))
IMAGE = (N_("Open it on your device"), (".jpg", ".png", ".pdf"))
TEXT = (N_("Open it on your device"), (".txt", ".pdf"))
SAVE_AS: dict[str, tuple[str, Sequence[str]]] = {
    "doc": WORD, "docx": WORD, "opendocument": WORD, "rtf": WORD, "word xml": WORD, "word 2": WORD,
    "word macros": WORD, "ole": WORD, "xls": EXCEL, "xlsx": EXCEL, "excel xml": EXCEL, "excel macros": EXCEL,
    "powerpoint": (N_("Open it in PowerPoint"), (".pdf",)), "outlook message": (N_("Open it in Outlook"), (".pdf",)),
    "e-book": (N_("Open it on your device"), (".pdf",)), "web page": (N_("Open it in a browser"), (".pdf",)),
    "dicom": (N_("Open it in a DICOM viewer"), (".jpg", ".png", ".pdf")),
    "pdf": (N_("Open it on your device"), (".jpg", ".png")),
    **dict.fromkeys(("xml", "text"), TEXT),
    **dict.fromkeys(("avif", "bmp", "gif", "heic", "jpeg", "jpeg 2000", "photoshop", "png", "svg"), IMAGE),
    **dict.fromkeys(("tiff", "webp"), IMAGE),
}  # fmt: skip
OTHER_ADVICE = {
    **dict.fromkeys(("zip", "7z", "rar", "gzip", "bzip2", "xz", "tar"), N_("Unpack it and add the documents inside.")),
    "dicom directory": N_("Add the images on the disc instead."),
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
        return gettext(OTHER_ADVICE[kind])
    place, formats = SAVE_AS.get(kind, ("", ()))
    possible = [FORMATS.get(extension, extension) for extension in formats if extension in accepts]
    if not possible:
        return _you_can_add(accepts)
    values = {"open": gettext(where or place), "formats": alternatives(possible)}
    if possible == ["PDF"] and kind == "web page" and not where:
        return gettext("%(open)s and print it to %(formats)s.", **values)
    return gettext("%(open)s and save it as %(formats)s.", **values)


def _you_can_add(accepts: Collection[str]) -> str:
    return gettext("You can add %(formats)s.", formats=words_for(accepts))


def unsupported(kind: str, extension: str, accepts: Collection[str]) -> str:
    """Return the refusal of a sound file. `kind` is a key of NAMES, or an extension for a rare variant of its type."""
    if kind in BY_EXTENSION:
        row = BY_EXTENSION[kind]
        what = gettext("This kind of %(format)s file is not supported here.", format=gettext(row.label))
        if row.group in ("image", "dicom"):
            what = gettext("This kind of %(format)s image is not supported here.", format=gettext(row.label))
        if kind not in accepts:
            what = gettext("This is %(type)s, which cannot be added here.", type=gettext(row.description))
        return f"{what} {save_as(row.content or 'text', accepts)}"
    declared, name = BY_ALIAS.get(extension), gettext(NAMES[kind])
    named = {"extension": extension, "type": name}
    if kind in PROGRAMS:
        what = gettext("This file is %(type)s.", **named)
        if declared:
            what = gettext("This file is named %(extension)s but is actually %(type)s.", **named)
        return f"{what} {gettext('Programs can do harm and are not accepted.')}"
    if kind == "locked office":
        names = [known for known in (".docx", ".xlsx") if known in accepts]
        advice = save_as(kind, accepts)
        if names:
            advice = gettext("Add it under a name that ends in %(extensions)s.", extensions=alternatives(names))
        return f"{gettext('This is %(type)s, and its name does not say of which kind.', **named)} {advice}"
    if declared and declared.content != kind:
        office = {"doc": WORD[0], "xls": EXCEL[0]}.get((declared.content or "").removesuffix("x"), "")
        if kind == "web page" and office:
            advice = save_as("xls" if office == EXCEL[0] else "doc", accepts, office)
        else:
            advice = save_as(kind, accepts)
        return f"{gettext('This is %(type)s saved as %(extension)s.', **named)} {advice}"
    return f"{gettext('This is %(type)s, which cannot be added here.', **named)} {save_as(kind, accepts)}"


def damaged(named: str, extension: str) -> str:
    """Return the refusal of a file that cannot be read. `named` is an extension of the type that it should be."""
    row = BY_EXTENSION[named]
    if extension in BY_ALIAS and BY_ALIAS[extension] is row:
        message = N_("This file is named %(extension)s but cannot be read as %(type)s.")
    else:
        message = N_("This is %(type)s, but it cannot be read.")
    what = gettext(message, extension=extension, type=gettext(row.description))
    advice = gettext("It may be damaged or incomplete. Open it on your device, save it again and upload the new file.")
    return f"{what} {advice}"


def unknown(extension: str, accepts: Collection[str]) -> str:
    which = gettext("The type of this file could not be recognized.")
    if extension:
        which = gettext("%(extension)s files cannot be added here.", extension=extension)
    return f"{which} {_you_can_add(accepts)}"


def named_for_other_use(name: str, extension: str, accepts: Collection[str]) -> str | None:
    """Return why a text with this name is no document: it is part of a disc or system, a web page or a script."""
    if name.lower() in SYSTEM_FILES or name.startswith(PREFIX_OF_SYSTEM_FILES):
        return gettext("This file belongs to the disc or computer that it comes from. It is not a document.")
    if extension in WEB_PAGES:
        return f"{gettext('This is a web page.')} {save_as('web page', accepts)}"
    if extension in SCRIPTS:
        what = gettext("%(extension)s files can run as programs and are not accepted.", extension=extension)
        return f"{what} {_you_can_add(accepts)}"
    return None
