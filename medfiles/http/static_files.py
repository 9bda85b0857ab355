"""Serve scripts, styles, fonts and icons under versioned URLs, which browsers can cache for a year."""

import gzip
import hashlib
from functools import cache, lru_cache
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request, send_from_directory
from werkzeug.security import safe_join

from medfiles.http.compression import accepts_gzip

FOLDER = Path(__file__).resolve().parents[1] / "static"
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"  # embedding apps use plain URLs: after an update, a new page must not run an old script
TEXTS = ("text/css", "text/javascript", "application/javascript", "image/svg+xml")


def init_app(app: Flask) -> None:
    app.view_functions["static"] = send  # Flask's own URL rule is kept
    app.add_url_rule("/static/@<version>/<path:filename>", "static")

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values.setdefault("version", current_version())


def send(filename: str, version: str | None = None) -> Response:
    """Serve a static file. Scripts import each other by relative URLs, which keeps the version."""
    response = _compressed(filename) or send_from_directory(FOLDER, filename)
    response.headers["Cache-Control"] = IMMUTABLE if version == current_version() else REVALIDATE
    if response.mimetype in TEXTS:
        response.vary.add("Accept-Encoding")
    return response


def _compressed(filename: str) -> Response | None:
    """Return a text file compressed, if the client takes that. Ranges are of the file as it is."""
    media_type, path = guess_type(filename)[0], safe_join(str(FOLDER), filename)
    if media_type not in TEXTS or not path or not Path(path).is_file():
        return None
    if "Range" in request.headers or not accepts_gzip():
        return None
    content, digest = _gzip(path, Path(path).stat().st_mtime_ns)
    response = current_app.response_class(content, mimetype=media_type)
    response.headers["Content-Encoding"] = "gzip"
    response.set_etag(f"{digest}-gzip")
    return response.make_conditional(request)  # type: ignore[return-value]


@lru_cache
def _gzip(path: str, modified: int) -> tuple[bytes, str]:
    """Compress a file once per process."""
    content = Path(path).read_bytes()
    return gzip.compress(content, 9, mtime=0), hashlib.sha256(content).hexdigest()[:16]


@cache
def current_version() -> str:
    """Return a hash of all static files, computed once per process."""
    digest = hashlib.sha256()
    for path in sorted(path for path in FOLDER.rglob("*") if path.is_file()):
        digest.update(path.relative_to(FOLDER).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]
