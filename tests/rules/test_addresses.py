"""Every address of the URL map, asked by everybody who might, about what there is in every state it can be in.

A new address without a row in addresses.py fails. Whoever is not to know of something must not be able to tell it from
what was never there: the two answers are compared byte for byte, after CSRF tokens (which differ in every answer) are
taken out. The cases are route × who asks × state; the kinds of records take turns in them, so that each address is
asked about every kind, and everybody asks about every kind.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.permissions import Action
from medfiles.sandbox.pool import Sandbox
from tests.rules.addresses import (
    ADMINS,
    EVERY,
    GUARDED,
    HTMX,
    KINDS,
    MANY,
    OWN,
    OWNERS,
    PUBLIC,
    SESSION,
    Address,
    Family,
    absent,
    ask,
    family_in,
    in_state,
    kinds_of,
    named,
    of_the_api,
    offered,
    once_more,
    rows,
    shown,
    stored,
)
from tests.support.factories import install, token_of

# Flask-Security builds its forms as WTForms would no longer like them.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
# Guarded by whose patient it is, or whose session; and what leaves out what is not the asker's.
ASKED = [*GUARDED, *rows(SESSION), *rows(MANY)]
CASES = [(address, state) for address in ASKED for state in address.states]
OF_OWNERS = [*rows(OWNERS), *rows(SESSION)]
BY_TOKEN = "by token"


@pytest.fixture(scope="module")
def family(
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Callable[[Path], str],
    sandbox: Sandbox,
    renderers: Sandbox,
) -> Iterator[Family]:
    """One for all who ask: what they may change is theirs alone, and nothing else changes, as each test makes sure."""
    place = tmp_path_factory.mktemp("family")
    environ = {"MEDFILES_INSTANCE": str(place / "instance"), "MEDFILES_DATABASE_URL": new_database(place)}
    with install(environ, sandbox, renderers=renderers) as world:
        yield family_in(world)


# --- who asks -----------------------------------------------------------------------------------------------------


def owner(family: Family) -> str:
    return "nora@sample.example"


def stranger(family: Family) -> str:
    family.world.record(email="otto@sample.example")
    return "otto@sample.example"


def admin(family: Family) -> str:
    family.world.user("admin@sample.example")
    accounts.set_admin("admin@sample.example", True)
    return "admin@sample.example"


def former_reader(family: Family) -> str:
    return _with_share(family, "former@sample.example", Action.EDIT, -timedelta(seconds=1))


def reader(family: Family) -> str:
    return _with_share(family, "reader@sample.example", Action.VIEW)


def editor(family: Family) -> str:
    return _with_share(family, "editor@sample.example", Action.EDIT, timedelta(hours=1))


def _with_share(family: Family, email: str, level: str, lasts: timedelta | None = None) -> str:
    if email not in family.world._users:
        family.world.share(family.patient, email, level, now() + lasts if lasts else None)
    return email


Role = Callable[[Family], str]
SEES_NOTHING: tuple[tuple[Role, Mapping[str, str]], ...] = (
    (stranger, {}),
    (stranger, HTMX),
    (admin, {}),
    (former_reader, {}),
)
GETS_NOWHERE: tuple[Mapping[str, str], ...] = ({}, HTMX, {BY_TOKEN: api_tokens.WRITE})
READS: tuple[tuple[Role, Mapping[str, str]], ...] = ((reader, {}), (reader, HTMX))
EDITS: tuple[Role, ...] = (owner, editor)
ASKERS = len(SEES_NOTHING) + len(GETS_NOWHERE) + len(READS) + len(EDITS)


class Asker:
    """Somebody with a session, who asks about a family's things."""

    def __init__(self, family: Family, role: Role, headers: Mapping[str, str]) -> None:
        self.family, self.headers, self.turn = family, headers, ROLES.index(role) + 2 * (headers == HTMX)
        db.session.rollback()  # whatever was read last, what is written now stands on what is there now
        self.client = family.world.client(role(family))
        assert self.client.get("/account").status_code == 200  # and a session that is as old for all requests
        self.token = token_of(self.client)
        self._unknown: dict[Address, tuple[Any, ...]] = {}

    def ask(self, address: Address, ids: Mapping[str, Any]) -> TestResponse:
        return ask(self.client, address, ids, self.token, **self.headers)

    def kind(self, address: Address) -> str:
        kinds = kinds_of(address)
        return kinds[(ASKED.index(address) + self.turn) % len(kinds)]

    def unknown(self, address: Address) -> tuple[Any, ...]:
        """What is shown of that which never was."""
        if address not in self._unknown:
            self._unknown[address] = shown(self.ask(address, absent(self.family.ids[self.kind(address)])))
        return self._unknown[address]

    def wrong(self, address: Address, state: str, expected: int, *, hidden: bool = False) -> Iterator[str]:
        """`hidden`: nothing may tell it from what is not there, as 404 never may."""
        unknown = self.unknown(address) if hidden or expected == 404 or state == "absent" else None
        asked = self.family.of(self.kind(address), state)
        answer = unknown if unknown and state == "absent" else shown(self.ask(address, asked))
        if answer[0] != expected:
            yield f"{address} of {self.kind(address)}, {state}: {answer[0]}, not {expected}"
        elif unknown and answer != unknown:
            yield f"{address} of {self.kind(address)}, {state}: can be told from what is not there"


