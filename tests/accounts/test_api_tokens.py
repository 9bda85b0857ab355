"""Personal tokens: made, used, ended, and what happens to whoever tries wrong ones."""

import hashlib
import hmac
import logging
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from limits.storage import RedisStorage
from sqlalchemy import delete, select

from medfiles import clock
from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.database.session import db, transaction
from medfiles.errors import NotFound, Rejected
from medfiles.models import ApiToken, PatientShare
from tests.http.test_sessions import confirm, send, signed_in
from tests.support.api_client import Script, problem, script, with_token
from tests.support.clocks import SetClock
from tests.support.factories import World, details_of

# Flask-Security builds its forms as WTForms would no longer like them.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
EMAIL, PASSWORD = "ada@sample.example", "a long enough password"
NEW = {"new_password": "another long password", "new_password_confirm": "another long password"}


@pytest.fixture
def later(set_clock: SetClock) -> SetClock:
    return set_clock


def kept() -> list[ApiToken]:
    db.session.rollback()
    return list(db.session.scalars(select(ApiToken).order_by(ApiToken.id).execution_options(populate_existing=True)))


def status(by: Script) -> int:
    return by.get("/patients").status_code


# --- made ---------------------------------------------------------------------------------------------------------


def test_the_table_of_tokens_gives_none_away(world: World) -> None:
    _, text = api_tokens.create(world.actor(), "Scanner")
    [row] = kept()
    prefix, selector, secret = text.split("_", 2)
    assert (prefix, row.selector, row.digest) == ("mf", selector, hashlib.sha256(secret.encode()).hexdigest())
    assert len(secret) == 43  # 256 bits
    assert secret not in str(vars(row))


def test_a_token_reads_all_patients_and_never_expires_by_default(world: World) -> None:
    token, _ = api_tokens.create(world.actor(), "  Scanner\nin the hall ")
    assert (token.name, token.scope, token.patient_id, token.expires_at) == ("Scanner in the hall", "read", None, None)


IMPOSSIBLE: tuple[tuple[dict[str, Any], str], ...] = (
    ({"name": ""}, "name"),
    ({"name": "\0\u202e"}, "name"),
    ({"scope": "admin"}, "scope"),
    ({"lifetime": timedelta()}, "days"),
    ({"lifetime": timedelta(days=-1)}, "days"),
    ({"lifetime": timedelta(days=3651)}, "days"),
    ({"patient_id": 1_999_999}, "patient"),
)


def test_a_token_that_is_not_possible_is_not_created(world: World) -> None:
    theirs = ({"patient_id": world.patient("otto@sample.example").id}, "patient")
    for wrong, field in (*IMPOSSIBLE, theirs):
        with pytest.raises(Rejected) as refused:
            api_tokens.create(world.actor(), **{"name": "Scanner", **wrong})
        assert set(refused.value.fields) == {field}
    with pytest.raises(Rejected, match="longer than 100"):
        api_tokens.create(world.actor(), "x" * 101)
    assert kept() == []


def test_an_account_has_fifty_tokens_at_most(world: World) -> None:
    for _ in range(api_tokens.MAX_TOKENS):
        api_tokens.create(world.actor(), "Scanner")
    with pytest.raises(Rejected, match="50 tokens"):
        api_tokens.create(world.actor(), "One more")
    api_tokens.create(world.actor("otto@sample.example"), "Mine")


def test_the_trail_remembers_who_made_and_revoked_a_token(world: World) -> None:
    token, _ = api_tokens.create(world.actor(), "Scanner", api_tokens.WRITE)
    api_tokens.revoke(world.actor(), token.id)
    found = [event for action in ("create-token", "revoke-token") for event in world.events(action=action)]
    assert [details_of(event) for event in found] == [{"scope": "write", "name": "Scanner"}] * 2


# --- used ---------------------------------------------------------------------------------------------------------


def test_a_token_is_read_however_its_scheme_is_written(world: World) -> None:
    _, text = api_tokens.create(world.actor(), "Scanner")
    for scheme, spaces in (("Bearer", " "), ("bearer", "   "), ("BEARER", " ")):
        assert status(Script(world.client(None), {"Authorization": f"{scheme}{spaces}{text} "})) == 200


@settings.get_profile("costly")
@given(sent=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=80))
def test_whatever_is_sent_for_a_token_is_no_error_of_ours(uncounted: World, sent: str) -> None:
    for text in (sent, f"mf_{sent}", f"mf_{'0' * 16}_{sent}"):
        assert status(with_token(uncounted, text)) == 401


@pytest.fixture
def uncounted(make_world: Callable[..., World]) -> World:
    return make_world(TOKEN_FAILURES_PER_MINUTE="0")


