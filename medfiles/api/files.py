"""Endpoints for single documents: list, upload, download, change, trash, restore, purge."""

from typing import Any
from urllib.parse import urlencode

from flask import Response, request, url_for

from medfiles.api.schemas import (
    DownloadHeaders,
    DownloadQuery,
    EditHeaders,
    File,
    Files,
    FilesQuery,
    Metadata,
    UploadForm,
    UploadHeaders,
    UploadQuery,
)
from medfiles.api.toolkit import blueprint, checked, form, operation, reply, sent, versions
from medfiles.http import parameters, request_body
from medfiles.http.current import actor, documents
from medfiles.http.rate_limits import UPLOADS, rate_limited
from medfiles.http.responses import send_document
from medfiles.http.views import file_views
from medfiles.record_types.declared import RecordType

USUAL, MOST = 50, 200  # documents per page of a list: default and maximum


@blueprint.get("/<kind:type>/<int:id>/files")
@operation(Files, query=FilesQuery)
def files(type: RecordType, id: int) -> Response:
    """List a record's documents, page by page."""
    list_query = parameters.list_query(request.args, type, trashed=parameters.flag(request.args, "trashed"))
    limit = parameters.number(request.args, "limit", USUAL, 1, MOST)
    page = documents().list(type, id, list_query, limit, counted=True)
    headers = {"X-Total-Count": str(page.hits)}
    if page.next:
        headers["Link"] = f'<{request.path}?{urlencode({**request.args, "cursor": page.next})}>; rel="next"'
    return reply(Files([shown(file) for file in file_views(page.files, you=actor().email)]), headers=headers)


@blueprint.post("/<kind:type>/<int:id>/files")
@rate_limited(UPLOADS)
@operation(
    File,
    {201: "Stored", 200: "This upload was already stored, as this document"},
    body=UploadForm,
    query=UploadQuery,
    headers=UploadHeaders,
    errors=(
        *(
            "malformed",
            "truncated",
            "record-in-trash",
            "added-then-trashed",
            "too-many",
            "quota",
            "too-large",
            "type-not-allowed",
        ),
        *("content-mismatch", "rejected-upload", "key-used", "bad-name", "empty-file", "not-checked", "infected"),
        *("storage", "busy", "too-many-uploads"),
    ),
)
def upload(type: RecordType, id: int) -> Response:
    """Add a document."""
    file, new = request_body.receive_one(request, documents(), type, id)
    status = 201 if new else 200
    return answer(file, status, {"Location": url_for("api.file", file_id=file.id)} if new else None)


@blueprint.get("/files/<int:file_id>")
@operation(File)
def file(file_id: int) -> Response:
    """Return a document's details."""
    return answer(documents().details(file_id))


@blueprint.get("/files/<int:file_id>/download")
@operation(
    None,
    {200: "OK", 206: "The requested part", 307: "The bytes are available from the object store"},
    media="*/*",
    query=DownloadQuery,
    headers=DownloadHeaders,
    errors=("blob-missing", "integrity", "being-checked", "quarantined", "range"),
)
def download(file_id: int) -> Response:
    """Download a document, byte for byte as it was uploaded."""
    direct = parameters.flag(request.args, "direct")  # validated before the document is opened
    return send_document(documents().open(file_id), direct=direct)


@blueprint.put("/files/<int:file_id>/metadata")
@operation(File, body=Metadata, form_too=True, headers=EditHeaders, errors=("document-in-trash", "outdated"))
def edit(file_id: int) -> Response:
    """Change a document's name, description, category or date."""
    documents().editable(file_id)
    is_form = request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data")
    changes = (checked(Metadata, form()) if is_form else sent(Metadata)).model_dump(exclude_unset=True)
    return answer(documents().edit(file_id, changes, versions=versions()))


@blueprint.delete("/files/<int:file_id>")
@operation(File, errors=("document-already-in-trash",))
def delete(file_id: int) -> Response:
    """Move a document to the trash."""
    return answer(documents().trash(file_id))


@blueprint.post("/files/<int:file_id>/restore")
@operation(File, errors=("record-in-trash", "document-not-in-trash", "too-many"))
def restore(file_id: int) -> Response:
    """Restore a document from the trash."""
    return answer(documents().restore(file_id))


@blueprint.post("/files/<int:file_id>/purge")
@operation(None, {204: "Deleted permanently"}, errors=("document-not-yet-in-trash",))
def purge(file_id: int) -> Response:
    """Delete a document permanently, from the trash."""
    documents().purge(file_id)
    return Response(status=204)


def answer(file: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    [view] = file_views([file], you=actor().email)
    suggested = view.document_date_suggested  # which may change without a change to the document
    etag = f"{view.version}/{suggested}" if suggested else view.version
    return reply(shown(view), status, etag=etag, headers=headers)


def shown(view: Any) -> File:
    made: File = File.model_validate({**vars(view), **view.details})
    return made
