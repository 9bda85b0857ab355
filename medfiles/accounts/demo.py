"""The demo account's initial password, which the instance directory keeps until the account has another one."""

import json
import os
from pathlib import Path

from medfiles.accounts import service as accounts

EMAIL = "anna@sample.example"
FILE = "demo-account.json"


def remember(instance: str, password: str) -> None:
    with os.fdopen(os.open(Path(instance, FILE), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"email": EMAIL, "password": password}, file)


def account(instance: str) -> dict[str, str] | None:
    """Return the demo account if its initial password is still valid, or None."""
    try:
        known: dict[str, str] = json.loads(Path(instance, FILE).read_text())
    except FileNotFoundError:
        return None
    return known if accounts.has_password(known["email"], known["password"]) else None
