"""Too often: wrong passwords, codes and tokens, uploads, work on many documents; and nobody is locked out for long."""

import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient
from limits import parse

from medfiles.accounts import service as accounts
from medfiles.http import rate_limits
from tests.http.test_sessions import EMAIL, PASSWORD, codes_of, confirm, form_token, send, signed_in
from tests.support import samples
from tests.support.api_client import Script, problem
from tests.support.clocks import RIGHT, YEAR, SetClock
from tests.support.factories import World

# Flask-Security builds its forms as WTForms would no longer like them.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
OTHER, HERE, ELSEWHERE = "max@sample.example", "192.0.2.7", "192.0.2.8"


def world_of(make_world: Callable[..., World], **settings: str) -> World:
    world = make_world(**settings)
    for email in (EMAIL, OTHER):
        accounts.create(email, PASSWORD)
    return world


def attempt(world: World, password: str = "wrong words", email: str = EMAIL, address: str = HERE) -> Any:
    client = world.client(None)
    token = form_token(client.get("/sign-in"))
    said = {"csrf_token": token, "email": email, "password": password}
    return client.post("/sign-in", data=said, environ_overrides={"REMOTE_ADDR": address})


def statuses(world: World, times: int, **options: Any) -> list[int]:
    return [attempt(world, **options).status_code for _ in range(times)]


def test_after_too_many_wrong_passwords_the_right_one_works_for_others_only(
    make_world: Callable[..., World],
) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="2")
    tries = [attempt(world, email=email).status_code for email in (EMAIL, EMAIL.upper(), f" {EMAIL}")]
    assert tries == [200, 200, 429]
    answer = attempt(world, PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert "Too many attempts" in answer.text
    assert attempt(world, PASSWORD, address=ELSEWHERE).status_code == 302
    assert attempt(world, PASSWORD, OTHER).status_code == 302


def test_an_address_that_guesses_at_many_accounts_is_stopped(make_world: Callable[..., World]) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="1")
    tries = [attempt(world, email=f"{number}@sample.example").status_code for number in range(7)]
    assert tries == [200] * 6 + [429]
    assert attempt(world, PASSWORD, address=ELSEWHERE).status_code == 302


def test_an_account_that_is_guessed_at_from_everywhere_is_closed_for_a_while(make_world: Callable[..., World]) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="1")
    tries = [attempt(world, address=f"198.51.100.{number}").status_code for number in range(6)]
    assert tries == [200] * 5 + [429]
    assert 0 < int(attempt(world, PASSWORD, address=ELSEWHERE).headers["Retry-After"]) <= 900


def test_all_addresses_of_an_ipv6_network_are_one_client(make_world: Callable[..., World]) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="1")
    addresses = [f"2001:db8:1:2::{number:x}" for number in range(1, 8)]
    tries = [attempt(world, email=f"{at[-1]}@sample.example", address=at).status_code for at in addresses]
    assert tries == [200] * 6 + [429]
    assert attempt(world, PASSWORD, address="2001:db8:1:3::1").status_code == 302


def test_a_flood_of_wrong_passwords_does_not_fill_the_audit_log(make_world: Callable[..., World]) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="0")
    for number in range(25):
        attempt(world, address=f"2001:db8:1:2::{number:x}")
    assert len(world.events(action="sign-in", outcome="refused")) == 10
    attempt(world, address=ELSEWHERE)
    attempt(world, PASSWORD)
    assert len(world.events(action="sign-in", outcome="refused")) == 11
    assert len(world.events(action="sign-in", outcome="done")) == 1


def test_a_flood_from_many_networks_does_not_fill_the_audit_log(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="0")
    monkeypatch.setattr(rate_limits, "REFUSALS_IN_ALL", parse("5 per minute"))
    for number in range(8):
        attempt(world, address=f"198.51.100.{number}")
    assert len(world.events(action="sign-in", outcome="refused")) == 5


def refusals(world: World, action: str) -> list[tuple[str | None, bool]]:
    """The reason of each refusal, and whether it names an account."""
    return [(one.reason, one.actor_id is not None) for one in world.events(action=action, outcome="refused")]


def test_attempts_while_blocked_are_recorded_and_bounded_too(make_world: Callable[..., World]) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="1")
    assert statuses(world, 3) == [200, 429, 429]
    assert refusals(world, "sign-in") == [("wrong", True), ("rate-limited", False), ("rate-limited", False)]
    assert {event.personal["address"] for event in world.events(action="sign-in")} == {HERE}
    statuses(world, 9)
    assert len(refusals(world, "sign-in")) == 10


def test_unknown_accounts_are_limited_like_known_ones_and_right_passwords_never(
    make_world: Callable[..., World],
) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="2")
    assert statuses(world, 5, password=PASSWORD) == [302] * 5
    assert statuses(world, 3, email="nobody@sample.example") == statuses(world, 3) == [200, 200, 429]


def test_a_password_is_hashed_for_unknown_accounts_as_for_known_ones(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of(make_world)
    context = world.app.extensions["security"].pwd_context
    hashing = Mock(wraps=context.hash), Mock(wraps=context.verify)
    for name, watched in zip(("hash", "verify"), hashing, strict=True):
        monkeypatch.setattr(context, name, watched)
    for times, email in ((1, EMAIL), (2, "nobody@sample.example")):
        attempt(world, email=email)
        assert sum(watched.call_count for watched in hashing) == times


def test_codes_of_the_second_step_cannot_be_guessed(make_world: Callable[..., World]) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="2")
    phone = codes_of(signed_in(world))
    client = world.client(None)
    send(client, "/sign-in", email=EMAIL, password=PASSWORD)
    wrong = f"{(int(phone.generate(time.time() + 30).token) + 1) % 1_000_000:06}"
    assert [_code(client, wrong) for _ in range(3)] == [200, 200, 429]
    assert _code(client, phone.generate(time.time() + 30).token) == 429
    assert [reason for reason, _ in refusals(world, "second-step")] == ["wrong"] * 2 + ["rate-limited"] * 2


