"""Check every request before its view: sign-in, then CSRF; add security headers."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, request
from flask_security import current_user
from flask_wtf.csrf import CSRFError, CSRFProtect, validate_csrf
from werkzeug.exceptions import LengthRequired, UnsupportedMediaType
from werkzeug.routing import BaseConverter, IntegerConverter
from wtforms import ValidationError as BadToken

from medfiles.accounts import api_tokens
from medfiles.errors import DatabaseUnavailable, OutOfScope, Rejected, SignedOut
from medfiles.http import rate_limits
from medfiles.http.current import begin_writing, services

API = "api"  # the blueprint that takes tokens too
PUBLIC = {
    "api.document",
    "api.readable",
    "static",
    "status.healthz",
    "status.metrics",  # checks a token of its own
    "status.readyz",
    "security.login",
    "security.register",
    "security.two_factor_token_validation",
}
CSP = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'self'",
}
WRITES_ACCOUNT = {  # Flask-Security reads, then writes: on SQLite that must be a write transaction from the start
    "security.change_password",
    "security.register",
    "security.two_factor_setup",
    "security.two_factor_setup_validate",
    "security.two_factor_token_validation",
}
WITH_QR_CODE = {"security.two_factor_setup"}  # Flask-Security draws its QR code as a data: image
FORMS = ("", "application/x-www-form-urlencoded", "multipart/form-data")
LONGEST_ENTRY = 1000
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
NOT_VALID = "This token is not valid: it was mistyped or revoked, or its time is over."
LARGEST_ID = 2**63 - 1
csrf = CSRFProtect()


class IdConverter(IntegerConverter):
    """A number that fits a database id; anything else is 404."""

    regex = "[0-9]{1,18}"  # no digits of other scripts, which would give a page two URLs


class KindConverter(BaseConverter):
    """A record type by name; anything else is 404.

    Subclasses set `regex` to the names: if `to_python` rejected a name, Werkzeug would answer 405, since it collects
    the methods of matching patterns first.
    """

    def to_python(self, value: str) -> Any:
        return services().registry[value]

    def to_url(self, value: Any) -> str:
        return value if isinstance(value, str) else str(value.name)


class PluralConverter(KindConverter):
    """A record type by its plural, as in a patient's URLs."""

    def to_url(self, value: Any) -> str:
        return value if isinstance(value, str) else str(value.plural)


def _reading(converter: type[KindConverter], words: Iterable[str]) -> type[KindConverter]:
    return type(converter.__name__, (converter,), {"regex": "|".join(map(re.escape, words))})


def by_header_or_query(view: Any) -> Any:
    """Mark an upload view: its CSRF token is never read from the body.

    The body stays unread until the request is authorized.
    """
    view.token_outside_body = True
    return csrf.exempt(view)


def reads(view: Any) -> Any:
    """Mark a view that changes nothing despite POST: a read-only token may call it."""
    view.reads = True
    return view


def init_app(app: Flask) -> None:
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    app.config["WTF_CSRF_SSL_STRICT"] = False
    kinds = app.extensions["medfiles"].registry
    names, plurals = [kind.name for kind in kinds], [kind.plural for kind in kinds]
    kind, plural = _reading(KindConverter, [*names, *plurals]), _reading(PluralConverter, plurals)
    app.url_map.converters.update(int=IdConverter, kind=kind, plural=plural)
    csrf.init_app(app)
    app.before_request(require_somebody)
    app.before_request(require_token)
    app.after_request(add_headers)


def require_somebody() -> None:
    """Require a signed-in account or a valid token; count rate-limited requests."""
    if g.get("database_down") and request.endpoint not in ("static", "status.healthz"):
        raise DatabaseUnavailable()
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if request.blueprint == API and scheme.lower() == "bearer":
        _speak_for(token.strip())
    elif current_user.is_authenticated:
        g.account_id = current_user.id
    elif request.endpoint is not None and request.endpoint not in PUBLIC:
        raise SignedOut()
    if scope := getattr(current_app.view_functions.get(request.endpoint or ""), "counted", None):
        rate_limits.take(scope)


def _speak_for(token: str) -> None:
    """Authenticate by token; a session cookie does not make up for a wrong one."""
    found = api_tokens.bearer(token, request.remote_addr, g.request_id)
    if found is None:
        with rate_limits.wrong_token():
            raise SignedOut(NOT_VALID)
    g.actor, g.account_id = found.actor, found.actor.user_id
    if not found.may_write and _changes():
        raise OutOfScope("This token may only read.")


def _changes() -> bool:
    reads = getattr(current_app.view_functions.get(request.endpoint or ""), "reads", False)
    return request.method in CHANGING and not reads


def require_token() -> None:
    """Require a CSRF token on requests that change something."""
    if request.method not in CHANGING or request.endpoint is None:
        return
    if request.content_length is None and "Transfer-Encoding" in request.headers:
        raise LengthRequired()
    if request.blueprint == "security":
        check_security_form()
    if request.endpoint in WRITES_ACCOUNT:
        begin_writing()
    if "actor" in g:
        return  # an API token: other sites cannot send it
    view = current_app.view_functions[request.endpoint]
    outside_body = request.blueprint == API or getattr(view, "token_outside_body", False)
    if not outside_body:
        csrf.protect()
        return
    in_query = request.args.get("csrf_token") if request.blueprint != API else None
    try:
        validate_csrf(request.headers.get("X-CSRFToken") or in_query)
    except BadToken as error:
        raise CSRFError(str(error)) from error


def check_security_form() -> None:
    """Reject form input that would make Flask-Security fail."""
    if request.mimetype not in FORMS:
        raise UnsupportedMediaType()
    if any(len(value) > LONGEST_ENTRY for value in request.form.values()):
        raise Rejected(f"What you entered is longer than {LONGEST_ENTRY} characters. Please shorten it.")
    try:
        urlsplit(request.values.get("next", ""))
    except ValueError:
        raise Rejected("The address to go on to cannot be read. Please sign in from the start page.") from None


def add_headers(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "private, no-store")
    if request.endpoint != "static":
        response.vary.update(("HX-Request", "HX-History-Restore-Request"))
    policy = CSP | ({"img-src": "'self' blob: data:"} if request.endpoint in WITH_QR_CODE else {})
    response.headers.setdefault(
        "Content-Security-Policy", "; ".join(f"{name} {value}" for name, value in policy.items())
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Permissions-Policy"] = "geolocation=(), microphone=(), payment=(), usb=()"
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
