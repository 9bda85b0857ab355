"""Endpoints for single documents: list, upload, download, change, trash, restore, purge."""

from typing import Any

from flask import Response, request, url_for

from medfiles.api.schemas import (
    DownloadHeaders,
    DownloadQuery,
    EditHeaders,
    File,
    Files,
    FilesQuery,
    Metadata,
    MovedFile,
    MoveTo,
    UploadForm,
    UploadHeaders,
    UploadQuery,
)
from medfiles.api.toolkit import MOST, blueprint, checked, form, operation, reply, reply_list, sent, versions
from medfiles.documents.transfers import Moved
from medfiles.errors import Rejected
from medfiles.http import parameters, request_body
from medfiles.http.current import actor, documents, services
from medfiles.http.rate_limits import UPLOADS, rate_limited
from medfiles.http.responses import send_document
from medfiles.http.views import FILE_COLUMNS, file_rows, file_views
from medfiles.record_types.declared import RecordType

MOVES = ("record-in-trash", "document-to-move-in-trash", "quarantined-stays")
USUAL = 50  # documents per page of a list, unless the request says otherwise


@blueprint.get("/<kind:type>/<int:id>/files")
@operation(Files, query=FilesQuery, errors=("renumbered",))
def files(type: RecordType, id: int) -> Response:
    """List a record's documents, page by page."""
    list_query = parameters.list_query(request.args, type, trashed=parameters.flag(request.args, "trashed"))
    limit = parameters.number(request.args, "limit", USUAL, 1, MOST)
    page = documents().list(type, id, list_query, limit, counted=True, columns=FILE_COLUMNS)
    return reply_list(file_rows(page.files), page.next, page.hits)


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
            "renumbered",
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


@blueprint.post("/files/<int:file_id>/move")
@operation(MovedFile, body=MoveTo, errors=(*MOVES, "too-many", "quota", "too-large", "type-not-allowed"))
def move(file_id: int) -> Response:
    """Move a document to another record, also of another patient."""
    documents().editable(file_id)
    to = sent(MoveTo)
    if to.to_type not in services().registry:
        raise Rejected("There is no such record type.", {"to_type": "There is no such record type."})
    return _moved(documents().move(file_id, services().registry[to.to_type], to.to_id))


@blueprint.post("/files/<int:file_id>/take-back")
@operation(MovedFile, errors=("nothing-to-undo", "quarantined-stays", "quota"))
def take_back(file_id: int) -> Response:
    """Undo the move of a document within 30 days, even if the document is in the trash."""
    return _moved(documents().take_back(file_id))


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


def _moved(moved: Moved) -> Response:
    [view] = file_views([documents().get(moved.file_id)], you=actor().email)
    said = {**vars(view), **view.details, "category_cleared": moved.category}
    return reply(MovedFile.model_validate(said), etag=view.version)


def shown(view: Any) -> File:
    made: File = File.model_validate({**vars(view), **view.details})
    return made
