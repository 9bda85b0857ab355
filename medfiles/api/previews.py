"""Endpoints for previews: pages as pictures, text and tables as JSON."""

from flask import Response, request

from medfiles.api.schemas import (
    HtmlPreview,
    PageText,
    Preview,
    PreviewQuery,
    TablePreview,
    TextPreview,
    TextQuery,
    WordBox,
)
from medfiles.api.toolkit import blueprint, operation, reply
from medfiles.errors import NotFound
from medfiles.http import parameters
from medfiles.http.current import previews, texts
from medfiles.http.responses import send_picture
from medfiles.previews.renderer import Preview as DocumentPreview
from medfiles.previews.service import NoPreview
from medfiles.sandbox.render import spec

WIDTHS = tuple(map(str, spec.WIDTHS))
UNAVAILABLE = ("no-preview", "blob-missing", "integrity", "being-checked", "quarantined")


@blueprint.get("/files/<int:file_id>/preview")
@operation(Preview, media="image/webp", query=PreviewQuery, errors=UNAVAILABLE)
def preview(file_id: int) -> Response:
    """Return a page as a picture, or the document's text or table."""
    page = parameters.number(request.args, "page", 1, 1, 999_999)
    width = int(parameters.one_of(request.args, "width", WIDTHS, "960"))
    window = parameters.window(request.args)
    encoding, retry = parameters.encoding(request.args), parameters.flag(request.args, "retry")
    preview = previews().describe(file_id, encoding, retry=retry)
    if preview.is_drawn:
        return send_picture(previews().page(file_id, page, width, window), note=preview.note)
    return reply(_shown(preview, page))


@blueprint.get("/files/<int:file_id>/thumbnail")
@operation(None, media="image/webp", errors=UNAVAILABLE)
def thumbnail(file_id: int) -> Response:
    """Return the first page as a picture, 240 pixels wide at most."""
    return send_picture(previews().thumbnail(file_id))


@blueprint.get("/files/<int:file_id>/text")
@operation(PageText, query=TextQuery, errors=("being-read", "being-checked", "quarantined"))
def text(file_id: int) -> Response:
    """Return the text of a page, and where its words are."""
    found = texts().page(file_id, parameters.number(request.args, "page", 1, 1, 999_999))
    words = [WordBox(text=word.text, box=(word.x, word.y, word.width, word.height)) for word in found.words]
    return reply(PageText(**{**vars(found), "words": words}))


def _shown(preview: DocumentPreview, page: int) -> Preview:
    if preview.kind == "none":
        raise NoPreview(preview.reason or "")
    if page > max(len(preview.sheets), 1):
        raise NotFound()
    if preview.kind == "text":
        return Preview(TextPreview(kind="text", text=preview.text or "", note=preview.note))
    if preview.kind == "html":
        return Preview(HtmlPreview(kind="html", html=preview.html or "", note=preview.note))
    names, rows = [sheet.name for sheet in preview.sheets], [list(row) for row in preview.sheets[page - 1].rows]
    return Preview(TablePreview(kind="table", rows=rows, sheets=names, note=preview.note))
