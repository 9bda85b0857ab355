"""The API's OpenAPI document, made from the handlers and the kinds of records, and the same as a page to read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

from flask import Flask, Response, current_app, jsonify, render_template, request
from pydantic.json_schema import JsonSchemaMode, models_json_schema
from werkzeug.routing import Rule

from medfiles.api import about, examples, page, parameters, schemas
from medfiles.api.error_examples import CASES, cases_of
from medfiles.api.problem_details import MEDIA_TYPE, TITLES
from medfiles.api.toolkit import Operation, Shape, blueprint, models
from medfiles.http.current import services
from medfiles.record_types.document_fields import UPLOAD_FIELDS

VERSION, KEPT = "1.0", "medfiles.api.document"
Said = dict[str, Any]
PROBLEM = {"$ref": "#/components/schemas/Problem"}
BINARY = {"type": "string", "format": "binary"}
FORM: Mapping[str, tuple[str, dict[str, Any]]] = {  # of an upload
    "file": ("The document, with its name; one in a request", BINARY),
    **{field.name: (field.about, schemas.detail_schema(field)) for field in UPLOAD_FIELDS},
}
MEDIA = {"bytes": "*/*", "zip": "application/zip", "picture": "image/webp", "preview": "image/webp"}
ALWAYS = (401, 429, 503)
TAGS = {
    "patients": "Patients",
    "records": "Records",
    "files": "Documents",
    "many": "Many documents",
    "shares": "People with access",
    "previews": "Looking at documents",
    "older": "Older paths",
}
SAID: Mapping[Shape | None, Mapping[int, str]] = {  # of a success, where the phrase of its status says too little
    "upload": {200: "This upload was stored before; the document it became", 201: "Stored"},
    "bytes": {206: "The part that was asked for", 307: "Where the bytes are, for a minute at most"},
    schemas.Share: {200: "Had access before, which was changed", 201: "Has access now"},
    None: {204: "Gone for ever"},
}


@blueprint.get("/openapi.json")
def document() -> Response:
    """The OpenAPI 3.1 document."""
    response = jsonify(described(current_app))
    response.add_etag()
    response.make_conditional(request)
    return response


@blueprint.get("/docs")
def readable() -> str:
    """The same, to read."""
    return render_template("api/docs.html", page=page.of(described(current_app)), about=about)


def described(app: Flask) -> Said:
    """Made once for an app, since anybody may ask and nothing in it changes."""
    if KEPT not in app.extensions:
        app.extensions[KEPT] = _described(app)
    return cast(Said, app.extensions[KEPT])


def _described(app: Flask) -> Said:
    return {
        "openapi": "3.1.1",
        "info": {"title": "medfiles", "version": VERSION, "description": about.described()},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "security": [{"token": []}, {"session": []}],
        "paths": _paths(app),
        "components": {"schemas": _schemas(), "securitySchemes": _security(app), "examples": _problems()},
    }


def _schemas() -> Said:
    """All models that are sent or answered, and what they are made of."""
    made = models()
    used = [*schemas.FIXED, made.patient_input, made.record, made.records, made.record_input]
    modes: dict[bool, JsonSchemaMode] = {True: "validation", False: "serialization"}
    asked = [(model, modes[issubclass(model, schemas.In) or model is made.record_input]) for model in used]
    _, found = models_json_schema(asked, ref_template="#/components/schemas/{model}")
    return dict(found["$defs"])


def _problems() -> Said:
    return {case.name: {"summary": case.when, "value": case.problem} for case in CASES}


def _security(app: Flask) -> Said:
    token = {"type": "http", "scheme": "bearer", "description": "A personal token, `mf_…`, from the account page."}
    words = "The session of the pages; what changes something also needs the header `X-CSRFToken`."
    cookie = {"type": "apiKey", "in": "cookie", "name": app.config["SESSION_COOKIE_NAME"], "description": words}
    return {"token": token, "session": cookie}


def _paths(app: Flask) -> Said:
    paths: dict[str, Any] = {}
    for rule, operation in _operations(app):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path, {})[method.lower()] = _operation(rule, operation, method)
    return paths


def _operations(app: Flask) -> Iterator[tuple[Rule, Operation]]:
    for rule in app.url_map.iter_rules():
        operation: Operation | None = getattr(app.view_functions[rule.endpoint], "operation", None)
        if operation is not None:
            yield rule, operation


def _operation(rule: Rule, operation: Operation, method: str) -> Said:
    said: dict[str, Any] = {
        "operationId": _id(rule),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*parameters.in_path(rule.rule, services().registry), *parameters.of(operation, method)],
        "responses": _answers(rule, operation, method),
    }
    if operation.deprecated:
        said["deprecated"] = True
    if body := _body(operation):
        said["requestBody"] = {"required": True, "content": body}
    return said


def _id(rule: Rule) -> str:
    return str(rule.endpoint).rpartition(".")[2]


def _body(operation: Operation) -> Said | None:
    if operation.answer == "upload":
        fields = {name: {**kind, "description": words} for name, (words, kind) in FORM.items()}
        form = {"type": "object", "required": ["file"], "properties": fields}
        raw = {"schema": BINARY, "example": examples.BYTES}
        return {"multipart/form-data": {"schema": form, "example": examples.FORM}, "application/octet-stream": raw}
    if operation.body is None:
        return None
    content = _content(operation.body)
    forms = {"application/x-www-form-urlencoded": content} if operation.form_too else {}
    return {"application/json": content, **forms}


def _content(shape: Shape) -> Said:
    name = examples.model_of(shape).__name__
    return {"schema": {"$ref": f"#/components/schemas/{name}"}, **examples.shown(examples.of(shape))}


def _answers(rule: Rule, operation: Operation, method: str) -> Said:
    successes = {str(status): _success(operation, status) for status in _successes(operation, method)}
    refused = sorted(_refusals(rule, operation, method))
    return successes | {str(status): _problem(rule, operation, method, status) for status in refused}


def _successes(operation: Operation, method: str) -> Sequence[int]:
    if operation.answer == "upload":
        return 201, 200
    if operation.answer == "bytes":
        return 200, 206, 304, *operation.also
    if operation.answer == "zip" or method != "GET":
        return operation.status, *operation.also
    return operation.status, 304


def _refusals(rule: Rule, operation: Operation, method: str) -> set[int]:
    refused = {*ALWAYS, *operation.refuses}
    refused |= {403, 404} if rule.arguments else set()
    refused |= {403, 411} if method != "GET" else set()
    refused |= {400, 413, 415, 422} if operation.body else set()
    return refused


def _problem(rule: Rule, operation: Operation, method: str, status: int) -> Said:
    names = [case.name for case in cases_of(_id(rule), operation, method, status)]
    found = {name: {"$ref": f"#/components/examples/{name}"} for name in names}
    said = {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": PROBLEM, "examples": found}}}
    return said | _headers(operation, status)


def _success(operation: Operation, status: int) -> Said:
    words = SAID.get(operation.answer, {}).get(status, HTTPStatus(status).phrase)
    said = {"description": words} | _headers(operation, status)
    if status in (204, 304, 307) or operation.answer is None:
        return said
    media = MEDIA.get(str(operation.answer))
    drawn = {media: {"schema": BINARY, "example": examples.BINARY[str(operation.answer)]}} if media else {}
    told = {"application/json": _content(operation.answer)} if media is None or operation.answer == "preview" else {}
    return said | {"content": {**drawn, **told}}


def _headers(operation: Operation, status: int) -> Said:
    found = parameters.headers(operation, status)
    return {"headers": found} if found else {}
