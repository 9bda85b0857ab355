"""Passwords that another application hashed with bcrypt. The first sign-in replaces the hash."""

import unicodedata

import bcrypt
from flask_security import hash_password
from flask_security.proxies import _security
from sqlalchemy import func, select

from medfiles.database.session import db, transaction
from medfiles.models import BCRYPT, User

LONGEST = 72  # bytes; bcrypt ignores the rest


def is_bcrypt(hashed: str | None) -> bool:
    return hashed is not None and hashed.startswith(BCRYPT)


def matches(password: str, hashed: str) -> bool:
    """Return whether this is the password, as typed or in NFC: the other application did not normalize it."""
    forms = {password, unicodedata.normalize("NFC", password)}
    return True in {_matches(form, hashed) for form in forms}  # tries all, so that the time does not tell which


def replace_bcrypt(email: str, password: str) -> bool:
    """Replace an account's bcrypt hash by one of ours if this is its password; return whether it had one."""
    query = select(User.id, User.password).where(func.lower(User.email) == email.strip().lower())
    user_id, hashed = db.session.execute(query).first() or (None, None)
    if hashed is None or not is_bcrypt(hashed):
        return False
    if password and matches(password, hashed):
        ours = hash_password(_security._password_util.normalize(password))
        with transaction() as session:
            session.get_one(User, user_id).password = ours
    return True


def spend_time(password: str) -> None:
    """Take as long as a bcrypt hash does, if any account has one, so that refusals look alike."""
    cost = func.substr(User.password, 5, 2)
    slowest = select(User.password).where(User.password.startswith(BCRYPT)).order_by(cost.desc())
    hashed = db.session.scalar(slowest.limit(1))
    if hashed is not None:
        matches(password, hashed)


def _matches(password: str, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:LONGEST], hashed.encode())
    except ValueError:  # not a hash, or a password with a null character
        return False
