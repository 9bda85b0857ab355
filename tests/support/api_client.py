"""Programs that ask the JSON API in tests, and what every error of it looks like."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from medfiles.accounts import api_tokens
from medfiles.record_types.declared import RecordType
from tests.support.factories import World, values_for

HOME = "/api/v1"
RAW = "application/octet-stream"


@dataclass
class Script:
    """Asks with the headers it was given: a token's, or with a session what goes with its cookie."""

    client: FlaskClient
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **sent: Any) -> TestResponse:
        all_headers = {**self.headers, **(headers or {})}
        return self.client.open(f"{HOME}{path}", method=method, headers=all_headers, buffered=True, **sent)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.ask("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, json: Any = None) -> TestResponse:
        return self.ask("POST", path, json=json)

    def put(self, path: str, json: Any, **headers: str) -> TestResponse:
        return self.ask("PUT", path, {name.replace("_", "-"): value for name, value in headers.items()}, json=json)

    def delete(self, path: str) -> TestResponse:
        return self.ask("DELETE", path)

    def upload(self, path: str, name: str, content: bytes, key: str | None = None, **query: str) -> TestResponse:
        """The bytes as they are, named in a header."""
        headers = {"Content-Disposition": disposition(name)} | ({"Idempotency-Key": key} if key else {})
        length = {"CONTENT_LENGTH": str(len(content))}  # which the client leaves out for an empty file
        sent = {"data": content, "content_type": RAW, "query_string": query or None, "environ_overrides": length}
        return self.ask("POST", path, headers, **sent)

    def form(self, path: str, body: bytes, key: str | None = None, boundary: str = "b") -> TestResponse:
        """A multipart body that is already made."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.ask("POST", path, headers, data=body, content_type=f"multipart/form-data; boundary={boundary}")


def disposition(name: str) -> str:
    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def part(name: str, content: bytes, field: str = "file", boundary: str = "b") -> bytes:
    """One file of a form, its name as browsers write it."""
    spelled = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{spelled}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


def said(name: str, value: str, boundary: str = "b") -> bytes:
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def end(boundary: str = "b") -> bytes:
    return f"--{boundary}--\r\n".encode()


def script(
    world: World,
    email: str = "nora@sample.example",
    scope: str = api_tokens.WRITE,
    patient_id: int | None = None,
    lasts: timedelta | None = None,
) -> Script:
    """A program with a new token of this account."""
    _, text = api_tokens.create(world.actor(email), "Script", scope, patient_id, lasts)
    return with_token(world, text)


def with_token(world: World, text: str) -> Script:
    return Script(world.client(None), {"Authorization": f"Bearer {text}"})


def json_values(record_type: RecordType) -> dict[str, Any]:
    """Something for every field a kind of record needs, as JSON has it."""
    return {name: str(value) if isinstance(value, date) else value for name, value in values_for(record_type).items()}


def problem(answer: TestResponse, status: int, code: str) -> dict[str, Any]:
    """What the error says, after a look at its shape."""
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json"), answer.text[:500]
    found: dict[str, Any] = answer.get_json(force=True)
    assert set(found) - {"errors"} == {"type", "title", "status", "code", "detail"}
    assert (found["status"], found["code"], found["type"]) == (status, code, f"/api/v1/docs#{code}")
    assert found["title"]
    assert found["detail"].endswith(".")
    assert all(set(wrong) == {"field", "detail"} for wrong in found.get("errors", []))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, no-store"
    return found
