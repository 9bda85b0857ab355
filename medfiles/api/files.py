"""Documents over JSON, each by itself: list, upload, download, change, trash, restore, purge."""

from typing import Any
from urllib.parse import urlencode

from flask import Response, request, url_for

from medfiles.api.schemas import File, Files, Metadata
from medfiles.api.toolkit import blueprint, checked, form, operation, reply, sent
from medfiles.documents import listing
from medfiles.errors import Rejected
from medfiles.http import request_body
from medfiles.http.current import actor, documents
from medfiles.http.rate_limits import UPLOADS, rate_limited
from medfiles.http.responses import send_document
from medfiles.http.views import file_views
from medfiles.record_types.declared import RecordType

USUAL, MOST = 50, 200  # documents in one page of a list
LIST_QUERY = ("q", "category", "media", "from", "to", "zone", "sort", "order", "cursor", "trashed", "limit")


@blueprint.get("/<kind:type>/<int:id>/files")
@operation("A record’s documents, a page of them", "files", query=LIST_QUERY, refuses=(422,))
def files(type: RecordType, id: int) -> Response:
    list_query = listing.wanted(request.args, type, trashed=_switch("trashed"))
    page = documents().list(type, id, list_query, _limit(), counted=True)
    headers = {"X-Total-Count": str(page.hits)}
    if page.next:
        headers["Link"] = f'<{request.path}?{urlencode({**request.args, "cursor": page.next})}>; rel="next"'
    return reply(Files([shown(file) for file in file_views(page.files, you=actor().email)]), headers=headers)


@blueprint.post("/<kind:type>/<int:id>/files")
@rate_limited(UPLOADS)
@operation("Add a document", "upload", status=201, refuses=(400, 409, 413, 415, 422))
def upload(type: RecordType, id: int) -> Response:
    file, new = request_body.receive_one(request, documents(), type, id)
    status = 201 if new else 200
    return answer(file, status, {"Location": url_for("api.file", file_id=file.id)} if new else None)


@blueprint.get("/files/<int:file_id>")
@operation("What is known about a document", "file")
def file(file_id: int) -> Response:
    return answer(documents().details(file_id))


@blueprint.get("/files/<int:file_id>/download")
@operation("A document’s bytes, as they were uploaded", "bytes", query=("direct",), also=(307,), refuses=(416, 422))
def download(file_id: int) -> Response:
    direct = _switch("direct")
    return send_document(documents().open(file_id), direct=direct)


@blueprint.put("/files/<int:file_id>/metadata")
@operation(
    "Change a document’s name, description or category",
    "file",
    body=Metadata,
    form_too=True,
    conditional=True,
    refuses=(409, 412),
)
def edit(file_id: int) -> Response:
    documents().editable(file_id)
    versions = request.if_match.as_set() if request.headers.get("If-Match", "*").strip() != "*" else None
    return answer(documents().edit(file_id, _changes(), versions=versions))


@blueprint.delete("/files/<int:file_id>")
@operation("Move a document to the trash", "file", refuses=(409,))
def delete(file_id: int) -> Response:
    return answer(documents().trash(file_id))


@blueprint.post("/files/<int:file_id>/restore")
@operation("Bring a document back from the trash", "file", refuses=(409,))
def restore(file_id: int) -> Response:
    return answer(documents().restore(file_id))


@blueprint.post("/files/<int:file_id>/purge")
@operation("Delete a document for ever, from the trash", None, status=204, refuses=(409,))
def purge(file_id: int) -> Response:
    documents().purge(file_id)
    return Response(status=204)


def answer(file: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    [view] = file_views([file], you=actor().email)
    return reply(shown(view), status, etag=view.version, headers=headers)


def shown(view: Any) -> File:
    return File.model_validate(view)


def _changes() -> dict[str, str | None]:
    """What is to change, sent as JSON or as a form."""
    if request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return checked(Metadata, form()).model_dump(exclude_unset=True)
    return sent(Metadata).model_dump(exclude_unset=True)


def _switch(name: str) -> bool:
    value = request.args.get(name, "0")
    if value not in ("0", "1"):
        raise Rejected.about(name, f"“{name}” must be 1 or 0.")
    return value == "1"


def _limit() -> int:
    value = request.args.get("limit", str(USUAL))
    if not (value.isascii() and value.isdigit() and len(value) < 4 and 1 <= int(value) <= MOST):
        raise Rejected.about("limit", f"“limit” must be a number from 1 to {MOST}.")
    return int(value)
