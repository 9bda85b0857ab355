"""Whether the process lives and whether it can do its work: for whatever watches over it."""

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from medfiles.errors import MedfilesError
from medfiles.http import check_ready
from medfiles.sessions import background

blueprint = Blueprint("status", __name__)


@blueprint.get("/healthz")
@background
def healthz() -> ResponseReturnValue:
    return Response("ok\n", mimetype="text/plain")


@blueprint.get("/readyz")
@background
def readyz() -> ResponseReturnValue:
    try:
        check_ready()
    except (MedfilesError, SQLAlchemyError):
        return Response("not ready\n", 503, mimetype="text/plain", headers={"Retry-After": "5"})
    return Response("ready\n", mimetype="text/plain")
