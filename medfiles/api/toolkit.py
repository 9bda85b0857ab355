"""Shared code for API handlers: the blueprint, operation descriptions, request and response bodies."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from flask import Blueprint, Response, current_app, request
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from werkzeug.exceptions import BadRequest, UnsupportedMediaType
from werkzeug.formparser import FormDataParser

from medfiles.errors import Rejected

MOST = 1000  # rows per page of a list
MOST_ERRORS = 10  # named in one answer
blueprint = Blueprint("api", __name__, url_prefix="/api/v1")
View = TypeVar("View", bound=Callable[..., Any])
Sent = TypeVar("Sent", bound=BaseModel)
Model = type[BaseModel] | str  # a class, or the name of one that depends on the record types


@dataclass(frozen=True)
class Operation:
    """What the OpenAPI document says about a handler beyond its URL and docstring.

    :param answer: the model for a successful response; None if it is not JSON
    :param statuses: the statuses for a successful response, each with a description
    :param media: the media type of a successful response that is not JSON
    :param errors: names of the error examples that are specific to this operation
    :param form_too: whether a form is accepted in place of the JSON body
    """

    answer: Model | None
    statuses: Mapping[int, str]
    media: str = ""
    body: Model | None = None
    query: type[BaseModel] | None = None
    headers: type[BaseModel] | None = None
    errors: tuple[str, ...] = ()
    form_too: bool = False
    deprecated: bool = False


def operation(answer: Model | None, statuses: Mapping[int, str] | None = None, **more: Any) -> Callable[[View], View]:
    """Mark a handler as an API operation. The handler's docstring becomes the summary."""

    def mark(view: View) -> View:
        view.operation = Operation(answer, statuses or {200: "OK"}, **more)  # type: ignore[attr-defined]
        return view

    return mark


def models() -> Mapping[str, type[BaseModel]]:
    """Return the models that depend on this installation's record types, by name."""
    return cast(Mapping[str, type[BaseModel]], current_app.extensions["medfiles.api"])


def sent(model: type[Sent]) -> Sent:
    """Parse the request's JSON as this model. Respond with 415, 400 or 422 if that is not possible."""
    if not request.is_json:
        raise UnsupportedMediaType()
    return checked(model, request.get_data())


def form() -> dict[str, Any]:
    """Return the request's form. Respond with 400 if the body is truncated, which Werkzeug would accept."""
    parser = FormDataParser(max_form_memory_size=request.max_form_memory_size, silent=False)
    try:
        _, fields, files = parser.parse(
            request.stream, request.mimetype, request.content_length, request.mimetype_params
        )
    except ValueError as error:
        raise BadRequest() from error
    return {**files.to_dict(), **fields.to_dict()}


def checked(model: type[Sent], data: bytes | Mapping[str, Any]) -> Sent:
    try:
        return model.model_validate_json(data) if isinstance(data, bytes) else model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        if any(each["type"] == "json_invalid" for each in found):
            raise BadRequest() from error
        first = found[:MOST_ERRORS]
        wrong = {".".join(map(str, each["loc"])) or "body": each["msg"] for each in first}  # such as "file_ids.3"
        raise Rejected("The request is not valid. See “errors”.", wrong) from error


def versions() -> Container[str] | None:
    """Return the versions that `If-Match` allows, or None if it allows any.

    Within an ETag, the version ends at the first "/".
    """
    if request.headers.get("If-Match", "*").strip() == "*":
        return None
    return {etag.partition("/")[0] for etag in request.if_match.as_set()}


def reply(
    content: BaseModel, status: int = 200, *, etag: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON response, or 304 if the client already has this version."""
    return _reply(content.model_dump_json(), status, etag, headers or {})


def reply_list(rows: Sequence[Mapping[str, Any]], more: str | None = None, total: int | None = None) -> Response:
    """Return a JSON array of objects, written as their model would, but without validating thousands of them again.

    more   the cursor of the next page, if there is one
    total  how many there are on all pages, if it is counted
    """
    headers = {} if total is None else {"X-Total-Count": str(total)}
    if more:
        headers["Link"] = f'<{request.path}?{urlencode({**request.args, "cursor": more})}>; rel="next"'
    return _reply(to_json(rows), 200, None, headers)


def _reply(content: str | bytes, status: int, etag: str | None, headers: Mapping[str, str]) -> Response:
    response = current_app.response_class(content, status, mimetype="application/json")
    response.headers.update(headers)
    if etag:
        response.set_etag(etag)
    elif request.method in ("GET", "HEAD"):
        response.add_etag(weak=True)
    if request.method in ("GET", "HEAD"):
        response.make_conditional(request)
    return response
