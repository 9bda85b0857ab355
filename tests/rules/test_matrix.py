"""Every operation, asked by every role, about records and documents in every state.

A new operation without a row in matrix.py fails. What is hidden from a role must not differ from what never existed:
both answers are compared byte for byte, except for CSRF tokens. Record types take turns, so that every operation is
asked about each of them, and so does every role.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.models import ApiToken
from medfiles.permissions import Action
from medfiles.sandbox.pool import Sandbox
from tests.rules.matrix import (
    ACCOUNT_API,
    ACCOUNT_PAGES,
    EVERY,
    GONE,
    GUARDED_API,
    GUARDED_PAGES,
    HTMX,
    KINDS,
    OF_THE_ACCOUNT,
    PAGES_OF_ADMINS,
    PATIENT,
    PUBLIC,
    Family,
    Operation,
    ask,
    family_in,
    fresh,
    in_state,
    in_table,
    in_url_map,
    rows,
    set_photo,
    share_ids,
    shown,
    stored,
)
from tests.support.api_client import HOME, Script, problem, script, with_token
from tests.support.factories import World, install, token_of

# Flask-Security passes SelectField choices in a way that WTForms deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
OWNER = "nora@sample.example"
CODES = {403: "forbidden", 404: "not-found", 409: "conflict", 422: "rejected"}
LEVELS = {"owner": Action.OWN, "editor": Action.EDIT, "viewer": Action.VIEW}
ROLES: Mapping[str, tuple[str, ...]] = {  # how they ask: who asks
    "page": ("owner", "editor", "viewer", "former viewer", "stranger", "admin"),
    "fragment": ("viewer", "stranger"),
    "API session": ("owner", "editor", "viewer", "stranger", "admin"),
    "API token": ("owner", "editor", "viewer", "former viewer", "stranger"),
    "token for this patient": ("owner",),
    "token for another patient": ("owner",),
}
CASES = [
    pytest.param(way, who, marks=[pytest.mark.database] if who in ("owner", "editor") else [])
    for way, each in ROLES.items()
    for who in each
]


def email(who: str) -> str:
    return OWNER if who == "owner" else f"{who.replace(' ', '-')}@sample.example"


@pytest.fixture(scope="module")
def family(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox, renderers: Sandbox
) -> Iterator[Family]:
    """One for all roles: nothing of it changes, as each test makes sure; what an editor changes is created for that."""
    place = tmp_path_factory.mktemp("family")
    environ = {"MEDFILES_INSTANCE": str(place / "instance"), "MEDFILES_DATABASE_URL": new_database(place)}
    limits = {f"MEDFILES_{name}_PER_MINUTE": "0" for name in ("TOKEN_FAILURES", "UPLOADS", "BULK")}
    public = {"MEDFILES_PUBLIC_URL": "http://localhost"}  # for share links
    with install(environ | limits | public, sandbox, renderers=renderers) as world:
        yield with_everyone(family_in(world))


def with_everyone(family: Family) -> Family:
    """Create the accounts of all roles, and files of the older lab-results feature."""
    world, patient = family.world, family.patient
    world.share(patient, email("viewer"), Action.VIEW)
    world.share(patient, email("editor"), Action.EDIT, now() + timedelta(hours=1))
    world.share(patient, email("former viewer"), Action.EDIT, now() - timedelta(seconds=1))
    world.record(email=email("stranger"))
    world.user(email("admin"))
    accounts.set_admin(email("admin"), True)
    lab_result = world.record("lab-result", patient)
    more = {"older": world.older_file(lab_result).id, "moved": world.older_file(lab_result, moved=True).id}
    for ids in family.ids.values():
        ids |= more | share_ids(family)
    db.session.rollback()
    return family


@dataclass
class Asker:
    """A signed-in client or a token, asking about the family."""

    family: Family
    client: FlaskClient
    headers: dict[str, str]
    operations: list[Operation]
    level: Action | None
    turn: int
    _unknown: dict[Operation, Any] = field(default_factory=dict)

    def ask(self, operation: Operation, ids: Mapping[str, Any]) -> TestResponse:
        """Send the CSRF token only where something may change."""
        unneeded = "X-CSRFToken" if operation.method == "GET" else ""
        return ask(self.client, operation, ids, {name: text for name, text in self.headers.items() if name != unneeded})

    def kind(self, operation: Operation) -> str:
        return KINDS[(self.operations.index(operation) + self.turn) % len(KINDS)]

    def wrong(self, operation: Operation, state: str, status: int) -> Iterator[str]:
        kind = self.kind(operation)
        response = self.ask(operation, self.family.of(kind, state))
        answer = shown(response)
        if operation.is_api and answer[0] == status >= 400:
            problem(response, status, CODES[status])
        if answer[0] != status:
            yield f"{operation} of {kind}, {state}: {answer[0]}, not {status}"
        elif (self.level is None or status == 404) and answer != self.unknown(operation):
            yield f"{operation} of {kind}, {state}: differs from what does not exist"

    def unknown(self, operation: Operation) -> Any:
        """What is shown of what never existed."""
        if operation not in self._unknown:
            self._unknown[operation] = shown(self.ask(operation, self.family.of(self.kind(operation), "absent")))
        return self._unknown[operation]


def asker(family: Family, way: str, who: str) -> Asker:
    world, turn = family.world, [*LEVELS, "former viewer", "stranger", "admin"].index(who) + len(way)
    set_photo(family)
    db.session.rollback()
    if "token" in way:
        other = world.patient(first_name="Other").id if "another" in way else None
        only = family.patient.id if "this" in way else other
        by = script(world, email(who), api_tokens.SHARE, patient_id=only)
        return Asker(family, by.client, by.headers, GUARDED_API, None if other else LEVELS.get(who), turn)
    client = world.client(email(who))
    assert client.get("/account").status_code == 200  # the session is equally old for all requests
    headers = {"X-CSRFToken": token_of(client)} | (HTMX if way == "fragment" else {})
    return Asker(family, client, headers, GUARDED_API if "API" in way else GUARDED_PAGES, LEVELS.get(who), turn)


def test_every_operation_of_the_url_map_has_a_row_and_every_row_an_operation(family: Family) -> None:
    app = family.world.app
    with app.test_request_context():
        assert in_table(app, family.ids["visit"]) == set(in_url_map(app))
    for operation in [*GUARDED_PAGES, *GUARDED_API]:
        assert len(operation.editor) == len(operation.viewer) == len(set(operation.states) - set(GONE)), operation


def test_registration_adds_its_own_address_and_no_other(make_world: Callable[..., World]) -> None:
    closed, opened = make_world(), make_world(REGISTRATION="1")
    assert set(in_url_map(opened.app)) - set(in_url_map(closed.app)) == {("/register", "GET"), ("/register", "POST")}


@pytest.mark.parametrize(("way", "who"), CASES)
def test_each_role_gets_the_status_of_the_table_and_changes_only_what_it_may(
    family: Family, way: str, who: str
) -> None:
    by = asker(family, way, who)
    before, wrong, writes = stored(family.world), list[str](), list[tuple[Operation, str, int]]()
    for operation in by.operations:
        for state in operation.states:
            status = operation.status(by.level, state)
            if operation.writes and status in (200, 201, 202, 204, 303):
                writes.append((operation, state, status))
            else:
                wrong += by.wrong(operation, state, status)
    assert wrong == []
    assert stored(family.world) == before
    for operation, state, status in writes:
        answer = by.ask(operation, in_state(fresh(family, by.kind(operation), operation.path), state))
        if answer.status_code != status:
            wrong.append(f"{operation}, {state}: {answer.status_code}, not {status}")
    assert wrong == []
    of_patients = [operation for operation, _, _ in writes if not operation.path.endswith(OF_THE_ACCOUNT)]
    assert bool(of_patients) == (by.level in (Action.EDIT, Action.OWN))
    family.world.assert_settled()


@pytest.mark.parametrize(
    ("way", "who"),
    [
        pytest.param("page", "owner", marks=pytest.mark.database),
        ("page", "editor"),
        ("fragment", "viewer"),
        pytest.param("API token", "owner", marks=pytest.mark.database),
        ("API token", "viewer"),
        ("API session", "editor"),
        ("token for this patient", "owner"),
    ],
)
def test_nothing_below_a_patient_in_the_trash_can_be_told_from_what_never_existed(
    family: Family, way: str, who: str
) -> None:
    by, patient_id = asker(family, way, who), family.patient.id
    by.level = None
    own = tuple(f"/patients/{{patient}}{verb}" for verb in ("", "/delete", "/restore", "/purge"))
    below = [
        operation for operation in by.operations if re.search(r"\{(patient|record|file|older|moved)\}", str(operation))
    ]
    family.world.records().delete_patient(patient_id)
    before = stored(family.world)
    wrong = list[str]()
    for operation in below:
        if who != "owner" or operation.method == "GET" or not operation.path.endswith(own):
            for state in operation.states:
                wrong += by.wrong(operation, state, operation.hidden)
    assert wrong == []
    assert stored(family.world) == before
    family.world.records().restore_patient(patient_id)


@pytest.mark.parametrize("who", ["stranger", "admin", "former viewer"])
def test_pages_of_another_account_do_not_mention_the_family(family: Family, who: str) -> None:
    by = asker(family, "page", who)
    for operation in ACCOUNT_PAGES:
        if operation.method == "GET":
            page = by.ask(operation, {}).get_data(as_text=True)
            assert f'href="/patients/{family.patient.id}"' not in page
            assert "letter.pdf" not in page


@pytest.mark.parametrize(
    ("way", "who"),
    [("API session", "stranger"), ("API token", "former viewer"), ("token for another patient", "owner")],
)
def test_bulk_answers_about_hidden_and_absent_documents_are_equal(family: Family, way: str, who: str) -> None:
    by, ids, before = asker(family, way, who), family.ids["visit"], stored(family.world)
    api = Script(by.client, by.headers)
    hidden, absent = ids["file"], in_state(ids, "absent")["file"]
    for action in ("delete", "restore", "purge", "category"):
        asked = {"action": action, "category": None}
        answers = {number: api.post("/files/bulk", asked | {"file_ids": [number]}) for number in (hidden, absent)}
        assert {answer.status_code for answer in answers.values()} == {200}
        assert len({answer.text.replace(str(number), "") for number, answer in answers.items()}) == 1
        assert [outcome["status"] for outcome in answers[hidden].get_json()] == [404]
    counted = api.post("/files/batch-counts", {"entity_type": "visit", "entity_ids": [ids["record"]]})
    assert counted.get_json() == {"counts": {}}
    assert family.patient.id not in [patient["id"] for patient in api.get("/patients").get_json()]
    assert stored(family.world) == before


# --- signed out -------------------------------------------------------------------------------------------------------


def expired(world: World) -> Script:
    token, text = api_tokens.create(world.actor(), "Expired", api_tokens.WRITE)
    db.session.execute(update(ApiToken).where(ApiToken.id == token.id).values(expires_at=now()))
    db.session.commit()
    return with_token(world, text)


def revoked(world: World) -> Script:
    token, text = api_tokens.create(world.actor(), "Revoked", api_tokens.WRITE)
    api_tokens.revoke(world.actor(), token.id)
    return with_token(world, text)


def mistyped(world: World) -> Script:
    _, text = api_tokens.create(world.actor(), "Mistyped", api_tokens.WRITE)
    return with_token(world, text[:-1] + ("A" if text[-1] != "A" else "B"))


def of_a_disabled_account(world: World) -> Script:
    by = script(world, "disabled@sample.example")
    accounts.disable("disabled@sample.example")
    return by


def beside_a_session(world: World) -> Script:
    client = world.client()
    return Script(client, mistyped(world).headers | {"X-CSRFToken": token_of(client)})


SIGNED_OUT: Mapping[str, Callable[[World], Script]] = {
    "no token": lambda world: Script(world.client(None)),
    "revoked token": revoked,
    "expired token": expired,
    "mistyped token": mistyped,
    "token of a disabled account": of_a_disabled_account,
    "mistyped token beside a session": beside_a_session,
    "password": lambda world: with_token(world, "password"),
    "empty token": lambda world: with_token(world, ""),
}


@pytest.mark.parametrize("token", SIGNED_OUT)
def test_the_api_without_a_valid_token_answers_401_everywhere(family: Family, token: str) -> None:
    by, ids, before = SIGNED_OUT[token](family.world), family.ids["visit"], stored(family.world)
    for operation in [*GUARDED_API, *ACCOUNT_API]:
        answer, absent = (ask(by.client, operation, in_state(ids, state), by.headers) for state in ("active", "absent"))
        assert problem(answer, 401, "signed-out"), operation
        assert shown(answer) == shown(absent), operation
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="medfiles"'
        assert "Set-Cookie" not in answer.headers
    assert stored(family.world) == before


@pytest.mark.parametrize("way", ["page", "fragment", "token"])
def test_signed_out_visitors_and_api_tokens_get_no_further_than_the_sign_in_page(family: Family, way: str) -> None:
    client, headers = family.world.client(None), script(family.world).headers if way == "token" else {}
    before, ids = stored(family.world), family.ids["visit"]
    for operation in [*GUARDED_PAGES, *ACCOUNT_PAGES, *rows(PAGES_OF_ADMINS)]:
        for state in operation.states:
            answer = ask(client, operation, in_state(ids, state), HTMX if way == "fragment" else headers)
            if way == "fragment":
                assert (answer.status_code, b"Sign in to see" in answer.data, b"<html" in answer.data) == (
                    401,
                    True,
                    False,
                )
            else:
                assert (answer.status_code, answer.location.split("?")[0]) == (302, "/sign-in"), operation
    assert client.get(f"{HOME}/patients").status_code == 401  # the token began no session
    assert stored(family.world) == before


def test_public_addresses_answer_everyone_and_change_nothing(family: Family) -> None:
    client, before = family.world.client(None), stored(family.world)
    for operation in rows(PUBLIC):
        answer = ask(client, operation, family.ids["visit"])
        assert answer.status_code < 500
        assert answer.status_code == 200 or not operation.path.startswith(HOME)
    assert stored(family.world) == before


def test_nothing_changes_without_the_csrf_token(family: Family) -> None:
    client, before = family.world.client(), stored(family.world)
    assert token_of(client)
    for headers in ({}, {"X-CSRFToken": "made-up"}):
        for operation in EVERY:
            for state in ("active", "absent") if operation.method != "GET" else ():
                answer = ask(client, operation, in_state(family.ids["visit"], state), headers)
                # Readers of links have no session to protect.
                refused = {"s": 404, "shl": 400}.get(operation.path.split("/")[1], 403)
                assert answer.status_code == refused, operation
                assert not operation.is_api or problem(answer, 403, "csrf")
    assert stored(family.world) == before


# --- tokens that may do less than their account -----------------------------------------------------------------------


def test_a_token_that_may_only_read_changes_nothing_its_owner_may(family: Family) -> None:
    by, before = script(family.world, scope=api_tokens.READ), stored(family.world)
    for number, operation in enumerate([*GUARDED_API, *ACCOUNT_API]):
        ids = family.ids[KINDS[number % len(KINDS)]]
        for state in operation.states:
            answer = ask(by.client, operation, in_state(ids, state), by.headers)
            assert "Set-Cookie" not in answer.headers
            if operation.writes:
                assert problem(answer, 403, "scope"), operation
            else:
                assert answer.status_code == operation.status(Action.OWN, state), (operation, state)
    assert stored(family.world) == before


def test_what_belongs_to_the_account_is_answered_exactly(family: Family) -> None:
    by, ids = script(family.world), fresh(family, "visit", "{file}")
    answers = [ask(by.client, operation, ids, by.headers) for operation in ACCOUNT_API]
    assert [(answer.status_code,) for answer in answers] == [operation.editor for operation in ACCOUNT_API]


def test_a_token_for_one_patient_creates_no_other(family: Family) -> None:
    by, before = script(family.world, patient_id=family.patient.id), stored(family.world)
    assert "patient" in problem(by.post("/patients", PATIENT), 403, "scope")["detail"]
    assert stored(family.world) == before
    assert [patient["id"] for patient in by.get("/patients").get_json()] == [family.patient.id]


def test_the_audit_log_names_the_token_that_was_used(family: Family) -> None:
    ids = fresh(family, "visit", "{file}")
    script(family.world).delete(f"/files/{ids['file']}")
    [event] = family.world.events(action="delete", file_id=ids["file"])
    assert event.personal["token"] == "Script"
