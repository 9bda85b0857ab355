"""Small helpers for requests that htmx makes and the headers it reads back."""

import json
from typing import Any

from flask import Response, make_response, render_template, request


def is_htmx() -> bool:
    """Whether to answer a fragment; a page htmx restores from history is asked for whole."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


def fragment(template: str, status: int = 200, /, **context: Any) -> Response:
    """One partial template as an answer of its own."""
    return make_response(render_template(template, **context), status)


def trigger(response: Response, event: str, **detail: Any) -> Response:
    """Let htmx dispatch one more event on the page when it has this answer."""
    events = json.loads(response.headers.get("HX-Trigger", "{}"))
    response.headers["HX-Trigger"] = json.dumps({**events, event: detail})
    return response
