"""Fresh proof of identity, required to change credentials: the password and, if set up, a two-step code."""

from datetime import timedelta

from flask_security.proxies import _security
from sqlalchemy import ColumnElement, delete, select, update

from medfiles.accounts import service as accounts
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import is_within, now
from medfiles.database.session import db, transaction
from medfiles.errors import MedfilesError, ProofNeeded, Rejected
from medfiles.i18n import N_
from medfiles.models import Session, User
from medfiles.permissions import Actor

VALID_FOR = timedelta(minutes=5)
CODE_WINDOW = 120  # seconds that a phone's clock may be off, the same as at sign-in
WRONG_PASSWORD = N_("Wrong password.")
WRONG_CODE = N_("This code is wrong or has already been used. Enter the next one.")


def needs_code(actor: Actor) -> bool:
    return bool(_user(actor).tf_primary_method)


def give(actor: Actor, digest: str, password: str, code: str = "") -> None:
    """Check the password and code, and record the proof in the session with this digest.

    Raises Rejected, naming the field, if the password or code is wrong.
    """
    try:
        _check_password(actor, password)
        with transaction() as session:
            _check_code(_user(actor), code)
            session.execute(update(Session).where(Session.digest == digest).values(proved_at=now()))
            event_log.record(actor, "confirm", AuditTarget())
    except MedfilesError as error:
        with transaction():
            event_log.record(actor, "confirm", AuditTarget(), outcome="refused", reason=error.code)
        raise


def is_fresh(digest: str) -> bool:
    return db.session.scalar(select(Session.id).where(*_fresh(digest))) is not None


def use(actor: Actor, digest: str) -> None:
    """Use up the session's proof, in the transaction that makes the change, and end the account's other sessions.

    Raises ProofNeeded if there is no fresh proof. Each change requires new proof.
    """
    used = db.session.execute(update(Session).where(*_fresh(digest)).values(proved_at=None))
    if not used.rowcount:  # type: ignore[attr-defined]
        raise ProofNeeded()
    others = delete(Session).where(Session.owner == _user(actor).fs_uniquifier, Session.digest != digest)
    db.session.execute(others)


def _fresh(digest: str) -> tuple[ColumnElement[bool], ...]:
    return Session.digest == digest, is_within(Session.proved_at, VALID_FOR)


def _check_password(actor: Actor, password: str) -> None:
    if not accounts.has_password(actor.email, password):
        raise Rejected.about("password", WRONG_PASSWORD)


def _check_code(user: User, code: str) -> None:
    if not user.tf_primary_method or not user.tf_totp_secret:
        return
    totp = _security.totp_factory
    if not totp.verify_totp(token=code.strip(), totp_secret=user.tf_totp_secret, user=user, window=CODE_WINDOW):
        raise Rejected.about("code", WRONG_CODE)


def _user(actor: Actor) -> User:
    return db.session.get_one(User, actor.user_id)
