"""One shape for everything that goes wrong in HTML: a page, or a fragment where htmx asked."""

from typing import Any
from urllib.parse import urlsplit

import structlog
from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from medfiles.errors import MedfilesError
from medfiles.htmx import fragment, is_htmx, trigger
from medfiles.http import explained

log = structlog.get_logger("medfiles.errors")
TITLES = {
    400: "That did not work",
    401: "Please sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible",
    409: "Not possible right now",
    413: "Too large",
    415: "This kind of file does not go here",
    422: "Please check",
    500: "Something went wrong",
    503: "Not available right now",
}
CODES = {404: "not-found", 411: "length-required", 413: "too-large", 429: "rate-limited"}
OPEN_TOO_LONG = "This page was open for too long, so nothing was changed. Reload it and try again."


def answer_error(error: Exception) -> Response:
    status, message, headers = explained(error)
    if isinstance(error, CSRFError):
        status, message, headers = 403, OPEN_TOO_LONG, {}
    g.bare = status >= 500  # what failed for the page may fail for its header, too
    context = {"status": status, "title": TITLES.get(status, "That did not work"), "message": message}
    context["back"] = _page_before()
    response = fragment("errors/_error.html" if is_htmx() else "errors/error.html", status, **context)
    response.headers.update(headers)
    if is_htmx():
        trigger(response, "documents:error", message=message, code=_code(error))
    if request.method == "POST":
        response.headers["HX-Reswap"] = "afterbegin"  # beside what failed, not in its place
    return response


def _page_before() -> str | None:
    """The page of ours that a form was sent from."""
    try:
        page = urlsplit(request.referrer or "")
    except ValueError:
        return None
    ours = request.method == "POST" and page.netloc == request.host and not page.path.startswith("//")
    return page._replace(scheme="", netloc="").geturl() if ours else None


def _code(error: Exception) -> str:
    """What programs know the refusal by."""
    error = getattr(error, "original_exception", None) or error
    if isinstance(error, CSRFError):
        return "csrf"
    return error.code if isinstance(error, MedfilesError) else CODES.get(getattr(error, "code", 0) or 0, "error")


def init_app(app: Flask) -> None:
    app.register_error_handler(MedfilesError, answer_error)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(500, _answer_unknown)
    app.log_exception = _logged_below  # type: ignore[method-assign]


def _logged_below(exc_info: Any) -> None:
    """Flask's own line would carry the real path; `_answer_unknown` logs the endpoint."""


def _answer_http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error
    return answer_error(error)


def _answer_unknown(error: Exception) -> ResponseReturnValue:
    original = getattr(error, "original_exception", None)
    if original is not None and not isinstance(original, MedfilesError):
        log.error("unhandled", endpoint=request.endpoint, exc_info=original)
    return answer_error(error)
