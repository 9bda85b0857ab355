"""Create, list, confirm, revoke and authenticate API tokens."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, select, update

from medfiles import permissions
from medfiles.accounts import proof
from medfiles.accounts import service as accounts
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import is_past, is_within, now
from medfiles.database.session import db, transaction
from medfiles.database.sqlite import ASYNCHRONOUS
from medfiles.errors import NotFound, Rejected, SignedOut
from medfiles.i18n import N_, gettext
from medfiles.models import ApiToken, Role, User
from medfiles.permissions import Actor
from medfiles.text import clean_text

PREFIX = "mf"
SHAPE = re.compile(rf"{PREFIX}_([0-9a-f]{{16}})_([A-Za-z0-9_-]{{43}})")
READ, WRITE, SHARE = SCOPES = ("read", "write", "share")  # each scope includes the previous one
NAME_LIMIT, MAX_TOKENS = 100, 50  # characters; tokens per account
USED_AT_PRECISION = timedelta(minutes=1)  # precision of `used_at`, to avoid a write on every request
MAX_LIFETIME = timedelta(days=3650)
NO_TOKEN = N_("This token does not exist or has already been revoked.")
SUSPENDED = N_("This token was suspended when a backup was restored. Its owner can confirm it on the account page.")
UNKNOWN_DIGEST = "0" * 64


@dataclass(frozen=True)
class TokenIdentity:
    """The actor authenticated by a token, and whether the token allows changes."""

    actor: Actor
    may_write: bool


def create(
    actor: Actor,
    name: str,
    scope: str = READ,
    patient_id: int | None = None,
    lifetime: timedelta | None = None,
    session_digest: str | None = None,
) -> tuple[ApiToken, str]:
    """Create a token and return it with its text, which cannot be retrieved later.

    patient_id      the only patient the token gives access to; None for all of the account's patients
    lifetime        how long the token is valid; None if it never expires
    session_digest  the session whose proof of identity to use up; None for operator commands, which need no proof

    Raises Rejected, naming the field, if a value is invalid.
    """
    name = clean_text(name and " ".join(name.splitlines()), NAME_LIMIT, gettext("The name")) or ""
    selector, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    token = ApiToken(
        user_id=actor.user_id, name=name, selector=selector, digest=_digest(secret), scope=scope,
        patient_id=patient_id, expires_at=now() + lifetime if lifetime else None,
    )  # fmt: skip
    with transaction() as session:
        if session_digest:
            proof.use(actor, session_digest)
        _check(actor, token, lifetime)
        session.add(token)
        session.flush()
        event_log.record(actor, "create-token", AuditTarget(patient_id, name=name), scope=scope)
    return token, f"{PREFIX}_{selector}_{secret}"


def list_tokens(actor: Actor) -> Sequence[ApiToken]:
    """Return the actor's tokens, newest first, including expired ones."""
    return db.session.scalars(_own_tokens(actor).order_by(ApiToken.id.desc())).all()


def find(actor: Actor, token_id: int, *, lock: bool = False) -> ApiToken:
    """Return one of the actor's tokens. Raises NotFound if the actor has no such token."""
    query = _own_tokens(actor).where(ApiToken.id == token_id)
    token: ApiToken | None = db.session.scalar(query.with_for_update() if lock else query)
    if token is None:
        raise NotFound(NO_TOKEN)
    return token


def confirm(actor: Actor, token_id: int, session_digest: str | None = None) -> ApiToken:
    """Reactivate a suspended token. Raises NotFound if the actor has no such token.

    `session_digest` has the same meaning as in `create`.
    """
    with transaction():
        token = find(actor, token_id, lock=True)
        if session_digest:
            proof.use(actor, session_digest)
        if token.suspended_at is not None:
            token.suspended_at = None
            event_log.record(actor, "confirm-token", AuditTarget(token.patient_id, name=token.name), scope=token.scope)
    return token


