"""How often is too often: wrong passwords, codes and tokens; uploads; work on many documents at once."""

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from flask import Flask, Response, current_app, g, request, session
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

WAIT: dict[str, str | int] = {  # seconds for Redis: past them each process counts by itself
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
}
SIGN_IN, CODE = "security.login", "security.two_factor_token_validation"
TOKEN = "tokens.new"
OWN_PASSWORD = ("security.change_password", "security.verify", TOKEN)  # where one's own is asked for once more
MEANWHILE, FOR_LONG = "5 minutes", "15 minutes"
HOUSE, ALL = 6, 5  # of one address, and of one account from everywhere, so many times the limit of both together
FAILED = (200, 400, 401, 422)  # a form that was right leads on, but for that of a token, which is shown
UPLOADS, MANY, WRONG_TOKENS = "uploads", "many", "wrong-tokens"


def counted(scope: str) -> Callable[[Any], Any]:
    """Mark a view that one account may ask so many times a minute."""

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
    """One more by this request's account; answered 429 past the limit."""
    with _limit(scope, {UPLOADS: "UPLOADS", MANY: "BULK"}[scope], lambda: str(g.account_id)):
        pass


def wrong_token() -> AbstractContextManager[Any]:
    """Counted per address, whichever of the API's addresses are asked: only who sends wrong ones ever sees a 429."""
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
    """Refuse more tries, right ones too, where too many went wrong: by this address for this account, by this address
    for any, for this account from anywhere."""
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
    """Whose it says it is, so that no address of a person stands in a store of counts."""
    name = request.form.get("email", "").strip().lower() if request.endpoint == SIGN_IN else ""
    return hashlib.sha256((name or str(session.get("tf_user_id", ""))).encode()).hexdigest()


def _signed_in() -> str:
    return str(session.get("_user_id", get_remote_address()))
