"""What every request passes before its view: who asks, then a CSRF token on what changes something; headers after."""

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
from medfiles.http.parameters import ID_DIGITS

API = "api"  # the blueprint that takes tokens too
PUBLIC = {
    "api.document",
    "api.readable",
    "static",
    "status.healthz",
    "status.metrics",  # which asks for a token of its own
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
WRITES_ACCOUNT = {  # Flask-Security reads, then writes: on SQLite such a transaction must be a writer from the start
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
NOT_VALID = "Invalid, revoked or expired token."
csrf = CSRFProtect()


class IdConverter(IntegerConverter):
    """A number that a database can hold; any other is 404."""

    regex = f"[0-9]{{1,{ID_DIGITS}}}"  # and no digits of other scripts, which would give one thing two addresses


class KindConverter(BaseConverter):
    """A kind of record, by the names that its subclass has in `regex`; any other word is 404.

    A word is refused by the pattern, not when it is converted: by then Werkzeug has noted the methods of the address
    and would answer 405.
    """

    def to_python(self, value: str) -> Any:
        return services().registry[value]

    def to_url(self, value: Any) -> str:
        return value if isinstance(value, str) else str(value.name)


class PluralConverter(KindConverter):
    """The same in a patient's URLs."""

    def to_url(self, value: Any) -> str:
        return value if isinstance(value, str) else str(value.plural)


def _reading(converter: type[KindConverter], words: Iterable[str]) -> type[KindConverter]:
    return type(converter.__name__, (converter,), {"regex": "|".join(map(re.escape, words))})


def by_header_or_query(view: Any) -> Any:
    """Mark an upload view: its CSRF token is never looked for in the body, which stays unread until it is checked."""
    view.token_outside_body = True
    return csrf.exempt(view)


def reads(view: Any) -> Any:
    """Mark a view that changes nothing though it is asked by POST: a token that may only read reaches it."""
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
    """Let the request act for whoever the token is of; a wrong one is never made good by a session beside it."""
    found = api_tokens.bearer(token, request.remote_addr, g.request_id)
    if found is None:
        with rate_limits.wrong_token():
            raise SignedOut(NOT_VALID)
    g.actor, g.account_id = found.actor, found.actor.user_id
    if not found.may_write and _changes():
        raise OutOfScope("This token can only read.")


def _changes() -> bool:
    reads = getattr(current_app.view_functions.get(request.endpoint or ""), "reads", False)
    return request.method in CHANGING and not reads


def require_token() -> None:
    if request.method not in CHANGING or request.endpoint is None:
        return
    if request.content_length is None and "Transfer-Encoding" in request.headers:
        raise LengthRequired()
    if request.blueprint == "security":
        check_security_form()
    if request.endpoint in WRITES_ACCOUNT:
        begin_writing()
    if "actor" in g:
        return  # by a token of its own, which no other site's page can send
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
    """What Flask-Security would stumble over, refused before it sees it."""
    if request.mimetype not in FORMS:
        raise UnsupportedMediaType()
    if any(len(value) > LONGEST_ENTRY for value in request.form.values()):
        raise Rejected(f"Your entry is longer than {LONGEST_ENTRY} characters. Shorten it.")
    try:
        urlsplit(request.values.get("next", ""))
    except ValueError:
        raise Rejected("The link you followed is not valid. Sign in from the home page.") from None


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