ROLES = (owner, stranger, admin, former_reader, reader, editor)


# --- the cases ----------------------------------------------------------------------------------------------------


def test_every_address_has_a_row(family: Family) -> None:
    app = family.world.app
    with app.test_request_context():
        rowed = {named(app, address, family.ids["visit"]) for address in EVERY}
    assert rowed == set(offered(app)) - of_the_api(app)


def test_no_case_is_left_out(family: Family) -> None:
    assert all(len(address.states) == len(address.editor) + 2 for address in ASKED if "{record}" in address.path)
    assert len(CASES) * ASKERS == 2002
    for what, states in (("record", 3), ("file", 4)):
        numbers = [{ids[name] for name in ids if name.split(":")[0] == what} for ids in family.ids.values()]
        assert [len(each) for each in numbers] == [states] * len(KINDS)


@pytest.mark.parametrize(("role", "headers"), SEES_NOTHING)
def test_a_stranger_cannot_tell_what_is_not_theirs_from_what_is_not_there(
    family: Family, role: Role, headers: Mapping[str, str]
) -> None:
    asker, before = Asker(family, role, headers), stored(family.world)
    wrong = [line for address, state in CASES for line in asker.wrong(address, state, address.unknown, hidden=True)]
    assert wrong == []
    assert stored(family.world) == before


@pytest.mark.parametrize("role", [stranger, admin, former_reader])
def test_a_strangers_own_pages_speak_of_no_other_family(family: Family, role: Role) -> None:
    asker = Asker(family, role, {})
    for address in rows(OWN):
        if address.method == "GET":
            page = asker.ask(address, {}).get_data(as_text=True)
            assert f'href="/patients/{family.patient.id}"' not in page
            assert "letter.pdf" not in page


@pytest.mark.parametrize("headers", GETS_NOWHERE, ids=["page", "fragment", "token"])
def test_nobody_gets_further_than_the_sign_in(family: Family, headers: Mapping[str, str]) -> None:
    client, before, wrong = family.world.client(None), stored(family.world), []
    if BY_TOKEN in headers:  # which is good for the API alone
        _, text = api_tokens.create(family.world.actor(), "Scanner", headers[BY_TOKEN])
        headers, before = {"Authorization": f"Bearer {text}"}, stored(family.world)
    for address, state in [*CASES, *((address, "live") for address in [*rows(OWN), *rows(ADMINS)])]:
        ids = family.of("visit", state) if state != "absent" else absent(family.ids["visit"])
        answer = ask(client, address, ids, **headers)
        if headers == HTMX:
            stays_out = answer.status_code == 401 and b"Sign in again" in answer.data and b"<html" not in answer.data
        else:
            stays_out = answer.status_code == 302 and answer.location.startswith("/sign-in")
        if not stays_out:
            wrong.append((str(address), state, answer.status_code))
    assert wrong == []
    assert stored(family.world) == before


def test_what_everybody_reaches_changes_nothing(family: Family) -> None:
    client, before = family.world.client(None), stored(family.world)
    for address in rows(PUBLIC):
        assert ask(client, address, {}).status_code < 500
    assert stored(family.world) == before


@pytest.mark.parametrize(("role", "headers"), READS)
def test_a_reader_may_look_at_everything_and_change_nothing(
    family: Family, role: Role, headers: Mapping[str, str]
) -> None:
    asker, before = Asker(family, role, headers), stored(family.world)
    wrong = [
        line for address, state in CASES for line in asker.wrong(address, state, address.answer(address.reader, state))
    ]
    assert wrong == []
    assert stored(family.world) == before


@pytest.mark.database
@pytest.mark.parametrize("role", EDITS)
def test_who_may_edit_is_answered_exactly(family: Family, role: Role) -> None:
    asker, wrong = Asker(family, role, {}), list[str]()
    before, changing = stored(family.world), list[tuple[Address, str, int]]()
    for address, state in CASES:
        level = address.reader if role is editor and address in OF_OWNERS else address.editor
        expected = address.answer(level, state)
        if expected == 303 or (expected == 200 and "action=cancel" in address.sent):
            changing.append((address, state, expected))
        else:
            wrong += asker.wrong(address, state, expected)
    assert wrong == []
    assert stored(family.world) == before
    for address, state, expected in changing:
        answer = asker.ask(address, in_state(once_more(family, asker.kind(address)), state))
        if answer.status_code != expected:
            wrong.append(f"{address}, {state}: {answer.status_code}, not {expected}")
    assert wrong == []
    family.world.assert_settled()


def test_nothing_is_changed_without_the_token(family: Family) -> None:
    client, before = family.world.client(), stored(family.world)
    asked = [address for address in EVERY if address.method == "POST"]
    got = {str(address): ask(client, address, family.ids["visit"]).status_code for address in asked}
    assert {address: status for address, status in got.items() if status != 403} == {}
    assert stored(family.world) == before
