"""Deprecated addresses of the older lab-results feature, answered by the same services."""

from typing import Any

from flask import Response, request, url_for

from medfiles.api.error_examples import CASES, Case, at
from medfiles.api.files import answer
from medfiles.api.toolkit import blueprint, operation
from medfiles.errors import Conflict
from medfiles.http.current import documents
from medfiles.http.responses import send_document
from medfiles.legacy import ids

SINCE = "@1795651200"  # 2026-11-26, as RFC 9745 writes it
LISTS = ("api.files", "api.upload")  # the older feature has these with “lab-results” in their address
OWN = ("api.download_older", "api.delete_older")
ALIAS = "/api/v1/lab-results/"

CASES.append(
    Case(
        "document-not-moved",
        "It is still where the older feature keeps it.",
        Conflict(ids.NOT_MOVED),
        at("delete_older"),
    )
)


@blueprint.get("/lab-result-files/<int:number>/download")
@operation("A document’s bytes by its older number", "bytes", refuses=(416,), deprecated=True)
def download_older(number: int) -> Response:
    opened = documents().open_listed(number)
    return _with_successor(send_document(opened), opened.file, "api.download")


@blueprint.delete("/lab-result-files/<int:number>")
@operation("Move a document to the trash by its older number", "file", refuses=(409,), deprecated=True)
def delete_older(number: int) -> Response:
    file = ids.trash(documents(), number)
    return _with_successor(answer(file), file, "api.file")


@blueprint.after_request
def announce(response: Response) -> Response:
    """Mark answers of older addresses as deprecated, and name their successors."""
    if request.endpoint in LISTS and request.path.startswith(ALIAS):
        response.headers["Deprecation"] = SINCE
        _successor(response, request.path.replace(ALIAS, "/api/v1/lab-result/", 1))
    elif request.endpoint in OWN:
        response.headers["Deprecation"] = SINCE
    return response


def _with_successor(response: Response, file: Any, endpoint: str) -> Response:
    """Name the document's new address; before it is moved, that of its record's list."""
    listed = url_for("api.files", type=file.entity_type, id=file.entity_id)
    _successor(response, listed if file.is_additional else url_for(endpoint, file_id=file.id))
    return response


def _successor(response: Response, address: str) -> None:
    response.headers.add("Link", f'<{address}>; rel="successor-version"')
