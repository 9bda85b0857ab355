"""Compress pages and JSON with gzip, unless the length could tell another site something (BREACH)."""

import gzip

from flask import Flask, Response, current_app, request

MEDIA_TYPES = ("text/html", "application/json", "application/problem+json")
SMALLEST = 1024  # bytes; below, little is gained
LEVEL = 5
OWN_SITES = ("same-origin", "none")  # values of Sec-Fetch-Site: asked for by our own pages, or by the user


def init_app(app: Flask) -> None:
    app.after_request(compress)  # must be registered first: hooks run in reverse order


def compress(response: Response) -> Response:
    """Compress a complete response whose ETag does not identify its exact bytes."""
    if response.mimetype not in MEDIA_TYPES or response.is_streamed or response.direct_passthrough:
        return response
    if response.status_code == 206 or "Content-Encoding" in response.headers or "Accept-Ranges" in response.headers:
        return response
    response.vary.add("Accept-Encoding")
    _, is_weak = response.get_etag()
    if is_weak is not False and accepts_gzip() and is_safe() and (response.calculate_content_length() or 0) >= SMALLEST:
        response.set_data(gzip.compress(response.get_data(), LEVEL, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
    return response


def accepts_gzip() -> bool:
    return request.accept_encodings["gzip"] > 0


def is_safe() -> bool:
    """Return whether the request was not caused by another site.

    BREACH needs many responses to requests that contain the attacker's guesses. Browsers that do not send
    Sec-Fetch-Site get compressed pages only over plain HTTP, where there is nothing left to protect.
    """
    if "Authorization" in request.headers:
        return True
    site = request.headers.get("Sec-Fetch-Site")
    return site in OWN_SITES if site else not current_app.config["SESSION_COOKIE_SECURE"]
