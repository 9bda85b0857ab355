"""Every error status of the API: each mistake gets exactly its own, as a problem document, and changes nothing."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from medfiles.database.session import db
from medfiles.errors import StorageError
from medfiles.sandbox.pool import Sandbox
from tests.rules.matrix import stored
from tests.support import samples
from tests.support.api_client import Script, disposition, end, part, problem, said, script
from tests.support.factories import World, install

ABSENT = 1_999_999_999
INSIDE = "psycopg SELECT secret_column FROM /srv/instance/uploads/files/visits"
PATIENT = {"first_name": "Ella", "last_name": "Sample", "birth_date": "2018-03-02"}
JSON = {"Content-Type": "application/json"}


@dataclass
class Desk:
    """A visit for two documents of up to a megabyte: it holds one, another is in the trash; and its owner's script."""

    world: World
    by: Script
    record: int
    gone: int
    file: int
    trashed: int

    @property
    def files(self) -> str:
        return f"/visit/{self.record}/files"

    def upload(self, content: bytes | None = None, name: str = "new.pdf", **more: Any) -> Any:
        return self.by.upload(self.files, name, samples.pdf(2) if content is None else content, **more)

    def form(self, *parts: bytes) -> Any:
        return self.by.form(self.files, b"".join(parts) + end())

    def full(self) -> "Desk":
        """Another whose visit holds all it may."""
        desk = desk_in(self.world, self.by)
        desk.world.store(desk.world.records().get(desk.world.kind(), desk.record), "second.txt")
        return desk

    def edit(self, **changes: Any) -> Any:
        return self.by.put(f"/files/{self.file}/metadata", changes)

    def counts(self, **wrong: Any) -> Any:
        asked = {"entity_type": "visit", "entity_ids": [self.record], **wrong}
        return self.by.post("/files/batch-counts", {name: value for name, value in asked.items() if value is not None})

    def bulk(self, **wrong: Any) -> Any:
        return self.by.post("/files/bulk", {"action": "delete", "file_ids": [self.file], **wrong})


@pytest.fixture(scope="module")
def desk(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox
) -> Iterator[Desk]:
    """One for all tests here: none of their mistakes changes anything."""
    place = tmp_path_factory.mktemp("small")
    limits = place / "limits.toml"
    limits.write_text("[visit]\nmax_size_mb = 1\nmax_files = 2\n")
    environ = {"INSTANCE": str(place / "instance"), "DATABASE_URL": new_database(place), "ENTITIES": str(limits)}
    with install({f"MEDFILES_{name}": value for name, value in environ.items()}, sandbox) as world:
        yield desk_in(world, script(world))


def desk_in(world: World, by: Script) -> Desk:
    record = world.record()
    gone = world.record("visit", world.records().patient(record.patient_id).patient)
    file, trashed = world.store(record, "letter.txt", "old.txt")
    world.documents().trash(trashed)
    world.records().delete(world.kind(), gone.id)
    return Desk(world, by, record.id, gone.id, file, trashed)


def raw_json(desk: Desk, body: bytes, path: str = "/patients", method: str = "POST") -> Any:
    return desk.by.ask(method, path, data=body, content_type="application/json")


def stream(desk: Desk, path: str, length: int | None, headers: dict[str, str], body: bytes = b"") -> Any:
    environ: dict[str, Any] = {"CONTENT_LENGTH": str(length)} if length is not None else {}
    return desk.by.ask("POST", path, headers, data=body, environ_overrides=environ)


