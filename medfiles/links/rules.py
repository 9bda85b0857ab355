"""Limits of share links, their tokens and passcodes, and what is kept of their readers."""

import hashlib
import ipaddress
import secrets
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from medfiles.clock import now
from medfiles.errors import Rejected
from medfiles.i18n import gettext
from medfiles.text import clean_text

DEFAULT_DAYS, MOST_DAYS = 7, 365
MOST_DOCUMENTS = 100
MOST_LINKS = 200  # of one patient that have not ended
MOST_TRIES = 5  # wrong passcodes in a link's whole life
PASSCODE_LENGTH, MOST_PASSCODE = 6, 64
NAME_LIMIT, NOTE_LIMIT = 80, 500
SLACK = timedelta(days=1)  # a last day may end in a later time zone
KEPT_OF_ADDRESS = {4: 24, 6: 48}  # bits
HASHER = PasswordHasher()


def new_token() -> str:
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def new_passcode() -> str:
    """Return a passcode of digits, which is easy to tell on the phone."""
    return f"{secrets.randbelow(10**PASSCODE_LENGTH):0{PASSCODE_LENGTH}}"


def hashed_passcode(passcode: str | None) -> str | None:
    """Return the hash of a passcode, or None if there is none. Raises Rejected if it is too short or too long."""
    if passcode is None:
        return None
    passcode = passcode.strip()
    if not PASSCODE_LENGTH <= len(passcode) <= MOST_PASSCODE:
        limits = {"least": PASSCODE_LENGTH, "most": MOST_PASSCODE}
        raise Rejected.about("passcode", gettext("Enter a passcode of %(least)s to %(most)s characters.", **limits))
    return HASHER.hash(passcode)


def is_passcode(passcode: str, hashed: str) -> bool:
    try:
        return HASHER.verify(hashed, passcode.strip()[: MOST_PASSCODE + 1])
    except (VerificationError, InvalidHashError):
        return False


def checked_expiry(expires_at: datetime | None) -> datetime:
    """Return when a link ends. Raises Rejected unless that is in the future and at most a year away."""
    if expires_at is None:
        return now() + timedelta(days=DEFAULT_DAYS)
    if not timedelta() < expires_at - now() <= timedelta(days=MOST_DAYS) + SLACK:
        message = gettext("A link must expire in the future, within %(days)s days.", days=MOST_DAYS)
        raise Rejected.about("expires_at", message)
    return expires_at.astimezone(UTC)


def checked_text(field: str, text: str | None, limit: int, what: str) -> str | None:
    try:
        return clean_text(text, limit, what)
    except Rejected as error:
        raise Rejected.about(field, error.message) from None


def checked_name(field: str, text: str | None, what: str) -> str | None:
    """Return a name on one line, or None if it is empty."""
    return checked_text(field, text and " ".join(text.split()), NAME_LIMIT, what)


def shortened(address: str | None) -> str | None:
    """Return the network of an IP address, which tells the provider but not the device; None for anything else."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    found = getattr(found, "ipv4_mapped", None) or found
    return str(ipaddress.ip_network(f"{found}/{KEPT_OF_ADDRESS[found.version]}", strict=False))
