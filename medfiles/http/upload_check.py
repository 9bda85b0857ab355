"""Tell a reverse proxy whether an upload would be accepted, before it receives the body.

The proxy sends the upload's headers without its body, and its length in `Medfiles-Upload-Length`. The response is 204
if session or token, permission, CSRF token and length allow the upload, and 403 otherwise. After a 403, the proxy
forwards the upload itself, unread, to get the full response.
"""

from flask import Flask, Response, abort, request

HEADER = "Medfiles-Upload-Length"


def init_app(app: Flask) -> None:
    app.after_request(_as_verdict)


def asked() -> bool:
    return HEADER in request.headers


def announced_length() -> int | None:
    """Return the length of the upload that the request sends or asks about."""
    return request.headers.get(HEADER, type=int) if asked() else request.content_length


def end_check() -> None:
    """Respond with 204 if the request is only a check, since the upload is allowed."""
    if asked():
        abort(Response(status=204))


def _as_verdict(response: Response) -> Response:
    if asked() and response.status_code != 204:
        response.status_code = 403
    return response
