"""Error responses for the JSON API: problem details (RFC 9457)."""

from flask import Response, current_app

from medfiles.api.schemas import Problem
from medfiles.http.errors import explained

MEDIA_TYPE = "application/problem+json"


def answer_error(error: Exception) -> Response:
    """Return the problem details response for an exception."""
    refusal = explained(error)
    body = Problem.model_validate(refusal.problem).model_dump_json(exclude_defaults=True)
    response = current_app.response_class(body, refusal.status, refusal.headers, mimetype=MEDIA_TYPE)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="medfiles"'
    return response
