"""Accounts: who may have one, and what ends when it is disabled."""

from datetime import timedelta

import pytest

from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import Conflict, NotFound, Rejected
from medfiles.models import Session
from tests.support.factories import World

EMAIL, PASSWORD = "ada@sample.example", "a long enough password"


def test_a_password_is_never_stored(world: World) -> None:
    user = accounts.create(EMAIL, PASSWORD)
    assert str(user.password).startswith("$argon2id$")
    assert PASSWORD not in str(vars(user))
    assert accounts.has_password(EMAIL, PASSWORD)
    assert not accounts.has_password(EMAIL, f"{PASSWORD}!")


def test_one_address_has_one_account_however_it_is_written(world: World) -> None:
    accounts.create(EMAIL, PASSWORD)
    for again in (EMAIL, EMAIL.upper(), f"  {EMAIL} "):
        assert accounts.find(again).email == EMAIL
        with pytest.raises(Conflict, match="already has an account"):
            accounts.create(again, PASSWORD)


def test_an_account_needs_an_address_and_a_long_password(world: World) -> None:
    for address in ("", "ada", "ada@", "@sample.example", "a b@sample.example", "ada@sample"):
        with pytest.raises(Rejected, match="is not an email address"):
            accounts.create(address, PASSWORD)
    for password in ("", "123456789"):
        with pytest.raises(Rejected, match="10"):
            accounts.create(EMAIL, password)
    assert accounts.is_empty()


def test_a_new_password_replaces_the_old_one_unless_it_is_too_short(world: World) -> None:
    accounts.create(EMAIL, PASSWORD)
    with pytest.raises(Rejected):
        accounts.set_password(EMAIL, "short")
    assert accounts.has_password(EMAIL, PASSWORD)
    accounts.set_password(EMAIL, "another long password")
    assert accounts.has_password(EMAIL, "another long password")
    assert not accounts.has_password(EMAIL, PASSWORD)


def test_a_disabled_account_has_no_password_until_it_is_enabled(world: World) -> None:
    accounts.create(EMAIL, PASSWORD)
    accounts.disable(EMAIL)
    assert not accounts.has_password(EMAIL, PASSWORD)
    accounts.enable(EMAIL)
    assert accounts.has_password(EMAIL, PASSWORD)


def test_an_admin_is_one_until_the_role_is_taken_back(world: World) -> None:
    user = world.user()
    accounts.set_admin(user.email, True)
    accounts.set_admin(user.email, True)
    assert accounts.actor_for(accounts.find(user.email)).is_admin
    accounts.set_admin(user.email, False)
    accounts.set_admin(user.email, False)
    assert not accounts.actor_for(accounts.find(user.email)).is_admin


@pytest.mark.parametrize("verb", [accounts.disable, lambda email: accounts.set_password(email, PASSWORD)])
def test_every_session_ends_with_the_password_or_the_account(world: World, verb: object) -> None:
    world.client()
    world.client()
    world.client("otto@sample.example")
    assert callable(verb)
    verb("nora@sample.example")
    left = db.session.scalars(db.select(Session)).all()
    assert [session.owner for session in left] == [world.user("otto@sample.example").fs_uniquifier]


def test_only_ones_own_sessions_are_listed_and_ended(world: World) -> None:
    world.client()
    world.client("otto@sample.example")
    idle, longest = timedelta(minutes=30), timedelta(hours=12)
    [own] = accounts.sessions(world.actor(), idle, longest)
    [other] = accounts.sessions(world.actor("otto@sample.example"), idle, longest)
    with pytest.raises(NotFound):
        accounts.end_session(world.actor(), other.id)
    accounts.end_session(world.actor(), own.id)
    assert accounts.sessions(world.actor(), idle, longest) == []
    assert len(accounts.sessions(world.actor("otto@sample.example"), idle, longest)) == 1


def test_sessions_that_ended_by_time_are_forgotten(world: World) -> None:
    for _ in range(3):
        world.client()
    idle_one, old_one, _ = db.session.scalars(db.select(Session).order_by(Session.id)).all()
    idle_one.seen_at = now() - timedelta(minutes=31)
    old_one.created_at = now() - timedelta(hours=13)
    db.session.commit()
    assert accounts.clear_sessions(timedelta(minutes=30), timedelta(hours=12)) == 2
    assert accounts.clear_sessions(timedelta(minutes=30), timedelta(hours=12)) == 0
    assert db.session.scalar(db.select(db.func.count(Session.id))) == 1


def test_what_the_sign_in_library_would_stumble_over_is_refused_in_words(world: World) -> None:
    client = world.client(None)
    token = client.get("/sign-in").text.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]
    for entry in ({"password": "x" * 5000}, {"next": "http://["}, {"next": "//["}):
        answer = client.post("/sign-in", data={"csrf_token": token, "email": "a@sample.example", **entry})
        assert answer.status_code == 422


def test_nobody_gets_a_token_of_the_sign_in_library(world: World) -> None:
    client = world.client(None)
    answer = client.post("/sign-in?include_auth_token", json={"email": "a@sample.example", "password": "secret words"})
    assert answer.status_code == 415
    assert "authentication_token" not in answer.text


def test_a_form_of_unknown_length_is_refused_unread(world: World) -> None:
    answer = world.client(None).post(
        "/sign-in", headers={"Transfer-Encoding": "chunked"}, environ_overrides={"CONTENT_LENGTH": ""}
    )
    assert answer.status_code == 411


def test_a_lost_phone_is_taken_off_an_account_and_ends_its_sessions(world: World) -> None:
    user = world.user()
    user.tf_primary_method, user.tf_totp_secret = "authenticator", "x"
    db.session.commit()
    client = world.client()
    assert client.get("/account").status_code == 200
    runner = world.app.test_cli_runner()
    assert runner.invoke(args=["medfiles", "user", "second-step", user.email]).exit_code == 2
    assert runner.invoke(args=["medfiles", "user", "second-step", user.email, "--off"]).exit_code == 0
    db.session.expire_all()
    assert not user.tf_primary_method
    assert not user.tf_totp_secret
    assert client.get("/account").status_code == 302
