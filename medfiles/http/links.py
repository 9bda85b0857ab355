"""The public addresses of share links and SMART Health Links."""

from urllib.parse import urlsplit

from flask import current_app

from medfiles.i18n import N_, gettext

OFF = N_("Share links are off, because this installation has no public address (MEDFILES_PUBLIC_URL).")
UNENCRYPTED = N_("This installation has no HTTPS. Anyone on the way can read what is opened with a link.")
LOCAL = ("localhost", "127.0.0.1", "::1")


def links_off() -> str | None:
    """Return why no links can be created, or None if they can."""
    return None if current_app.config["MEDFILES_PUBLIC_URL"] else gettext(OFF)


def links_warning() -> str | None:
    """Return a warning if links would be opened without HTTPS, except on this computer."""
    public = urlsplit(current_app.config["MEDFILES_PUBLIC_URL"])
    return gettext(UNENCRYPTED) if public.scheme == "http" and public.hostname not in LOCAL else None


def public_url(token: str) -> str:
    return f"{current_app.config['MEDFILES_PUBLIC_URL'].rstrip('/')}/s/{token}"


def smart_address() -> str:
    """Return what the addresses of SMART Health Links begin with."""
    return f"{current_app.config['MEDFILES_PUBLIC_URL'].rstrip('/')}/shl/"


def with_viewer(text: str) -> str:
    """Return a SMART Health Link as an address that also opens in a browser."""
    return f"{smart_address()}v#{text}"
