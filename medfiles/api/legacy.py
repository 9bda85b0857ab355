"""Deprecated URLs from the older lab results feature, handled by the same services."""

from typing import Any

from flask import Response, request, url_for

from medfiles.api.error_examples import EXAMPLES, Example
from medfiles.api.files import answer
from medfiles.api.schemas import DownloadHeaders, File
from medfiles.api.toolkit import blueprint, operation
from medfiles.errors import Conflict
from medfiles.http.current import documents
from medfiles.http.responses import send_document
from medfiles.legacy import ids

SINCE = "@1795651200"  # 2026-11-26, in RFC 9745 format
LISTS = ("api.files", "api.upload")  # in the older feature, their URLs contain “lab-results”
OWN = ("api.download_older", "api.delete_older")
ALIAS = "/api/v1/lab-results/"
SUCCESSOR = '<{}>; rel="successor-version"'

EXAMPLES["document-not-moved"] = Example("The older feature still keeps the document.", Conflict(ids.NOT_MOVED))


@blueprint.get("/lab-result-files/<int:number>/download")
@operation(
    None,
    {200: "OK", 206: "The requested part"},
    media="*/*",
    headers=DownloadHeaders,
    errors=("blob-missing", "integrity", "being-checked", "quarantined", "range"),
    deprecated=True,
)
def download_older(number: int) -> Response:
    """Download a document by its id in the older feature."""
    opened = documents().open_listed(number)
    return _with_successor(send_document(opened), opened.file, "api.download")


@blueprint.delete("/lab-result-files/<int:number>")
@operation(File, errors=("document-already-in-trash", "document-not-moved"), deprecated=True)
def delete_older(number: int) -> Response:
    """Move a document to the trash by its id in the older feature."""
    file = ids.trash(documents(), number)
    return _with_successor(answer(file), file, "api.file")


@blueprint.after_request
def announce(response: Response) -> Response:
    """Mark responses from older URLs as deprecated. For lists, also add a link to the successor."""
    if request.endpoint in LISTS and request.path.startswith(ALIAS):
        response.headers["Deprecation"] = SINCE
        response.headers.add("Link", SUCCESSOR.format(request.path.replace(ALIAS, "/api/v1/lab-result/", 1)))
    elif request.endpoint in OWN:
        response.headers["Deprecation"] = SINCE
    return response


def _with_successor(response: Response, file: Any, endpoint: str) -> Response:
    """Add a link to the document's new URL or, until it has been moved, to its record's document list."""
    listed = url_for("api.files", type=file.entity_type, id=file.entity_id)
    address = listed if file.is_additional else url_for(endpoint, file_id=file.id)
    response.headers.add("Link", SUCCESSOR.format(address))
    return response
