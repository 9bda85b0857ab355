"""Signing in and out as people do it, and when a session ends without being asked."""

import re
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Response, session
from flask.testing import FlaskClient
from passlib.totp import TOTP
from werkzeug.test import TestResponse

from medfiles.accounts import service as accounts
from medfiles.database.session import db
from medfiles.models import Session
from tests.support.clocks import SetClock
from tests.support.factories import World

# Flask-Security builds its forms as WTForms would no longer like them.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
EMAIL, PASSWORD = "ada@sample.example", "a long enough password"
COOKIE = "medfiles"


@pytest.fixture
def ada(world: World) -> World:
    """An installation with an account that has a real password."""
    accounts.create(EMAIL, PASSWORD)
    return world


@pytest.fixture
def later(set_clock: SetClock) -> SetClock:
    return set_clock


def form_token(page: TestResponse) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def send(client: FlaskClient, path: str, at: str = "", **fields: str) -> TestResponse:
    """Fill in the form that the page `at` (default: the same address) shows, and send it."""
    return client.post(path, data={"csrf_token": form_token(client.get(at or path)), **fields})


def sign_in(client: FlaskClient, email: str = EMAIL, password: str = PASSWORD, **more: str) -> TestResponse:
    return send(client, "/sign-in", email=email, password=password, **more)


def signed_in(world: World) -> FlaskClient:
    client = world.client(None)
    assert sign_in(client).status_code == 302
    return client


def confirm(client: FlaskClient, password: str = PASSWORD, **code: str) -> TestResponse:
    """Prove on the page for it who is there."""
    return send(client, "/account/verify", password=password, **code)


def is_in(client: FlaskClient) -> bool:
    return client.get("/").status_code == 200


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie(COOKIE)
    assert found
    return found.value


def rows() -> list[Session]:
    db.session.rollback()
    return list(db.session.scalars(db.select(Session).execution_options(populate_existing=True)))


# --- signing in ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["мой очень длинный 🗝 kêy", "  spaces at both ends  "])
def test_a_password_may_be_written_in_any_script(world: World, password: str) -> None:
    accounts.create(EMAIL, password)
    client = world.client(None)
    answer = sign_in(client, password=password)
    assert (answer.status_code, answer.location) == (302, "/")
    assert is_in(client)


def test_an_unknown_address_and_a_wrong_password_get_the_same_answer(ada: World) -> None:
    pages = [
        sign_in(ada.client(None), password="not the password"),
        sign_in(ada.client(None), email="nobody@sample.example"),
    ]
    shown = [re.sub(r'(value|data-mf-csrf)="[^"]*"', "", page.text) for page in pages]
    assert shown[0] == shown[1]
    assert pages[0].status_code == pages[1].status_code
    assert "There’s a problem" in shown[0]
    assert "Authentication failed" not in shown[0]  # the library's words


def test_a_disabled_account_stays_outside(ada: World) -> None:
    accounts.disable(EMAIL)
    client = ada.client(None)
    sign_in(client)
    assert not is_in(client)


def test_signing_in_leads_back_to_where_one_was_going(ada: World) -> None:
    client = ada.client(None)
    wanted = client.get("/patients/new").location
    assert wanted == "/sign-in?next=/patients/new"
    token = form_token(client.get(wanted))
    answer = client.post(wanted, data={"csrf_token": token, "email": EMAIL, "password": PASSWORD})
    assert answer.location == "/patients/new"


def test_the_session_gets_a_new_id_at_sign_in(ada: World) -> None:
    client = ada.client(None)
    client.get("/sign-in")
    before = cookie(client)
    sign_in(client)
    thief = ada.client(None)
    thief.set_cookie(COOKIE, before)
    assert cookie(client) != before
    assert not is_in(thief)


def test_an_id_somebody_made_up_is_never_taken_over(ada: World) -> None:
    client, thief = ada.client(None), ada.client(None)
    for browser in (client, thief):
        browser.set_cookie(COOKIE, "made-up-by-somebody-else")
    sign_in(client)
    assert cookie(client) != "made-up-by-somebody-else"
    assert is_in(client)
    assert not is_in(thief)


