"""Document media types, one per row. `record_types.media_types` re-exports this table.

It is defined here, in the lowest layer, because sandbox workers also read it.
"""

from typing import NamedTuple

from medfiles.i18n import N_


class MediaType(NamedTuple):
    """A document media type and everything that depends on it."""

    name: str
    extensions: tuple[str, ...]  # the first is suggested for files with a wrong extension
    group: str  # filter group: a key of record_types.media_types.GROUPS
    label: str  # "You can add PDF, Word …"
    description: str  # "cannot be read as a PDF document"
    inspector: str  # checks uploads: a key of sandbox.inspect.inspection.INSPECTORS
    previewer: str  # shows documents: a key of sandbox.render.tasks.PREVIEWERS
    signature: str | None = None  # required signature: a kind in sandbox.inspect.signatures
    content: str | None = None  # result of sandbox.inspect.signatures.identify, if any
    thumbnail: bool = False  # can be rendered as images: thumbnails and pages
    decoder: str = ""  # for images: Pillow's name for the format
    aliases: tuple[str, ...] = ()  # other extensions in use; such files are renamed to end in one of `extensions`
    implied_by: str = ""  # accepted wherever this extension is


def _image(name: str, *extensions: str, label: str, aliases: tuple[str, ...] = (), implied_by: str = "") -> MediaType:
    kind, decoder = name.removeprefix("image/"), "HEIF" if name == "image/heic" else label.replace("JPG", "JPEG")
    description = f"a {label if kind == 'webp' else kind.upper()} image"
    return MediaType(
        name, extensions, "image", label, description, "image", "image", kind, kind, True,
        decoder.upper(), aliases, implied_by,
    )  # fmt: skip


_OPEN_XML = "application/vnd.openxmlformats-officedocument."
_DOCX, _XLSX = f"{_OPEN_XML}wordprocessingml.document", f"{_OPEN_XML}spreadsheetml.sheet"
_OLD_WORD, _OLD_EXCEL = "an old Word document", "an old Excel workbook"
MEDIA_TYPES = (
    MediaType("application/pdf", (".pdf",), "pdf", "PDF", "a PDF document", "pdf", "pdf", None, "pdf", True),
    _image("image/jpeg", ".jpg", ".jpeg", label="JPG", aliases=(".jfif", ".jpe", ".jif", ".jfi", ".pjpeg", ".mpo")),
    _image("image/png", ".png", label="PNG", aliases=(".apng",)),
    _image("image/webp", ".webp", label="WebP", implied_by=".png"),
    _image("image/tiff", ".tiff", ".tif", label="TIFF"),
    _image("image/bmp", ".bmp", label="BMP", aliases=(".dib",)),
    _image("image/gif", ".gif", label="GIF"),
    _image("image/heic", ".heic", label="HEIC", aliases=(".heif", ".hif", ".heics", ".heifs")),
    MediaType(
        "application/dicom", (".dcm",), "dicom", "DICOM", "a DICOM image", "dicom", "dicom", None, "dicom", True,
        aliases=(".dicom", ".ima", ".dic"),
    ),
    MediaType("text/plain", (".txt",), "text", N_("text"), N_("plain text"), "text", "text", aliases=(".text",)),
    MediaType(
        "text/csv", (".csv",), "sheet", "CSV", "comma-separated text", "text", "csv", aliases=(".tsv", ".tab")
    ),
    MediaType("application/json", (".json",), "text", "JSON", "a JSON file", "json", "text"),
    MediaType("application/xml", (".xml",), "text", "XML", "an XML file", "xml", "text", None, "xml"),
    MediaType("application/msword", (".doc",), "word", "Word", _OLD_WORD, "compound", "old word", "ole", "doc"),
    MediaType("application/vnd.ms-excel", (".xls",), "sheet", "Excel", _OLD_EXCEL, "compound", "sheet", "ole", "xls"),
    MediaType(_DOCX, (".docx",), "word", "Word", "a Word document", "package", "word", "zip", "docx"),
    MediaType(_XLSX, (".xlsx",), "sheet", "Excel", "an Excel workbook", "package", "sheet", "zip", "xlsx"),
)  # fmt: skip
BY_NAME = {row.name: row for row in MEDIA_TYPES}
BY_EXTENSION = {extension: row for row in MEDIA_TYPES for extension in row.extensions}
BY_ALIAS = {alias: row for row in MEDIA_TYPES for alias in row.aliases} | BY_EXTENSION