RAW = {"Content-Type": "application/octet-stream", "Content-Disposition": disposition("new.pdf")}
CHUNKED = {"Transfer-Encoding": "chunked"}
# The status, the code, and what leads to them.
REFUSALS: dict[str, tuple[int, str, Callable[[Desk], Any]]] = {
    "JSON that is none": (400, "malformed", lambda desk: raw_json(desk, b'{"first_name": ')),
    "JSON with a lone surrogate": (400, "malformed", lambda desk: raw_json(desk, b'{"first_name": "\\ud800"}')),
    "JSON nested too deep": (400, "malformed", lambda desk: raw_json(desk, b"[" * 100_000)),
    "JSON shorter than announced": (
        400, "malformed", lambda desk: stream(desk, "/patients", 5000, JSON, json.dumps(PATIENT).encode())
    ),
    "a form shorter than announced": (
        400, "malformed", lambda desk: desk.by.ask(
            "PUT", f"/files/{desk.file}/metadata", {"Content-Type": "application/x-www-form-urlencoded"},
            data=b"description=Sig", environ_overrides={"CONTENT_LENGTH": "40"},
        )
    ),
    "raw bytes shorter than announced": (400, "truncated", lambda desk: stream(desk, desk.files, 999, RAW, b"%PDF-")),
    "a kind that is not there": (404, "not-found", lambda desk: desk.by.get("/prescription/1")),
    "an address that is not there": (404, "not-found", lambda desk: desk.by.get("/no/such/address")),
    "a number beyond any database": (404, "not-found", lambda desk: desk.by.get(f"/files/{10**30}")),
    "a method that does not fit": (405, "method", lambda desk: desk.by.ask("PATCH", f"/files/{desk.file}")),
    "an upload to a full record": (409, "too-many", lambda desk: desk.upload(samples.pdf(3))),
    "a restored document of a full record": (
        409, "too-many", lambda desk: desk.by.post(f"/files/{desk.trashed}/restore")
    ),
    "an upload that finds no room": (409, "quota", lambda desk: desk.upload(samples.pdf(9))),
    "an upload of unknown length": (411, "length-required", lambda desk: stream(desk, desk.files, None, RAW | CHUNKED)),
    "JSON of unknown length": (411, "length-required", lambda desk: stream(desk, "/patients", None, JSON | CHUNKED)),
    "what was changed meanwhile": (
        412, "outdated",
        lambda desk: desk.by.put(f"/files/{desk.file}/metadata", {"description": "Changed"}, If_Match='"seen"'),
    ),
    "more bytes than a document has": (
        413, "too-large", lambda desk: desk.upload(b"a" * (1024 * 1024 + 1), "long.txt")
    ),
    "more bytes than can be allowed": (413, "too-large", lambda desk: stream(desk, desk.files, 2 * 1024 * 1024, RAW)),
    "more JSON than anybody writes": (413, "too-large", lambda desk: raw_json(desk, b" " * (1024 * 1024 + 1))),
    "an ending that is not taken": (415, "type-not-allowed", lambda desk: desk.upload(b"MZ\x90", "new.exe")),
    "bytes that are damaged": (415, "content-mismatch", lambda desk: desk.upload(samples.pdf()[:300])),
    "JSON that is not said to be JSON": (
        415, "media-type", lambda desk: desk.by.ask("POST", "/patients", data=b"{}", content_type="text/plain")
    ),
    "a range beyond the end": (
        416, "range", lambda desk: desk.by.get(f"/files/{desk.file}/download", Range="bytes=99999999-")
    ),
    "a form without a file": (422, "rejected", lambda desk: desk.form(said("description", "None"))),
    "a form without its end": (
        422, "rejected", lambda desk: desk.by.form(desk.files, part("new.pdf", samples.pdf()))
    ),
    "neither a form nor bytes": (
        422, "rejected", lambda desk: desk.by.ask("POST", desk.files, json={"file": "new.pdf"})
    ),
    "two files": (
        422, "rejected", lambda desk: desk.form(part("a.pdf", samples.pdf()), part("b.pdf", samples.pdf(2)))
    ),
    "an empty document": (422, "empty-file", lambda desk: desk.upload(b"")),
    "bytes without a name": (
        422, "bad-name", lambda desk: desk.by.ask("POST", desk.files, data=b"%PDF", content_type=RAW["Content-Type"])
    ),
    "a name of nothing": (422, "bad-name", lambda desk: desk.upload(name="..")),
    "a category of another kind": (422, "rejected", lambda desk: desk.upload(category="x-ray")),
    "a description too long": (422, "rejected", lambda desk: desk.upload(description="x" * 1001)),
    "a key of something else": (422, "rejected", lambda desk: desk.upload(key="k" * 256)),
    "bytes that may do harm": (422, "rejected", lambda desk: desk.upload(b"<html>" + samples.pdf())),
    "a field that is missing": (422, "rejected", lambda desk: desk.by.post("/patients", {"first_name": "Ella"})),
    "a field that is not known": (422, "rejected", lambda desk: desk.by.post("/patients", PATIENT | {"owner_id": 1})),
    "a day that never was": (
        422, "rejected", lambda desk: desk.by.post("/patients", PATIENT | {"birth_date": "2018-02-30"})
    ),
    "no ids": (422, "rejected", lambda desk: desk.counts(entity_ids=[])),
    "more than 500 ids": (422, "rejected", lambda desk: desk.counts(entity_ids=list(range(1, 502)))),
    "ids that are words": (422, "rejected", lambda desk: desk.counts(entity_ids=["1"])),
    "an id larger than any": (422, "rejected", lambda desk: desk.counts(entity_ids=[2**63])),
    "a kind nobody has": (422, "rejected", lambda desk: desk.counts(entity_type="prescription")),
    "an action nobody knows": (422, "rejected", lambda desk: desk.bulk(action="shred")),
    "an action without its category": (422, "rejected", lambda desk: desk.bulk(action="category")),
    "an archive of nothing": (422, "rejected", lambda desk: desk.by.get("/files/archive")),
    "an archive of words": (422, "rejected", lambda desk: desk.by.get("/files/archive?ids=1,two")),
    "an archive of too many": (
        422, "rejected", lambda desk: desk.by.get(f"/files/archive?ids={','.join(map(str, range(501)))}")
    ),
    **{
        f"the list’s {query}": (
            422, "rejected", lambda desk, query=query: desk.by.get(f"{desk.files}?{query}")  # type: ignore[misc]
        )
        for query in (
            "limit=0", "limit=1001", "limit=" + "9" * 5000, "limit=%D9%A1", "sort=colour", "order=up", "category=x-ray",
            "media=film", "from=yesterday", "from=2026-05-02&to=2026-05-01", "zone=../../etc/passwd", "cursor=%00",
            "trashed=yes", f"q={'x' * 201}",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSALS)
def test_a_mistake_has_its_status_and_changes_nothing(
    desk: Desk, mistake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, code, make = REFUSALS[mistake]
    if "full" in mistake:
        desk = desk.full()
    if "room" in mistake:
        monkeypatch.setitem(desk.world.app.extensions, "medfiles", replace(desk.world.parts, quota=1))
    before = stored(desk.world)
    problem(make(desk), status, code)
    assert stored(desk.world) == before
    desk.world.assert_settled()


def test_every_status_of_the_contract_is_in_the_table_or_tested_elsewhere() -> None:
    elsewhere = {401, 403, 429, 503}  # the matrix, the rate limits, and below
    assert {status for status, _, _ in REFUSALS.values()} | elsewhere == {
        400, 401, 403, 404, 405, 409, 411, 412, 413, 415, 416, 422, 429, 503,
    }  # fmt: skip


def test_what_is_wrong_with_each_field_is_said(desk: Desk) -> None:
    wrong = {"first_name": 1, "birth_date": "yesterday", "colour": "red"}
    found = problem(desk.by.post("/patients", wrong), 422, "rejected")
    assert {error["field"] for error in found["errors"]} == {"first_name", "last_name", "birth_date", "colour"}
    found = problem(desk.by.get(f"{desk.files}?limit=0"), 422, "rejected")
    assert [error["field"] for error in found["errors"]] == ["limit"]


def test_a_limit_that_was_passed_is_named(desk: Desk) -> None:
    assert "1 MB" in problem(desk.upload(b"a" * (1024 * 1024 + 1), "long.txt"), 413, "too-large")["detail"]
    assert "2 of 2" in problem(desk.full().upload(samples.pdf(3)), 409, "too-many")["detail"]


def test_a_method_that_does_not_fit_names_those_that_do(desk: Desk) -> None:
    answer = desk.by.ask("PATCH", f"/files/{desk.file}")
    assert {"GET", "HEAD", "DELETE"} <= set(answer.headers["Allow"].split(", "))


def test_a_range_beyond_the_end_is_told_the_size(desk: Desk) -> None:
    answer = desk.by.get(f"/files/{desk.file}/download", Range="bytes=99999999-")
    assert answer.headers["Content-Range"] == f"bytes */{len(b'Letter 0')}"


def test_an_address_outside_every_version_has_the_shape_of_the_api(desk: Desk) -> None:
    for path in ("/api/v2/patients", "/api/nothing"):
        assert problem(desk.by.client.get(path), 404, "not-found")


# --- our own trouble ----------------------------------------------------------------------------------------------


@pytest.fixture
def gone(desk: Desk) -> Iterator[None]:
    """From now on no statement reaches the database, and no new connection either."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OperationalError(INSIDE, {}, Exception(INSIDE))

    engine, moments = db.engine, ("before_cursor_execute", "do_connect")
    for moment in moments:
        event.listen(engine, moment, refuse)
    yield
    for moment in moments:
        event.remove(engine, moment, refuse)


def assert_not_available(answer: Any, code: str) -> None:
    found = problem(answer, 503, code)
    assert answer.headers["Retry-After"] == "5"
    assert not any(word in json.dumps(found) for word in INSIDE.split())


def test_without_its_database_the_api_is_not_available(desk: Desk, request: pytest.FixtureRequest) -> None:
    session = Script(desk.world.client())
    request.getfixturevalue("gone")
    for by in (desk.by, session):
        assert_not_available(by.get("/patients"), "database")
        assert_not_available(by.get(f"/files/{desk.file}/download"), "database")
    assert_not_available(desk.upload(), "database")


def test_without_its_storage_the_api_is_not_available(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise StorageError()

    for verb in ("open", "stage", "stat"):
        monkeypatch.setattr(desk.world.parts.storages.default, verb, fail)
    assert_not_available(desk.by.get(f"/files/{desk.file}/download"), "storage")
    assert_not_available(desk.upload(), "storage")
    assert desk.by.get(f"/files/{desk.file}").status_code == 200


def test_an_error_nobody_thought_of_tells_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> Any:
        raise RuntimeError(INSIDE)

    monkeypatch.setitem(desk.world.app.view_functions, "api.patients", fail)
    found = problem(desk.by.get("/patients"), 500, "error")
    assert not any(word in json.dumps(found) for word in [*INSIDE.split(), "RuntimeError"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/patients/{patient}"),
        ("POST", "/patients/{patient}/visits"),
        ("PUT", "/visit/{record}"),
        ("PUT", "/files/{file}/metadata"),
    ],
)
def test_who_may_only_look_is_refused_before_what_was_sent_is_looked_at(world: World, method: str, path: str) -> None:
    record = world.record()
    file, patient = world.attach(record), world.records().patient(record.patient_id).patient
    world.share(patient, "otto@sample.example")
    address = path.format(patient=patient.id, record=record.id, file=file.id)
    assert script(world, "otto@sample.example").ask(method, address, json={"nonsense": 1}).status_code == 403
    assert script(world).ask(method, address, json={"nonsense": 1}).status_code == 422
