"""The JSON API for scripts and other programs: /api/v1.

To add an operation, write a handler in the module for its resource and decorate it with `@blueprint.<method>` and
`@operation(...)`. Import new modules below, so that their handlers are registered.
"""

from flask import Flask

from medfiles.api import (
    bulk,
    docs_page,
    files,
    inbox,
    legacy,
    links,
    openapi,
    patients,
    previews,
    records,
    search,
    shares,
    smart_links,
)  # fmt: skip
from medfiles.api.problem_details import answer_error
from medfiles.api.schemas import models_for
from medfiles.api.toolkit import blueprint
from medfiles.http.errors import answered_by

__all__ = [
    "bulk", "docs_page", "files", "inbox", "init_app", "legacy", "links", "openapi", "patients", "previews", "records",
    "search", "shares", "smart_links",
]  # fmt: skip


def init_app(app: Flask) -> None:
    app.extensions["medfiles.api"] = models_for(tuple(app.extensions["medfiles"].registry))
    app.register_blueprint(blueprint)
    answered_by(app, "/api/", answer_error)
