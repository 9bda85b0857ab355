"""The page at /api/v1/docs: the OpenAPI document rendered as HTML, without scripts."""

import json
import shlex
from typing import Any
from urllib.parse import urlencode

from flask import current_app, render_template

from medfiles.api.openapi import Json, openapi
from medfiles.api.toolkit import blueprint

JSON = "application/json"


@blueprint.get("/docs")
def readable() -> str:
    """Show the OpenAPI document as a page."""
    api = openapi(current_app)
    lead, *texts = api["info"]["description"].split("\n## ")
    operations = [(path, method, said) for path, methods in api["paths"].items() for method, said in methods.items()]
    sections = [(tag, [one for one in operations if tag["name"] in one[2]["tags"]]) for tag in api["tags"]]
    topics = [topic(text) for text in texts]
    helpers = (bodies_of, curl, name_of, pretty, sample_of)
    context = {helper.__name__: helper for helper in helpers}
    return render_template("api/docs.html", api=api, lead=lead, topics=topics, sections=sections, **context)


def topic(markdown: str) -> Json:
    """Split a topic in the API description into its title, anchor, paragraphs and sample."""
    title, _, text = markdown.partition("\n\n")
    words, _, sample = text.partition("```\n")
    anchor = title.lower().replace(" ", "-")
    return {"title": title, "anchor": anchor, "paragraphs": words.split("\n\n"), "sample": sample.partition("\n```")[0]}


def name_of(schema: Json) -> str:
    """Return the name of the model that a schema refers to, or "" if it refers to none."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def bodies_of(said: Json) -> dict[str, list[str]]:
    """Return the media types that an operation accepts, by model name; "" stands for raw bytes."""
    found: dict[str, list[str]] = {}
    for media, body in said.get("requestBody", {}).get("content", {}).items():
        found.setdefault(name_of(body["schema"]), []).append(media)
    return found


def sample_of(content: Json) -> tuple[str, Any]:
    """Return an example of a JSON body and its model's name.

    If the body can be one of several models, prefer a visit. If there is only one model, the name is "".
    """
    if "examples" not in content:
        return "", content["example"]
    name = next((name for name in content["examples"] if name.startswith("Visit")), next(iter(content["examples"])))
    return name, content["examples"][name]["value"]


def curl(path: str, method: str, said: Json) -> str:
    """Return a curl command for an operation, filled in with examples for its parameters."""
    values = {one["name"]: one["example"] for one in said["parameters"] if one["in"] == "path"}
    query = {one["name"]: one["example"] for one in said["parameters"] if one["in"] == "query" and one["required"]}
    address = path.format(**values) + (f"?{urlencode(query, safe=',')}" if query else "")
    verb = "" if method == "get" else f" -X {method.upper()}"
    lines = [f'curl{verb} "$MEDFILES{address}"', '-H "Authorization: Bearer $TOKEN"']
    sent = said.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in sent:
        form = sent["multipart/form-data"]["example"] | {"file": "@Referral.pdf"}
        lines.append('-H "Idempotency-Key: scan-2026-05-12-1"')
        lines += [f"-F {shlex.quote(f'{name}={value}')}" for name, value in form.items()]
    elif JSON in sent:
        lines.append(f"--json {shlex.quote(pretty(sample_of(sent[JSON])[1]))}")
    answered = said["responses"].get("200", {}).get("content", {})
    lines += ["-OJ"] if "*/*" in answered else ["-o documents.zip"] if "application/zip" in answered else []
    return " \\\n  ".join(lines)


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
