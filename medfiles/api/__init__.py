"""The JSON door, for scripts and other programs: /api/v1."""

from flask import Flask

from medfiles.api import docs_page, files, many, older, openapi, patients, previews, records, shares
from medfiles.api.door import blueprint
from medfiles.api.problems import answer_error
from medfiles.api.schemas import models_for
from medfiles.refusals import answered_by

__all__ = ["docs_page", "files", "init_app", "many", "older", "openapi", "patients", "previews", "records", "shares"]


def init_app(app: Flask) -> None:
    app.extensions["medfiles.api"] = models_for(app.extensions["medfiles"].registry)
    app.register_blueprint(blueprint)
    answered_by(app, "/api/", answer_error)
