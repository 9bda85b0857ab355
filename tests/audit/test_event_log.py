"""Everything that is done leaves an event, and what cannot be written down is not done."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from medfiles.accounts import service as accounts
from medfiles.audit import event_log
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import DatabaseUnavailable
from tests.http.test_sessions import EMAIL, PASSWORD, codes_of, confirm, is_in, send, sign_in, signed_in
from tests.rules.test_authorization import CALLS, Things, stored
from tests.rules.test_authorization import things as things
from tests.support.factories import World

# Flask-Security builds its forms as WTForms would no longer like them.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
# Calls that are part of an operation which another call records, or that show nothing of a patient.
SILENT = {
    "documents.attach of a retry",
    "documents.cancel of what is still on its way",
    "links.choices of some",
} | {
    f"{service}.{name}"
    for service, names in {
        "documents": "get count badges totals recent quarantined editable record_totals duplicate_of"
        " authorize_upload authorized_additional",
        "previews": "thumbnail",
        "photos": "open",
        "searches": "marks",
        "inbox": "unfiled",
        "records": "patients patient_page shown_people find_people people_of trashed_patients trash_contents"
        " pinned_people last_used archived_people level counts timeline_totals editable titles",
        "shares": "own invitations",
        "links": "created_by_token",
    }.items()
    for name in names.split()
}


@contextmanager
def unwritable() -> Iterator[None]:
    def refuse(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("INSERT INTO audit_events"):
            raise OperationalError("INSERT", {}, Exception("no room"))

    engine = db.engine
    event.listen(engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", refuse)


def test_what_cannot_be_written_down_is_not_done(things: Things, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "READ_ONCE_WITHIN", timedelta(0))
    before, wrong = _lasting(stored(things.world)), []
    for name, call in CALLS.items():
        if not {name, name.split(" ")[0]} & SILENT and (
            _answered(things, call) or _lasting(stored(things.world)) != before
        ):
            wrong.append(name)
    assert wrong == []
    things.world.sweep(now() + timedelta(hours=1))
    things.world.assert_settled()


def _answered(things: Things, call: Callable[[Things], Any]) -> Any:
    with unwritable():
        try:
            return call(things)
        except (DatabaseUnavailable, OperationalError):
            return None


def _lasting(found: dict[str, Any]) -> dict[str, Any]:
    """What may be on its way and is cleared by a sweep is left out."""
    return {name: rows for name, rows in found.items() if "/" not in name and name != "storage_journal"}


@pytest.fixture
def ada(world: World) -> World:
    accounts.create(EMAIL, PASSWORD)
    return world


def actions(world: World, *names: str) -> list[tuple[str, str]]:
    return [(one.action, one.outcome) for one in world.events() if one.action in names]


def test_signing_in_and_out_is_written_down_and_so_is_a_wrong_password(ada: World) -> None:
    client = ada.client(None)
    sign_in(client, password="wrong words")
    sign_in(client)
    send(client, "/sign-out", at="/account")
    assert actions(ada, "sign-in", "sign-out") == [("sign-in", "refused"), ("sign-in", "done"), ("sign-out", "done")]
    refused = ada.events(action="sign-in")[0]
    assert (refused.actor_id, refused.personal["address"]) == (accounts.find(EMAIL).id, "127.0.0.1")


def test_of_an_address_that_is_nobody_s_only_where_it_came_from_is_kept(ada: World) -> None:
    sign_in(ada.client(None), email="nobody@sample.example")
    [one] = ada.events(action="sign-in")
    assert (one.actor_id, one.personal) == (None, {"address": "127.0.0.1"})


def test_the_second_step_is_written_down(ada: World) -> None:
    phone = codes_of(signed_in(ada))
    client = ada.client(None)
    sign_in(client)
    send(client, "/sign-in/code", code="000000")
    send(client, "/sign-in/code", code=phone.generate(time.time() + 30).token)
    steps = actions(ada, "second-step", "second-step-on")
    assert ("second-step-on", "done") in steps
    assert steps[-2:] == [("second-step", "refused"), ("second-step", "done")]
    accounts.clear_second_step(EMAIL)
    assert ada.events()[-1].action == "second-step-off"


def test_a_new_password_is_written_down_whoever_set_it(ada: World) -> None:
    client, new = signed_in(ada), "quite other words"
    confirm(client)
    send(client, "/account/password", new_password=new, new_password_confirm=new)
    accounts.set_password(EMAIL, PASSWORD)
    found = [(one.action, one.actor_id is None) for one in ada.events() if "password" in one.action]
    assert found == [("change-password", False), ("set-password", True)]
    assert actions(ada, "confirm") == [("confirm", "done")]


def test_what_is_done_to_accounts_by_command_is_written_down(ada: World) -> None:
    accounts.disable(EMAIL)
    accounts.enable(EMAIL)
    accounts.set_admin(EMAIL, True)
    accounts.set_admin(EMAIL, False)
    done = ["create-account", "disable-account", "enable-account", "make-admin", "unmake-admin"]
    events = ada.events()
    assert [(event.action, event.actor_id) for event in events] == [(action, None) for action in done]
    assert {(event.details or {})["account"] for event in events} == {accounts.find(EMAIL).id}


def test_nobody_comes_in_unnoticed(ada: World) -> None:
    client = ada.client(None)
    token = client.get("/sign-in").text.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    with unwritable():
        answer = client.post("/sign-in", data={"csrf_token": token, "email": EMAIL, "password": PASSWORD})
    assert answer.status_code == 503
    assert not is_in(client)


def test_what_cannot_be_written_down_is_not_shown_on_any_page(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "READ_ONCE_WITHIN", timedelta(0))
    file = world.attach(world.record(), "Letter.pdf")
    client = world.client()
    with unwritable():
        answers = [
            client.get(path)
            for path in (
                f"/documents/visit/{file.entity_id}",
                f"/documents/files/{file.id}/download",
                f"/documents/files/{file.id}/preview",
                f"/visit/{file.entity_id}",
                f"/patients/{file.patient_id}",
                f"/api/v1/files/{file.id}",
                f"/api/v1/visit/{file.entity_id}/files",
                f"/api/v1/files/archive?ids={file.id}",
            )
        ]
    assert [answer.status_code for answer in answers] == [503] * len(answers)
    assert not [answer.text for answer in answers if "Letter" in answer.text]
