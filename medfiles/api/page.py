"""The OpenAPI document as a page shows it: sections of operations, each in words and with what goes over the wire."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

Said = Mapping[str, Any]
JSON = "application/json"
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Row:
    """A parameter, a field, a header: its name, what it may be, and what it is for. `model`: what it is made of."""

    name: str
    kind: str = ""
    about: str = ""
    needed: bool = False
    model: str = ""


@dataclass(frozen=True)
class Sample:
    title: str
    text: str


@dataclass(frozen=True)
class Body:
    """What may be sent: as any of these media types, of this model, with these fields."""

    media: Sequence[str]
    model: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Answer:
    status: str
    words: str
    headers: Sequence[Row]
    model: str
    samples: Sequence[Sample]
    codes: Sequence[str]  # of errors


@dataclass(frozen=True)
class Shown:
    """One operation."""

    anchor: str
    method: str
    path: str
    summary: str
    older: bool
    groups: Sequence[tuple[str, Sequence[Row]]]
    bodies: Sequence[Body]
    samples: Sequence[Sample]
    answers: Sequence[Answer]
    refusals: Sequence[Answer]


@dataclass(frozen=True)
class Section:
    anchor: str
    title: str
    operations: Sequence[Shown]


@dataclass(frozen=True)
class Model:
    name: str
    about: str
    rows: Sequence[Row]
    members: Sequence[str]  # of one that may be one of several
    sample: str


@dataclass(frozen=True)
class Code:
    """An error code with all that can be behind it."""

    code: str
    status: int
    title: str
    cases: Sequence[tuple[str, str]]  # when, and what is said then


@dataclass(frozen=True)
class Page:
    sections: Sequence[Section]
    codes: Sequence[Code]
    models: Sequence[Model]


def of(api: Said) -> Page:
    shown = [_shown(api, path, *entry) for path, methods in api["paths"].items() for entry in methods.items()]
    tagged = [(api["paths"][one.path][one.method.lower()]["tags"][0], one) for one in shown]
    sections = [
        Section(f"tag-{tag['name']}", tag["description"], [one for name, one in tagged if name == tag["name"]])
        for tag in api["tags"]
    ]
    schemas = api["components"]["schemas"]
    return Page(
        [section for section in sections if section.operations],
        list(_codes(api)),
        [_model(name, schema) for name, schema in sorted(schemas.items())],
    )


def _codes(api: Said) -> Iterator[Code]:
    found: dict[str, list[Said]] = {}
    for example in api["components"]["examples"].values():
        found.setdefault(example["value"]["code"], []).append(example)
    for code, cases in sorted(found.items(), key=lambda entry: (entry[1][0]["value"]["status"], entry[0])):
        first = cases[0]["value"]
        whens = [(case["summary"], case["value"]["detail"]) for case in cases]
        yield Code(code, first["status"], first["title"], whens)


def _shown(api: Said, path: str, method: str, said: Said) -> Shown:
    parameters = said["parameters"]
    titles = {"path": "Path", "query": "Query", "header": "Headers"}
    groups = [(title, [_parameter(one) for one in parameters if one["in"] == place]) for place, title in titles.items()]
    answers = [_answer(api, status, answer) for status, answer in said["responses"].items()]
    return Shown(
        anchor=f"op-{said['operationId'].replace('_', '-')}",
        method=method.upper(),
        path=path,
        summary=said["summary"],
        older=said.get("deprecated", False),
        groups=[(title, rows) for title, rows in groups if rows],
        bodies=_bodies(api, said.get("requestBody", {}).get("content", {})),
        samples=[Sample("Request", _curl(path, method.upper(), said)), *_answered(answers)],
        answers=[answer for answer in answers if int(answer.status) < 400],
        refusals=[answer for answer in answers if int(answer.status) >= 400],
    )


def _bodies(api: Said, content: Said) -> list[Body]:
    found: dict[str, list[str]] = {}
    for media, body in content.items():
        found.setdefault(_name(body["schema"]) or media, []).append(media)
    schemas = api["components"]["schemas"]
    made = [(name if name in schemas else "", media) for name, media in found.items()]
    return [Body(media, name, _rows(schemas.get(name) or content[media[0]]["schema"])) for name, media in made]


def _answered(answers: Sequence[Answer]) -> list[Sample]:
    return next(([*answer.samples] for answer in answers if answer.samples and int(answer.status) < 400), [])


def _answer(api: Said, status: str, said: Said) -> Answer:
    headers = [Row(name, about=header["description"]) for name, header in said.get("headers", {}).items()]
    none: tuple[str, Said] = ("", {})
    media, content = next(iter(said.get("content", {}).items()), none)
    found = content.get("examples", {})
    problems = [api["components"]["examples"][name]["value"]["code"] for name in found] if media == PROBLEM else []
    samples = _samples(content) if media == JSON else []
    schema = content.get("schema", {})
    return Answer(status, said["description"], headers, _name(schema), samples, list(dict.fromkeys(problems)))


def _samples(content: Said) -> list[Sample]:
    """One: where several kinds have their own, the visit's, which the addresses of the examples speak of."""
    if "example" in content:
        return [Sample("Answer", _pretty(content["example"]))]
    name, one = _of_visit(content)
    return [Sample(f"Answer: {name}", _pretty(one["value"]))]


