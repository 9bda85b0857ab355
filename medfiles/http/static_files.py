"""Serve scripts, styles, fonts and icons under versioned URLs, which browsers can cache for a year."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, send_from_directory

FOLDER = Path(__file__).resolve().parents[1] / "static"
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"  # embedding apps use plain URLs: after an update, a new page must not run an old script


def init_app(app: Flask) -> None:
    app.view_functions["static"] = send  # Flask's own URL rule is kept
    app.add_url_rule("/static/@<version>/<path:filename>", "static")

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values.setdefault("version", current_version())


def send(filename: str, version: str | None = None) -> Response:
    """Serve a static file. Scripts import each other by relative URLs, which keeps the version."""
    response = send_from_directory(FOLDER, filename)
    response.headers["Cache-Control"] = IMMUTABLE if version == current_version() else REVALIDATE
    return response


@cache
def current_version() -> str:
    """Return a hash of all static files, computed once per process."""
    digest = hashlib.sha256()
    for path in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        digest.update(path.relative_to(FOLDER).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