def revoke(actor: Actor, token_id: int, session_digest: str | None = None) -> ApiToken:
    """Revoke a token with immediate effect. Raises NotFound if the actor has no such token.

    `session_digest` has the same meaning as in `create`.
    """
    with transaction() as session:
        token = find(actor, token_id, lock=True)
        if session_digest:
            proof.use(actor, session_digest)
        event_log.record(actor, "revoke-token", AuditTarget(token.patient_id, name=token.name), scope=token.scope)
        session.delete(token)
    return token


# Runs for every API request, so it is built once and selects only the columns needed.
_TOKEN_WITH_ACCOUNT = (
    select(
        ApiToken.id, ApiToken.digest, ApiToken.name, ApiToken.scope, ApiToken.patient_id, ApiToken.created_at,
        ApiToken.expires_at, ApiToken.used_at, ApiToken.suspended_at, ApiToken.user_id, User.email, User.active,
        User.roles.any(Role.name == accounts.ADMIN).label("is_admin"),
    )
    .join(User, User.id == ApiToken.user_id)
    .where(ApiToken.selector == bindparam("selector"))
)  # fmt: skip


def authenticate(text: str, address: str | None = None, request_id: str | None = None) -> TokenIdentity | None:
    """Authenticate a token. Return None if it is unknown, revoked, expired or misdated, or if its account is disabled.

    Raises SignedOut if the token is suspended, so that its holder learns why it does not work.
    """
    shape = SHAPE.fullmatch(text)
    if shape is None:
        return None  # a malformed token is not worth a query
    selector, secret = shape.groups()
    token = db.session.execute(_TOKEN_WITH_ACCOUNT, {"selector": selector}).one_or_none()
    known = hmac.compare_digest(_digest(secret), token.digest if token else UNKNOWN_DIGEST)
    if token is None or not known:
        return None
    if not token.active or is_expired(token) or is_misdated(token):
        return None
    if token.suspended_at is not None:
        raise SignedOut(SUSPENDED)
    at, owner = now(), (token.user_id, token.email, bool(token.is_admin))
    if token.used_at is None or not is_within(token.used_at, USED_AT_PRECISION):
        with transaction(ASYNCHRONOUS) as session:
            session.execute(update(ApiToken).where(ApiToken.id == token.id).values(used_at=at))
    limits = {"only_patient": token.patient_id, "may_share": token.scope == SHARE}
    actor = Actor(*owner, address, request_id, token=token.name, token_id=token.id, **limits)
    return TokenIdentity(actor, token.scope != READ)


def is_expired(token: ApiToken | Row[*tuple[Any, ...]]) -> bool:
    return token.expires_at is not None and token.expires_at <= now()


def is_misdated(token: ApiToken | Row[*tuple[Any, ...]]) -> bool:
    """Return whether a token's creation or last use is dated in the future, so that its expiry cannot be trusted."""
    return not is_past(max(token.created_at, token.used_at or token.created_at))


def _check(actor: Actor, token: ApiToken, lifetime: timedelta | None) -> None:
    """Raise Rejected if a value is invalid. Call this in the transaction that creates the token."""
    if not token.name:
        raise Rejected.about("name", gettext("Enter a name for the token."))
    if token.scope not in SCOPES:
        raise Rejected.about("scope", gettext("scope must be read, write or share."))
    if lifetime is not None and not timedelta() < lifetime <= MAX_LIFETIME:
        raise Rejected.about(
            "days",
            gettext("A token can be valid for 1 to %(days)s days, or never expire.", days=f"{MAX_LIFETIME.days:,}"),
        )
    if token.patient_id is not None and permissions.level_for(actor, token.patient_id) is None:
        raise Rejected.about("patient", gettext("This patient does not exist, or you do not have access to it."))
    if len(list_tokens(actor)) >= MAX_TOKENS:
        raise Rejected.about(
            "name",
            gettext("You’ve reached the limit of %(most)s tokens. Revoke one you no longer need.", most=MAX_TOKENS),
        )


def _own_tokens(actor: Actor) -> Select[Any]:
    return select(ApiToken).where(ApiToken.user_id == actor.user_id)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