def _of_visit(content: Said) -> tuple[str, Said]:
    found = content["examples"]
    name = next((name for name in found if name.startswith("Visit")), next(iter(found)))
    return name, found[name]


def _parameter(said: Said) -> Row:
    needed = said.get("required", False) and said["in"] != "path"
    return Row(said["name"], _kind(said["schema"]), said.get("description", ""), needed)


def _model(name: str, schema: Said) -> Model:
    members = [_name(member) for member in schema.get("anyOf", ())]
    if "items" in schema:
        members = [_name(schema["items"])]
    return Model(name, schema.get("description", ""), _rows(schema), members, _example(schema))


def _example(schema: Said) -> str:
    """With its fields in the order in which they are declared."""
    if "examples" not in schema:
        return ""
    example = schema["examples"][0]
    return _pretty({name: example[name] for name in schema["properties"] if name in example})


def _rows(schema: Said) -> list[Row]:
    answered = "title" in schema and schema.get("additionalProperties") is not False
    needed = () if answered else schema.get("required", ())
    return [
        Row(name, _kind(field), _about(name, field), name in needed, _name(field))
        for name, field in schema.get("properties", {}).items()
    ]


def _about(name: str, field: Said) -> str:
    """Its description; a title only where it says more than the name does."""
    title = field.get("title", "")
    said = title if title.lower() != name.replace("_", " ") else ""
    return str(field.get("description", said))


def _name(schema: Said) -> str:
    """The model that a schema speaks of, by itself or in a list."""
    inner = schema.get("items", schema)
    return str(inner.get("$ref", "")).rpartition("/")[2]


def _kind(schema: Said) -> str:
    """What a value may be, in a few words."""
    if "anyOf" in schema:
        return " or ".join(_kind(member) for member in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " · ".join(str(value) for value in schema.get("enum", [schema.get("const")]) if value != "")
    if "items" in schema:
        inner = _kind(schema["items"])
        return f"list of {inner}" if _name(schema) else f"list of {inner}s"
    named = {"date": "date", "date-time": "time", "binary": "bytes"}.get(schema.get("format", ""))
    return _name(schema) or (named or str(schema.get("type", "anything"))) + _limits(schema)


def _limits(schema: Said) -> str:
    if schema.get("maxLength"):
        return f", up to {schema['maxLength']:,} characters"
    if schema.get("type") == "integer" and schema.get("maximum", 2**31) < 2**31:
        return f" from {schema.get('minimum', 0)} to {schema['maximum']}"
    return ""


def _curl(path: str, method: str, said: Said) -> str:
    """What to type for this operation, with the examples of its parameters."""
    values = {one["name"]: one["example"] for one in said["parameters"] if one["in"] == "path"}
    needed = {one["name"]: one["example"] for one in said["parameters"] if one["in"] == "query" and one.get("required")}
    query = f"?{urlencode(needed, safe=',')}" if needed else ""
    verb = "" if method == "GET" else f" -X {method}"
    lines = [f'curl{verb} "$MEDFILES{path.format(**values)}{query}"', '-H "Authorization: Bearer $TOKEN"']
    return " \\\n  ".join([*lines, *_sent(said), *_kept(said)])


def _sent(said: Said) -> list[str]:
    content = said.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        fields = content["multipart/form-data"]["example"]
        named = {**fields, "file": "@Referral.pdf"}
        return ['-H "Idempotency-Key: scan-2026-05-12-1"', *(f"-F {shlex.quote(f'{n}={v}')}" for n, v in named.items())]
    if JSON not in content:
        return []
    said = content[JSON]
    sample = said["example"] if "example" in said else _of_visit(said)[1]["value"]
    return [f"--json {shlex.quote(_pretty(sample))}"]


def _kept(said: Said) -> list[str]:
    """Where a body goes that is not for reading on a terminal."""
    media = next(iter(said["responses"].get("200", {}).get("content", {})), "")
    return {"*/*": ["-OJ"], "application/zip": ["-o documents.zip"]}.get(media, [])


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
