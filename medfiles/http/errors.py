"""What was raised, as every door over HTTP answers it: a status, a code for programs, a sentence for people."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from flask import Flask, Response, current_app, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from medfiles.errors import (
    Conflict,
    ContentMismatch,
    DatabaseUnavailable,
    Forbidden,
    MedfilesError,
    NotFound,
    Outdated,
    Rejected,
    SignedOut,
    StorageError,
    TooLarge,
    Truncated,
    TypeNotAllowed,
)

log = structlog.get_logger("medfiles.errors")
STATUSES: dict[type[MedfilesError], int] = {
    SignedOut: 401,
    NotFound: 404,
    Forbidden: 403,
    Conflict: 409,
    Outdated: 412,
    TooLarge: 413,
    TypeNotAllowed: 415,
    ContentMismatch: 415,
    Truncated: 400,
    Rejected: 422,
    StorageError: 503,
}
SENTENCES = {
    400: "The request could not be understood. Go back, reload the page and try again.",
    401: "Sign in first.",
    403: "This page was open for too long, or you are not allowed to do this. Reload the page and try again.",
    404: NotFound().message,
    405: "This address does not support this method.",
    411: "The Content-Length header is missing.",
    413: "The request is too large.",
    416: "The requested range is beyond the end of the document.",
    429: "Too many attempts. Wait a moment, then try again.",
    500: "Something went wrong on our side. Everything you saved is kept. Please try again.",
}
CODES = {
    400: "malformed",
    404: NotFound.code,
    405: "method",
    411: "length-required",
    413: TooLarge.code,
    415: "media-type",
    416: "range",
    429: "rate-limited",
}
OPEN_TOO_LONG = "This page was open for too long, so nothing was changed. Reload it and try again."
RETRY_SECONDS = "5"
KEPT_HEADERS = ("allow", "content-range", "retry-after")
Answer = Callable[[Exception], Response]


@dataclass(frozen=True)
class Refusal:
    """`fields` names what was wrong with each field that was sent."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)


def status_of(error: MedfilesError) -> int:
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def explained(error: Exception) -> Refusal:
    """What to answer to anything that was raised; unknown errors tell nothing."""
    error = getattr(error, "original_exception", None) or error
    if isinstance(error, OperationalError):
        error = DatabaseUnavailable()
    if isinstance(error, MedfilesError):
        status = status_of(error)
        fields = error.fields if isinstance(error, Rejected) else {}
        return Refusal(
            status, error.code, error.message, {"Retry-After": RETRY_SECONDS} if status == 503 else {}, fields
        )
    if isinstance(error, CSRFError):
        return Refusal(403, "csrf", OPEN_TOO_LONG)
    if isinstance(error, HTTPException) and error.code:
        code, message = CODES.get(error.code, "error"), SENTENCES.get(error.code, error.name + ".")
        return Refusal(error.code, code, message, _headers(error))
    return Refusal(500, "error", SENTENCES[500])


def answered_by(app: Flask, prefix: str, answer: Answer) -> None:
    """What goes wrong at addresses that begin so is answered in this way; of several prefixes the longest counts."""
    app.extensions.setdefault("medfiles.http.errors", {})[prefix] = answer


def init_app(app: Flask) -> None:
    app.register_error_handler(MedfilesError, _answer)
    app.register_error_handler(HTTPException, _answer_http)
    app.register_error_handler(500, _answer_unknown)
    app.log_exception = _logged_below  # type: ignore[method-assign]


def _answer(error: Exception) -> Response:
    answers: dict[str, Answer] = current_app.extensions["medfiles.http.errors"]
    return answers[max((prefix for prefix in answers if request.path.startswith(prefix)), key=len)](error)


def _answer_http(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error
    return _answer(error)


def _answer_unknown(error: Exception) -> ResponseReturnValue:
    original = getattr(error, "original_exception", None)
    if original is not None and not isinstance(original, MedfilesError):
        log.error("unhandled", endpoint=request.endpoint, exc_info=original)
    return _answer(error)


def _logged_below(exc_info: Any) -> None:
    """Flask's own line would carry the real path; `_answer_unknown` logs the endpoint."""


def _headers(error: HTTPException) -> dict[str, str]:
    return {name: value for name, value in error.get_headers() if name.lower() in KEPT_HEADERS}
