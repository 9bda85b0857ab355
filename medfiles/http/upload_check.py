"""Tell a reverse proxy whether an upload would be accepted, before it receives the body.

The proxy sends the upload's head with its length in `Medfiles-Upload-Length` and without a body. The answer is 204 if
session or token, permission, CSRF token and length allow the upload, else 403: the proxy then passes on the upload
itself, unread, to get the full answer.
"""

from flask import Flask, Response, abort, request

HEADER = "Medfiles-Upload-Length"


def init_app(app: Flask) -> None:
    app.after_request(_as_verdict)


def asked() -> bool:
    return HEADER in request.headers


def announced_length() -> int | None:
    """Return the length of the upload that this request sends or asks about."""
    return request.headers.get(HEADER, type=int) if asked() else request.content_length


def end_check() -> None:
    """Answer here if the request only asks; the upload is allowed."""
    if asked():
        abort(Response(status=204))


def _as_verdict(response: Response) -> Response:
    if asked() and response.status_code != 204:
        response.status_code = 403
    return response
