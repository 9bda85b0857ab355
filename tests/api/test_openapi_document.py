"""The OpenAPI document is valid and complete, and its examples are what is really sent, answered and said."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from medfiles import errors
from medfiles.accounts import api_tokens
from medfiles.antivirus.clamd import INFECTED, Clamd, Verdict
from medfiles.api import patients
from medfiles.api.error_examples import EXAMPLES, Example
from medfiles.api.openapi import openapi
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.documents import quota
from medfiles.http import capacity
from medfiles.http.errors import ERRORS
from medfiles.models import ApiToken, LegacyId, LegacySource
from medfiles.previews.renderer import PreviewTimedOut
from medfiles.sandbox.pool import Busy, NotChecked
from tests.support import samples
from tests.support.factories import World

PROBLEM = "application/problem+json"
# Their sentences are the classes' own.
FAILED = (errors.StorageError, errors.DatabaseUnavailable, Busy, NotChecked, PreviewTimedOut)
BY_ITSELF = (*FAILED, errors.KeyTaken, errors.BadKey)
ELLA = {"first_name": "Ella", "last_name": "Sample", "birth_date": "2018-03-02"}
Found = tuple[int, str, str]


@pytest.fixture
def api(world: World) -> dict[str, Any]:
    with world.app.test_request_context():
        return openapi(world.app)


def operations(api: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def media(api: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything that goes over the wire: where, and what the document says of it."""
    for name, operation in operations(api):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{name} {kind}", content
        for status, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items():
                yield f"{name} {status} {kind}", content


def values(api: dict[str, Any], said: dict[str, Any]) -> list[Any]:
    named = said.get("examples", {})
    found = [
        api["components"]["examples"][one["$ref"].rpartition("/")[2]] if "$ref" in one else one
        for one in named.values()
    ]
    return [one["value"] for one in found] + ([said["example"]] if "example" in said else [])


