"""The print page of one or several documents of a record."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Response, url_for

from medfiles.errors import MedfilesError, NotFound
from medfiles.http.current import documents, previews, services
from medfiles.http.htmx import fragment
from medfiles.http.views import FileView
from medfiles.previews.service import Preview
from medfiles.record_types.declared import RecordType
from medfiles.web import pages
from medfiles.web.previews import DRAWN, NoteView, PictureView, drawn, notes
from medfiles.web.words import number

MOST_DOCUMENTS, MOST_PICTURES = 50, 300  # on one page: the server renders each picture
SHARP = 1600  # pixels: about 200 dots per inch on paper


@dataclass(frozen=True)
class Printed:
    file: FileView
    look: Preview
    pictures: tuple[PictureView, ...]
    notes: tuple[NoteView, ...]


@dataclass(frozen=True)
class Left:
    """A document that is not on the page, and why."""

    name: str
    reason: str


def answer_one(file_id: int) -> Response:
    file = documents().get(file_id)
    return answer(services().registry[file.entity_type], file.entity_id, [file_id])


def answer(record_type: RecordType, record_id: int, file_ids: Sequence[int]) -> Response:
    record, view = pages.record_page(record_type, record_id)
    prints: list[Printed] = []
    refused: list[Left] = []
    for file_id in file_ids:
        one = _printed(record_type, record_id, file_id, prints)
        prints += [one] if isinstance(one, Printed) else []
        refused += [one] if isinstance(one, Left) else []
    back = url_for("documents.manager", type=record_type.name, id=record_id)
    return fragment("previews/print.html", prints=prints, refused=refused, record=view, back=back)


def _printed(record_type: RecordType, record_id: int, file_id: int, before: Sequence[Printed]) -> Printed | Left:
    """Return as much of the document as fits after those before it."""
    try:
        file = documents().get(file_id)
        if (file.entity_type, file.entity_id) != (record_type.name, record_id):
            raise NotFound()
    except NotFound:
        return Left("A document", "is not there any more.")
    if len(before) == MOST_DOCUMENTS:
        return Left(file.file_name, f"comes after the first {MOST_DOCUMENTS}. Print it with the next ones.")
    try:
        look = previews().look(file_id)
    except MedfilesError as error:
        return Left(file.file_name, error.message)
    room = MOST_PICTURES - sum(len(one.pictures) for one in before)
    return _laid_out(pages.file_view(file), look, room)


def _laid_out(file: FileView, look: Preview, room: int) -> Printed | Left:
    if look.kind == "none":
        return Left(file.file_name, look.reason or "has nothing that can be printed.")
    count = (look.pages or 1) if look.kind in DRAWN else 0
    shown = min(count, room)
    if count and not shown:
        return Left(file.file_name, f"does not fit: {MOST_PICTURES} pages are printed at once. Print it by itself.")
    pictures = tuple(drawn(file, look, page, large=SHARP) for page in range(1, shown + 1))
    cut = f"These are the first {number(shown)} of {number(count)} pages. Download it to print all of them."
    return Printed(file, look, pictures, tuple(notes(look)) + ((NoteView(cut),) if shown < count else ()))