def test_the_table_of_sessions_gives_no_cookie_away(ada: World) -> None:
    client = signed_in(ada)
    assert all(cookie(client) not in str(vars(row)) for row in rows())


# --- before sign-in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in?next=/account", "/sign-in/code", "/", "/account", "/nowhere"])
def test_no_page_before_sign_in_writes_a_row(ada: World, path: str) -> None:
    client = ada.client(None)
    for _ in range(3):
        client.get(path)
    assert rows() == []
    assert ada.events(action="sign-in") == []


def test_a_wrong_password_leaves_no_session(ada: World) -> None:
    sign_in(ada.client(None), password="not the password")
    assert rows() == []


def test_the_token_of_one_visitor_is_not_valid_for_another(ada: World) -> None:
    victim, attacker = ada.client(None), ada.client(None)
    victim.get("/sign-in")
    form = {"csrf_token": form_token(attacker.get("/sign-in")), "email": EMAIL, "password": PASSWORD}
    for client in (victim, ada.client(None)):
        assert client.post("/sign-in", data=form).status_code == 403
        assert not is_in(client)


@pytest.mark.parametrize("forged", ["visitor.", "visitor.e30.x.y", "visitor.eyJfdXNlciJ9.Z-a.def", "visitor"])
def test_a_forged_visitor_cookie_holds_nothing(ada: World, forged: str) -> None:
    client = ada.client(None)
    client.set_cookie(COOKIE, forged)
    assert sign_in(client).status_code == 302
    assert is_in(client)


@pytest.mark.parametrize(
    ("ahead", "status"),
    [
        (timedelta(hours=11), 302),
        (timedelta(hours=13), 403),
        (timedelta(minutes=-4), 302),  # the clocks of two servers differ
        (timedelta(minutes=-6), 403),
    ],
)
def test_a_visitor_cookie_is_valid_for_the_longest_session(
    ada: World, later: SetClock, ahead: timedelta, status: int
) -> None:
    client = ada.client(None)
    form = {"csrf_token": form_token(client.get("/sign-in")), "email": EMAIL, "password": PASSWORD}
    later(ahead)
    assert client.post("/sign-in", data=form).status_code == status


def test_what_a_visitor_held_opens_nothing_after_sign_in(ada: World) -> None:
    client, thief = ada.client(None), ada.client(None)
    client.get("/sign-in")
    thief.set_cookie(COOKIE, cookie(client))
    before = form_token(client.get("/sign-in"))
    sign_in(client)
    assert not is_in(thief)
    assert client.post("/sign-out", data={"csrf_token": before}).status_code == 403


# --- cookies ------------------------------------------------------------------------------------------------------


def cookie_flags(answer: TestResponse) -> set[str]:
    [line] = [line for line in answer.headers.getlist("Set-Cookie") if "medfiles=" in line]
    name, *flags = (part.strip() for part in line.split(";"))
    return {name.split("=")[0], *flags}


def test_the_cookie_is_closed_to_scripts_and_other_sites(ada: World) -> None:
    assert cookie_flags(sign_in(ada.client(None))) == {"medfiles", "HttpOnly", "SameSite=Lax", "Path=/"}


def test_behind_https_the_cookie_is_for_this_host_and_encrypted_connections_only(
    make_world: Callable[..., World],
) -> None:
    world = make_world(HTTPS="1")
    flags = cookie_flags(world.client(None).get("/sign-in", base_url="https://localhost"))
    assert flags == {"__Host-medfiles", "HttpOnly", "SameSite=Lax", "Path=/", "Secure"}


def test_nobody_is_remembered_beyond_the_session(ada: World) -> None:
    client = ada.client(None)
    answer = sign_in(client, remember="y")
    assert answer.status_code == 302
    assert "remember_token" not in "".join(answer.headers.getlist("Set-Cookie"))
    client.delete_cookie(COOKIE)
    assert not is_in(client)


