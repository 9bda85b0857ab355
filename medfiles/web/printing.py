"""The print page for one or more documents of a record."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response, url_for

from medfiles.errors import MedfilesError, NotFound
from medfiles.http.current import documents, previews
from medfiles.http.htmx import fragment
from medfiles.http.views import FileView
from medfiles.i18n import N_, gettext
from medfiles.previews.service import Preview
from medfiles.record_types.declared import RecordType
from medfiles.web import pages
from medfiles.web.filters import number
from medfiles.web.previews import NoteView, PictureView, notes, picture_view

MAX_DOCUMENTS, MAX_PICTURES = 50, 300  # per print page, because the server renders each picture
PRINT_WIDTH = 1600  # pixels: about 200 dots per inch on paper


@dataclass(frozen=True)
class PrintedDocument:
    file: FileView
    preview: Preview
    pictures: tuple[PictureView, ...]
    notes: Sequence[NoteView]


@dataclass(frozen=True)
class OmittedDocument:
    """A document that was left out of the page, and why."""

    name: str
    message: str = ""  # with the name and, if `most` is set, a limit
    most: int = 0
    reason: str = ""  # replaces `message`


def answer(record_type: RecordType, record_id: int, file_ids: Sequence[int]) -> Response:
    record, view = pages.record_page(record_type, record_id)
    prints: list[PrintedDocument] = []
    refused: list[OmittedDocument] = []
    for file_id in file_ids:
        one = _print_document(record_type, record_id, file_id, prints)
        if isinstance(one, PrintedDocument):
            prints.append(one)
        else:
            refused.append(one)
    back = url_for("documents.manager", type=record_type.name, id=record_id)
    return fragment("previews/print.html", prints=prints, refused=refused, record=view, back=back)


def _print_document(
    record_type: RecordType, record_id: int, file_id: int, before: Sequence[PrintedDocument]
) -> PrintedDocument | OmittedDocument:
    """Return as much of the document as still fits on the page."""
    try:
        file = documents().get(file_id)
        if (file.entity_type, file.entity_id) != (record_type.name, record_id):
            raise NotFound()
    except NotFound:
        return OmittedDocument(gettext("A document"), N_("%(name)s no longer exists."))
    name = file.file_name
    if len(before) == MAX_DOCUMENTS:
        return OmittedDocument(
            name, N_("%(name)s is beyond the limit of %(most)s documents. Print it separately."), MAX_DOCUMENTS
        )
    try:
        preview = previews().describe(file_id)
    except MedfilesError as error:
        return OmittedDocument(name, reason=error.message)
    if preview.kind == "none":
        if preview.reason:
            return OmittedDocument(name, reason=gettext(preview.reason))
        return OmittedDocument(name, N_("%(name)s cannot be printed."))
    count = (preview.pages or 1) if preview.is_drawn else 0
    shown = min(count, MAX_PICTURES - sum(len(one.pictures) for one in before))
    if count and not shown:
        return OmittedDocument(
            name, N_("%(name)s does not fit. The limit is %(most)s pages at once. Print it separately."), MAX_PICTURES
        )
    view = pages.file_view(file)
    pictures = tuple(picture_view(view, preview, page, large=PRINT_WIDTH) for page in range(1, shown + 1))
    cut = gettext(
        "Only the first %(shown)s of %(count)s pages are shown. Download the document to print the rest.",
        shown=number(shown),
        count=number(count),
    )
    return PrintedDocument(view, preview, pictures, notes(preview) + ([NoteView(cut)] if shown < count else []))
