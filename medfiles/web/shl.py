"""SMART Health Links for apps: one encrypted file or a manifest, and a page that reads them in a browser.

Any site may call this, so nothing here depends on a cookie.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Flask, Response, current_app, make_response, render_template, request
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.exceptions import BadRequest, MethodNotAllowed

from medfiles.errors import NotFound, WrongPasscode
from medfiles.http import errors as http_errors
from medfiles.http.current import smart_link_reader
from medfiles.http.errors import explained
from medfiles.http.links import smart_address
from medfiles.http.rate_limits import count_link_opening
from medfiles.http.responses import send_encrypted
from medfiles.http.security import without_session
from medfiles.i18n import gettext
from medfiles.smart_links.bundle import CONTENT_TYPE
from medfiles.smart_links.reading import EncryptedCopy, recipient_name
from medfiles.smart_links.rules import LOCATION_SECONDS, POLL_SECONDS
from medfiles.web.shared import PRIVACY

blueprint = Blueprint("shl", __name__, url_prefix="/shl")
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "object-src blob:; frame-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type",
    "Access-Control-Max-Age": "86400",
}
CHANGES, STAYS = "can-change", "finalized"  # status of a file in a manifest


@blueprint.get("/v")
def viewer() -> str:
    return render_template("shared/smart.html")


@blueprint.get("/<token>")
def direct(token: str) -> Response:
    if request.method == "HEAD":  # would say that a link works without logging an opening
        raise MethodNotAllowed(["GET", "OPTIONS"])
    recipient = _recipient(request.args.get("recipient"))
    reader = smart_link_reader()
    found = reader.find_smart(token)
    if not found.is_direct:
        raise NotFound()
    count_link_opening(found.link.id)
    return send_encrypted(reader.open_smart(found, recipient, downloads=True))


@blueprint.post("/<token>/manifest")
@without_session
def manifest(token: str) -> Response:
    asked = request.get_json(force=True, silent=True)
    if not isinstance(asked, dict):
        raise BadRequest()
    recipient, passcode, most = (
        _recipient(asked.get("recipient")),
        asked.get("passcode"),
        asked.get("embeddedLengthMax"),
    )
    if not isinstance(passcode, str | None) or isinstance(most, bool) or not isinstance(most, int | None):
        raise BadRequest()
    reader = smart_link_reader()
    found = reader.find_smart(token)
    if found.is_direct:
        raise NotFound()
    count_link_opening(found.link.id)
    embedded = most is not None and (found.smart.size or 0) <= most
    copy = reader.open_smart(found, recipient, passcode, downloads=embedded)
    return _manifest(token, copy, embedded=embedded and copy.size <= (most or 0))


@blueprint.get("/<token>/file/<signature>")
def file(token: str, signature: str) -> Response:
    if request.method == "HEAD":
        raise MethodNotAllowed(["GET", "OPTIONS"])
    reader = smart_link_reader()
    found = reader.find_smart(token)
    try:
        smart_id, opening = _signer().loads(signature, max_age=LOCATION_SECONDS)
    except (BadData, ValueError, TypeError):
        raise NotFound() from None
    if smart_id != found.smart.id:
        raise NotFound()
    count_link_opening(found.link.id)
    return send_encrypted(reader.fetch(smart_id, str(opening)))


def init_app(app: Flask) -> None:
    app.register_blueprint(blueprint)
    http_errors.answered_by(app, "/shl/", answer_error)
    app.after_request(add_headers)


def add_headers(response: Response) -> Response:
    """Add headers, also to errors, before the app adds its own where they are missing."""
    if not request.path.startswith("/shl/"):
        return response
    policy = CSP if request.endpoint == "shl.viewer" else "default-src 'none'; frame-ancestors 'none'"
    response.headers.setdefault("Content-Security-Policy", policy)
    response.headers.update(PRIVACY)
    response.headers["Cache-Control"] = "no-store"
    if request.endpoint != "shl.viewer":
        response.headers.update(CORS)
        if request.method == "OPTIONS":
            response.headers.update(PREFLIGHT)
    return response


def answer_error(error: Exception) -> Response:
    """Respond with JSON that says nothing about the installation, and is the same for all links that do not work."""
    refusal = explained(error)
    said: dict[str, Any] = {"error": refusal.message}
    if isinstance(error, WrongPasscode):
        said = {"remainingAttempts": error.remaining}
    elif refusal.status == 404:
        said = {"error": gettext("This link has expired, was revoked, or never existed. Ask for a new one.")}
    response = make_response(said, refusal.status)
    response.headers.update(refusal.headers)
    return response


def _recipient(given: Any) -> str:
    """Return whom an app fetches for. Raises BadRequest if it does not say so."""
    if not isinstance(given, str) or not recipient_name(given):
        raise BadRequest()
    return given


def _manifest(token: str, copy: EncryptedCopy, *, embedded: bool) -> Response:
    said = {
        "contentType": CONTENT_TYPE,
        "lastUpdated": _instant(copy.built_at),
        "status": CHANGES if copy.may_change else STAYS,
    }
    if embedded:
        said["embedded"] = ""
        before, after = json.dumps({"files": [said]}).rsplit('""', 1)
        response = current_app.response_class(_around(before, copy, after), mimetype="application/json")
        response.content_length = len(before) + copy.size + len(after) + 2
    else:
        signature = _signer().dumps([copy.smart_id, copy.opening])
        said["location"] = f"{smart_address()}{token}/file/{signature}"
        response = make_response({"files": [said]})
    if copy.may_change:
        response.headers["Retry-After"] = str(POLL_SECONDS)
    return response


def _around(before: str, copy: EncryptedCopy, after: str) -> Iterator[bytes]:
    """Yield a JSON document with the copy as one of its strings. A compact JWE needs no escaping."""
    yield f'{before}"'.encode()
    yield from copy.read()
    yield f'"{after}'.encode()


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="medfiles.smart-health-link")


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
