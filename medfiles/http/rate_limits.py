"""Rate limits: sign-in, codes, tokens, uploads and bulk requests."""

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from flask import Flask, Response, current_app, g, request, session
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

WAIT: dict[str, str | int] = {  # seconds for Redis, after which each process counts for itself
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
}
SIGN_IN, CODE = "security.login", "security.two_factor_token_validation"
TOKEN = "tokens.new"
OWN_PASSWORD = ("security.change_password", "security.verify", TOKEN)  # ask for the password again
MEANWHILE, FOR_LONG = "5 minutes", "15 minutes"
HOUSE, ALL = 6, 5  # limits per address and per account, as multiples of the limit for both together
FAILED = (200, 400, 401, 422)  # a correct form redirects, except that for tokens, which shows the token
UPLOADS, MANY, WRONG_TOKENS = "uploads", "many", "wrong-tokens"


def counted(scope: str) -> Callable[[Any], Any]:
    """Mark a view as rate-limited per account."""

    def mark(view: Any) -> Any:
        view.counted = scope
        return view

    return mark


def init_app(app: Flask) -> None:
    app.extensions["medfiles.http.rate_limits"] = Limiter(
        get_remote_address,
        app=app,
        storage_uri=app.config["MEDFILES_LIMITS_URL"],
        storage_options=WAIT,
        key_prefix="medfiles",
        in_memory_fallback_enabled=True,
    )
    app.after_request(_say_when)


def take(scope: str) -> None:
    """Count a request of this account; 429 beyond the limit."""
    with _limit(scope, {UPLOADS: "UPLOADS", MANY: "BULK"}[scope], lambda: str(g.account_id)):
        pass


def wrong_token() -> AbstractContextManager[Any]:
    """Count a wrong token per client address, over all API URLs."""
    return _limit(WRONG_TOKENS, "TOKEN_FAILURES", get_remote_address)


def _limit(scope: str, name: str, key: Callable[[], str]) -> AbstractContextManager[Any]:
    most = current_app.config[f"MEDFILES_{name}_PER_MINUTE"]
    if not most:
        return nullcontext()
    limit: AbstractContextManager[Any] = _limiter().shared_limit(f"{most}/minute", scope=scope, key_func=key)
    return limit


def _say_when(response: Response) -> Response:
    if response.status_code == 429 and (limit := _limiter().current_limit):
        response.headers["Retry-After"] = str(max(1, int(limit.window[0] - time.time()) + 1))
    return response


def _limiter() -> Any:
    return current_app.extensions["medfiles.http.rate_limits"]


def guard_sign_in(app: Flask) -> None:
    """Limit failed sign-ins; beyond the limit, correct ones are refused too.

    Counted per address and account together, per address, and per account.
    """
    most = app.config["MEDFILES_SIGN_IN_FAILURES"]
    if not most:
        return
    for endpoint in (SIGN_IN, CODE):
        _guard(app, endpoint, f"{most} per {MEANWHILE}", lambda: f"{get_remote_address()} {_account()}", "both")
        _guard(app, endpoint, f"{most * HOUSE} per {MEANWHILE}", get_remote_address, "address")
        _guard(app, endpoint, f"{most * ALL} per {FOR_LONG}", _account, "account")
    for endpoint in OWN_PASSWORD:
        _guard(app, endpoint, f"{most} per {MEANWHILE}", _signed_in, "own-password")


def _guard(app: Flask, endpoint: str, limit: str, key: Callable[[], str], scope: str) -> None:
    limiter = app.extensions["medfiles.http.rate_limits"]
    guard = limiter.shared_limit(limit, scope, key_func=key, methods=["POST"], deduct_when=_went_wrong)
    app.view_functions[endpoint] = guard(app.view_functions[endpoint])


def _went_wrong(response: Response) -> bool:
    shown = request.endpoint == TOKEN and response.status_code == 200
    return response.status_code in FAILED and not shown


def _account() -> str:
    """Hash the account's key, to keep e-mail addresses out of the limiter store."""
    name = request.form.get("email", "").strip().lower() if request.endpoint == SIGN_IN else ""
    return hashlib.sha256((name or str(session.get("tf_user_id", ""))).encode()).hexdigest()


def _signed_in() -> str:
    return str(session.get("_user_id", get_remote_address()))
