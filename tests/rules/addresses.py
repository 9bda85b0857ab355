"""Every address of the URL map and what becomes of who asks it, in each state of what it is about.

A row says: method, address, the answers to who may edit and to a reader, what is sent. An answer stands for each state
of what the address is about: a document in use, in the trash, of a record in the trash; a record in use, in the trash.
That what was deleted for ever, or never was, is not found by anybody needs no row.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from medfiles.accounts import api_tokens
from medfiles.database.session import db
from medfiles.models import Session
from medfiles.operations import housekeeping
from tests.support.factories import World

KINDS = ("lab-result", "visit", "procedure", "insurance")
HTMX = {"HX-Request": "true"}
ABSENT = 1_999_999_999
ADDRESSES = """
GET  /patients/{patient}                           200 200
GET  /patients/{patient}/edit                      200 403
POST /patients/{patient}/edit                      422 403
GET  /patients/{patient}/trash                     200 403
GET  /patients/{patient}/activity                  200 403
GET  /patients/{patient}/{plural}                  200 200
GET  /patients/{patient}/{plural}/new              200 403
POST /patients/{patient}/{plural}/new              422 403
GET  /documents/{type}/new?patient={patient}       200 403
GET  /{type}/{record}                              200,200 200,404
GET  /{type}/{record}/edit                         200,409 403,404
POST /{type}/{record}/edit                         422,409 403,404 remove={file}
POST /{type}/{record}/delete                       303,409 403,404
POST /{type}/{record}/restore                      409,303 403,404
GET  /documents/{type}/{record}                    200,200 200,404
GET  /documents/{plural}/{record}                  200,200 200,404
GET  /documents/{type}/{record}/upload-zone        200,200 200,404
GET  /documents/{type}/{record}/list               200,200 200,404
GET  /documents/{type}/{record}/list?q=l&category=none&media=pdf&from=2026-01-01&sort=name&order=desc 200,200 200,404
GET  /documents/{type}/{record}/list?row={file}    200,200 200,404
GET  /documents/{type}/{record}/trash              200,200 403,404
GET  /documents/{type}/{record}/trash?q=old&sort=size 200,200 403,404
GET  /documents/{type}/{record}/badge              200,404 200,404
POST /documents/{type}/{record}/files              422,409 403,404
POST /documents/{type}/{record}/bulk               303,303 403,404 action=delete&file_ids={file}
POST /documents/{type}/{record}/bulk               303,422 403,404 action=delete&all=1
POST /documents/{type}/{record}/bulk               303,409 403,404 action=restore&file_ids={trashed}
POST /documents/{type}/{record}/bulk               303,303 403,404 action=purge&file_ids={trashed}
POST /documents/{type}/{record}/bulk               303,303 403,404 action=category&category=&file_ids={file}
POST /documents/{type}/{record}/bulk               200,200 200,404 action=download&file_ids={file}
POST /documents/{type}/{record}/bulk               200,422 200,404 action=download&all=1
POST /documents/{type}/{record}/bulk               200,200 200,404 action=print&file_ids={file}
POST /documents/{type}/{record}/bulk               200,422 200,404 action=print&all=1
POST /documents/{type}/{record}/bulk               200,200 403,404 action=cancel&idempotency_key=some-try
GET  /documents/files/{file}/download              200,200,200 200,404,404
GET  /documents/files/{file}/preview               200,200,200 200,404,404
GET  /documents/files/{file}/print                 200,200,200 200,404,404
GET  /documents/files/{file}/pictures/{sha256}-v1w160/1.webp 200,200,200 200,404,404
POST /documents/files/{file}/edit                  303,409,409 403,404,404
POST /documents/files/{file}/delete                303,409,409 403,404,404
POST /documents/files/{file}/restore               409,303,409 403,404,404
POST /documents/files/{file}/purge                 409,303,303 403,404,404
"""
# For a patient's owner alone: who may edit is answered as a reader is.
OWNERS = """
GET  /patients/{patient}/people                    200 403
POST /patients/{patient}/people                    422 403
"""
# Many records at once: those that are not the asker's are left out, as those that are not there.
MANY = """
GET  /documents/{type}/badges?ids={record}         200,200 200,200
"""
# One's own session or token, which no share opens to others.
SESSION = """
POST /account/sessions/{session}/end               303 404
POST /account/tokens/{token}/revoke                303 404
"""
# What concerns nobody's patients but one's own, and needs an account.
OWN = """
GET /
GET /patients/new
POST /patients/new
GET /account
POST /sign-out
POST /account/sign-out
GET /account/tokens/new
POST /account/tokens/new
GET /account/password
POST /account/password
GET /account/verify
POST /account/verify
GET /account/second-step
POST /account/second-step
POST /account/second-step/made-up-token
GET /sign-in/method
POST /sign-in/method
GET /sign-in/rescue
POST /sign-in/rescue
"""
# For whoever looks after the installation; others are told so.
ADMINS = """
GET /status
"""
PUBLIC = """
GET /sign-in
POST /sign-in
GET /sign-in/code
POST /sign-in/code
GET /healthz
GET /readyz
GET /metrics
GET /api/v1/openapi.json
GET /api/v1/docs
GET /static/medfiles.css
GET /static/@older/medfiles.css
GET /static/security/anything.css
"""
FILE_STATES = ("live", "trashed", "buried", "purged", "absent")
RECORD_STATES = ("live", "buried", "purged", "absent")
OTHER_STATES = ("live", "absent")
GONE = ("purged", "absent")
Statuses = tuple[int, ...]


@dataclass(frozen=True)
class Address:
    method: str
    path: str
    editor: Statuses = (200,)
    reader: Statuses = (200,)
    sent: str = "nothing=to+see"

    @property
    def states(self) -> Sequence[str]:
        """Of what it is about, in the order that the answers stand in."""
        if "/files/{file}" in self.path:
            return FILE_STATES
        return RECORD_STATES if "{record}" in self.path else OTHER_STATES

    @property
    def unknown(self) -> int:
        """The answer about what is not there, or not to be known of."""
        return 200 if self.path.startswith("/documents/{type}/badges") else 404

    def answer(self, level: Statuses, state: str) -> int:
        return self.unknown if state in GONE else level[self.states.index(state)]

    def at(self, ids: Mapping[str, Any]) -> str:
        return self.path.format(**ids)

    def body(self, ids: Mapping[str, Any]) -> dict[str, str] | None:
        sent = parse_qsl(self.sent.format(**ids), keep_blank_values=True)
        return dict(sent) if self.method == "POST" else None

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.sent}"


def rows(text: str) -> list[Address]:
    return [_row(*line.split()) for line in text.strip().splitlines()]


def _row(method: str, path: str, editor: str = "200", reader: str = "200", *sent: str) -> Address:
    return Address(method, path, _statuses(editor), _statuses(reader), *sent)


def _statuses(text: str) -> Statuses:
    return tuple(int(status) for status in text.split(","))


GUARDED = [*rows(OWNERS), *rows(ADDRESSES)]
EVERY = [*GUARDED, *rows(MANY), *rows(SESSION), *rows(OWN), *rows(ADMINS), *rows(PUBLIC)]


@dataclass
class Family:
    """One patient with a record of each kind, one of each in the trash, and documents in and out of the trash."""

    world: World
    patient: Any
    ids: dict[str, dict[str, Any]] = field(default_factory=dict)
    session: int = 0
    token: int = 0

    def of(self, kind: str, state: str) -> dict[str, Any]:
        return in_state(self.ids[kind], state)


def in_state(ids: Mapping[str, Any], state: str) -> dict[str, Any]:
    """What an address is filled in with, so that what it is about is in this state."""
    return {**ids, **{name: ids[f"{name}:{state}"] for name in ("record", "file") if f"{name}:{state}" in ids}}


def family_in(world: World, words: str = "") -> Family:
    """With `words` in all that people can type."""
    patient = world.patient(first_name=words[:60] or "Ella")
    world.client()
    session = db.session.scalars(select(Session.id)).one()
    token, _ = api_tokens.create(world.actor(), "Scanner")
    made = Family(world, patient, session=session, token=token.id)
    erased = {kind: _erased(world, kind, patient) for kind in KINDS}
    housekeeping.purge_expired(world.parts.registry, world.parts.storages, datetime.max.replace(tzinfo=UTC))
    for kind in KINDS:
        made.ids[kind] = _ids(made, kind, words) | erased[kind]
    return made


def _erased(world: World, kind: str, patient: Any) -> dict[str, int]:
    """A record with a document, on their way out."""
    record = world.record(kind, patient)
    [file] = world.store(record, "erased.txt")
    world.records().delete(world.kind(kind), record.id)
    return {"record:purged": record.id, "file:purged": file}


def _ids(made: Family, kind: str, words: str) -> dict[str, Any]:
    world, typed = made.world, _typed(made.world, kind, words)
    record, gone = (world.record(kind, made.patient, **typed) for _ in range(2))
    name, said = f"{words}letter.pdf", words or None
    file, buried = (world.attach(one, name, description=said) for one in (record, gone))
    trashed = world.attach(record, f"{words}old.pdf", description=said)
    world.documents().trash(trashed.id)
    world.records().delete(world.kind(kind), gone.id)
    return {
        "type": kind, "plural": world.kind(kind).plural, "patient": made.patient.id, "sha256": file.sha256,
        "session": made.session, "token": made.token,
        "record": record.id, "gone": gone.id, "file": file.id, "trashed": trashed.id, "buried": buried.id,
        "record:buried": gone.id, "file:trashed": trashed.id, "file:buried": buried.id,
    }  # fmt: skip


def _typed(world: World, kind: str, words: str) -> dict[str, Any]:
    if not words:
        return {}
    typed = {part.name: words[: part.limit] for part in world.kind(kind).fields if part.kind in ("string", "text")}
    contact = {"contact_info": {"phone": words, "email": words}} if kind == "insurance" else {}
    return typed | contact


def once_more(family: Family, kind: str) -> dict[str, Any]:
    """The same things, to be changed by one request."""
    world, before = family.world, family.ids[kind]
    record, gone = (world.record(kind, family.patient) for _ in range(2))
    [file, trashed], [buried] = world.store(record, "letter.txt", "old.txt"), world.store(gone, "letter.txt")
    world.documents().trash(trashed)
    world.records().delete(world.kind(kind), gone.id)
    world.client()
    session = db.session.scalars(select(Session.id).order_by(Session.id.desc())).first()
    token, _ = api_tokens.create(world.actor(), "Scanner")
    db.session.rollback()  # what is asked next begins anew
    return before | {
        "session": session, "token": token.id, "record": record.id, "gone": gone.id, "file": file, "trashed": trashed,
        "record:buried": gone.id, "file:trashed": trashed, "file:buried": buried,
    }  # fmt: skip


def absent(ids: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if name in ("type", "plural", "sha256") else ABSENT for name, value in ids.items()}


def kinds_of(address: Address) -> Sequence[str]:
    """Those whose answers the row tells; that insurance is not previewed is said to whoever may see it."""
    return KINDS[:3] if address.path.endswith("/preview") else KINDS


def ask(client: FlaskClient, address: Address, ids: Mapping[str, Any], token: str = "", **headers: str) -> TestResponse:
    sent = {"X-CSRFToken": token, **headers}
    return client.open(address.at(ids), method=address.method, headers=sent, data=address.body(ids), buffered=True)


def shown(response: TestResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Status, body and headers without what differs in every answer: CSRF tokens, request id."""
    body = re.sub(rb'(data-mf-csrf="|name="csrf_token" value="|csrf_token=)[^"&]*', rb"\1", response.data)
    differing = {"X-Request-Id", "Content-Length"}
    return response.status_code, body, [(name, value) for name, value in response.headers if name not in differing]


def stored(world: World) -> dict[str, Any]:
    """All rows of patients, records and documents, and all bytes, but what is only derived from them."""
    db.session.rollback()
    own = {"audit_events", "audit_private", "sessions", "renditions"}
    tables = [table for table in db.metadata.sorted_tables if table.name not in own]
    rows = {table.name: db.session.execute(select(table).order_by(*table.primary_key)).all() for table in tables}
    db.session.rollback()  # what is asked next begins anew
    return rows | {str(path): path.read_bytes() for path in world.uploads.rglob("*.*") if path.suffix != ".webp"}


def named(app: Flask, address: Address, ids: Mapping[str, Any]) -> tuple[str, str]:
    path = address.at(ids).split("?")[0]
    return app.url_map.bind("localhost").match(path, address.method, return_rule=True)[0].rule, address.method


def of_the_api(app: Flask) -> set[tuple[str, str]]:
    """Those that test_api_addresses.py asks."""
    return {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        for method in rule.methods or set()
        if hasattr(app.view_functions[rule.endpoint], "operation")
    }


def offered(app: Flask) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            yield rule.rule, method
