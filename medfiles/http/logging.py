"""Structured logs: one line per event, with ids but no names, keys or tokens."""

import logging
import sys
import time
from typing import TextIO

import structlog
from flask import Flask, Response, g, request
from structlog.typing import Processor

request_log = structlog.get_logger("medfiles.request")


class Handler(logging.StreamHandler[TextIO]):
    """The handler that `configure` installs, distinguishable from handlers installed by libraries."""


def configure(style: str) -> None:
    """Log to standard error as text or JSON. `auto` means text on a terminal and JSON otherwise."""
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: Processor = structlog.dev.ConsoleRenderer() if as_text else structlog.processors.JSONRenderer()
    before: list[Processor] = [] if as_text else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *before, last]
    )
    handler = Handler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, Handler)] + [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("alembic").setLevel(logging.WARNING)


def init_app(app: Flask) -> None:
    @app.before_request
    def begin() -> None:
        g.started = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        if request.endpoint != "static":
            request_log.info(
                "request",
                method=request.method,
                route=str(request.url_rule) if request.url_rule else None,
                status=response.status_code,
                ms=round((time.perf_counter() - g.started) * 1000, 1),
                account=g.get("account_id"),
            )
        return response
