"""Rate limits for sign-in, codes, tokens, uploads and bulk requests."""

import hashlib
import ipaddress
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from flask import Flask, Response, current_app, g, request, session
from flask_limiter import Limiter
from flask_security import current_user
from limits import parse
from limits.storage import MemoryStorage

from medfiles.accounts import service as accounts
from medfiles.clock import SKEW

# Redis timeouts in seconds. If Redis does not respond, each process keeps its own counts.
REDIS_TIMEOUTS: dict[str, str | int] = {"socket_connect_timeout": 1, "socket_timeout": 1}
SIGN_IN, CODE = "security.login", "security.two_factor_token_validation"
CONFIRM = "account.verify"  # asks for the password and code again
EVENTS = {SIGN_IN: "sign-in", CODE: "second-step", CONFIRM: "confirm"}  # in the audit log
SHORT_WINDOW, LONG_WINDOW = "5 minutes", "15 minutes"
PER_ADDRESS, PER_ACCOUNT = 6, 5  # limits per address and per account, as multiples of the limit per combination
FAILED = (200, 400, 401, 422)  # a successful attempt redirects
REFUSALS_PER_CLIENT, REFUSALS_IN_ALL = parse("10 per minute"), parse("300 per minute")  # in the audit log
LINK_OPENINGS = "120 per minute"
UPLOADS, BULK, WRONG_TOKENS = "uploads", "many", "wrong-tokens"


def rate_limited(scope: str) -> Callable[[Any], Any]:
    """Mark a view as rate-limited per account."""

    def mark(view: Any) -> Any:
        view.rate_limited = scope
        return view

    return mark


def client_network() -> str:
    """Return the network counted as one client: an IPv4 address, or the /64 of an IPv6 address.

    A /64 is the smallest network that providers assign, and its user can choose any address in it.
    """
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return request.remote_addr or "unknown"  # a Unix socket
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((int(address), 64), strict=False))


def init_app(app: Flask) -> None:
    app.extensions["medfiles.http.clock_offset"] = _clock_offset()
    app.before_request(_forget_after_clock_jump)  # before the limiter's own check
    app.extensions["medfiles.http.rate_limits"] = Limiter(
        client_network,
        app=app,
        storage_uri=app.config["MEDFILES_LIMITS_URL"],
        storage_options=REDIS_TIMEOUTS,
        key_prefix="medfiles",
        in_memory_fallback_enabled=True,
    )
    app.after_request(_add_retry_after)


def _clock_offset() -> float:
    return time.time() - time.monotonic()


def _forget_after_clock_jump() -> None:
    """Reset the counts in memory if the clock was set: they last until a time that a wrong clock may have stored.

    Redis expires its counts by its own clock.
    """
    known, offset = current_app.extensions["medfiles.http.clock_offset"], _clock_offset()
    current_app.extensions["medfiles.http.clock_offset"] = offset
    if abs(offset - known) > SKEW.total_seconds() and isinstance(storage := _limiter().storage, MemoryStorage):
        storage.reset()


def count_request(scope: str) -> None:
    """Count a request by the current account. Respond with 429 beyond the limit."""
    with _limit(scope, {UPLOADS: "UPLOADS", BULK: "BULK"}[scope], lambda: str(g.account_id)):
        pass


def may_record_refusal() -> bool:
    """Count a refused sign-in; return whether to write it to the audit log, which a flood must not fill.

    Besides the limit for all clients, there is one per client network, so that no client can use up the former alone.
    """
    strategy = _limiter().limiter
    return bool(strategy.hit(REFUSALS_PER_CLIENT, "refused sign-ins", client_network())) and bool(
        strategy.hit(REFUSALS_IN_ALL, "refused sign-ins")
    )


def count_wrong_token() -> AbstractContextManager[Any]:
    """Count a wrong token for the client's network, across all API URLs."""
    return _limit(WRONG_TOKENS, "TOKEN_FAILURES", client_network)


def count_link_opening(link_id: int) -> None:
    """Count an attempt to open a share link, for the link and for the client's network. Respond with 429 beyond."""
    for scope, key in (("openings of a link", lambda: str(link_id)), ("link openings", client_network)):
        with _limiter().shared_limit(LINK_OPENINGS, scope=scope, key_func=key):
            pass


def _limit(scope: str, name: str, key: Callable[[], str]) -> AbstractContextManager[Any]:
    allowed = current_app.config[f"MEDFILES_{name}_PER_MINUTE"]
    if not allowed:
        return nullcontext()
    limit: AbstractContextManager[Any] = _limiter().shared_limit(f"{allowed}/minute", scope=scope, key_func=key)
    return limit


def _add_retry_after(response: Response) -> Response:
    if response.status_code == 429 and (limit := _limiter().current_limit):
        response.headers.setdefault("Retry-After", str(max(1, int(limit.window[0] - time.time()) + 1)))
    return response


def _limiter() -> Any:
    return current_app.extensions["medfiles.http.rate_limits"]


def limit_sign_in(app: Flask) -> None:
    """Limit failed sign-ins. Beyond the limit, even correct ones are refused.

    Failures are counted per address and account together, per address, and per account.
    """
    allowed = app.config["MEDFILES_SIGN_IN_FAILURES"]
    if not allowed:
        return

    def limit(endpoint: str, most: int, window: str, key: Callable[[], str], scope: str) -> None:
        limiter = app.extensions["medfiles.http.rate_limits"]
        counted = {"methods": ["POST"], "deduct_when": _has_failed, "on_breach": _record_refusal}
        decorator = limiter.shared_limit(f"{most} per {window}", scope, key_func=key, **counted)
        app.view_functions[endpoint] = decorator(app.view_functions[endpoint])

    for endpoint in (SIGN_IN, CODE):
        limit(endpoint, allowed, SHORT_WINDOW, lambda: f"{client_network()} {_hashed_account()}", "both")
        limit(endpoint, allowed * PER_ADDRESS, SHORT_WINDOW, client_network, "address")
        limit(endpoint, allowed * PER_ACCOUNT, LONG_WINDOW, _hashed_account, "account")
    limit(CONFIRM, allowed, SHORT_WINDOW, lambda: str(session.get("_user_id", client_network())), "own-password")


def _record_refusal(_: Any) -> None:
    """Record an attempt beyond the limit, without looking up the account it was for."""
    if may_record_refusal():
        user = current_user._get_current_object() if current_user.is_authenticated else None
        action, address = EVENTS[str(request.endpoint)], request.remote_addr
        accounts.log_sign_in(action, user, False, address, g.request_id, reason="rate-limited")


def _has_failed(response: Response) -> bool:
    return response.status_code in FAILED


def _hashed_account() -> str:
    """Hash the account's key, to keep e-mail addresses out of the limiter store."""
    name = request.form.get("email", "").strip().lower() if request.endpoint == SIGN_IN else ""
    return hashlib.sha256((name or str(session.get("tf_user_id", ""))).encode()).hexdigest()