def test_a_token_is_compared_without_telling_how_far_it_is_right(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    compare = hmac.compare_digest

    def watched(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return compare(one, other)

    _, text = api_tokens.create(world.actor(), "Scanner")
    monkeypatch.setattr("medfiles.accounts.api_tokens.hmac.compare_digest", watched)
    for sent in (text, text[:-1] + ("A" if text[-1] != "A" else "B"), f"mf_{'0' * 16}_{'A' * 43}"):
        compared.clear()
        api_tokens.authenticate(sent)
        assert [len(digest) for pair in compared for digest in pair] == [64, 64]


def test_the_last_use_is_kept_to_the_minute(world: World, later: Callable[[timedelta], None]) -> None:
    by = script(world)
    assert status(with_token(world, by.headers["Authorization"].split()[1][:-1])) == 401
    assert kept()[0].used_at is None
    assert status(by) == 200
    first = kept()[0].used_at
    assert first is not None
    status(by)
    assert kept()[0].used_at == first
    later(timedelta(minutes=2))
    status(by)
    assert (kept()[0].used_at or first) - first > timedelta(minutes=1)


def test_a_token_is_in_no_line_of_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    _, text = api_tokens.create(world.actor(), "Scanner")
    secret = text.split("_", 2)[2]
    with caplog.at_level(logging.DEBUG):
        assert [status(with_token(world, sent)) for sent in (text, text + "x")] == [200, 401]
    assert caplog.text
    assert secret not in caplog.text


# --- ended --------------------------------------------------------------------------------------------------------


def test_a_token_ends_at_its_moment(world: World, later: Callable[[timedelta], None]) -> None:
    by = script(world, lasts=timedelta(days=30))
    later(timedelta(days=30) - timedelta(minutes=1))
    assert status(by) == 200
    later(timedelta(days=30))
    assert status(by) == 401


def test_a_revoked_token_is_invalid_at_once_and_others_are_not(world: World) -> None:
    token, text = api_tokens.create(world.actor(), "Scanner")
    revoked, other = with_token(world, text), script(world)
    with pytest.raises(NotFound):
        api_tokens.revoke(world.actor("otto@sample.example"), token.id)
    assert status(revoked) == 200
    api_tokens.revoke(world.actor(), token.id)
    assert [status(revoked), status(other)] == [401, 200]
    with pytest.raises(NotFound):
        api_tokens.revoke(world.actor(), token.id)


def test_a_disabled_account_has_no_use_of_its_tokens_until_it_is_enabled(world: World) -> None:
    by = of_ada(world)
    accounts.disable(EMAIL)
    assert status(by) == 401
    accounts.enable(EMAIL)
    assert status(by) == 200


def of_ada(world: World) -> Script:
    accounts.create(EMAIL, PASSWORD)
    _, text = api_tokens.create(accounts.actor_for(accounts.find(EMAIL)), "Scanner")
    return with_token(world, text)


def test_a_new_password_ends_every_token_of_the_account(world: World) -> None:
    by, others = of_ada(world), script(world)
    here = signed_in(world)
    assert status(by) == 200
    confirm(here)
    assert send(here, "/account/password", **NEW).status_code == 302
    assert "tokens were revoked" in here.get("/account").text
    assert [status(by), status(others)] == [401, 200]
    [event] = world.events(action="revoke-token")
    assert details_of(event) == {"scope": "read", "name": "Scanner", "because": "new password"}


def test_tokens_outlive_a_wrong_password_and_signing_out_but_no_password_set_by_command(world: World) -> None:
    by, here = of_ada(world), signed_in(world)
    assert "There’s a problem" in confirm(here, "not the password").text
    assert accounts.has_password(EMAIL, PASSWORD)
    send(here, "/sign-out", at="/account")
    assert status(by) == 200
    accounts.set_password(EMAIL, "another long password")
    assert status(by) == 401


def test_a_token_for_a_patient_who_is_not_shared_any_more_sees_nothing(world: World) -> None:
    patient = world.patient()
    world.share(patient, "vera@sample.example", "view", clock.now() + timedelta(hours=1))
    by = script(world, "vera@sample.example", patient_id=patient.id)
    assert by.get(f"/patients/{patient.id}").status_code == 200
    with transaction() as session:
        session.execute(delete(PatientShare))
    assert (by.get(f"/patients/{patient.id}").status_code, by.get("/patients").get_json()) == (404, [])


# --- wrong ones ---------------------------------------------------------------------------------------------------

WRONG = f"mf_{'0' * 16}_{'A' * 43}"


def wrong_from(world: World, address: str = "192.0.2.7", path: str = "/patients") -> Any:
    by = with_token(world, WRONG)
    return by.ask("GET", path, environ_overrides={"REMOTE_ADDR": address})


def test_wrong_tokens_are_limited_per_network_address_whatever_they_request(make_world: Callable[..., World]) -> None:
    world = make_world(TOKEN_FAILURES_PER_MINUTE="3")
    paths = ("/patients", "/patients/1", "/visit/1", "/files/1", "/visit/1/files")
    answers = [wrong_from(world, path=path) for path in paths]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert problem(answers[-1], 429, "rate-limited")
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert wrong_from(world, "192.0.2.8").status_code == 401


def test_valid_tokens_sessions_and_requests_without_a_token_are_not_limited(make_world: Callable[..., World]) -> None:
    world = make_world(TOKEN_FAILURES_PER_MINUTE="1")
    by, nobody, session = script(world), Script(world.client(None)), Script(world.client())
    assert [status(nobody) for _ in range(3)] == [401] * 3
    assert [wrong_from(world, "127.0.0.1").status_code for _ in range(2)] == [401, 429]
    assert [status(one) for one in (by, session) * 3] == [200] * 6


def test_the_limit_can_be_taken_away(make_world: Callable[..., World]) -> None:
    world = make_world(TOKEN_FAILURES_PER_MINUTE="0")
    assert {wrong_from(world).status_code for _ in range(40)} == {401}


def test_the_count_is_kept_where_the_setting_says_or_else_in_the_process(make_world: Callable[..., World]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    world = make_world(TOKEN_FAILURES_PER_MINUTE="2", LIMITS_URL=f"redis://127.0.0.1:{port}/0")
    [limiter] = world.app.extensions["limiter"]
    assert isinstance(limiter.storage, RedisStorage)
    assert [wrong_from(world).status_code for _ in range(4)] == [401, 401, 429, 429]
    assert status(script(world)) == 200
