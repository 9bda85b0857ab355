"""One shape for everything that goes wrong over JSON: problem details (RFC 9457)."""

from flask import Response, current_app

from medfiles.api.schemas import Problem, Wrong
from medfiles.errors import SignedOut
from medfiles.http.errors import explained

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Malformed request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Not possible right now",
    411: "Length required",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    422: "Not valid",
    429: "Too many requests",
    500: "Internal error",
    503: "Temporarily unavailable",
}
SENTENCES = {  # where the sentence for pages speaks of pages
    "malformed": "The request could not be understood.",
    "csrf": "The X-CSRFToken header is missing or stale. Scripts send an API token instead of the session cookie.",
    "media-type": "The content type must be application/json.",
    "signed-out": "Send an API token in the header “Authorization: Bearer <token>”.",
}


def answer_error(error: Exception) -> Response:
    refusal = explained(error)
    body = problem_of(error).model_dump_json(exclude_defaults=True)
    response = current_app.response_class(body, refusal.status, refusal.headers, mimetype=MEDIA_TYPE)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="medfiles"'
    return response


def problem_of(error: Exception) -> Problem:
    refusal = explained(error)
    own_words = isinstance(error, SignedOut) and error.message != SignedOut().message
    return Problem(
        type=f"/api/v1/docs#{refusal.code}",
        title=TITLES.get(refusal.status, "Error"),
        status=refusal.status,
        code=refusal.code,
        detail=refusal.message if own_words else SENTENCES.get(refusal.code, refusal.message),
        errors=[Wrong(field=name, detail=detail) for name, detail in refusal.fields.items()],
    )
