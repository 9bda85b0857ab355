"""What documents look like, over HTTP for scripts: a page as a picture; text, tables and words as JSON."""

import re

from flask import Response, request

from medfiles.api.schemas import HtmlPreview, Preview, TablePreview, TextPreview
from medfiles.api.toolkit import blueprint, operation, reply
from medfiles.errors import NotFound, Rejected
from medfiles.http.current import previews
from medfiles.http.responses import send_picture
from medfiles.previews.renderer import Preview as DocumentPreview
from medfiles.previews.service import NoPreview
from medfiles.sandbox.render.spec import WIDTHS, Window, is_window

USUAL = 960
WINDOW = re.compile(r"(-?\d{1,7}(?:\.\d{1,3})?),(\d{1,7}(?:\.\d{1,3})?)")
PICTURES = ("pages", "image", "dicom")


@blueprint.get("/files/<int:file_id>/preview")
@operation(
    "A page as a picture; or the text, table or words", "preview", query=("page", "width", "window"), refuses=(422,)
)
def preview(file_id: int) -> Response:
    page, width, window = _page(), _width(), _window()
    preview = previews().describe(file_id)
    if preview.kind in PICTURES:
        return send_picture(previews().page(file_id, page, width, window))
    return reply(_shown(preview, page))


@blueprint.get("/files/<int:file_id>/thumbnail")
@operation("The first page, 160 pixels wide at most", "picture", refuses=(422,))
def thumbnail(file_id: int) -> Response:
    return send_picture(previews().thumbnail(file_id))


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


def _page() -> int:
    text = request.args.get("page", "1")
    if not re.fullmatch(r"[1-9]\d{0,5}", text, re.ASCII):
        raise Rejected.about("page", "“page” must be 1 or greater.")
    return int(text)


def _width() -> int:
    text = request.args.get("width", str(USUAL))
    if text not in map(str, WIDTHS):
        raise Rejected.about("width", f"“width” must be one of {', '.join(map(str, WIDTHS))}.")
    return int(text)


def _window() -> Window | None:
    text = request.args.get("window", "")
    found = WINDOW.fullmatch(text)
    window = (float(found[1]), float(found[2])) if found and found[0].isascii() else None
    if text and not (window and is_window(window)):
        raise Rejected.about("window", "“window” must be a centre and a width, such as 40,400.")
    return window
