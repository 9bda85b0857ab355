"""Who makes the current request, and the services that act for them."""

import uuid
from typing import Any, cast

from flask import Flask, current_app, g, request
from flask_security import current_user

from medfiles.accounts import service as accounts
from medfiles.database.session import check_connection, start_writing
from medfiles.documents.bulk import BulkService
from medfiles.documents.service import DocumentService
from medfiles.operations.status import ConditionService
from medfiles.permissions import Actor
from medfiles.previews.renderer import Renderer
from medfiles.previews.service import PreviewService
from medfiles.records.service import RecordService
from medfiles.records.sharing import ShareService
from medfiles.services import Services


def services() -> Services:
    return cast(Services, current_app.extensions["medfiles"])


def actor() -> Actor:
    """Who this request is made by; only behind the sign-in check."""
    if "actor" not in g:
        g.actor = accounts.actor_for(current_user._get_current_object(), request.remote_addr, g.request_id)
    return cast(Actor, g.actor)


def documents() -> DocumentService:
    return DocumentService(actor(), services().registry, services().storages, **_intake())


def bulk() -> BulkService:
    return BulkService(actor(), services().registry, services().storages, **_intake())


def _intake() -> dict[str, Any]:
    return {"sandbox": services().sandbox, "quota": services().quota, "scanner": services().scanner}


def renderer() -> Renderer:
    return services().renderer


def previews() -> PreviewService:
    return PreviewService(actor(), services().registry, services().storages, renderer=renderer())


def records() -> RecordService:
    return RecordService(actor(), services().registry, services().storages)


def shares() -> ShareService:
    return ShareService(actor(), services().registry, services().storages)


def conditions() -> ConditionService:
    return ConditionService(actor(), services().registry, services().storages)


def init_app(app: Flask) -> None:
    @app.before_request
    def name_request() -> None:
        g.request_id = uuid.uuid4().hex
        view: Any = current_app.view_functions.get(request.endpoint or "")
        g.background = getattr(view, "background", False)


def begin_writing() -> None:
    """Make this request's transaction a writer from the start, for a library that reads first and writes then."""
    start_writing()


def check_ready() -> None:
    """Raise when the database or the storage cannot do its work."""
    check_connection()
    for storage in services().storages:
        storage.check()
