"""Create and manage accounts, and list and end their sessions."""

import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, cast

from flask_security import SQLAlchemyUserDatastore, UserMixin, hash_password, verify_password
from flask_security.proxies import _security
from flask_security.totp import Totp
from passlib.exc import UsedTokenError
from passlib.totp import TotpMatch
from sqlalchemy import ColumnElement, delete, func, not_, or_, select, update

from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import is_within
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict, NotFound, Rejected
from medfiles.i18n import N_, gettext
from medfiles.models import ApiToken, Patient, Role, Session, User
from medfiles.permissions import Actor

ADMIN = "admin"
PASSWORD_MIN_LENGTH = 10
PASSWORD_LENGTH = N_("Passwords must be %(length)s to 128 characters long.")


class UserDatastore(SQLAlchemyUserDatastore):
    """Flask-Security's datastore, extended with audit events.

    Changing the password also revokes the account's API tokens, because someone who knew the old password may have
    created them.
    """

    def set_uniquifier(self, user: UserMixin, uniquifier: str | None = None) -> None:
        super().set_uniquifier(user, uniquifier)
        event_log.record(actor_for(cast(User, user)), "change-password", AuditTarget())
        _revoke_tokens(cast(User, user))

    def tf_set(self, user: UserMixin, *arguments: Any, **more: Any) -> None:
        account = cast(User, user)
        before = account.tf_totp_secret
        super().tf_set(user, *arguments, **more)
        if account.tf_totp_secret != before:  # also called at every sign-in
            event_log.record(actor_for(account), "second-step-on", AuditTarget())

    def tf_reset(self, user: UserMixin) -> None:
        super().tf_reset(user)
        event_log.record(actor_for(cast(User, user)), "second-step-off", AuditTarget())


class SingleUseTotp(Totp):
    """Flask-Security's TOTP, except that each code works only once."""

    def verify_totp(self, token: str, totp_secret: str, user: UserMixin, window: int = 0) -> bool:
        """Verify a code. For a new secret, such as a new phone's, forget the last code used with the old one."""
        account = cast(User, user)
        if totp_secret != account.tf_totp_secret:
            account.tf_last_counter = None
        return bool(super().verify_totp(token, totp_secret, user, window))

    def get_last_counter(self, user: UserMixin) -> int | None:
        counter: int | None = cast(User, user).tf_last_counter
        return counter

    def set_last_counter(self, user: UserMixin, tmatch: TotpMatch) -> None:
        """Mark the code as used, in the open transaction. Raises UsedTokenError if it was used concurrently."""
        is_later = or_(User.tf_last_counter.is_(None), User.tf_last_counter < tmatch.counter)
        mark_used = update(User).where(User.id == cast(User, user).id, is_later).values(tf_last_counter=tmatch.counter)
        if not db.session.execute(mark_used).rowcount:  # type: ignore[attr-defined]
            raise UsedTokenError(expire_time=tmatch.expire_time)


datastore = UserDatastore(db, User, Role)


def create(email: str, password: str) -> User:
    """Create an account. Raises Conflict if the address is taken, or Rejected if the input is invalid."""
    address = _normalize_email(email)
    chosen = _validate_password(password)
    with transaction():
        if db.session.scalar(select(User.id).where(func.lower(User.email) == address.lower())):
            raise Conflict(gettext("%(address)s already has an account.", address=address))
        user = cast(User, datastore.create_user(email=address, password=hash_password(chosen), active=True))
        db.session.flush()
        _log_by_operator("create-account", user)
        return user


def find(email: str) -> User:
    user: User | None = db.session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))
    if user is None:
        raise NotFound(gettext("There is no account for %(email)s.", email=email))
    return user


def set_password(email: str, password: str) -> None:
    """Set a new password, end all sessions and revoke all tokens."""
    chosen = _validate_password(password)
    with transaction():
        user = find(email)
        user.password = hash_password(chosen)
        _log_by_operator("set-password", user)
        _end_sessions(user)
        _revoke_tokens(user)


def disable(email: str) -> None:
    """Block sign-in and end all sessions."""
    with transaction():
        user = find(email)
        user.active = False
        _log_by_operator("disable-account", user)
        _end_sessions(user)


def enable(email: str) -> None:
    with transaction():
        user = find(email)
        user.active = True
        _log_by_operator("enable-account", user)


def clear_second_step(email: str) -> None:
    """Turn off two-step verification, for example after a lost phone, and end all sessions."""
    with transaction():
        user = find(email)
        user.tf_primary_method = user.tf_totp_secret = None
        _log_by_operator("second-step-off", user)
        _end_sessions(user)


