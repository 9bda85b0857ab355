"""Send documents, pictures and archives as HTTP responses, with ranges, ETags and digests."""

import base64
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import IO, cast
from urllib.parse import quote

import contentdisp
from flask import Response, current_app, request, stream_with_context
from werkzeug.datastructures import Range
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wsgi import wrap_file

from medfiles.content import DocumentContent
from medfiles.documents.bulk import Bundle
from medfiles.documents.zip_archive import archive, portable
from medfiles.http.capacity import keep_places
from medfiles.previews.service import Picture
from medfiles.smart_links.reading import EncryptedCopy

PRECONDITIONS = ("If-Range", "If-Match", "If-Unmodified-Since")  # nginx would evaluate them against its own ETags
DOCUMENT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
    "Accept-Ranges": "bytes",
}


def send_document(opened: DocumentContent, *, direct: bool = False) -> Response:
    """Send a whole document, one range of it, or 304 (RFC 9110).

    With `direct`, redirect to a temporary object store link, if enabled.
    """
    file = opened.file
    size = opened.size()
    response = current_app.response_class(mimetype=file.file_type)
    response.headers.update(DOCUMENT_HEADERS)
    response.headers["Content-Disposition"] = contentdisp.build("attachment", file.file_name)
    response.headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(file.sha256)).decode()}:"
    response.set_etag(file.sha256)
    if request.if_none_match.contains_weak(file.sha256):
        response.status_code = 304
        return response
    seconds = current_app.config["MEDFILES_DIRECT_LINKS"]
    if direct and seconds and (link := opened.link(seconds)):
        response.status_code, response.location = 307, link
        return response
    start, end = _requested_range(file.sha256, size)
    location = current_app.config["MEDFILES_ACCEL"]
    if location and not any(name in request.headers for name in PRECONDITIONS) and (path := opened.accel_path()):
        response.headers["X-Accel-Redirect"] = f"{location}{path}"
        return response
    if (start, end) != (0, size):
        response.status_code = 206
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response.content_length = end - start
    if request.method == "HEAD":
        return response
    response.response = chunks = opened.read(start, end)
    if hasattr(chunks, "fileno"):  # a local file: use sendfile, if the server supports it
        response.response, response.direct_passthrough = wrap_file(request.environ, cast(IO[bytes], chunks)), True
    return response


def send_picture(picture: Picture, *, note: str | None = None, **headers: str) -> Response:
    """Send a picture, or 304 if the client already has it.

    The header `Preview-Note`, percent-encoded UTF-8, states what the picture leaves out. `note` states it for the whole
    document.
    """
    response = current_app.response_class(mimetype="image/webp")
    response.headers.update({**DOCUMENT_HEADERS, "Accept-Ranges": "none", **headers})
    notes = [note or "", picture.note if picture.note and picture.note not in (note or "") else ""]
    if said := " ".join(filter(None, notes)):
        response.headers["Preview-Note"] = quote(said)
    response.set_etag(picture.etag)
    if request.if_none_match.contains_weak(picture.etag):
        response.status_code = 304
        return response
    response.content_length = picture.size
    if request.method != "HEAD":
        response.response = picture.read()
    return response


def send_encrypted(copy: EncryptedCopy) -> Response:
    """Send the encrypted copy of a SMART Health Link as it is stored."""
    response = current_app.response_class(mimetype="application/jose")
    response.headers.update(DOCUMENT_HEADERS | {"Accept-Ranges": "none"})
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    location = current_app.config["MEDFILES_ACCEL"]
    if location and (path := copy.storage.accel_path(copy.key)):
        response.headers["X-Accel-Redirect"] = f"{location}{path}"
        return response
    response.content_length = copy.size
    response.response = chunks = copy.read()
    if hasattr(chunks, "fileno"):  # a local file: use sendfile, if the server supports it
        response.response, response.direct_passthrough = wrap_file(request.environ, cast(IO[bytes], chunks)), True
    return response


def send_archive(bundle: Bundle) -> Response:
    """Stream several documents as one ZIP of known size."""
    made = archive(bundle.members, bundle.missing)
    places = keep_places()
    chunks = stream_with_context(_holding(places, iter(made)))
    response = current_app.response_class(chunks, mimetype="application/zip")
    response.call_on_close(places.close)
    response.headers.update({**DOCUMENT_HEADERS, "Accept-Ranges": "none"})
    name = portable(re.sub(r"[/\\]", "-", f"{bundle.title}.zip"))
    response.headers["Content-Disposition"] = contentdisp.build("attachment", name)
    response.content_length = made.size
    return response


def _holding(places: ExitStack, chunks: Iterator[bytes]) -> Iterator[bytes]:
    with places:
        yield from chunks


def _requested_range(etag: str, size: int) -> tuple[int, int]:
    """Return the start and end of the requested range.

    Several ranges, or an outdated `If-Range`, result in the range of the whole document.
    """
    requested = request.range
    if requested is None or requested.units != "bytes" or len(requested.ranges) != 1:
        return 0, size
    if request.headers.get("If-Range", f'"{etag}"').strip() != f'"{etag}"':
        return 0, size
    [(start, end)] = requested.ranges
    found = Range("bytes", [(max(start, -size), end)]).range_for_length(size)
    if found is None:
        raise RequestedRangeNotSatisfiable(size)
    return found