# --- the end of a session -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/sign-out", "/account/sign-out"])
def test_signing_out_takes_a_post_and_ends_the_session_of_a_copied_cookie_too(ada: World, path: str) -> None:
    client, thief = signed_in(ada), ada.client(None)
    thief.set_cookie(COOKIE, cookie(client))
    assert client.get(path).status_code == 405
    assert is_in(thief)
    send(client, path, at="/account")
    assert not is_in(thief)
    assert not is_in(client)


@pytest.mark.parametrize("path", ["/sign-out", "/account/sign-out"])
def test_sign_out_leaves_no_row_and_clears_the_cache(ada: World, path: str) -> None:
    client = signed_in(ada)
    answer = send(client, path, at="/account")
    assert answer.headers["Clear-Site-Data"] == '"cache"'
    assert rows() == []
    assert "Signed out." in client.get("/sign-in").text


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(ada: World) -> None:
    here, elsewhere = signed_in(ada), signed_in(ada)
    before = cookie(here)
    confirm(here)
    words = {"new_password": "another long password", "new_password_confirm": "another long password"}
    assert send(here, "/account/password", **words).status_code == 302
    assert is_in(here)
    assert not is_in(elsewhere)
    assert cookie(here) != before
    thief = ada.client(None)
    thief.set_cookie(COOKIE, before)
    assert not is_in(thief)
    assert accounts.has_password(EMAIL, "another long password")


def test_a_wrong_current_password_changes_nothing(ada: World) -> None:
    here, elsewhere = signed_in(ada), signed_in(ada)
    token = form_token(here.get("/account"))
    page = confirm(here, "not the password")
    assert (page.status_code, "Wrong password." in page.text) == (422, True)
    words = {"new_password": "another long password", "new_password_confirm": "another long password"}
    answer = here.post("/account/password", data={"csrf_token": token, **words})
    assert (answer.status_code, answer.location) == (303, "/account/verify?next=/account/password")
    assert is_in(here)
    assert is_in(elsewhere)
    assert accounts.has_password(EMAIL, PASSWORD)


def test_another_device_is_signed_out_from_the_account_page(ada: World) -> None:
    here, elsewhere = signed_in(ada), signed_in(ada)
    [path] = re.findall(r'action="(/account/sessions/\d+/end)"', here.get("/account").text)
    assert send(here, path, at="/account").location == "/account"
    assert is_in(here)
    assert not is_in(elsewhere)


@pytest.mark.parametrize("idle", [30, 5])
def test_a_session_lasts_while_it_is_used_and_ends_after_the_idle_time(
    make_world: Callable[..., World], later: Callable[[timedelta], None], idle: int
) -> None:
    client = make_world(**({} if idle == 30 else {"IDLE_MINUTES": str(idle)})).client()
    for minutes in (idle - 1, 2 * idle - 2):
        later(timedelta(minutes=minutes))
        assert is_in(client)
    later(timedelta(minutes=3 * idle))
    assert not is_in(client)


def test_what_pages_ask_for_by_themselves_keeps_no_session_alive(
    world: World, later: Callable[[timedelta], None]
) -> None:
    record = world.record()
    client = world.client()
    for minutes in (10, 20, 29):
        later(timedelta(minutes=minutes))
        for path in (f"/documents/visit/badges?ids={record.id}", f"/documents/visit/{record.id}/badge"):
            assert client.get(path, headers={"HX-Request": "true"}).status_code == 200
    later(timedelta(minutes=31))
    assert not is_in(client)


def test_a_session_ends_after_twelve_hours_even_when_used(ada: World, later: Callable[[timedelta], None]) -> None:
    client = signed_in(ada)
    for minutes in range(29, 12 * 60, 29):
        later(timedelta(minutes=minutes))
        assert is_in(client)
    later(timedelta(hours=12, minutes=1))
    assert not is_in(client)


