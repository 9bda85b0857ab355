"""The API's OpenAPI document, made from the handlers and the kinds of records, and the same as a page to read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, jsonify, render_template
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.routing import Rule

from medfiles.api import parameters, schemas
from medfiles.api.door import Operation, Shape, blueprint, models
from medfiles.api.problems import MEDIA_TYPE, TITLES
from medfiles.http import parts

VERSION = "1.0"
PROBLEM = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
BINARY = {"type": "string", "format": "binary"}
ALWAYS = (401, 429, 503)
TAGS = {
    "patients": "Patients",
    "records": "Records",
    "files": "Documents",
    "many": "Many documents",
    "shares": "People with access",
    "older": "Older paths",
}
ABOUT = """
Sign in with a personal token, made on the account page or by `flask medfiles token create`:
`Authorization: Bearer mf_…`. A token that may only read is refused every change (403, code `scope`). The session cookie
works too; what changes something then needs the header `X-CSRFToken`. What is not there and what is not yours look the
same: 404. A request with a wrong token is counted; too many from one address are answered 429.
""".strip()


@blueprint.get("/openapi.json")
def document() -> Response:
    """The OpenAPI 3.1 document."""
    response = jsonify(described(current_app))
    response.add_etag()
    return response


@blueprint.get("/docs")
def readable() -> str:
    """The same, to read."""
    return render_template("api/docs.html", api=described(current_app), tags=TAGS)


def described(app: Flask) -> dict[str, Any]:
    return {
        "openapi": "3.1.1",
        "info": {"title": "medfiles", "version": VERSION, "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "security": [{"token": []}, {"session": []}],
        "paths": _paths(app),
        "components": {"schemas": _schemas(), "securitySchemes": _security(app)},
    }


def _schemas() -> dict[str, Any]:
    """All models that are sent or answered, and what they are made of."""
    made = models()
    used = [*schemas.FIXED, made.patient_input, made.record, made.records, made.record_input]
    modes: dict[bool, JsonSchemaMode] = {True: "validation", False: "serialization"}
    asked = [(model, modes[issubclass(model, schemas.In) or model is made.record_input]) for model in used]
    _, found = models_json_schema(asked, ref_template="#/components/schemas/{model}")
    return dict(found["$defs"])


def _security(app: Flask) -> dict[str, Any]:
    cookie = {"type": "apiKey", "in": "cookie", "name": app.config["SESSION_COOKIE_NAME"]}
    return {"token": {"type": "http", "scheme": "bearer"}, "session": cookie}


def _paths(app: Flask) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for rule in app.url_map.iter_rules():
        operation: Operation | None = getattr(app.view_functions[rule.endpoint], "operation", None)
        if operation is not None:
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                paths.setdefault(path, {})[method.lower()] = _operation(rule, operation, method)
    return paths


def _operation(rule: Rule, operation: Operation, method: str) -> dict[str, Any]:
    said = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_in_path(rule), *parameters.of(operation, parts().registry)],
        "responses": _answers(rule, operation, method),
    }
    if operation.deprecated:
        said["deprecated"] = True
    if body := _body(operation):
        said["requestBody"] = {"required": True, "content": body}
    return said


def _in_path(rule: Rule) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"<(?:\w+:)?(\w+)>", rule.rule):
        schema = parameters.kind(parts().registry) if name == "type" else parameters.ID
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _body(operation: Operation) -> dict[str, Any] | None:
    if operation.answer == "upload":
        fields = {"file": BINARY, "description": {"type": "string"}, "category": {"type": "string"}}
        form = {"type": "object", "required": ["file"], "properties": fields}
        return {"multipart/form-data": {"schema": form}, "application/octet-stream": {"schema": BINARY}}
    if operation.body is None:
        return None
    content = {"schema": _schema(operation.body)}
    forms = {"application/x-www-form-urlencoded": content} if operation.form_too else {}
    return {"application/json": content, **forms}


def _answers(rule: Rule, operation: Operation, method: str) -> dict[str, Any]:
    answers = {str(status): _success(operation, status) for status in _successes(operation, method)}
    return answers | {str(status): _problem(status) for status in sorted(_refusals(rule, operation, method))}


def _successes(operation: Operation, method: str) -> Sequence[int]:
    if operation.answer == "upload":
        return 201, 200
    if operation.answer == "bytes":
        return 200, 206, 304
    if operation.answer == "zip" or method != "GET":
        return operation.status, *operation.also
    return operation.status, 304


def _refusals(rule: Rule, operation: Operation, method: str) -> set[int]:
    refused = {*ALWAYS, *operation.refuses}
    refused |= {403, 404} if rule.arguments else set()
    refused |= {403, 411} if method != "GET" else set()
    refused |= {400, 413, 415, 422} if operation.body else set()
    return refused


def _problem(status: int) -> dict[str, Any]:
    headers = {"Retry-After": _header("Seconds to wait")} if status in (429, 503) else {}
    return {"description": TITLES[status], **PROBLEM, **({"headers": headers} if headers else {})}


def _success(operation: Operation, status: int) -> dict[str, Any]:
    said: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    headers = parameters.HEADERS.get(str(operation.answer), {}) if status != 304 else {}
    if headers:
        said["headers"] = {name: _header(words) for name, words in headers.items()}
    if status in (204, 304) or operation.answer is None:
        return said
    media = {"bytes": "*/*", "zip": "application/zip"}.get(str(operation.answer))
    return said | {"content": {media: {"schema": BINARY}} if media else _json(operation.answer)}


def _header(words: str) -> dict[str, Any]:
    return {"description": words, "schema": {"type": "string"}}


def _json(shape: Shape) -> dict[str, Any]:
    return {"application/json": {"schema": _schema(shape)}}


def _schema(shape: Shape) -> dict[str, str]:
    name = shape.__name__ if isinstance(shape, type) else SCHEMAS[shape]
    return {"$ref": f"#/components/schemas/{name}"}


SCHEMAS: Mapping[str, str] = {
    "file": "File",
    "files": "Files",
    "upload": "File",
    "patient": "PatientInput",
    "record": "Record",
    "records": "Records",
    "record input": "RecordInput",
}
