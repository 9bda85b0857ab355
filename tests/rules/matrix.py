"""The matrix of operations, roles and states: every operation of the URL map and what each role is answered.

A row holds method, path, statuses for an editor, statuses for a viewer, and the body. A document is active, in the
trash, or part of a record in the trash; a record is active or in the trash: one status for each, in this order. Purged
and unknown ids are never found and need no status.
"""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from medfiles.database.session import db
from medfiles.models import Patient, PatientShare, Session
from medfiles.operations import housekeeping
from medfiles.permissions import Action
from medfiles.texts import store as page_texts
from medfiles.texts.layout import Word
from tests.support import samples
from tests.support.api_client import HOME, RAW, disposition, json_values
from tests.support.factories import World

KINDS = ("lab-result", "visit", "procedure", "insurance")
HTMX = {"HX-Request": "true"}
ABSENT = 1_999_999_999
PATIENT = {"first_name": "Ella", "last_name": "Sample", "birth_date": "2018-03-02", "notes": "Changed"}
PAGES = """
GET  /patients/{patient}                           200 200
GET  /patients/{patient}?year=2026&type=visit      200 200
GET  /patients/{patient}/documents                 200 200
GET  /patients/{patient}/profile                   200 200
GET  /patients/{patient}/edit                      200 403
POST /patients/{patient}/edit                      422 403
GET  /patients/{patient}/export                    200 200
GET  /patients/{patient}/photo                     200 200
POST /patients/{patient}/photo                     422 403
POST /patients/{patient}/photo/remove              303 403
POST /patients/{patient}/pin                       303 303
POST /patients/{patient}/unpin                     303 303
GET  /patients/{patient}/share                     200 403
POST /patients/{patient}/share                     422 403
GET  /patients/{patient}/links                     200 403
GET  /links/{link}                                 200 403
POST /links/{link}/pause                           303 403
POST /links/{link}/resume                          303 403
POST /links/{link}/revoke                          303 403
POST /links/{link}/smart                           303 403 kind=desk
GET  /links/{link}/smart/{smart}                   200 403
POST /links/{link}/smart/{smart}/end               303 403
GET  /patients/{patient}/trash                     200 403
GET  /patients/{patient}/activity                  200 403
GET  /patients/{patient}/history                   200 403
POST /patients/{patient}/history/{edit}/restore    303 403 field=gender&as_of={edit}
GET  /patients/{patient}/{plural}                  200 200
GET  /patients/{patient}/{plural}/new              200 403
POST /patients/{patient}/{plural}/new              422 403
GET  /documents/{type}/new?patient={patient}       200 403
GET  /{type}/{record}                              200,200 200,404
GET  /{type}/{record}/edit                         200,409 403,404
POST /{type}/{record}/edit                         422,409 403,404 remove={file}
POST /{type}/{record}/delete                       303,409 403,404
POST /{type}/{record}/restore                      409,303 403,404
GET  /{type}/{record}/history                      200,200 403,404
POST /{type}/{record}/history/{change}/restore     303,404 403,404 field=notes&as_of={change}
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
POST /documents/{type}/{record}/bulk               303,303 403,404 action=document_date&document_date=&file_ids={file}
POST /documents/{type}/{record}/bulk               200,200 200,404 action=download&file_ids={file}
POST /documents/{type}/{record}/bulk               200,422 200,404 action=download&all=1
POST /documents/{type}/{record}/bulk               200,200 200,404 action=print&file_ids={file}
POST /documents/{type}/{record}/bulk               200,422 200,404 action=print&all=1
POST /documents/{type}/{record}/bulk               200,200 403,404 action=cancel&idempotency_key=some-try
POST /documents/{type}/{record}/bulk               303,409 403,404 action=share&file_ids={file}
GET  /documents/files/{file}/download              200,200,200 200,404,404
GET  /documents/files/{file}/preview               200,200,200 200,404,404
GET  /documents/files/{file}/text                  200,200,200 200,404,404
GET  /documents/files/{file}/text?part=words       200,200,200 200,404,404
POST /documents/files/{file}/read                  303,303,303 403,404,404
GET  /documents/files/{file}/print                 200,200,200 200,404,404
GET  /documents/files/{file}/pictures/{sha256}-v2w240/1.webp 200,200,200 200,404,404
POST /documents/files/{file}/edit                  303,409,409 403,404,404
POST /documents/files/{file}/delete                303,409,409 403,404,404
POST /documents/files/{file}/restore               409,303,409 403,404,404
POST /documents/files/{file}/purge                 409,303,303 403,404,404
GET  /patients/{patient}/inbox                     200 403
GET  /inbox/why?at={file}                          200,200,200 403,404,404
POST /inbox/file                                   200 403 action=keep:{file}
GET  /documents/files/{file}/move                  200,409,409 403,404,404
POST /documents/files/{file}/move                  303,409,409 403,404,404 to_type=patient&to_id={patient}
POST /documents/files/{file}/take-back             409,409,409 403,404,404
GET  /documents/files/{file}/seen                  200,200,200 403,404,404
POST /documents/{type}/{record}/bulk               200,409 403,404 action=move&file_ids={file}
POST /documents/{type}/{record}/bulk               303,409 403,404 action=move&place=patient:{patient}&file_ids={file}
POST /documents/{type}/{record}/bulk               303,303 403,404 action=take-back&file_ids={file}
GET  /{type}/{record}/move                         200,409 403,404
POST /{type}/{record}/move                         303,409 403,404 patient={patient}
POST /{type}/{record}/take-back                    409,409 403,404
GET  /documents/{type}/badges?ids={record}         200,200 200,200
GET  /patient/{patient}                            308 308
POST /patient/{patient}                            308 308
GET  /patient/{patient}/history                    308 308
POST /patient/{patient}/edit                       308 308
GET  /documents/patient/{patient}                  200 200
GET  /documents/patients/{patient}/list            200 200
GET  /documents/patient/{patient}/trash            200 403
GET  /documents/patient/{patient}/badge            200 200
GET  /documents/patient/badges?ids={patient}       200 200
POST /documents/patient/{patient}/files            422 403
POST /documents/patient/{patient}/bulk             200 403 action=cancel&idempotency_key=some-try
"""
# For the owner of a patient or of a session: an editor is answered as a viewer is. A patient is restored right after it
# was deleted, and unarchived right after it was archived; one that is not in the trash is not deleted permanently.
PAGES_OF_OWNERS = """
POST /patients/{patient}/delete                    303 403
POST /patients/{patient}/restore                   303 403
POST /patients/{patient}/purge                     409 403
GET  /patients/{patient}/merge                     200 403
POST /patients/{patient}/merge                     422 403
POST /patients/{patient}/archive                   303 403
POST /patients/{patient}/unarchive                 303 403
GET  /patients/{patient}/people                    200 403
POST /patients/{patient}/people                    422 403
POST /account/sessions/{session}/end               303 404
"""
# For every account, about nothing that belongs to another.
PAGES_OF_ACCOUNTS = """
GET /
GET /patients
GET /trash
GET /patients?q=ella&quick=1
GET /patients/new
POST /patients/new
GET /inbox
GET /links
GET /search
GET /account
POST /account/dates
POST /sign-out
POST /account/sign-out
GET /account/tokens/new
POST /account/tokens/new
GET /account/tokens/1/confirm
POST /account/tokens/1/confirm
GET /account/tokens/1/revoke
POST /account/tokens/1/revoke
POST /invitations/1/accept
POST /invitations/1/decline
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
PAGES_OF_ADMINS = "GET /status"
PUBLIC = """
GET /sign-in
POST /sign-in
GET /sign-in/code
POST /sign-in/code
GET /s/made-up
POST /s/made-up/open
GET /s/made-up/download
GET /s/made-up/documents/1
GET /s/made-up/documents/1/download
GET /s/made-up/documents/1/thumbnail
GET /s/made-up/documents/1/pages/1
GET /shl/v
GET /shl/made-up
POST /shl/made-up/manifest
GET /shl/made-up/file/made-up
GET /healthz
GET /readyz
GET /metrics
GET /api/v1/openapi.json
GET /api/v1/docs
GET /static/medfiles.css
GET /static/@older/medfiles.css
GET /static/security/anything.css
"""
API = """
GET    /patients/{patient}                         200 200
PUT    /patients/{patient}                         200 403 patient
GET    /patients/{patient}/export                  200 200
GET    /patients/{patient}/photo                   200 200
PUT    /patients/{patient}/photo                   204 403 photo
DELETE /patients/{patient}/photo                   204 403
POST   /patients/{patient}/pin                     200 200
POST   /patients/{patient}/unpin                   200 200
GET    /patients/{patient}/{plural}                200 200
GET    /patients/{patient}/{type}                  200 200
POST   /patients/{patient}/{type}                  201 403 record
GET    /{type}/{record}                            200,200 200,404
GET    /{plural}/{record}                          200,200 200,404
PUT    /{type}/{record}                            200,409 403,404 record
DELETE /{type}/{record}                            200,409 403,404
POST   /{type}/{record}/restore                    409,200 403,404
GET    /{type}/{record}/files                      200,200 200,404
GET    /{type}/{record}/files?q=l&category=none&media=pdf&from=2026-01-01&sort=name&order=desc&limit=1 200,200 200,404
GET    /{type}/{record}/files?trashed=1            200,200 403,404
POST   /{type}/{record}/files                      201,409 403,404 bytes
GET    /patient/{patient}/files                    200 200
GET    /patients/{patient}/files?trashed=1         200 403
POST   /patient/{patient}/files                    201 403 bytes
GET    /files/{file}                               200,200,200 200,404,404
GET    /files/{file}/download                      200,200,200 200,404,404
GET    /files/{file}/preview                       200,200,200 200,404,404
GET    /files/{file}/preview?page=1&width=480      200,200,200 200,404,404
GET    /files/{file}/text                          200,200,200 200,404,404
GET    /files/{file}/thumbnail                     200,200,200 200,404,404
GET    /files/archive?ids={file}                   200,200,200 200,404,404
PUT    /files/{file}/metadata                      200,409,409 403,404,404 metadata
DELETE /files/{file}                               200,409,409 403,404,404
POST   /files/{file}/restore                       409,200,409 403,404,404
POST   /files/{file}/purge                         409,204,204 403,404,404
POST   /files/{file}/move                          200,409,409 403,404,404 to-patient
POST   /files/{file}/take-back                     409,409,409 403,404,404
POST   /{type}/{record}/move                       200,409 403,404 patient-id
POST   /{type}/{record}/take-back                  409,409 403,404
GET    /lab-result-files/{older}/download          200 200
GET    /lab-result-files/{moved}/download          200 200
DELETE /lab-result-files/{older}                   409 403
DELETE /lab-result-files/{moved}                   200 403
GET    /patients/{patient}/links                   200 403
POST   /patients/{patient}/links                   201 403 link
GET    /links/{link}                               200 403
GET    /links/{link}/opens                         200 403
POST   /links/{link}/pause                         200 403
POST   /links/{link}/resume                        200 403
DELETE /links/{link}                               200 403
GET    /links/{link}/smart                         200 403
POST   /links/{link}/smart                         202 403 smart
DELETE /links/{link}/smart/{smart}                 200 403
POST   /invitations/{share}/accept                 404 404
DELETE /invitations/{share}                        404 404
"""
API_OF_OWNERS = """
DELETE /patients/{patient}                         200 403
POST   /patients/{patient}/restore                 200 403
POST   /patients/{patient}/purge                   409 403
POST   /patients/{patient}/merge                   422 403 itself
POST   /patients/{patient}/archive                 200 403
POST   /patients/{patient}/unarchive               200 403
GET    /patients/{patient}/shares                  200 403
POST   /patients/{patient}/shares                  201 403 share
DELETE /shares/{share}                             200 403
"""
API_OF_ACCOUNTS = """
GET    /search                                     200 200
GET    /patients                                   200 200
GET    /patients?trashed=1                         200 200
GET    /patients?pinned=1                          200 200
GET    /invitations                                200 200
POST   /patients                                   201 201 patient
GET    /inbox                                      200 200
POST   /inbox/file                                 200 200 inbox
POST   /files/batch-counts                         200 200 counts
POST   /files/bulk                                 200 200 bulk
"""
OF_THE_ACCOUNT = ("/pin", "/unpin")  # change what belongs to the account, and nothing of the patient
FILE_STATES = ("active", "trashed", "record trashed", "purged", "absent")
RECORD_STATES = ("active", "record trashed", "purged", "absent")
OTHER_STATES = ("active", "absent")
GONE = ("purged", "absent")
Statuses = tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    editor: Statuses = (200,)
    viewer: Statuses = (200,)
    sent: str = ""
    owner_only: bool = False

    @property
    def is_api(self) -> bool:
        return self.path.startswith(HOME)

    @property
    def states(self) -> Sequence[str]:
        if "{" not in self.path:
            return ("active",)
        by_record = RECORD_STATES if "{record}" in self.path else OTHER_STATES
        return FILE_STATES if "{file}" in self.path and "{record}" not in self.path else by_record

    @property
    def hidden(self) -> int:
        """The status for what is absent or belongs to another account."""
        return 200 if "/badges?" in self.path else 404

    def status(self, level: Action | None, state: str) -> int:
        if level is None or state in GONE:
            return self.hidden
        edits = level == Action.OWN or (level == Action.EDIT and not self.owner_only)
        return (self.editor if edits else self.viewer)[self.states.index(state)]

    @property
    def writes(self) -> bool:
        """Whether success changes something; some HTML forms only download or print."""
        if self.is_api:
            return self.method != "GET" and self.sent != "counts"
        asks = "action=move" in self.sent and "&place=" not in self.sent
        reads = asks or "action=download" in self.sent or "action=print" in self.sent
        return self.method == "POST" and not reads

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.sent}"


def rows(text: str, prefix: str = "", *, owner_only: bool = False) -> list[Operation]:
    return [_row(prefix, owner_only, *line.split()) for line in text.strip().splitlines()]


def _row(
    prefix: str, owner_only: bool, method: str, path: str, editor: str = "200", viewer: str = "200", sent: str = ""
) -> Operation:
    return Operation(method, prefix + path, _statuses(editor), _statuses(viewer), sent, owner_only)


def _statuses(text: str) -> Statuses:
    return tuple(int(status) for status in text.split(","))


GUARDED_PAGES = [*rows(PAGES), *rows(PAGES_OF_OWNERS, owner_only=True)]
GUARDED_API = [*rows(API, HOME), *rows(API_OF_OWNERS, HOME, owner_only=True)]
ACCOUNT_PAGES, ACCOUNT_API = rows(PAGES_OF_ACCOUNTS), rows(API_OF_ACCOUNTS, HOME)
EVERY_PAGE = [*GUARDED_PAGES, *ACCOUNT_PAGES, *rows(PAGES_OF_ADMINS), *rows(PUBLIC)]
EVERY = [*EVERY_PAGE, *GUARDED_API, *ACCOUNT_API]


@dataclass
class Family:
    """One patient with a record of each type, active, trashed and purged, and documents in all states."""

    world: World
    patient: Patient
    ids: dict[str, dict[str, Any]] = field(default_factory=dict)

    def of(self, kind: str, state: str) -> dict[str, Any]:
        return in_state(self.ids[kind], state)


def in_state(ids: Mapping[str, Any], state: str) -> dict[str, Any]:
    """Return the ids with those of a record and document in this state."""
    if state == "absent":
        return {name: value if name in ("type", "plural", "sha256") else ABSENT for name, value in ids.items()}
    return {**ids, **{name: ids[f"{name}:{state}"] for name in ("record", "file") if f"{name}:{state}" in ids}}


def family_in(world: World, words: str = "") -> Family:
    """Create a family; `words` go into every text that people can enter."""
    family = Family(world, world.patient(first_name=words[:60] or "Ella"))
    world.client()
    edit = _edited_patient(world, family.patient, words[:50] or "Female")
    set_photo(family)
    purged = {kind: _purged(world, kind, family.patient) for kind in KINDS}
    housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta())
    for kind in KINDS:
        family.ids[kind] = _ids(family, kind, words) | purged[kind] | {"edit": edit}
    return family


def set_photo(family: Family) -> None:
    """Give the patient a photo, as far as the patient has none."""
    patient = db.session.get_one(Patient, family.patient.id, populate_existing=True)
    if patient.photo_key is None:
        family.world.store_photo(patient)


def _purged(world: World, kind: str, patient: Patient) -> dict[str, int]:
    record = world.record(kind, patient)
    [file] = world.store(record, "purged.txt")
    world.records().delete(world.kind(kind), record.id)
    return {"record:purged": record.id, "file:purged": file}


def _ids(family: Family, kind: str, words: str) -> dict[str, Any]:
    world, entered = family.world, _entered(family.world, kind, words)
    record, gone = (world.record(kind, family.patient, **entered) for _ in range(2))
    change = _edited(world, kind, record, words)
    name, description = f"{words}letter.pdf", words or None
    file, buried = (world.attach(one, name, description=description) for one in (record, gone))
    trashed = world.attach(record, f"{words}old.pdf", description=description)
    for sha256 in {one.sha256 for one in (file, buried, trashed)}:
        page_texts.store(sha256, 1, 1, "text-layer", words or "Letter", [Word("Letter", 0.1, 0.1, 0.2, 0.02)])
    world.documents().trash(trashed.id)
    world.records().delete(world.kind(kind), gone.id)
    link = world.links().create(family.patient.id, [file.id], allow_download=True).link.id
    return {
        "link": link, "smart": _smart(world, link),
        "type": kind, "plural": world.kind(kind).plural, "patient": family.patient.id, "sha256": file.sha256,
        **_account_ids(world), "change": change, "record": record.id, "file": file.id, "trashed": trashed.id,
        "record:record trashed": gone.id, "file:trashed": trashed.id, "file:record trashed": buried.id,
    }  # fmt: skip


def _smart(world: World, link_id: int) -> int:
    return world.smart_links().create_smart(link_id, "desk", "http://localhost/shl/").smart.id


def _edited(world: World, kind: str, record: Any, words: str = "") -> int:
    """Edit the record and return the id of the event."""
    world.records().edit(world.kind(kind), record.id, {"notes": f"Changed. {words}"})
    return world.events(action="edit-record")[-1].id


def _edited_patient(world: World, patient: Patient, gender: str) -> int:
    """Edit the patient and return the id of the event."""
    world.records().edit_patient(patient.id, {"gender": gender})
    return world.events(action="edit-patient")[-1].id


def _entered(world: World, kind: str, words: str) -> dict[str, Any]:
    if not words:
        return {}
    texts = {part.name: words[: part.limit] for part in world.kind(kind).fields if part.kind in ("string", "text")}
    return texts | ({"contact_info": {"phone": words, "email": words}} if kind == "insurance" else {})


def _account_ids(world: World) -> dict[str, int]:
    session = db.session.scalars(select(Session.id).order_by(Session.id.desc())).first() or 0
    return {"session": session}


def fresh(family: Family, kind: str, path: str) -> dict[str, Any]:
    """Return ids of what the path is about, created for one request that changes it, in the same states."""
    world, ids = family.world, dict(family.ids[kind])
    if "{record}" in path or "{file}" in path:
        record, gone = (world.record(kind, family.patient) for _ in range(2))
        ids["change"] = _edited(world, kind, record)
        [file, trashed], [buried] = world.store(record, "letter.txt", "old.txt"), world.store(gone, "letter.txt")
        world.documents().trash(trashed)
        world.records().delete(world.kind(kind), gone.id)
        ids |= {"record": record.id, "file": file, "trashed": trashed, "file:trashed": trashed}
        ids |= {"record:record trashed": gone.id, "file:record trashed": buried}
    if "{edit}" in path:
        ids["edit"] = _edited_patient(world, family.patient, uuid.uuid4().hex)
    if "/account/" in path:
        world.client()
        ids |= _account_ids(world)
    if "{moved}" in path:
        ids["moved"] = world.older_file(world.record("lab-result", family.patient), moved=True).id
    if "link" in path:
        ids["shared"] = world.store(world.record(kind, family.patient), "letter.txt")[0]
        ids["link"] = world.links().create(family.patient.id, [ids["shared"]], allow_download=True).link.id
    if "{smart}" in path:
        ids["smart"] = _smart(world, ids["link"])
    if "share" in path:
        ids |= share_ids(family)
    if "/photo" in path:
        set_photo(family)
    db.session.rollback()  # the request reads what is committed
    return ids


def share_ids(family: Family) -> dict[str, Any]:
    """Return the id of a new share, and the email address of an account without one."""
    number = len(family.world._users)
    family.world.user(f"helper-{number}@sample.example")
    family.world.share(family.patient, f"shared-{number}@sample.example")
    share = db.session.scalars(select(PatientShare.id).order_by(PatientShare.id.desc())).first()
    return {"share": share, "email": f"helper-{number}@sample.example"}


def ask(
    client: FlaskClient, operation: Operation, ids: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> TestResponse:
    body = _body(client.application, operation, ids)
    sent = {**(headers or {}), **body.pop("headers", {})}
    return client.open(operation.path.format(**ids), method=operation.method, headers=sent, buffered=True, **body)


def _body(app: Flask, operation: Operation, ids: Mapping[str, Any]) -> dict[str, Any]:
    if not operation.is_api:
        fields = dict(parse_qsl(operation.sent.format(**ids) or "nothing=at+all", keep_blank_values=True))
        return {"data": fields} if operation.method == "POST" else {}
    record_type = app.extensions["medfiles"].registry[ids["type"]]
    bodies: dict[str, dict[str, Any]] = {
        "": {},
        "patient": {"json": PATIENT},
        "record": {"json": json_values(record_type) | {"notes": "Changed"}},
        "bytes": {
            "data": samples.pdf(), "content_type": RAW, "headers": {"Content-Disposition": disposition("letter.pdf")},
        },
        "photo": {
            "data": samples.SAMPLES[".jpg"](), "content_type": RAW,
            "headers": {"Content-Disposition": disposition("photo.jpg")},
        },
        "itself": {"json": {"into": ids["patient"]}},
        "metadata": {"json": {"description": "Changed"}},
        "share": {"json": {"email": ids.get("email"), "level": "view", "expires_at": None}},
        "link": {"json": {"file_ids": [ids.get("shared", ids["file"])]}},
        "smart": {"json": {"kind": "desk"}},
        "counts": {"json": {"entity_type": ids["type"], "entity_ids": [ids["record"]]}},
        "to-patient": {"json": {"to_type": "patient", "to_id": ids.get("patient")}},
        "patient-id": {"json": {"patient_id": ids.get("patient")}},
        "inbox": {"json": {"items": [{"file_id": ids["file"], "to_type": "patient", "to_id": ids["patient"]}]}},
        "bulk": {"json": {"action": "delete", "file_ids": [ids["file"]]}},
    }  # fmt: skip
    return bodies[operation.sent]


def shown(response: TestResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Status, body and headers without what differs between any two answers: CSRF tokens and request ids."""
    body = re.sub(rb'(data-mf-csrf="|name="csrf_token" value="|csrf_token=)[^"&]*', rb"\1", response.data)
    differing = {"X-Request-Id", "Content-Length"}
    return response.status_code, body, [(name, value) for name, value in response.headers if name not in differing]


def stored(world: World) -> dict[str, Any]:
    """All rows and bytes except derived pictures, sessions, audit events and when a token was last used."""
    db.session.rollback()
    skipped = {"audit_events", "audit_private", "sessions", "renditions"}
    tables = [table for table in db.metadata.sorted_tables if table.name not in skipped]
    found: dict[str, Any] = {}
    for table in tables:
        rows = db.session.execute(select(table).order_by(*table.primary_key)).mappings()
        found[table.name] = [{name: value for name, value in row.items() if name != "used_at"} for row in rows]
    db.session.rollback()  # the next request reads what is committed
    return found | {str(path): path.read_bytes() for path in world.uploads.rglob("*.*") if path.suffix != ".webp"}


def in_url_map(app: Flask) -> Iterator[tuple[str, str]]:
    for rule in app.url_map.iter_rules():
        yield from ((rule.rule, method) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"})


def in_table(app: Flask, ids: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Rule and method of every row, as the URL map routes them."""
    urls = app.url_map.bind("localhost")
    paths = [(replace(row, path=row.path.format(**ids).split("?")[0])) for row in EVERY]
    return {(urls.match(row.path, row.method, return_rule=True)[0].rule, row.method) for row in paths}
