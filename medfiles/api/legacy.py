"""The older lab-results feature's addresses, answered by the same services and marked as on their way out."""

from typing import Any

from flask import Response, request, url_for

from medfiles.api.files import answer
from medfiles.api.schemas import DownloadHeaders, File
from medfiles.api.toolkit import blueprint, operation
from medfiles.http.current import older
from medfiles.http.responses import send_document

SINCE = "@1795651200"  # 2026-11-26, as RFC 9745 writes it
LISTS = ("api.files", "api.upload")  # the older feature had these with “lab-results” in their address
OWN = ("api.download_older", "api.delete_older")
ALIAS = "/api/v1/lab-results/"


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
    opened = older().open_older(number)
    return _leads_on(send_document(opened), opened.file, "api.download")


@blueprint.delete("/lab-result-files/<int:number>")
@operation(File, errors=("document-already-in-trash", "document-not-moved"), deprecated=True)
def delete_older(number: int) -> Response:
    """Move a document to the trash by its id in the older feature."""
    file = older().trash_older(number)
    return _leads_on(answer(file), file, "api.file")


@blueprint.after_request
def announce(response: Response) -> Response:
    """Says of an older address that it is on its way out, and where what it does is done from now on."""
    if request.endpoint in LISTS and request.path.startswith(ALIAS):
        response.headers["Deprecation"] = SINCE
        _successor(response, request.path.replace(ALIAS, "/api/v1/lab-result/", 1))
    elif request.endpoint in OWN:
        response.headers["Deprecation"] = SINCE
    return response


def _leads_on(response: Response, file: Any, endpoint: str) -> Response:
    """To the document under its new number; before it was moved only its record's list knows it."""
    waits = file.storage == "older"
    listed = url_for("api.files", type=file.entity_type, id=file.entity_id)
    _successor(response, listed if waits else url_for(endpoint, file_id=file.id))
    return response


def _successor(response: Response, address: str) -> None:
    response.headers.add("Link", f'<{address}>; rel="successor-version"')
