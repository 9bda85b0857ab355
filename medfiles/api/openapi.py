"""The OpenAPI 3.1 document, made by spectree from the handlers' models; requests never pass through the library."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from flask import Flask, Response, current_app, jsonify, request
from pydantic import BaseModel
from spectree import Response as Answers
from spectree import SpecTree
from spectree.plugins.flask_plugin import FlaskPlugin
from werkzeug.routing import Rule

from medfiles.api.error_examples import EXAMPLES
from medfiles.api.problem_details import MEDIA_TYPE
from medfiles.api.schemas import CacheHeaders, File, Files, Problem, UploadForm
from medfiles.api.toolkit import Model, Operation, blueprint, models
from medfiles.http.current import services
from medfiles.http.errors import TITLES
from medfiles.http.parameters import LARGEST_ID

VERSION = "1.0"
PLACEHOLDER = re.compile(r"<(?:\w+:)?(\w+)>")
Json = dict[str, Any]
Errors = Mapping[int, list[str]]  # status -> names of examples
BYTES = {"*/*": "%PDF-1.7 …", "application/zip": "PK …", "image/webp": "RIFF … WEBP"}  # the first of each
TAGS = {
    "patients": "Patients",
    "records": "Records",
    "files": "Documents",
    "bulk": "Many documents",
    "shares": "People with access",
    "previews": "Previews",
    "legacy": "Older paths",
}
PATH_PARAMETERS = {  # description and example
    "patient_id": ("A patient's id", 3),
    "type": ("A record type", "visit"),
    "id": ("A record's id", 7),
    "file_id": ("A document's id", 1000000001),
    "share_id": ("A share's id", 5),
    "number": ("A document's id in the older feature; its new id works, too", 42),
}
RETRY_AFTER = {"Retry-After": "Seconds to wait"}
HEADERS: Mapping[Any, Mapping[str, str]] = {  # of answers, by what they hold or by status
    File: {"ETag": "For `If-Match` in a later change"},
    Files: {"Link": 'The next page: `<…>; rel="next"`', "X-Total-Count": "How many match, on all pages"},
    "*/*": {
        "ETag": "The SHA-256 of the document",
        "Repr-Digest": "The SHA-256 of the document (RFC 9530)",
        "Content-Disposition": "Its name (RFC 6266)",
        "Content-Range": "With 206: which part it is, and of how many bytes",
    },
    "image/webp": {"ETag": "Changes with the picture"},
    "application/zip": {"Content-Disposition": "A name for the ZIP", "Content-Length": "Its exact size"},
    307: {"Location": "The address, valid for a minute at most"},
    429: RETRY_AFTER,
    503: RETRY_AFTER,
}
DEPRECATED = {
    "Deprecation": "Since when this address is deprecated (RFC 9745)",
    "Link": 'What to use instead: `<…>; rel="successor-version"`',
}


@blueprint.get("/openapi.json")
def document() -> Response:
    """Return the OpenAPI document."""
    response = jsonify(openapi(current_app))
    response.add_etag()
    response.make_conditional(request)
    return response


def openapi(app: Flask) -> Json:
    """Return the OpenAPI document. It is public and never changes, so it is made once for each app."""
    if "medfiles.openapi" not in app.extensions:
        about = app.jinja_env.get_template("api/about.md").render()
        library = SpecTree(
            backend=Describer,
            title="medfiles",
            version=VERSION,
            description=about,
            openapi_version="3.1.1",
            naming_strategy=lambda model: model.__name__,
            nested_naming_strategy=lambda _, child: child,
        )
        app.extensions["medfiles.openapi"] = _finished(library.spec)
    return cast(Json, app.extensions["medfiles.openapi"])


class Describer(FlaskPlugin):
    """Show spectree our operations. It wraps a view to remember its models; Flask never calls what it wrapped."""

    def find_routes(self) -> Iterator[Rule]:
        return (rule for rule in current_app.url_map.iter_rules() if rule.endpoint in _operations())

    def parse_func(self, route: Rule) -> Iterator[tuple[str, Callable[..., Any]]]:
        operation, view = _operations()[route.endpoint], current_app.view_functions[route.endpoint]
        for method in sorted((route.methods or set()) - {"HEAD", "OPTIONS"}):
            cached = method == "GET" and operation.media != "application/zip"
            model = _model(operation.answer)
            answers: dict[int, Any] = {status: (model, words) for status, words in operation.statuses.items()}
            answers |= {304: (None, "Not modified")} if cached else {}
            answers |= {status: (Problem, TITLES[status]) for status in _errors(operation, method, route.rule)}
            is_upload = operation.body is UploadForm
            declare = self.spectree.validate(
                query=operation.query,
                json=None if is_upload else _model(operation.body),
                form=UploadForm if is_upload else None,
                headers=operation.headers or (CacheHeaders if cached else None),
                resp=Answers(**{f"HTTP_{status}": answer for status, answer in answers.items()}),
                tags=[view.__module__.rpartition(".")[2]],
                deprecated=operation.deprecated,
                validation_error_status=401,  # described already: spectree would add its own model under another
                operation_id=route.endpoint.rpartition(".")[2],
            )
            yield method, declare(view)

    def parse_path(self, route: Any, path_parameter_descriptions: object) -> tuple[str, list[Json]]:
        path = PLACEHOLDER.sub(r"{\1}", route.rule)
        return path, [_path_parameter(name) for name in PLACEHOLDER.findall(route.rule)]


def _operations() -> Mapping[str, Operation]:
    views = current_app.view_functions.items()
    return {endpoint: view.operation for endpoint, view in views if hasattr(view, "operation")}


def _model(model: Model | None) -> type[BaseModel] | None:
    return models()[model] if isinstance(model, str) else model


def _path_parameter(name: str) -> Json:
    description, example = PATH_PARAMETERS[name]
    record_types = [word for record_type in services().registry for word in (record_type.name, record_type.plural)]
    number = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
    schema = {"type": "string", "enum": record_types} if name == "type" else number
    said = {"name": name, "in": "path", "required": True, "description": description}
    return said | {"schema": schema, "example": example}


def _errors(operation: Operation, method: str, path: str) -> Errors:
    """Return the names of the error examples of an operation, by status."""
    names = {"signed-out", "wrong-token", "rate-limited", "database", *operation.errors}
    if "{" in path or "<" in path:
        names |= {"forbidden", "not-found"}
    if method != "GET":
        names |= {"forbidden", "scope", "csrf", "length-required"}
    elif operation.query:
        names |= {"rejected-query"}
    if operation.body not in (None, UploadForm):
        names |= {"malformed", "media-type", "rejected", "too-large-json"}
    found: dict[int, list[str]] = {}
    for name in sorted(names, key=[*EXAMPLES].index):
        found.setdefault(EXAMPLES[name].refusal.status, []).append(name)
    return found


def _finished(document: Json) -> Json:
    """Add what spectree has no words for: problem documents, headers, examples, bodies that are not JSON."""
    schemas = document["components"]["schemas"]
    for model in schemas.values():
        if "examples" in model:  # in the order of the fields, not of the alphabet
            [example] = model["examples"]
            model["examples"] = [{name: example[name] for name in model["properties"] if name in example}]
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            operation = _operations()[f"{blueprint.name}.{said['operationId']}"]
            said["summary"] = said["summary"].removesuffix(".")
            for parameter in said["parameters"]:
                parameter["schema"].pop("title", None)
                if examples := parameter["schema"].pop("examples", None):
                    parameter["example"] = examples[0]
            if operation.body:
                _finish_body(said["requestBody"]["content"], operation, schemas)
            errors = _errors(operation, method.upper(), path)
            for status, answer in said["responses"].items():
                _finish_answer(answer, int(status), operation, errors, schemas)
            said["responses"] = dict(sorted(said["responses"].items()))
    # Models of parameters, the only ones without an example, are spelled out at their operations.
    shown = {name: model for name, model in schemas.items() if "examples" in model or "properties" not in model}
    document["components"] = {
        "schemas": shown,
        "examples": {name: {"summary": one.when, "value": one.refusal.problem} for name, one in EXAMPLES.items()},
        "securitySchemes": _security_schemes(),
    }
    tags = [{"name": name, "description": words} for name, words in TAGS.items()]
    return document | {"tags": tags, "servers": [{"url": "/"}], "security": [{"token": []}, {"session": []}]}


def _finish_body(content: Json, operation: Operation, schemas: Json) -> None:
    for body in content.values():
        body |= _examples(schemas, body["schema"])
    if operation.body is UploadForm:
        content["application/octet-stream"] = _binary("*/*")
    if operation.form_too:
        content["application/x-www-form-urlencoded"] = content["application/json"]


def _finish_answer(answer: Json, status: int, operation: Operation, errors: Errors, schemas: Json) -> None:
    headers = dict(HEADERS.get(status, {}))
    if status < 300:
        headers |= HEADERS.get(operation.media or operation.answer, {})
    if status == 201 and operation.answer is File:
        headers |= {"Location": "The document"}
    if status < 400 and operation.deprecated:
        headers |= DEPRECATED
    if headers:
        text = {"type": "string"}
        answer["headers"] = {name: {"description": words, "schema": text} for name, words in headers.items()}
    if status >= 400:
        examples = {name: {"$ref": f"#/components/examples/{name}"} for name in errors[status]}
        answer["content"] = {MEDIA_TYPE: {**answer["content"]["application/json"], "examples": examples}}
    elif status < 300 and status != 204:
        for body in answer.get("content", {}).values():
            body |= _examples(schemas, body["schema"])
        if operation.media:
            answer["content"] = {operation.media: _binary(operation.media), **answer.get("content", {})}


def _binary(media: str) -> Json:
    return {"schema": {"type": "string", "format": "binary"}, "example": BYTES[media]}


def _examples(schemas: Json, schema: Json) -> Json:
    """Return the example of a model as a media type has it; one of each member where it is a union."""
    found = dict(_examples_of(schemas, schema))
    if len(found) == 1:
        return {"example": next(iter(found.values()))}
    return {"examples": {name: {"value": value} for name, value in found.items()}}


def _examples_of(schemas: Json, schema: Json) -> Iterator[tuple[str, Any]]:
    name = schema["$ref"].rpartition("/")[2]
    model = schemas[name]
    if "items" in model:
        yield from ((name, [value]) for name, value in _examples_of(schemas, model["items"]))
    elif "anyOf" in model:
        for member in model["anyOf"]:
            yield from _examples_of(schemas, member)
    else:
        yield name, model["examples"][0]


def _security_schemes() -> Json:
    token = "A API token, `mf_…`, from the account page."
    session = "The session of the pages. Changes also need the header `X-CSRFToken`."
    cookie = current_app.config["SESSION_COOKIE_NAME"]
    return {
        "token": {"type": "http", "scheme": "bearer", "description": token},
        "session": {"type": "apiKey", "in": "cookie", "name": cookie, "description": session},
    }
