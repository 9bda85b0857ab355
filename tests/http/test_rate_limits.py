"""Too often: wrong passwords, codes and tokens, uploads, work on many documents; and nobody is locked out for long."""

import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from flask.testing import FlaskClient

from medfiles.accounts import service as accounts
from tests.http.test_sessions import EMAIL, PASSWORD, codes_of, form_token, send, signed_in
from tests.support import samples
from tests.support.api_client import Script, problem
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


def _code(client: FlaskClient, code: str) -> int:
    token = form_token(client.get("/sign-in/code"))
    return client.post("/sign-in/code", data={"csrf_token": token, "code": code}).status_code


def test_a_session_that_was_found_open_does_not_lead_to_the_password(make_world: Callable[..., World]) -> None:
    world = world_of(make_world, SIGN_IN_FAILURES="2")
    client = signed_in(world)
    token = {"name": "Scanner", "scope": "read", "days": "30", "password": PASSWORD}
    assert [send(client, "/account/tokens/new", **token).status_code for _ in range(3)] == [200] * 3
    new = {"new_password": "other words of mine", "new_password_confirm": "other words of mine"}
    tries = [send(client, "/account/password", password="guess", **new).status_code for _ in range(3)]
    assert tries[-1] == 429
    assert send(client, "/account/tokens/new", **token).status_code == 429


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
