"""medfiles keeps the documents of a family's or clinic's medical records."""

import atexit
import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from medfiles import api, cli, config, web
from medfiles.antivirus.clamd import scanner_at
from medfiles.audit import chain
from medfiles.audit.chain import Sealer
from medfiles.audit.checkpoint import anchor_at
from medfiles.database import session
from medfiles.http import errors, logging, rate_limits, responses, security, static_files
from medfiles.http.sessions import DatabaseSessions
from medfiles.previews import renderer
from medfiles.previews.libreoffice import Converter
from medfiles.record_types.declared import ENTITY_TYPES, EntityType
from medfiles.record_types.overrides import with_overrides
from medfiles.sandbox.pool import Room, Sandbox
from medfiles.services import Installation
from medfiles.storage import open_storages

HOME = Path(__file__).resolve().parent


def create_app(environ: Mapping[str, str] | None = None, entity_types: Iterable[EntityType] = ENTITY_TYPES) -> Flask:
    """The app as the MEDFILES_* settings in `environ` (default: the process's own) describe it."""
    settings = config.load(os.environ if environ is None else environ)
    logging.configure(settings["MEDFILES_LOG_FORMAT"])
    app = Flask(
        __name__,
        instance_path=str(settings["MEDFILES_INSTANCE"]),
        template_folder=str(HOME / "templates"),
        static_folder=str(static_files.FOLDER),
    )
    settings["MEDFILES_INSTANCE"].mkdir(mode=0o700, parents=True, exist_ok=True)
    app.config.update(_flask_config(settings))
    parts = _parts(settings, entity_types)
    app.extensions["medfiles"] = parts
    if settings["MEDFILES_PROXIES"]:
        hops = settings["MEDFILES_PROXIES"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    session.init_app(app)
    app.session_interface = DatabaseSessions(app, parts.idle, parts.longest)
    static_files.init_app(app)
    responses.init_app(app)
    logging.init_app(app)
    errors.init_app(app)
    rate_limits.init_app(app)
    security.init_app(app)
    web.init_app(app, settings)
    rate_limits.guard_sign_in(app)
    api.init_app(app)
    cli.init_app(app)
    return app


def _parts(settings: Mapping[str, Any], entity_types: Iterable[EntityType]) -> Installation:
    sandbox = Sandbox(settings["MEDFILES_INSPECTORS"])
    renderers = Sandbox(settings["MEDFILES_RENDERERS"], renderer.TASKS, renderer.LIMITS)
    atexit.register(sandbox.close)
    atexit.register(renderers.close)
    return Installation(
        registry=with_overrides(entity_types, settings["MEDFILES_ENTITIES"]),
        storages=open_storages(
            settings["MEDFILES_STORAGE_URL"],
            settings["MEDFILES_INSTANCE"] / "staged",
            settings["MEDFILES_OLDER_UPLOADS"],
            settings["MEDFILES_STORAGE_ALSO"],
        ),
        sandbox=sandbox,
        renderers=renderers,
        converter=Converter(settings["MEDFILES_SOFFICE"]),
        sealer=Sealer(
            chain.key_from(settings["MEDFILES_AUDIT_KEY"] or config.secret_key(settings)),
            anchor_at(settings["MEDFILES_AUDIT_ANCHOR"], settings["MEDFILES_INSTANCE"]),
        ),
        room=Room(max(1, settings["MEDFILES_THREADS"] - 2)),
        trash_days=settings["MEDFILES_TRASH_DAYS"],
        verify_days=settings["MEDFILES_VERIFY_DAYS"],
        quota=settings["MEDFILES_QUOTA"],
        scanner=scanner_at(settings["MEDFILES_CLAMD"], settings["MEDFILES_CLAMD_SECONDS"]),
        idle=timedelta(minutes=settings["MEDFILES_IDLE_MINUTES"]),
        longest=timedelta(hours=settings["MEDFILES_SESSION_HOURS"]),
    )


def _flask_config(settings: Mapping[str, Any]) -> dict[str, Any]:
    secure = settings["MEDFILES_HTTPS"]
    return {
        **settings,
        "SECRET_KEY": config.secret_key(settings),
        "SQLALCHEMY_DATABASE_URI": settings["MEDFILES_DATABASE_URL"],
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "hide_parameters": True,  # no names in traces
            "pool_pre_ping": not settings["MEDFILES_DATABASE_URL"].startswith("sqlite"),  # a file does not hang up
        },
        "MIGRATIONS": HOME / "migrations",
        "MAX_CONTENT_LENGTH": 1024 * 1024,  # of everything but uploads, which have the limits of their kind
        "SESSION_COOKIE_NAME": "__Host-medfiles" if secure else "medfiles",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
    }
