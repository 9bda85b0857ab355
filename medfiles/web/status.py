"""Health checks, metrics and the status page."""

import hmac

from flask import Blueprint, Response, current_app, render_template, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST

from medfiles.errors import MedfilesError, NotFound
from medfiles.http.current import services, status_service
from medfiles.http.local import is_local
from medfiles.http.sessions import background
from medfiles.operations import status as operation_status
from medfiles.operations.metrics import exposition

blueprint = Blueprint("status", __name__)


@blueprint.get("/healthz")
@background
def healthz() -> ResponseReturnValue:
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
@background
def readyz() -> ResponseReturnValue:
    try:
        services().readiness.check(services().storages)
    except MedfilesError:
        return Response("not ready\n", 503, mimetype="text/plain", headers={"Retry-After": "5"})
    return Response("ready\n", mimetype="text/plain")


@blueprint.get("/status")
def status() -> ResponseReturnValue:
    found = status_service().read(services())
    kinds = tuple((record_type, found.kinds[record_type.name]) for record_type in services().registry.every)
    return render_template("status/page.html", status=found, kinds=kinds, trash_days=services().trash_days)


@blueprint.get("/metrics")
@background
def metrics() -> ResponseReturnValue:
    if token := current_app.config["MEDFILES_METRICS_TOKEN"]:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
            return Response("token required\n", 401, mimetype="text/plain", headers={"WWW-Authenticate": "Bearer"})
    elif not is_local():
        raise NotFound()
    return Response(exposition(operation_status.measure(services())), content_type=CONTENT_TYPE_LATEST)
