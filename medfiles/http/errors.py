"""The error table: HTTP status, code for programs, and message for people."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from flask import Flask, Response, current_app, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from werkzeug import exceptions as http
from werkzeug.exceptions import HTTPException

from medfiles import errors
from medfiles.documents.quota import NO_ROOM
from medfiles.errors import MedfilesError, Rejected
from medfiles.i18n import N_, gettext
from medfiles.previews.renderer import NoPreview, PreviewTimedOut
from medfiles.sandbox.pool import Busy, NotChecked

log = structlog.get_logger("medfiles.errors")
RETRY_SECONDS = "5"
KEPT_HEADERS = ("allow", "content-range", "retry-after")
Answer = Callable[[Exception], Response]


@dataclass(frozen=True)
class ErrorType:
    """The response to an exception class and its subclasses."""

    error: type[Exception]
    status: int
    when: str = ""  # shown in the OpenAPI document; if empty, the error has no example there
    code: str = ""  # for exceptions from libraries; our own classes define their codes
    message: str = ""  # likewise
    api_message: str = ""  # replaces `message` in the API if that mentions pages
    sample: str = ""  # example message for an exception without a fixed one

    @property
    def example(self) -> Exception:
        """An example of this error, with the message that users see."""
        return self.error(self.sample) if self.sample else self.error()

    @property
    def name(self) -> str:
        """The error code, which is also the name of its example in the OpenAPI document."""
        return self.code or str(getattr(self.error, "code", ""))


ERRORS = (
    ErrorType(
        http.BadRequest, 400, "The request is malformed.", code="malformed",
        message=N_("The request could not be understood. Go back, reload the page and try again."),
        api_message=N_("The request could not be understood."),
    ),
    ErrorType(
        errors.Truncated, 400, "Fewer bytes arrived than were announced.",
        sample="The upload was cut off before it was complete. Please try again.",
    ),
    ErrorType(
        errors.WrongHost, 400, "The request names a host other than the server's public one.",
        sample=gettext(errors.OTHER_HOST, address="https://records.example.org"),
    ),
    ErrorType(
        errors.SignedOut, 401, "No token was sent.", message=errors.SignedOut().message,
        api_message=N_("Send an API token in the header “Authorization: Bearer <token>”."),
    ),
    ErrorType(http.Unauthorized, 401, code="error", message=N_("Sign in first.")),
    ErrorType(errors.Forbidden, 403, "Your access does not allow this."),
    ErrorType(
        http.Forbidden, 403, code="error",
        message=N_("This page was open too long, or you are not allowed to do this. Reload the page and try again."),
    ),
    ErrorType(
        errors.OutOfScope,
        403,
        "The token is read-only, or its scope does not include giving access.",
        sample="This token can only read.",
    ),
    ErrorType(errors.LinkPaused, 403),
    ErrorType(errors.WrongPasscode, 401),
    ErrorType(errors.PasscodeBusy, 429),
    ErrorType(
        CSRFError, 403, "There is a session, but no valid `X-CSRFToken`.", code="csrf",
        message=N_("This page was open too long, so nothing was changed. Reload it and try again."),
        api_message=N_(
            "The X-CSRFToken header is missing or stale. Scripts send an API token instead of the session cookie."
        ),
    ),
    ErrorType(errors.NotFound, 404, "It does not exist, or it is not yours."),
    ErrorType(http.NotFound, 404, code=errors.NotFound.code, message=errors.NotFound().message),
    ErrorType(
        http.MethodNotAllowed, 405, "The address does not support this method.", code="method",
        message=N_("This address does not support this method."),
    ),
    ErrorType(errors.Conflict, 409),
    ErrorType(errors.Archived, 409, "The patient is archived."),
    ErrorType(
        errors.Renumbered, 410,
        "The URL uses `lab-results` with the number of an imported lab result in the installation it came from.",
    ),
    ErrorType(
        errors.BeingChecked, 409,
        "It is waiting for a malware scan. Until then, only its uploader can open it.",
    ),
    ErrorType(errors.BeingRead, 409, "The text of the page has not been read yet."),
    ErrorType(errors.Quarantined, 409, "Malware was found in it. It can be deleted but not opened."),
    ErrorType(
        errors.TooMany, 409, "The record is full.",
        sample="This visit is full (8 of 8). Move a document to trash to make room.",
    ),
    ErrorType(
        errors.OverQuota, 409, "The quota of the patient's owner is used up.",
        sample=gettext(NO_ROOM, used="10 GB", quota="10 GB"),
    ),
    ErrorType(
        http.LengthRequired, 411, "There is no `Content-Length`.", code="length-required",
        message=N_("The Content-Length header is missing."),
    ),
    ErrorType(errors.Outdated, 412, "It has changed since you received that `ETag`."),
    ErrorType(
        errors.TooLarge, 413, "The document is larger than this type of record allows.",
        sample="This file is too large. The limit is 15 MB. Make it smaller or split it, then try again.",
    ),
    ErrorType(http.RequestEntityTooLarge, 413, code=errors.TooLarge.code, message=N_("The request is too large.")),
    ErrorType(
        errors.TypeNotAllowed, 415, "The content is of no type that this type of record accepts.",
        sample=".exe files can run as programs and are not accepted. "
        "You can add PDF, Word, JPG, PNG, text or HEIC.",
    ),
    ErrorType(
        errors.ContentMismatch, 415, "The content is damaged, or of another type than the extension says.",
        sample="This file is named .pdf but cannot be read as a PDF document. "
        "It may be damaged or incomplete. Open it on your device, save it again and upload the new file.",
    ),
    ErrorType(
        http.UnsupportedMediaType, 415, "The body is not JSON.", code="media-type",
        message=N_("Unsupported Media Type."), api_message=N_("The content type must be application/json."),
    ),
    ErrorType(
        http.RequestedRangeNotSatisfiable, 416, "The range starts after the end.", code="range",
        message=N_("The requested range is beyond the end of the document."),
    ),
    ErrorType(errors.Rejected, 422),
    ErrorType(
        errors.BadName, 422, "The name is missing or unusable.",
        sample="This file has no usable name. Rename it, then upload it again.",
    ),
    ErrorType(
        errors.EmptyFile, 422, "The document is empty.",
        sample="This file is empty. Check it on your device, then select it again.",
    ),
    ErrorType(NotChecked, 422, "The content could not be checked safely."),
    ErrorType(
        NoPreview, 422, "It cannot be shown as pictures, text or a table.",
        sample="This PDF is locked with a password. Download it to open it with the password.",
    ),
    ErrorType(
        errors.Infected, 422,
        "Malware was found in it, so nothing was stored. Only if a scanner is configured.",
        sample="The malware scanner found “Win.Test.EICAR_HDB-1” in this file, so it was not added. "
        "Do not open the file.",
    ),
    ErrorType(
        http.TooManyRequests, 429,
        "Too many invalid tokens from one address, or too many uploads or requests for many documents from one "
        "account. `Retry-After` gives the seconds to wait.",
        code="rate-limited", message=N_("Too many attempts. Wait a moment, then try again."),
    ),
    ErrorType(
        errors.TooManyUploads, 429,
        "The account had more than 6 uploads in progress, and none of them finished within 20 seconds.",
    ),
    ErrorType(
        http.InternalServerError, 500, "Internal error. Details are in the log.", code="error",
        message=N_("Something went wrong on our end. Your saved changes are safe. Please try again."),
    ),
    ErrorType(errors.StorageError, 503, "The document store is not responding."),
    ErrorType(errors.DatabaseUnavailable, 503, "The database is not responding."),
    ErrorType(
        OperationalError, 503, code=errors.DatabaseUnavailable.code, message=errors.DatabaseUnavailable().message
    ),
    ErrorType(Busy, 503, "Too many uploads are being received or checked."),
    ErrorType(PreviewTimedOut, 503, "Rendering took too long. With `retry=1` it is tried again."),
    ErrorType(
        errors.BlobMissing, 503, "The content is missing. Contact your administrator.",
        sample="The content of this document is missing. Contact your administrator.",
    ),
    ErrorType(errors.IntegrityFailed, 503, "The content differs from what was uploaded."),
    ErrorType(errors.KeyTaken, 503, "The storage key is already in use. The next attempt gets a different one."),
    ErrorType(errors.BadKey, 503, "The store cannot use the storage key."),
)  # fmt: skip
BY_CLASS = {row.error: row for row in ERRORS}
UNKNOWN = BY_CLASS[http.InternalServerError]
TITLES = {  # by status: the title in a problem document, and the title on a page
    400: (N_("Malformed request"), N_("Something went wrong")),
    401: (N_("Not signed in"), N_("Sign in")),
    403: (N_("Not allowed"), N_("Not allowed")),
    404: (N_("Not found"), N_("Not found")),
    405: (N_("Method not allowed"), N_("Not supported")),
    409: (N_("Not possible right now"), N_("Not possible right now")),
    410: (N_("Moved to a new number"), N_("Moved to a new number")),
    411: (N_("Length required"), N_("Something went wrong")),
    412: (N_("Precondition failed"), N_("Changed since you opened it")),
    413: (N_("Too large"), N_("Too large")),
    415: (N_("Unsupported media type"), N_("Wrong file type")),
    416: (N_("Range not satisfiable"), N_("Something went wrong")),
    422: (N_("Not valid"), N_("There’s a problem")),
    429: (N_("Too many requests"), N_("Too many attempts")),
    500: (N_("Internal error"), N_("Something went wrong")),
    503: (N_("Temporarily unavailable"), N_("Temporarily unavailable")),
}
OTHER_TITLE = (N_("Error"), N_("Something went wrong"))


@dataclass(frozen=True)
class Refusal:
    """An error as sent to the client. `fields` maps field names to error messages."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    api_message: str = ""  # replaces `message` in the API if that mentions pages

    @property
    def problem(self) -> dict[str, Any]:
        """The problem document (RFC 9457)."""
        said = {
            "type": f"/api/v1/docs#{self.code}",
            "title": gettext(TITLES.get(self.status, OTHER_TITLE)[0]),
            "status": self.status,
            "code": self.code,
            "detail": self.api_message or self.message,
        }
        errors = [{"field": name, "detail": detail} for name, detail in self.fields.items()]
        return {**said, "errors": errors} if errors else said