def test_a_request_under_way_does_not_bring_an_ended_session_back(ada: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = signed_in(ada)

    def signed_out_meanwhile() -> Response:
        accounts.disable(EMAIL)
        session["something"] = "to save"
        return Response("late")

    monkeypatch.setitem(ada.app.view_functions, "records.home", signed_out_meanwhile)
    assert client.get("/").text == "late"
    monkeypatch.undo()
    accounts.enable(EMAIL)
    assert not is_in(client)
    assert [row for row in rows() if row.owner] == []


def test_no_token_of_the_library_outlives_or_replaces_a_session(ada: World) -> None:
    client = ada.client(None)
    headers = {"Accept": "application/json", "X-CSRFToken": form_token(client.get("/sign-in"))}
    credentials = {"email": EMAIL, "password": PASSWORD}
    answer = client.post("/sign-in?include_auth_token", json=credentials, headers=headers)
    found = re.search(r'"authentication_token": ?"([^"]+)"', answer.text)
    token = found[1] if found else accounts.find(EMAIL).get_auth_token()
    by_header = ada.client(None).get("/", headers={"Authentication-Token": token})
    by_query = ada.client(None).get("/", query_string={"auth_token": token})
    assert (by_header.status_code, by_query.status_code) == (302, 302)


# --- the second step ----------------------------------------------------------------------------------------------


def codes_of(client: FlaskClient) -> TOTP:
    """Turn the second step on as a person does, and keep what their phone would."""
    confirm(client)
    page = send(client, "/account/second-step", setup="authenticator")
    key = re.search(r'<code class="mf-key">([^<]+)</code>', page.text)
    assert key, page.text
    phone = TOTP(key=key[1].replace("-", ""))
    [action] = re.findall(r'action="(/account/second-step/[^"]+)"', page.text)
    code = {"csrf_token": form_token(page), "code": phone.generate().token}
    assert client.post(action, data=code).status_code == 302
    return phone


def next_code(phone: TOTP) -> str:
    """The one that set it up is used."""
    return str(phone.generate(time.time() + 30).token)


def test_with_the_second_step_one_is_signed_in_by_password_and_code(ada: World) -> None:
    phone = codes_of(signed_in(ada))
    client = ada.client(None)
    assert sign_in(client).location.startswith("/sign-in/code")
    assert not is_in(client)
    wrong = f"{(int(next_code(phone)) + 1) % 1_000_000:06}"
    assert "There’s a problem" in send(client, "/sign-in/code", code=wrong).text
    assert not is_in(client)
    assert send(client, "/sign-in/code", code=next_code(phone)).status_code == 302
    assert is_in(client)


def test_nobody_turns_the_second_step_off_before_passing_it(ada: World) -> None:
    codes_of(signed_in(ada))
    client = ada.client(None)
    sign_in(client)
    token = form_token(client.get("/sign-in/code"))
    for path in ("/account/second-step", "/account/password", "/account"):
        client.post(path, data={"csrf_token": token, "setup": "disable"})
    assert accounts.find(EMAIL).tf_primary_method == "authenticator"


def test_the_page_with_the_key_is_not_cached_and_alone_has_a_picture_from_a_data_url(ada: World) -> None:
    client = signed_in(ada)
    confirm(client)
    page = send(client, "/account/second-step", setup="authenticator")
    assert page.headers["Cache-Control"] == "private, no-store"
    assert "data:" in client.get("/account/second-step").headers["Content-Security-Policy"]
    assert "data:" not in client.get("/account").headers["Content-Security-Policy"]


# --- registration -------------------------------------------------------------------------------------------------


def test_where_it_is_allowed_anybody_makes_an_account_of_their_own(make_world: Callable[..., World]) -> None:
    world = make_world(REGISTRATION="1")
    client = world.client(None)
    words = {"email": EMAIL, "password": PASSWORD, "password_confirm": PASSWORD}
    assert send(client, "/register", **words).status_code == 302
    fresh = world.client(None)
    sign_in(fresh)
    assert is_in(fresh)


def test_a_fragment_leads_back_to_no_page_of_another_site(world: World) -> None:
    for around in ("http://[bad", "http://localhost//evil.example/", "javascript:alert(1)"):
        answer = world.client(None).get("/account", headers={"HX-Request": "true", "HX-Current-URL": around})
        assert (answer.status_code, "next=" in answer.text) == (401, False)
