"""Every address of the JSON API, asked by everybody who might, with sessions and with tokens of every sort.

A new operation without a row in these tables fails. What is not theirs and what is not there are the same bytes to
strangers, to sessions and tokens that end too early, and to tokens that reach no further than another patient.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.models import ApiToken
from medfiles.records.sharing import ShareService
from medfiles.sandbox.pool import Sandbox
from tests.rules import addresses as pages
from tests.rules.addresses import KINDS, Family, absent, family_in, of_the_api, shown
from tests.support import samples
from tests.support.api_client import HOME, RAW, Script, disposition, json_values, problem, script, with_token
from tests.support.factories import World, install, token_of

OWNER, OTHER = "nora@sample.example", "otto@sample.example"
HELPER = "helper@sample.example"
NUMBERS = itertools.count(1)
PATIENT = {"first_name": "Ella", "last_name": "Sample", "birth_date": "2018-03-02"}
# What is asked: method, address, what who may edit is answered, what a reader is, what is sent. Who may edit asks in
# this order, so what ends a record comes last.
ADDRESSES = """
GET    /patients/{patient}                  200 200
PUT    /patients/{patient}                  200 403 patient
GET    /patients/{patient}/{plural}         200 200
GET    /patients/{patient}/{type}           200 200
POST   /patients/{patient}/{type}           201 403 record
GET    /{type}/{record}                     200 200
GET    /{plural}/{record}                   200 200
GET    /{type}/{gone}                       200 404
PUT    /{type}/{record}                     200 403 record
PUT    /{type}/{gone}                       409 404 record
GET    /{type}/{record}/files               200 200
GET    /{type}/{record}/files?q=l&category=none&media=pdf&from=2026-01-01&sort=name&order=desc&limit=1 200 200
GET    /{type}/{record}/files?trashed=1     200 403
GET    /{type}/{gone}/files                 200 404
POST   /{type}/{record}/files               201 403 bytes
POST   /{type}/{gone}/files                 409 404 bytes
GET    /files/{file}                        200 200
GET    /files/{trashed}                     200 404
GET    /files/{file}/download               200 200
GET    /files/{trashed}/download            200 404
GET    /files/archive?ids={file}            200 200
GET    /files/archive?ids={trashed}         200 404
PUT    /files/{file}/metadata               200 403 metadata
PUT    /files/{trashed}/metadata            409 404 metadata
DELETE /files/{trashed}                     409 404
POST   /files/{file}/restore                409 403
POST   /files/{file}/purge                  409 403
DELETE /files/{file}                        200 403
POST   /files/{file}/restore                200 403
POST   /files/{trashed}/restore             200 404
DELETE /files/{trashed}                     200 404
POST   /files/{trashed}/purge               204 404
DELETE /{type}/{gone}                       409 404
POST   /{type}/{record}/restore             409 403
DELETE /{type}/{record}                     200 403
POST   /{type}/{gone}/restore               200 404
"""
# The same, asked about a visit alone, since not every kind shows pages; and the older lab-results feature's files, of
# which one was moved.
OF_A_VISIT = """
GET    /files/{file}/preview                200 200
GET    /files/{file}/preview?page=1&width=480 200 200
GET    /files/{trashed}/preview             200 404
GET    /files/{file}/thumbnail              200 200
GET    /files/{trashed}/thumbnail           200 404
GET    /lab-result-files/{older}/download   200 200
GET    /lab-result-files/{moved}/download   200 200
DELETE /lab-result-files/{older}            409 403
DELETE /lab-result-files/{moved}            200 403
"""
# What the owner alone may do: what the owner is answered, and whoever else may see the patient.
OWNERS = """
GET    /patients/{patient}/shares           200 403
POST   /patients/{patient}/shares           201 403 share
DELETE /shares/{share}                      200 403
"""
# What concerns nobody's patients but one's own, and what leaves out those that are not: these answer everybody alike.
OWN = """
GET    /patients                            200 200
POST   /patients                            201 201 patient
POST   /files/batch-counts                  200 200 counts
POST   /files/bulk                          200 200 bulk
"""
PUBLIC = """
GET /openapi.json 200 200
GET /docs         200 200
"""
READS_BY_POST = ("/files/batch-counts",)


@dataclass(frozen=True)
class Row:
    method: str
    path: str
    editor: int
    reader: int
    sends: str = "nothing"

    @property
    def changes(self) -> bool:
        return self.method != "GET" and self.path not in READS_BY_POST

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def rows(text: str) -> list[Row]:
    lines = (line.split() for line in text.strip().splitlines())
    return [Row(method, path, int(editor), int(reader), *more) for method, path, editor, reader, *more in lines]


GUARDED = rows(ADDRESSES)
ONCE = [*rows(OF_A_VISIT), *rows(OWNERS)]
SIGNED_IN = [*GUARDED, *ONCE, *rows(OWN)]
EVERY = [*SIGNED_IN, *rows(PUBLIC)]


def sent(world: World, row: Row, ids: dict[str, Any]) -> dict[str, Any]:
    raw = {"data": samples.pdf(), "content_type": RAW}
    record = json_values(world.kind(ids["type"])) | {"notes": "Changed"}
    bodies: dict[str, dict[str, Any]] = {
        "nothing": {},
        "patient": {"json": PATIENT | {"notes": "Changed"}},
        "record": {"json": record},
        "bytes": raw | {"headers": {"Content-Disposition": disposition("letter.pdf")}},
        "metadata": {"json": {"description": "Changed"}},
        "share": {"json": {"email": HELPER, "level": "view", "expires_at": None}},
        "counts": {"json": {"entity_type": ids["type"], "entity_ids": [ids["record"]]}},
        "bulk": {"json": {"action": "delete", "file_ids": [ids["file"]]}},
    }
    return bodies[row.sends]


def ask(by: Script, family: Family, row: Row, ids: dict[str, Any]) -> Any:
    return by.ask(row.method, row.path.format(**ids), **sent(family.world, row, ids))


def stored(world: World) -> dict[str, Any]:
    """All rows and bytes but when a token was last used."""
    return {name: rows for name, rows in pages.stored(world).items() if name != "api_tokens"}


# --- who asks -----------------------------------------------------------------------------------------------------


def by_session(world: World, email: str) -> Script:
    client = world.client(email)
    return Script(client, {"X-CSRFToken": token_of(client)})


def admin(world: World) -> str:
    world.user("admin@sample.example")
    accounts.set_admin("admin@sample.example", True)
    return "admin@sample.example"


def former_reader(family: Family) -> str:
    return with_share(family, "edit", now() - timedelta(seconds=1))


def editor(family: Family) -> str:
    return with_share(family, "edit", now() + timedelta(hours=1))


def reader(family: Family) -> str:
    return with_share(family, "view")


def with_share(family: Family, level: str, expires_at: datetime | None = None) -> str:
    email = f"person-{next(NUMBERS)}@sample.example"
    family.world.share(family.patient, email, level, expires_at)
    return email


def ended(world: World, **values: Any) -> Script:
    """A token that was good, and is what these values make of it."""
    token, text = api_tokens.create(world.actor(OWNER), "Ended", api_tokens.WRITE)
    db.session.execute(update(ApiToken).where(ApiToken.id == token.id).values(**values))
    db.session.commit()
    return with_token(world, text)


def revoked(world: World) -> Script:
    token, text = api_tokens.create(world.actor(OWNER), "Revoked", api_tokens.WRITE)
    api_tokens.revoke(world.actor(OWNER), token.id)
    return with_token(world, text)


def mistyped(world: World) -> Script:
    _, text = api_tokens.create(world.actor(OWNER), "Mistyped", api_tokens.WRITE)
    return with_token(world, text[:-1] + ("A" if text[-1] != "A" else "B"))


def of_a_disabled_account(world: World) -> Script:
    email = f"person-{next(NUMBERS)}@sample.example"
    by = script(world, email)
    accounts.disable(email)
    return by


def with_a_good_session(world: World) -> Script:
    wrong = mistyped(world)
    return Script(world.client(OWNER), wrong.headers | {"X-CSRFToken": token_of(world.client(OWNER))})


SEES_NOTHING: dict[str, Callable[[Family], Script]] = {
    "a stranger's session": lambda family: by_session(family.world, OTHER),
    "a stranger's token": lambda family: script(family.world, OTHER),
    "an admin's session": lambda family: by_session(family.world, admin(family.world)),
    "a former reader's token": lambda family: script(family.world, former_reader(family)),
    "the owner's token for another patient": lambda family: script(
        family.world, patient_id=family.world.patient(first_name="Other").id
    ),
}
GETS_NOWHERE: dict[str, Callable[[World], Script]] = {
    "nobody": lambda world: Script(world.client(None)),
    "a revoked token": revoked,
    "an expired token": lambda world: ended(world, expires_at=now()),
    "a mistyped token": mistyped,
    "a token of a disabled account": of_a_disabled_account,
    "a mistyped token beside a session": with_a_good_session,
    "a word that is no token": lambda world: with_token(world, "password"),
    "an empty token": lambda world: with_token(world, ""),
}
MAY_EDIT: dict[str, Callable[[Family], Script]] = {
    "the owner's session": lambda family: by_session(family.world, OWNER),
    "the owner's token": lambda family: script(family.world),
    "the owner's token for this patient": lambda family: script(family.world, patient_id=family.patient.id),
    "an editor's session": lambda family: by_session(family.world, editor(family)),
    "an editor's token": lambda family: script(family.world, editor(family)),
}
MAY_READ: dict[str, Callable[[Family], Script]] = {
    "a reader's session": lambda family: by_session(family.world, reader(family)),
    "a reader's token": lambda family: script(family.world, reader(family)),
}


def family_with_shares(world: World) -> Family:
    """With older files and somebody else who may look, too."""
    family = family_in(world)
    world.user(HELPER)
    world.share(family.patient, former := f"person-{next(NUMBERS)}@sample.example", "view")
    shares = ShareService(world.actor(), world.parts.registry, world.parts.storages).list(family.patient.id)
    [share] = [given.share.id for given in shares if given.email == former]
    record = world.records().get(world.kind("lab-result"), family.ids["lab-result"]["record"])
    older, moved = world.older_file(record).id, world.older_file(record, moved=True).id
    for ids in family.ids.values():
        ids |= {"share": share, "older": older, "moved": moved}
    db.session.rollback()
    return family


@pytest.fixture
def family(world: World) -> Family:
    return family_with_shares(world)


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory, new_database: Any, sandbox: Sandbox) -> Iterator[Family]:
    """One family for all who are refused: they change nothing, as each of their tests makes sure."""
    place = tmp_path_factory.mktemp("refused")
    environ = {
        "MEDFILES_INSTANCE": str(place / "instance"),
        "MEDFILES_DATABASE_URL": new_database(place),
        "MEDFILES_TOKEN_FAILURES_PER_MINUTE": "0",
    }
    with install(environ, sandbox) as world:
        yield family_with_shares(world)


# --- the tables ---------------------------------------------------------------------------------------------------


def test_every_operation_has_a_row(refused: Family) -> None:
    app, ids = refused.world.app, refused.ids["visit"]
    with app.test_request_context():
        adapter = app.url_map.bind("localhost")
        asked = [(row, f"{HOME}{row.path.format(**ids)}".split("?")[0]) for row in SIGNED_IN]
        rowed = {(adapter.match(path, row.method, return_rule=True)[0].rule, row.method) for row, path in asked}
    assert rowed == {(rule, method) for rule, method in of_the_api(app) if method not in ("HEAD", "OPTIONS")}


def test_no_operation_of_the_api_is_left_out_of_its_document(refused: Family) -> None:
    rules = [rule for rule in refused.world.app.url_map.iter_rules() if rule.endpoint.startswith("api.")]
    views = {rule.endpoint: refused.world.app.view_functions[rule.endpoint] for rule in rules}
    unsaid = {endpoint for endpoint, view in views.items() if not hasattr(view, "operation")}
    assert unsaid == {"api.document", "api.readable"}


@pytest.mark.parametrize("role", SEES_NOTHING)
def test_a_stranger_cannot_tell_what_is_not_theirs_from_what_is_not_there(refused: Family, role: str) -> None:
    by, wrong = SEES_NOTHING[role](refused), []
    by.get("/api/v1/patients")  # and a session that is as old for both requests
    before = stored(refused.world)
    for kind in KINDS if role == "a stranger's token" else ("visit",):
        ids = refused.ids[kind]
        for row in [*GUARDED, *(ONCE if kind == "visit" else ())]:
            foreign, missing = (shown(ask(by, refused, row, which)) for which in (ids, absent(ids)))
            if foreign[0] != 404 or foreign != missing:
                wrong.append((str(row), foreign[0], missing[0]))
    assert wrong == []
    assert stored(refused.world) == before


@pytest.mark.parametrize("role", SEES_NOTHING)
def test_a_stranger_is_told_of_many_documents_what_is_told_of_none(refused: Family, role: str) -> None:
    by, ids = SEES_NOTHING[role](refused), refused.ids["visit"]
    before = stored(refused.world)
    foreign, missing = (which["file"] for which in (ids, absent(ids)))
    for action in ("delete", "restore", "purge", "category"):
        said = [
            by.post("/files/bulk", {"action": action, "file_ids": [one], "category": None})
            for one in (foreign, missing)
        ]
        assert [answer.status_code for answer in said] == [200, 200]
        assert said[0].text.replace(str(foreign), "") == said[1].text.replace(str(missing), "")
        assert [outcome["status"] for outcome in said[0].get_json()] == [404]
    counted = by.post("/files/batch-counts", {"entity_type": ids["type"], "entity_ids": [ids["record"]]})
    assert counted.get_json() == {"counts": {}}
    listed = [patient["first_name"] for patient in by.get("/patients").get_json()]
    assert refused.patient.first_name not in listed
    assert stored(refused.world) == before


@pytest.mark.parametrize("role", GETS_NOWHERE)
def test_who_is_not_signed_in_is_asked_to(refused: Family, role: str) -> None:
    by, wrong = GETS_NOWHERE[role](refused.world), []
    before = stored(refused.world)
    for row in SIGNED_IN:
        answers = [ask(by, refused, row, which) for which in (refused.ids["visit"], absent(refused.ids["visit"]))]
        if [answer.status_code for answer in answers] != [401, 401] or shown(answers[0]) != shown(answers[1]):
            wrong.append((str(row), answers[0].status_code))
        assert problem(answers[0], 401, "signed-out")
        assert answers[0].headers["WWW-Authenticate"] == 'Bearer realm="medfiles"'
        assert "Set-Cookie" not in answers[0].headers
    assert wrong == []
    assert stored(refused.world) == before


@pytest.mark.parametrize("role", MAY_READ)
def test_a_reader_may_look_at_everything_and_change_nothing(refused: Family, role: str) -> None:
    by, wrong = MAY_READ[role](refused), []
    before = stored(refused.world)
    for kind, asked in (("visit", [*GUARDED, *ONCE]), ("insurance", GUARDED)):
        ids = refused.ids[kind]
        for row in asked:
            status = ask(by, refused, row, ids).status_code
            if status != row.reader:
                wrong.append((str(row), status))
    assert wrong == []
    assert stored(refused.world) == before


def test_a_token_that_may_only_read_changes_nothing_its_owner_may(refused: Family) -> None:
    by, wrong = script(refused.world, scope=api_tokens.READ), []
    before = stored(refused.world)
    for kind, asked in (("visit", [*GUARDED, *ONCE]), ("insurance", GUARDED)):
        ids = refused.ids[kind]
        for row in [*asked, *rows(OWN)]:
            for which in (ids, absent(ids)) if row.changes else (ids,):
                answer = ask(by, refused, row, which)
                if answer.status_code != (403 if row.changes else row.editor):
                    wrong.append((str(row), answer.status_code))
                if row.changes:
                    assert problem(answer, 403, "scope")
    assert wrong == []
    assert stored(refused.world) == before


def test_a_session_changes_nothing_without_its_token(refused: Family) -> None:
    client = refused.world.client(OWNER)
    assert token_of(client)
    before, wrong = stored(refused.world), []
    for headers in ({}, {"X-CSRFToken": "made-up"}):
        for row in EVERY:
            if row.method != "GET":
                for which in (refused.ids["visit"], absent(refused.ids["visit"])):
                    answer = ask(Script(client, headers), refused, row, which)
                    if answer.status_code != 403 or problem(answer, 403, "csrf") is None:
                        wrong.append((str(row), answer.status_code))
    assert wrong == []
    assert stored(refused.world) == before


def test_a_session_reads_without_its_token(refused: Family) -> None:
    by = Script(refused.world.client(OWNER))
    ids = refused.ids["visit"]
    got = {str(row): ask(by, refused, row, ids).status_code for row in EVERY if row.method == "GET"}
    assert set(got.values()) == {200}


@pytest.mark.database
@pytest.mark.parametrize("role", MAY_EDIT)
def test_who_may_edit_is_answered_exactly(family: Family, role: str) -> None:
    by, wrong = MAY_EDIT[role](family), []
    owner = "owner" in role
    for row in ONCE:
        status = ask(by, family, row, family.ids["visit"]).status_code
        if status != (row.editor if owner or row not in rows(OWNERS) else row.reader):
            wrong.append(("visit", str(row), status))
    for kind in KINDS if role == "the owner's token" else ("visit",):
        for row in GUARDED:
            status = ask(by, family, row, family.ids[kind]).status_code
            if status != row.editor:
                wrong.append((kind, str(row), status))
    assert wrong == []
    family.world.assert_settled()


def test_what_is_ones_own_is_answered_exactly(family: Family) -> None:
    by = script(family.world)
    got = [(str(row), ask(by, family, row, family.ids["visit"]).status_code) for row in rows(OWN)]
    assert got == [(str(row), row.editor) for row in rows(OWN)]


def test_a_token_for_one_patient_makes_no_other(family: Family) -> None:
    by, before = script(family.world, patient_id=family.patient.id), stored(family.world)
    assert "patient" in problem(by.post("/patients", PATIENT), 403, "scope")["detail"]
    assert stored(family.world) == before
    assert [patient["id"] for patient in by.get("/patients").get_json()] == [family.patient.id]


def test_the_document_and_its_page_are_for_everybody(refused: Family) -> None:
    by = Script(refused.world.client(None))
    assert [by.get(row.path).status_code for row in rows(PUBLIC)] == [200, 200]


def test_a_token_opens_no_page_and_makes_no_session(refused: Family) -> None:
    by = script(refused.world)
    assert by.get("/patients").status_code == 200
    for path in ("/", "/account", f"/patients/{refused.patient.id}"):
        answer = by.client.get(path, headers=by.headers)
        assert (answer.status_code, answer.location.split("?")[0]) == (302, "/sign-in")
    assert by.client.get("/", headers=by.headers).headers.getlist("Set-Cookie") == []
    file = refused.ids["visit"]["file"]
    assert by.client.get(f"/documents/files/{file}/download", headers=by.headers).status_code == 302
    assert by.client.get(f"{HOME}/patients").status_code == 401


def test_an_answer_to_a_token_sets_no_cookie(refused: Family) -> None:
    by = script(refused.world)
    for row in GUARDED:
        if row.method == "GET":
            assert "Set-Cookie" not in ask(by, refused, row, refused.ids["visit"]).headers


def test_the_trail_names_the_token_that_was_used(family: Family) -> None:
    by, file = script(family.world), family.ids["visit"]["file"]
    by.delete(f"/files/{file}")
    [event] = family.world.events(action="delete", file_id=file)
    assert event.personal["token"] == "Script"
