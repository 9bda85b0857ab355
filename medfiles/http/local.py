"""Tell requests from this machine itself from others."""

import ipaddress

from flask import current_app, request

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


def is_local() -> bool:
    """Return whether the request comes from this machine itself, and not through a local proxy."""
    behind = any(name in request.headers for name in FORWARDED) and not current_app.config["MEDFILES_PROXIES"]
    return not behind and is_loopback(request.remote_addr or "")


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
