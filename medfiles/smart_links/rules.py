"""Kinds of SMART Health Links, their limits, and the text of the link itself."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from medfiles.clock import now
from medfiles.errors import Rejected
from medfiles.i18n import N_, gettext
from medfiles.models import ShareLink
from medfiles.smart_links.crypto import base64url

MOST_BYTES = 15 * 1024 * 1024  # of the original documents
MOST_LINKS = 20  # of one share link that have not ended
LONGEST_URL = 128  # characters, of the specification
LABEL = "Documents"  # shown by apps before the link is opened, so it holds no name
LONGEST_WITH_LABEL = 110  # a longer address leaves no room for it in a QR code of version 15
VERSION = 1
MANIFEST = "/manifest"
LOCATION_SECONDS = 60 * 60  # for which an address in a manifest works
POLL_SECONDS = 60 * 60  # until an app should look again


@dataclass(frozen=True)
class Kind:
    """What a link is for. `flags` are those of the specification, without the one for a passcode."""

    name: str
    label: str
    flags: str
    lasts: timedelta | None  # None: as long as the share link


KINDS = {
    kind.name: kind
    for kind in (
        Kind("desk", N_("At a desk"), "U", timedelta(minutes=15)),
        Kind("paper", N_("On paper"), "U", timedelta(hours=48)),
        Kind("app", N_("For an app"), "", None),
        Kind("up-to-date", N_("Keeps up to date"), "L", None),
    )
}


def kind_named(name: str) -> Kind:
    """Return a kind. Raises Rejected if there is none of that name."""
    if name not in KINDS:
        raise Rejected.about("kind", gettext("Choose one of: %(names)s.", names=", ".join(KINDS)))
    return KINDS[name]


def flags_of(kind: Kind, link: ShareLink) -> str:
    """Return the flags in alphabetical order. One that names a single file cannot ask for a passcode."""
    asks = link.passcode_hash is not None and "U" not in kind.flags
    return kind.flags + ("P" if asks else "")


def expiry(kind: Kind, link: ShareLink) -> datetime:
    """Return when the link ends: not after the share link."""
    return link.expires_at if kind.lasts is None else min(link.expires_at, now() + kind.lasts)


def megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.1f}".removesuffix(".0")


def require_size(size: int) -> None:
    """Raise Rejected if the original documents are too large together."""
    if size > MOST_BYTES:
        message = gettext(
            "These documents have %(size)s MB. A SMART Health Link can hold %(most)s MB.",
            size=megabytes(size), most=megabytes(MOST_BYTES),
        )  # fmt: skip
        raise Rejected.about("kind", message)


def url(address: str, token: str, flags: str) -> str:
    """Return what apps call: the one file, or the manifest."""
    return f"{address}{token}{'' if 'U' in flags else MANIFEST}"


def payload(url: str, key: bytes, flags: str, expires_at: datetime) -> str:
    """Return the link without a viewer. Raises Rejected if the address of the installation is too long for it."""
    if len(url) > LONGEST_URL:
        message = gettext(
            "The public address of this installation is too long for SMART Health Links. Contact your administrator."
        )
        raise Rejected.about("kind", message)
    said = {"url": url, "key": base64url(key), "exp": int(expires_at.timestamp())}
    said |= {"flag": flags} if flags else {}
    said |= {"label": LABEL} if len(url) <= LONGEST_WITH_LABEL else {}
    said["v"] = VERSION
    return "shlink:/" + base64url(json.dumps(said, separators=(",", ":")).encode())
