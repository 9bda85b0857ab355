"""Check the host, sign-in, CSRF token and fresh proof before every view; add security headers."""

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, g, request
from flask_security import current_user
from flask_wtf.csrf import CSRFError, CSRFProtect, validate_csrf
from werkzeug.exceptions import LengthRequired, UnsupportedMediaType
from werkzeug.routing import BaseConverter, IntegerConverter
from wtforms import ValidationError as BadToken

from medfiles.accounts import api_tokens, proof
from medfiles.database.session import begin_write
from medfiles.errors import (
    OTHER_HOST,
    DatabaseUnavailable,
    OutOfScope,
    ProofNeeded,
    Rejected,
    SignedOut,
    WrongHost,
)
from medfiles.http import rate_limits, upload_check
from medfiles.http.current import actor, services
from medfiles.http.parameters import ID_DIGITS
from medfiles.i18n import gettext
from medfiles.permissions import INVALID_TOKEN

API = "api"  # the blueprint that also accepts tokens
PUBLIC = {
    "api.document",
    "api.readable",
    "shared.document",  # a share link's pages check its token, and the cookie of the opened link
    "shared.download",
    "shared.download_all",
    "shared.landing",
    "shared.open",
    "shared.picture",
    "shared.thumbnail",
    "shl.direct",  # SMART Health Links check their token
    "shl.file",
    "shl.manifest",
    "shl.viewer",
    "static",
    "status.healthz",
    "status.metrics",  # checks its own token
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
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), payment=(), usb=()",
}
WRITES_ACCOUNT = {  # Flask-Security reads before it writes: SQLite needs a write transaction from the start
    "security.change_password",
    "security.register",
    "security.two_factor_setup",
    "security.two_factor_setup_validate",
    "security.two_factor_token_validation",
}
NEEDS_PROOF = {  # changes to credentials
    "security.change_password",
    "security.two_factor_setup",
    "security.two_factor_setup_validate",
    "security.two_factor_token_validation",  # in a signed-in session, this also completes a setup
    "tokens.confirm",
    "tokens.new",
    "tokens.revoke",
}
FOR_PROBES = {"status.healthz", "status.metrics", "status.readyz"}  # local probes use the machine's own address
WITH_QR_CODE = {"security.two_factor_setup"}  # Flask-Security embeds its QR code as a data: image
FORMS = ("", "application/x-www-form-urlencoded", "multipart/form-data")
MAX_FIELD_LENGTH = 1000
WRITE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
csrf = CSRFProtect()
View = TypeVar("View", bound=Callable[..., Any])


class IdConverter(IntegerConverter):
    """An integer that fits a database id; anything else results in a 404."""

    regex = f"[0-9]{{1,{ID_DIGITS}}}"  # ASCII: digits of other scripts would give a resource several URLs


class RecordTypeConverter(BaseConverter):
    """A record type, given by its name; any other name results in a 404.

    `kind` accepts every type that documents can be attached to, `record_kind` only types of records, not the patient.
    Subclasses set `regex` to the names. If `to_python` rejected a name instead, Werkzeug would respond with 405,
    because it collects the methods of matching patterns first.
    """

    def to_python(self, value: str) -> Any:
        return services().registry[value]

    def to_url(self, value: Any) -> str:
        return value if isinstance(value, str) else str(value.name)


class PluralConverter(RecordTypeConverter):
    """A record type, given by its plural, as in a patient's URLs."""

    def to_url(self, value: Any) -> str:
        return value if isinstance(value, str) else str(value.plural)


def csrf_outside_body(view: Any) -> Any:
    """Mark an upload view, whose CSRF token is never read from the body.

    The body stays unread until the request is authorized.
    """
    view.csrf_outside_body = True
    return csrf.exempt(view)


def without_session(view: View) -> View:
    """Mark a form for visitors without a session. It needs no CSRF token: another site gains nothing by sending it."""
    view.without_session = True  # type: ignore[attr-defined]
    return view


def read_only(view: Any) -> Any:
    """Mark a POST view that changes nothing, so that a read-only token may call it."""
    view.read_only = True
    return view


def init_app(app: Flask) -> None:
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None
    app.config["WTF_CSRF_SSL_STRICT"] = False
    registry = app.extensions["medfiles"].registry
    plurals = _either(record_type.plural for record_type in registry)
    names = _either(name for record_type in registry for name in (record_type.name, record_type.plural))
    with_patient = f"{names}|{_either((registry.patient.name, registry.patient.plural))}"
    app.url_map.converters.update(
        int=IdConverter,
        kind=type("RecordTypeConverter", (RecordTypeConverter,), {"regex": with_patient}),
        record_kind=type("RecordTypeConverter", (RecordTypeConverter,), {"regex": names}),
        plural=type("PluralConverter", (PluralConverter,), {"regex": plurals}),
    )
    csrf.init_app(app)
    app.before_request(require_public_host)
    app.before_request(require_sign_in)
    app.before_request(require_csrf_token)
    app.before_request(require_proof)
    app.after_request(add_headers)