def status_of(error: MedfilesError) -> int:
    return _row(error).status


def explained(error: Exception) -> Refusal:
    """Return the error to send to the client for an exception. Unknown exceptions reveal no details."""
    error = getattr(error, "original_exception", None) or error
    row = _row(error)
    if isinstance(error, HTTPException):
        headers = {name: value for name, value in error.get_headers() if name.lower() in KEPT_HEADERS}
        if row is UNKNOWN and error.code and error.code != row.status:
            return Refusal(error.code, row.name, f"{error.name}.", headers)
    else:
        headers = {"Retry-After": RETRY_SECONDS} if row.status in (429, 503) else {}
    message = error.message if isinstance(error, MedfilesError) else gettext(row.message)
    fields = error.fields if isinstance(error, Rejected) else {}
    api_message = gettext(row.api_message) if message == gettext(row.message) else ""
    return Refusal(row.status, row.name, message, headers, fields, api_message)


def _row(error: Exception) -> ErrorType:
    return next((BY_CLASS[kind] for kind in type(error).__mro__ if kind in BY_CLASS), UNKNOWN)


def answered_by(app: Flask, prefix: str, answer: Answer) -> None:
    """Register the function that responds to errors under a URL prefix. The longest matching prefix wins."""
    app.extensions.setdefault("medfiles.http.errors", {})[prefix] = answer


def init_app(app: Flask) -> None:
    app.register_error_handler(MedfilesError, _answer)
    app.register_error_handler(HTTPException, lambda error: _answer(error) if (error.code or 0) >= 400 else error)
    app.register_error_handler(500, _answer_unknown)
    app.log_exception = lambda exc_info: None  # type: ignore[method-assign]  # Flask's own logs the path: see below


def _answer(error: Exception) -> Response:
    answers: dict[str, Answer] = current_app.extensions["medfiles.http.errors"]
    return answers[max((prefix for prefix in answers if request.path.startswith(prefix)), key=len)](error)


def _answer_unknown(error: Exception) -> ResponseReturnValue:
    """Respond to an unexpected error, and log it with the endpoint instead of the path."""
    original = getattr(error, "original_exception", None)
    if original is not None and not isinstance(original, MedfilesError):
        log.error("unhandled", endpoint=request.endpoint, exc_info=original)
    return _answer(error)
