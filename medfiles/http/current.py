"""The current request's actor, and the services that act on the actor's behalf."""

import uuid
from contextlib import ExitStack
from typing import Any, TypeVar, cast

from flask import Flask, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from flask_security import current_user

from medfiles.accounts import service as accounts
from medfiles.audit import event_log
from medfiles.documents.moving import MovingService
from medfiles.inbox.service import InboxService
from medfiles.links.reading import LinkReader
from medfiles.links.service import LinkService
from medfiles.operations.status import StatusService
from medfiles.permissions import Actor
from medfiles.previews.service import PreviewService
from medfiles.records.merging import MergeService
from medfiles.records.moving import RecordMoves
from medfiles.records.photos import PhotoService
from medfiles.records.service import RecordService
from medfiles.records.sharing import ShareService
from medfiles.search.service import SearchService
from medfiles.service import Loaded, Service
from medfiles.services import Services
from medfiles.smart_links.reading import SmartLinkReader
from medfiles.smart_links.service import SmartLinkService
from medfiles.texts.service import TextService

S = TypeVar("S", bound=Service)


def services() -> Services:
    return cast(Services, current_app.extensions["medfiles"])


def actor() -> Actor:
    """Return the current request's actor. Valid only after the sign-in check."""
    if "actor" not in g:
        g.actor = accounts.actor_for(current_user._get_current_object(), request.remote_addr, g.request_id)
    return cast(Actor, g.actor)


def documents() -> MovingService:
    return _service(MovingService, "sandbox", "quota", "scanner")


def inbox() -> InboxService:
    return _service(InboxService, "sandbox", "quota", "scanner")


def links() -> LinkService:
    return _service(LinkService)


def link_reader() -> LinkReader:
    """Return the documents of share links, for readers without an account."""
    return LinkReader(*_of_visitor())


def _of_visitor() -> tuple[Any, ...]:
    installed = services()
    return installed.registry, installed.storages, installed.renderer, request.remote_addr, g.get("request_id")


def smart_links() -> SmartLinkService:
    return _service(SmartLinkService, "wrapping")


def smart_link_reader() -> SmartLinkReader:
    """Return the encrypted copies of SMART Health Links, for apps without an account."""
    return SmartLinkReader(*_of_visitor())


def previews() -> PreviewService:
    return _service(PreviewService, "renderer")


def texts() -> TextService:
    return _service(TextService, "reader")


def merges() -> MergeService:
    return _service(MergeService)


def photos() -> PhotoService:
    return _service(PhotoService, "sandbox", "renderer")


def records() -> RecordService:
    return _service(RecordService)


def record_moves() -> RecordMoves:
    return _service(RecordMoves, "quota")


def searches() -> SearchService:
    return _service(SearchService)


def shares() -> ShareService:
    return _service(ShareService)


def status_service() -> StatusService:
    return _service(StatusService)


def _service(service: type[S], *resources: str) -> S:
    """Return a service for the current actor, with the named resources of the installation."""
    if "loaded" not in g:
        g.loaded = Loaded()
    installed = services()
    more = {name: getattr(installed, name) for name in resources}
    return service(actor(), installed.registry, installed.storages, loaded=g.loaded, **more)


class App(Flask):
    """A Flask app that writes a request's read events in one batch before it sends the response."""

    def dispatch_request(self) -> ResponseReturnValue:
        with ExitStack() as unsent:
            with event_log.batched_reads():
                response = super().dispatch_request()
                if isinstance(response, Response):
                    unsent.callback(response.close)
            unsent.pop_all()  # the events have been written, so the response may be sent
        return response


def init_app(app: Flask) -> None:
    @app.before_request
    def name_request() -> None:
        g.request_id = uuid.uuid4().hex
        view: Any = current_app.view_functions.get(request.endpoint or "")
        g.background = getattr(view, "background", False)
