"""Create the Flask app and initialize its components in order."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from medfiles import api, cli, config, legacy, services, web
from medfiles.database import session
from medfiles.http import (
    capacity,
    compression,
    current,
    errors,
    logging,
    parameters,
    rate_limits,
    security,
    static_files,
    upload_check,
)
from medfiles.http.sessions import DatabaseSessions
from medfiles.operations import instance
from medfiles.record_types.declared import RECORD_TYPES, RecordType

PACKAGE = Path(__file__).resolve().parent


def create_app(environ: Mapping[str, str] | None = None, record_types: Iterable[RecordType] = RECORD_TYPES) -> Flask:
    """Create the app from the MEDFILES_* settings in `environ` (default: the process environment)."""
    settings = config.load(os.environ if environ is None else environ)
    instance.prepare(settings)
    logging.configure(settings["MEDFILES_LOG_FORMAT"])
    app = current.App(
        __name__,
        instance_path=str(settings["MEDFILES_INSTANCE"]),
        template_folder=str(PACKAGE / "templates"),
        static_folder=str(static_files.FOLDER),
    )
    app.config.update(_flask_config(settings))
    app.extensions["medfiles"] = installed = services.build(settings, record_types)
    legacy.install(installed, settings["MEDFILES_OLDER_UPLOADS"])
    if hops := settings["MEDFILES_PROXIES"]:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    session.init_app(app)
    app.session_interface = DatabaseSessions(app, installed.idle, installed.longest)
    compression.init_app(app)
    static_files.init_app(app)
    current.init_app(app)
    logging.init_app(app)
    errors.init_app(app)
    capacity.init_app(app)
    rate_limits.init_app(app)
    security.init_app(app)
    parameters.init_app(app)
    upload_check.init_app(app)
    web.init_app(app, settings)
    rate_limits.limit_sign_in(app)
    api.init_app(app)
    cli.init_app(app)
    return app


def _flask_config(settings: Mapping[str, Any]) -> dict[str, Any]:
    secure = settings["MEDFILES_HTTPS"]
    return {
        **settings,
        "SECRET_KEY": config.secret_key(settings),
        "SQLALCHEMY_DATABASE_URI": settings["MEDFILES_DATABASE_URL"],
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "hide_parameters": True,  # keep personal data out of tracebacks
            "pool_pre_ping": not settings["MEDFILES_DATABASE_URL"].startswith("sqlite"),  # SQLite never disconnects
        },
        "MIGRATIONS": PACKAGE / "migrations",
        "MAX_CONTENT_LENGTH": 1024 * 1024,  # uploads are limited by their record type instead
        "SESSION_COOKIE_NAME": "__Host-medfiles" if secure else "medfiles",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
    }
