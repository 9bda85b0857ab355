"""HTML entry points: pages and the document widget."""

from typing import Any

from flask import Flask, g
from flask_security import current_user
from werkzeug.local import LocalProxy

from medfiles.http import errors as http_errors
from medfiles.text import initials
from medfiles.web import (
    account,
    errors,
    filters,
    fragments,
    history,
    home,
    inbox,
    links,
    moving,
    patients,
    people,
    records,
    search,
    shared,
    shl,
    smart_links,
    status,
    tokens,
)


def init_app(app: Flask, settings: dict[str, Any]) -> None:
    account.init_app(app, settings)
    filters.init_app(app)
    http_errors.answered_by(app, "/", errors.answer_error)
    for module in (
        records, patients, history, people, fragments, moving, account, tokens, status, search, inbox, links,
        smart_links,
    ):  # fmt: skip
        app.register_blueprint(module.blueprint)
    shared.init_app(app)
    shl.init_app(app)
    app.context_processor(_page_context)


def _page_context() -> dict[str, Any]:
    """Return the account for templates, and the people in its sidebar, who are loaded only if a template shows them."""
    if g.get("bare") or not current_user.is_authenticated:
        return {"account": None, "sidebar": None, "inbox_count": None, "patient": None}
    email = current_user.email
    who = {"email": email, "initials": initials(email), "is_admin": current_user.has_role("admin")}
    counted = LocalProxy(home.inbox_count)
    return {"account": who, "sidebar": LocalProxy(home.sidebar), "inbox_count": counted, "patient": g.get("patient")}