def _code(client: FlaskClient, code: str) -> int:
    token = form_token(client.get("/sign-in/code"))
    return client.post("/sign-in/code", data={"csrf_token": token, "code": code}).status_code


def test_a_session_that_was_found_open_does_not_lead_to_the_password(make_world: Callable[..., World]) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="2")
    client = signed_in(world)
    tries = [confirm(client, "guess").status_code for _ in range(3)]
    assert tries == [422, 422, 429]
    assert confirm(client).status_code == 429
    assert refusals(world, "confirm") == [("rejected", True)] * 2 + [("rate-limited", True)] * 2


def test_proof_with_the_right_password_is_not_counted(make_world: Callable[..., World]) -> None:
    client = signed_in(world_of(make_world, SIGN_IN_FAILURES="1"))
    assert [confirm(client).status_code for _ in range(3)] == [303] * 3


def test_without_a_limit_nothing_is_counted(make_world: Callable[..., World]) -> None:
    assert statuses(world_of(make_world, SIGN_IN_FAILURES="0"), 12) == [200] * 12


# --- uploads and many documents -------------------------------------------------------------------------------------


class Untouched:
    """A body that must not be read."""

    def __init__(self) -> None:
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        self.count += size
        return b"x" * max(0, size)

    readline = read


def test_uploads_past_the_limit_wait_and_nothing_of_them_is_read(make_world: Callable[..., World]) -> None:
    world = make_world(UPLOADS_PER_MINUTE="2")
    visit, browser = world.record(), world.browser()
    path = f"/documents/visit/{visit.id}/files"
    assert [browser.upload(path, f"{n}.pdf", samples.pdf(n + 1)).status_code for n in range(2)] == [201, 201]
    body = Untouched()
    answer = browser.client.post(
        path, content_type="application/octet-stream", headers={"X-CSRFToken": browser.token},
        environ_overrides={"wsgi.input": body, "CONTENT_LENGTH": "1000"},
    )  # fmt: skip
    assert (answer.status_code, body.count) == (429, 0)
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert len(world.files()) == 2


def test_uploads_of_pages_and_of_the_api_are_counted_together_and_each_account_by_itself(
    make_world: Callable[..., World],
) -> None:
    world = make_world(UPLOADS_PER_MINUTE="1")
    patient = world.patient()
    visit = world.record(patient=patient)
    world.share(patient, OTHER, "edit")
    path = f"/documents/visit/{visit.id}/files"
    assert world.browser().upload(path, "a.pdf", samples.pdf(1)).status_code == 201
    script = Script(world.client())
    answer = script.upload(f"/visit/{visit.id}/files", "b.pdf", samples.pdf(2))
    assert problem(answer, 429, "rate-limited")
    assert world.browser(OTHER).upload(path, "b.pdf", samples.pdf(3)).status_code == 201


def test_work_on_many_documents_has_a_limit_of_its_own(make_world: Callable[..., World]) -> None:
    world = make_world(BULK_PER_MINUTE="2", UPLOADS_PER_MINUTE="1")
    visit, browser = world.record(), world.browser()
    [file] = world.store(visit, "a.txt")
    path = f"/documents/visit/{visit.id}/bulk"
    tries = [browser.post(path, action="category", category="referral", file_ids=file).status_code for _ in range(3)]
    assert tries == [200, 200, 429]
    assert Script(world.client()).get(f"/files/archive?ids={file}").status_code == 429
    assert {browser.get(f"/documents/visit/{visit.id}").status_code for _ in range(5)} == {200}


# --- the second step's codes ----------------------------------------------------------------------------------------


def test_a_code_is_valid_once_even_that_which_set_the_second_step_up(make_world: Callable[..., World]) -> None:
    world = world_of(make_world)
    phone = codes_of(signed_in(world))
    used, code = phone.generate().token, phone.generate(time.time() + 30).token
    first, second = world.client(None), world.client(None)
    for client in (first, second):
        send(client, "/sign-in", email=EMAIL, password=PASSWORD)
    assert [_code(first, used), _code(first, code), _code(second, code)] == [200, 302, 200]
    assert "There’s a problem" not in second.get("/sign-in/code").text


def test_nobody_is_locked_out_by_a_clock_that_was_a_year_ahead(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch, set_clock: SetClock
) -> None:
    world, clock = world_of(make_world, SIGN_IN_FAILURES="2"), time.time
    with monkeypatch.context() as wrong:
        wrong.setattr("time.time", lambda: clock() + YEAR.total_seconds())
        set_clock(YEAR)
        assert statuses(world, 3) == [200, 200, 429]
    set_clock(RIGHT)
    assert attempt(world, PASSWORD).status_code == 302
    assert statuses(world, 3) == [200, 200, 429]  # the limit holds with the right clock


def test_a_clock_that_is_adjusted_by_minutes_resets_no_count(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, clock = world_of(make_world, SIGN_IN_FAILURES="2"), time.time
    assert statuses(world, 3) == [200, 200, 429]
    monkeypatch.setattr("time.time", lambda: clock() + 60)
    assert attempt(world, PASSWORD).status_code == 429