def _either(names: Iterable[str]) -> str:
    """Return a regular expression that matches each of the names."""
    return "|".join(map(re.escape, names))


def require_public_host() -> None:
    """Require the host name of MEDFILES_PUBLIC_URL, if set. Proxies may omit the port."""
    public = current_app.config["MEDFILES_PUBLIC_URL"]
    if not public or request.endpoint in FOR_PROBES:
        return
    if urlsplit(f"//{request.host}").hostname != urlsplit(public).hostname:
        raise WrongHost(gettext(OTHER_HOST, address=public))


def require_sign_in() -> None:
    """Require a signed-in account or a valid token; count rate-limited requests."""
    if g.get("database_down") and request.endpoint not in ("static", "status.healthz"):
        raise DatabaseUnavailable()
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if request.blueprint == API and scheme.lower() == "bearer":
        _authenticate_token(token.strip())
    elif current_user.is_authenticated:
        g.account_id = current_user.id
    elif request.endpoint is not None and request.endpoint not in PUBLIC:
        raise SignedOut()
    if (scope := _view_attribute("rate_limited")) and not upload_check.asked():
        rate_limits.count_request(scope)


def _authenticate_token(token: str) -> None:
    """Authenticate with an API token. An invalid token is refused even if the session cookie is valid."""
    found = api_tokens.authenticate(token, request.remote_addr, g.request_id)
    if found is None:
        with rate_limits.count_wrong_token():
            raise SignedOut(INVALID_TOKEN)
    g.actor, g.account_id = found.actor, found.actor.user_id
    is_read = request.method not in WRITE_METHODS or _view_attribute("read_only")
    if not (found.may_write or is_read):
        raise OutOfScope(gettext("This token can only read."))


def _view_attribute(name: str) -> Any:
    """Return an attribute that a decorator set on the requested view, or None."""
    return getattr(current_app.view_functions.get(request.endpoint or ""), name, None)


def require_csrf_token() -> None:
    """Require a CSRF token for requests that change data."""
    if request.method not in WRITE_METHODS or request.endpoint is None:
        return
    if request.content_length is None and "Transfer-Encoding" in request.headers:
        raise LengthRequired()
    if request.blueprint == "security":
        check_security_form()
    if request.endpoint in WRITES_ACCOUNT:
        begin_write()
    if "actor" in g or _view_attribute("without_session"):
        return  # other sites cannot send an API token
    if request.blueprint != API and not _view_attribute("csrf_outside_body"):
        csrf.protect()
        return
    in_query = request.args.get("csrf_token") if request.blueprint != API else None
    try:
        validate_csrf(request.headers.get("X-CSRFToken") or in_query)
    except BadToken as error:
        raise CSRFError(str(error)) from error


def require_proof() -> None:
    """Require fresh proof of identity for changes to credentials, and use it up in the change's transaction.

    If the change fails, the proof is not used up. In views that call a service, the service uses the proof.
    """
    if request.endpoint not in NEEDS_PROOF or not current_user.is_authenticated:
        return
    if request.method in WRITE_METHODS and request.endpoint in WRITES_ACCOUNT:
        proof.use(actor(), g.session_digest)
    elif not proof.is_fresh(g.session_digest):
        raise ProofNeeded()


def check_security_form() -> None:
    """Reject form input that would make Flask-Security fail."""
    if request.mimetype not in FORMS:
        raise UnsupportedMediaType()
    if any(len(value) > MAX_FIELD_LENGTH for value in request.form.values()):
        raise Rejected(gettext("Your entry is longer than %(most)s characters. Shorten it.", most=MAX_FIELD_LENGTH))
    try:
        urlsplit(request.values.get("next", ""))
    except ValueError:
        raise Rejected(gettext("The link you followed is not valid. Sign in from the home page.")) from None


def add_headers(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "private, no-store")
    if request.endpoint != "static":
        response.vary.update(("HX-Request", "HX-History-Restore-Request"))
    policy = CSP | ({"img-src": "'self' blob: data:"} if request.endpoint in WITH_QR_CODE else {})
    response.headers.setdefault("Content-Security-Policy", "; ".join(map(" ".join, policy.items())))
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    return response