def mistakes(api: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    whole = {**schema, "components": api["components"]}
    checker = OAS31Validator(whole, format_checker=OAS31Validator.FORMAT_CHECKER)
    return [error.message for error in checker.iter_errors(value)]


def test_the_document_is_valid_openapi(api: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(api).iter_errors()] == []


def test_every_body_answer_and_error_has_an_example(api: dict[str, Any]) -> None:
    assert [place for place, said in media(api) if not values(api, said)] == []


def test_every_example_is_what_its_schema_allows(api: dict[str, Any]) -> None:
    checked = [(place, said["schema"], value) for place, said in media(api) for value in values(api, said)]
    checked += [
        (name, schema, value)
        for name, schema in api["components"]["schemas"].items()
        for value in schema.get("examples", ())
    ]
    checked += [
        (name, one["schema"], one["example"])
        for name, said in operations(api)
        for one in said["parameters"]
        if "example" in one
    ]
    assert len(checked) > 200
    assert [(place, wrong) for place, schema, value in checked if (wrong := mistakes(api, schema, value))] == []


def test_a_wrong_example_would_be_found(api: dict[str, Any]) -> None:
    wrong = {"first_name": 7, "birth_date": "yesterday"}
    assert len(mistakes(api, api["components"]["schemas"]["PatientInput"], wrong)) == 3


def test_every_model_but_those_made_of_others_has_an_example(api: dict[str, Any]) -> None:
    schemas = api["components"]["schemas"]
    assert [name for name, schema in schemas.items() if "properties" in schema and "examples" not in schema] == []


def test_everything_is_described(api: dict[str, Any]) -> None:
    bare = [name for name, said in operations(api) if not said["summary"]]
    bare += [
        f"{name} {one['name']}"
        for name, said in operations(api)
        for one in said["parameters"]
        if not one["description"]
    ]
    bare += [
        name
        for name, schema in api["components"]["schemas"].items()
        if "properties" in schema and not schema.get("description")
    ]
    assert bare == []


def test_every_address_of_the_api_is_in_the_document(world: World, api: dict[str, Any]) -> None:
    views = {rule.endpoint for rule in world.app.url_map.iter_rules() if rule.rule.startswith("/api/")}
    ids = {f"api.{said['operationId']}" for _, said in operations(api)}
    assert views - ids == {"api.document", "api.readable"}


def test_an_older_address_says_so_in_its_answers(api: dict[str, Any]) -> None:
    older = [said for _, said in operations(api) if said.get("deprecated")]
    answers = [answer for said in older for status, answer in said["responses"].items() if status < "400"]
    assert [answer for answer in answers if not {"Deprecation", "Link"} <= answer["headers"].keys()] == []


def test_every_code_that_exists_is_explained() -> None:
    explained = {example.refusal.code for example in EXAMPLES.values()}
    assert every_code() - explained == ONLY_ON_PAGES


ONLY_ON_PAGES = {"passcode-busy", "paused", "wrong-passcode"}  # of share links, which no script opens


def every_code() -> set[str]:
    """Those of the error tree, wherever in it, and those for what the framework refuses."""
    tree, kinds = [errors.MedfilesError], set()
    while tree:
        kinds.add(tree[-1])
        tree.extend(kind for kind in tree.pop().__subclasses__() if kind not in kinds)
    return {kind.code for kind in kinds} | {row.code for row in ERRORS if row.code}


# --- what the product really says ---------------------------------------------------------------------------------


class Script:
    """Somebody with a token, and all that was answered to it."""

    def __init__(self, world: World, text: str) -> None:
        self.client: FlaskClient = world.app.test_client()
        self.headers = {"Authorization": f"Bearer {text}"}
        self.said: set[Found] = set()

    def ask(self, method: str, path: str, **sent: Any) -> Any:
        headers = {**self.headers, **sent.pop("headers", {})}
        answer = self.client.open(f"/api/v1{path}", method=method, headers=headers, **sent)
        if answer.mimetype == PROBLEM:
            said = answer.get_json()
            self.said.add((said["status"], said["code"], said["detail"]))
        return answer.get_json(silent=True)

    def upload(self, path: str, name: str, content: bytes, **headers: str) -> Any:
        sent = {"Content-Type": "application/octet-stream", **headers}
        sent |= {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
        length = {"CONTENT_LENGTH": headers.get("Content-Length", str(len(content)))}
        return self.ask("POST", path, data=content, headers=sent, environ_overrides=length)


@pytest.fixture
def script(world: World) -> Script:
    return Script(world, api_tokens.create(world.actor(), "Scanner", api_tokens.WRITE)[1])


def key(example: Example) -> Found:
    problem = example.refusal.problem
    return problem["status"], problem["code"], problem["detail"]


def test_the_examples_of_errors_are_what_is_really_answered(
    world: World, script: Script, make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    provoke_around(world, script, monkeypatch)
    provoke_bodies(script)
    provoke_uploads(world, script)
    provoke_states(world, script)
    provoke_downloads(world, script)
    provoke_fullness(world, script, monkeypatch)
    provoke_scans(world, script, monkeypatch)
    said = script.said | over_the_limit(make_world(TOKEN_FAILURES_PER_MINUTE="1"))
    said |= of_another_host(make_world(PUBLIC_URL="https://records.example.org"))
    assert {key(example) for example in EXAMPLES.values() if type(example.error) not in BY_ITSELF} - said == set()


def test_the_other_examples_are_the_sentences_of_their_errors() -> None:
    others = {name: example.error for name, example in EXAMPLES.items() if type(example.error) in BY_ITSELF}
    assert len(others) == len(BY_ITSELF)
    assert [name for name, error in others.items() if str(error) != str(type(error)())] == []


def provoke_around(world: World, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a request may be refused for whatever it asks."""
    shared = world.patient("otto@sample.example")
    world.share(shared, "nora@sample.example")
    reader = Script(world, api_tokens.create(world.actor(), "Reader")[1])
    session, wrong, nobody = (Script(world, text) for text in ("", "mf_1_2", ""))
    session.client, session.headers, nobody.headers = world.client(), {}, {}
    script.ask("PUT", f"/patients/{shared.id}", json=ELLA)
    reader.ask("POST", "/patients", json=ELLA)
    session.ask("POST", "/patients", json=ELLA)
    wrong.ask("GET", "/patients")
    suspend(world, script)
    nobody.ask("GET", "/patients")
    script.ask("GET", "/patients/999")
    script.ask("PATCH", "/patients")
    with monkeypatch.context() as patched:
        patched.setattr(patients, "records", None)
        script.ask("GET", "/patients")
    script.said |= reader.said | session.said | wrong.said | nobody.said


def suspend(world: World, script: Script) -> None:
    token, text = api_tokens.create(world.actor(), "Suspended")
    with transaction() as session:
        session.get_one(ApiToken, token.id).suspended_at = now()
    suspended = Script(world, text)
    suspended.ask("GET", "/patients")
    script.said |= suspended.said


def of_another_host(world: World) -> set[Found]:
    by = Script(world, "")
    by.ask("GET", "/patients")
    return by.said


def provoke_bodies(script: Script) -> None:
    script.ask("POST", "/patients", data="{", content_type="application/json")
    script.ask("POST", "/patients", data="first_name=Ella", content_type="text/plain")
    script.ask("POST", "/patients", json={"last_name": "Sample", "birth_date": "2018-03-02"})
    script.ask("POST", "/patients", json=ELLA, environ_overrides={"CONTENT_LENGTH": str(10**9)})


def provoke_uploads(world: World, script: Script) -> None:
    files = f"/visit/{world.record().id}/files"
    letter, note = samples.SAMPLES[".pdf"](), samples.txt()
    script.upload(files, "letter.pdf", letter, **{"Content-Length": str(len(letter) + 9)})
    script.upload(files, "letter.pdf", letter, **{"Content-Length": str(17 * 1024 * 1024)})
    script.upload(files, "letter.exe", b"MZ")
    script.upload(files, "letter.pdf", bytes(range(256)))
    script.upload(files, "letter.pdf", b"")
    script.upload(files, "..", letter)
    script.ask("POST", files, data={"description": "No file"}, content_type="multipart/form-data")
    script.ask("POST", files, headers={"Transfer-Encoding": "chunked"}, environ_overrides={"CONTENT_LENGTH": ""})
    for content in (letter, note):
        script.upload(files, "letter.pdf" if content is letter else "note.txt", content, **{"Idempotency-Key": "one"})
    trashed = script.upload(files, "note.txt", note, **{"Idempotency-Key": "two"})["id"]
    script.ask("DELETE", f"/files/{trashed}")
    script.upload(files, "note.txt", note, **{"Idempotency-Key": "two"})


def import_lab_result(world: World, number: int) -> None:
    """Leave what an import leaves of a lab result that had this number."""
    record = world.record("lab-result")
    with transaction() as session:
        session.add(source := LegacySource(place="medikeep sqlite:///elsewhere.db", timezone="UTC"))
        session.flush()
        session.add(LegacyId(source_id=source.id, kind="lab-result", old_id=number, new_id=record.id, brought=True))


def provoke_states(world: World, script: Script) -> None:
    visit, gone = world.record(), world.record()
    file, left = world.attach(visit).id, world.attach(gone).id
    world.store(visit, *(f"Note {number}.txt" for number in range(7)))
    script.upload(f"/visit/{visit.id}/files", "letter.pdf", samples.SAMPLES[".pdf"]())
    script.ask("GET", f"/visit/{visit.id}/files?limit=0")
    script.ask("PUT", f"/files/{file}/metadata", json={"category": "referral"}, headers={"If-Match": '"another"'})
    script.ask("POST", f"/files/{file}/restore")
    script.ask("POST", f"/files/{file}/purge")
    script.ask("POST", f"/visit/{gone.id}/restore")
    for _ in range(2):
        script.ask("DELETE", f"/files/{left}")
    script.ask("PUT", f"/files/{left}/metadata", json={"category": "referral"})
    script.ask("POST", f"/files/{left}/move", json={"to_type": "visit", "to_id": visit.id})
    script.ask("POST", f"/files/{file}/take-back")
    script.ask("POST", f"/visit/{visit.id}/take-back")
    for _ in range(2):
        script.ask("DELETE", f"/visit/{gone.id}")
    script.ask("PUT", f"/visit/{gone.id}", json={"reason": "Annual check-up", "date": "2026-05-12"})
    script.ask("POST", f"/files/{left}/restore")
    older = world.older_file(world.record("lab-result"))
    script.ask("DELETE", f"/lab-result-files/{older.id}")
    import_lab_result(world, 900)
    script.ask("GET", "/lab-results/900/files")
    patient = world.patient()
    script.ask("DELETE", f"/patients/{patient.id}/photo")
    script.ask("POST", f"/patients/{patient.id}/unarchive")
    for _ in range(2):
        script.ask("POST", f"/patients/{patient.id}/archive")
    script.ask("PUT", f"/patients/{patient.id}", json={"gender": None})
    for verb in ("unarchive", "purge", "restore"):
        script.ask("POST", f"/patients/{patient.id}/{verb}")
    for _ in range(2):
        script.ask("DELETE", f"/patients/{patient.id}")


def provoke_downloads(world: World, script: Script) -> None:
    record = world.record()
    file, locked = world.attach(record), world.attach(record, "locked.pdf", samples.locked_pdf())
    script.ask("GET", f"/files/{locked.id}/preview")
    script.ask("GET", f"/files/{file.id}/text")
    script.ask("GET", f"/files/{file.id}/download", headers={"Range": "bytes=999999-"})
    (world.uploads / file.file_path).write_bytes(b"cut")
    script.ask("GET", f"/files/{file.id}/download")
    (world.uploads / file.file_path).unlink()
    script.ask("GET", f"/files/{file.id}/download")


def provoke_fullness(world: World, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 10 * 1024**3
    with monkeypatch.context() as full:
        full.setattr(quota, "used_bytes", lambda owner: room)
        full.setitem(world.app.extensions, "medfiles", replace(world.parts, quota=room))
        script.upload(f"/visit/{world.record().id}/files", "letter.pdf", samples.pdf(8))
    with monkeypatch.context() as full:
        full.setattr(capacity, "UPLOADS_PER_ACCOUNT", 0)
        full.setitem(world.app.extensions, "medfiles.http.capacity", capacity.Room(queue=0))
        script.upload(f"/visit/{world.record().id}/files", "letter.pdf", samples.pdf(8))


class Finder(Clamd):
    """A scanner that finds the same in everything."""

    def scan(self, chunks: Iterable[bytes]) -> Verdict:
        return Verdict(INFECTED, "Win.Test.EICAR_HDB-1")


def provoke_scans(world: World, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    record, other = world.record(), world.patient()
    file = world.attach(record)
    for scan in ("infected", "waiting"):
        db.session.rollback()
        file.scan, file.uploaded_by = scan, None
        db.session.commit()
        script.ask("GET", f"/files/{file.id}/download")
        script.ask("POST", f"/files/{file.id}/move", json={"to_type": "patient", "to_id": record.patient_id})
        script.ask("POST", f"/visit/{record.id}/move", json={"patient_id": other.id})
    with monkeypatch.context() as scanned:
        parts = replace(world.parts, scanner=Finder("tcp://127.0.0.1:1", 1))
        scanned.setitem(world.app.extensions, "medfiles", parts)
        script.upload(f"/visit/{record.id}/files", "letter.pdf", samples.pdf(9))


def over_the_limit(world: World) -> set[Found]:
    script = Script(world, "mf_1_2")
    for _ in range(2):
        script.ask("GET", "/patients")
    return script.said


def test_whoever_has_the_document_already_is_told_so(world: World) -> None:
    client = world.client(None)
    first = client.get("/api/v1/openapi.json")
    again = client.get("/api/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.data) == (200, 304, b"")


def test_no_request_passes_through_the_library_that_describes(world: World, api: dict[str, Any]) -> None:
    assert api["paths"]
    sources = {view.__code__.co_filename for view in world.app.view_functions.values() if hasattr(view, "operation")}
    assert [source for source in sources if "spectree" in source] == []
