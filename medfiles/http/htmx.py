"""Helpers for htmx requests and response headers."""

import json
from typing import Any

from flask import Response, make_response, render_template, request


def is_htmx() -> bool:
    """Return whether to send a fragment. History restoration needs the whole page."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


def fragment(template: str, status: int = 200, /, **context: Any) -> Response:
    """Render a template as a response."""
    return make_response(render_template(template, **context), status)


def trigger(response: Response, event: str, **detail: Any) -> Response:
    """Add an event that htmx dispatches when it receives this response."""
    events = json.loads(response.headers.get("HX-Trigger", "{}"))
    response.headers["HX-Trigger"] = json.dumps({**events, event: detail})
    return response
