"""Who makes the current request, and the services that act for them."""

import uuid
from contextlib import ExitStack
from typing import Any, cast

from flask import Flask, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from flask_security import current_user

from medfiles.accounts import service as accounts
from medfiles.audit import event_log
from medfiles.database.session import begin_write
from medfiles.documents.bulk import BulkService
from medfiles.documents.service import DocumentService
from medfiles.operations.status import StatusService
from medfiles.permissions import Actor
from medfiles.previews.service import PreviewService
from medfiles.records.service import RecordService
from medfiles.records.sharing import ShareService
from medfiles.service import Loaded
from medfiles.services import Services


def services() -> Services:
    return cast(Services, current_app.extensions["medfiles"])


def actor() -> Actor:
    """Return who makes this request. Only valid after the sign-in check."""
    if "actor" not in g:
        g.actor = accounts.actor_for(current_user._get_current_object(), request.remote_addr, g.request_id)
    return cast(Actor, g.actor)


def _basics() -> dict[str, Any]:
    if "loaded" not in g:
        g.loaded = Loaded()
    installed = services()
    return {
        "actor": actor(),
        "registry": installed.registry,
        "storages": installed.storages,
        "loaded": g.loaded,
    }


def _uploading() -> dict[str, Any]:
    installed = services()
    return {"sandbox": installed.sandbox, "quota": installed.quota, "scanner": installed.scanner}


def documents() -> DocumentService:
    return DocumentService(**_basics(), **_uploading())


def bulk() -> BulkService:
    return BulkService(**_basics(), **_uploading())


def previews() -> PreviewService:
    return PreviewService(**_basics(), renderer=services().renderer)


def records() -> RecordService:
    return RecordService(**_basics())


def shares() -> ShareService:
    return ShareService(**_basics())


def status_service() -> StatusService:
    return StatusService(**_basics())


class App(Flask):
    """Flask that writes a request's read events before its response, in one batch."""

    def dispatch_request(self) -> ResponseReturnValue:
        with ExitStack() as unsent:
            with event_log.batched_reads():
                response = super().dispatch_request()
                if isinstance(response, Response):
                    unsent.callback(response.close)
            unsent.pop_all()  # the events are written, so the response may go out
        return response


def init_app(app: Flask) -> None:
    @app.before_request
    def name_request() -> None:
        g.request_id = uuid.uuid4().hex
        view: Any = current_app.view_functions.get(request.endpoint or "")
        g.background = getattr(view, "background", False)


def begin_write_transaction() -> None:
    """Begin a write transaction at once, for a library that reads before it writes."""
    begin_write()