def set_admin(email: str, admin: bool) -> None:
    with transaction():
        role = datastore.find_or_create_role(ADMIN, description="Can open the status page; no access to documents")
        user = find(email)
        _log_by_operator("make-admin" if admin else "unmake-admin", user)
        if admin:
            datastore.add_role_to_user(user, role)
        else:
            datastore.remove_role_from_user(user, role)


def log_sign_in(
    action: str,
    user: User | None,
    succeeded: bool,
    address: str | None,
    request_id: str,
    *,
    reason: str = "wrong",
    commit: bool = True,
) -> None:
    """Log a sign-in or sign-out step. `user` is None if the email address is unknown; `reason` is the refusal code.

    With `commit=False`, log it in the open transaction, which also performs the step.
    """
    actor = actor_for(user, address, request_id) if user else None
    more: dict[str, Any] = {} if succeeded else {"outcome": "refused", "reason": reason}
    with transaction() if commit else nullcontext():
        event_log.record(actor, action, AuditTarget(address=address), **more)


def has_password(email: str, password: str) -> bool:
    user = db.session.scalar(select(User).where(User.email == email))
    if user is None or not user.active:
        return False
    return bool(verify_password(_security._password_util.normalize(password), user.password))


def is_empty() -> bool:
    """Return whether there are no accounts and no patients."""
    return not db.session.scalar(select(func.count(User.id))) and not db.session.scalar(select(func.count(Patient.id)))


def all_accounts() -> Sequence[User]:
    return db.session.scalars(select(User).order_by(User.email)).unique().all()


def emails(user_ids: Collection[int]) -> Mapping[int, str]:
    return dict(db.session.execute(select(User.id, User.email).where(User.id.in_(user_ids))).all())


def actor_for(user: User, address: str | None = None, request_id: str | None = None) -> Actor:
    return Actor(user.id, user.email, user.has_role(ADMIN), address, request_id)


def sessions(actor: Actor, idle: timedelta, longest: timedelta) -> Sequence[Session]:
    """Return the actor's open sessions, most recently used first."""
    query = select(Session).where(_owned_by(actor), _is_open(idle, longest))
    return db.session.scalars(query.order_by(Session.seen_at.desc())).all()


def end_session(actor: Actor, session_id: int) -> None:
    with transaction() as session:
        ended = session.execute(delete(Session).where(Session.id == session_id, _owned_by(actor)))
        event_log.record(actor, "end-session", AuditTarget(), outcome="done" if ended.rowcount else "refused")
    if not ended.rowcount:
        raise NotFound(gettext("This session has already ended."))


def clear_sessions(idle: timedelta, longest: timedelta) -> int:
    """Delete sessions that have timed out, and return how many."""
    with transaction() as session:
        return int(session.execute(delete(Session).where(not_(_is_open(idle, longest)))).rowcount)


def _is_open(idle: timedelta, longest: timedelta) -> ColumnElement[bool]:
    return is_within(Session.seen_at, idle) & is_within(Session.created_at, longest)


def _log_by_operator(action: str, user: User) -> None:
    """Log a change that an operator made to an account."""
    event_log.record(None, action, AuditTarget(), account=user.id)


def _owned_by(actor: Actor) -> ColumnElement[bool]:
    return Session.owner == select(User.fs_uniquifier).where(User.id == actor.user_id).scalar_subquery()


def _end_sessions(user: User) -> None:
    db.session.execute(delete(Session).where(Session.owner == user.fs_uniquifier))
    user.fs_uniquifier = uuid.uuid4().hex  # also ends sessions that another version of medfiles created


def _revoke_tokens(user: User) -> None:
    for token in db.session.scalars(select(ApiToken).where(ApiToken.user_id == user.id)):
        target = AuditTarget(token.patient_id, name=token.name)
        event_log.record(actor_for(user), "revoke-token", target, scope=token.scope, because="new password")
        db.session.delete(token)


def _normalize_email(email: str) -> str:
    try:
        return str(_security._mail_util.normalize(email.strip()))
    except ValueError as error:
        raise Rejected(
            gettext("%(email)s is not an email address: %(error)s", email=f"{email!r}", error=error)
        ) from error


def address_key(email: str) -> str:
    """Normalize an email address for comparison. Raises Rejected if it is not a valid address."""
    return _normalize_email(email).lower()


def _validate_password(password: str) -> str:
    problems, chosen = _security._password_util.validate(password, True)
    if problems:
        raise Rejected(" ".join(str(problem) for problem in problems))
    return str(chosen)


def create_without_password(email: str) -> User:
    """Create an account with a random password that no one knows, in the open transaction."""
    made = datastore.create_user(email=email, password=hash_password(secrets.token_urlsafe(32)), active=True)
    db.session.flush()
    return cast(User, made)
