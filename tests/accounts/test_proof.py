"""Changes of how one signs in, tried from a session that was found open: each needs fresh proof of its own."""

import re
import time
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from passlib.totp import TOTP
from sqlalchemy import select, update

from medfiles.accounts import api_tokens
from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.models import ApiToken, Session, User
from tests.http.test_sessions import (
    EMAIL,
    PASSWORD,
    codes_of,
    confirm,
    form_token,
    is_in,
    next_code,
    send,
    sign_in,
    signed_in,
)
from tests.support.clocks import SetClock
from tests.support.factories import World, run_at_once, token_of

# Flask-Security builds its forms as WTForms would no longer like them.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
NEW = {"new_password": "another long password", "new_password_confirm": "another long password"}
TOKEN = {"name": "Scanner", "scope": "write", "days": "30"}
CHANGES: dict[str, tuple[str, dict[str, str]]] = {
    "password": ("/account/password", NEW),
    "two-step off": ("/account/second-step", {"setup": "disable"}),
    "two-step replaced": ("/account/second-step", {"setup": "authenticator"}),
    "token created": ("/account/tokens/new", TOKEN),
    "token confirmed": ("/account/tokens/1/confirm", {}),
    "token revoked": ("/account/tokens/1/revoke", {}),
}


@pytest.fixture
def ada(world: World) -> World:
    accounts.create(EMAIL, PASSWORD)
    return world


def post(client: FlaskClient, path: str, fields: dict[str, str]) -> tuple[int, str | None]:
    answer = client.post(path, data={"csrf_token": form_token(client.get("/account")), **fields})
    return answer.status_code, answer.location


def way_in() -> tuple[object, ...]:
    """Everything that opens the account."""
    db.session.rollback()
    user = db.session.scalars(select(User).execution_options(populate_existing=True)).one()
    tokens = db.session.scalars(select(ApiToken.id)).all()
    return user.password, user.tf_primary_method, user.tf_totp_secret, tuple(tokens)


@pytest.mark.parametrize("change", CHANGES)
def test_change_without_proof_asks_for_it_and_changes_nothing(ada: World, change: str) -> None:
    phone = codes_of(signed_in(ada))
    thief = ada.client(None)
    sign_in(thief)
    send(thief, "/sign-in/code", code=next_code(phone))
    path, fields = CHANGES[change]
    before = way_in()
    assert post(thief, path, fields) == (303, f"/account/verify?next={path}")
    assert thief.get(path).location == f"/account/verify?next={path}"
    assert way_in() == before


def test_password_without_the_code_is_no_proof(ada: World) -> None:
    client = signed_in(ada)
    phone = codes_of(client)
    for code in ("", "000000", phone.generate().token):  # none, wrong, already used
        assert confirm(client, code=code).status_code == 422
    assert client.get("/account/password").status_code == 303
    assert confirm(client, "wrong words", code=next_code(phone)).status_code == 422
    assert confirm(client, code=next_code(phone)).status_code == 303
    assert client.get("/account/password").status_code == 200


def test_proof_is_old_after_five_minutes(ada: World, set_clock: SetClock) -> None:
    client = signed_in(ada)
    confirm(client)
    for minutes, status in ((4, 200), (6, 303), (-6, 302)):  # before sign-in: the session itself is refused
        set_clock(timedelta(minutes=minutes))
        assert client.get("/account/password").status_code == status


@pytest.mark.parametrize(("minutes", "status"), [(4, 200), (6, 303)])
def test_proof_given_while_the_clock_was_ahead_is_none(ada: World, minutes: int, status: int) -> None:
    client = signed_in(ada)
    confirm(client)
    with transaction() as session:
        session.execute(update(Session).values(proved_at=now() + timedelta(minutes=minutes)))
    assert client.get("/account/password").status_code == status


@pytest.mark.parametrize("change", ["password", "two-step off", "token created"])
def test_proof_allows_one_change_and_ends_other_sessions(ada: World, change: str) -> None:
    here, elsewhere = signed_in(ada), signed_in(ada)
    confirm(here)
    path, fields = CHANGES[change]
    assert post(here, path, fields)[0] in (200, 302)
    assert is_in(here)
    assert not is_in(elsewhere)
    assert here.get("/account/password").location == "/account/verify?next=/account/password"


def test_proof_is_kept_by_a_change_that_fails(ada: World) -> None:
    here, elsewhere = signed_in(ada), signed_in(ada)
    confirm(here)
    for path, fields in (
        ("/account/password", NEW | {"new_password_confirm": "something else"}),
        ("/account/password", {"new_password": "short", "new_password_confirm": "short"}),
        ("/account/password", {"new_password": PASSWORD, "new_password_confirm": PASSWORD}),
        ("/account/tokens/new", TOKEN | {"name": ""}),
        ("/account/tokens/999999/revoke", {}),
    ):
        assert post(here, path, fields)[0] in (200, 404, 422)
    assert here.get("/account/password").status_code == 200
    assert is_in(elsewhere)
    assert accounts.has_password(EMAIL, PASSWORD)


def test_two_changes_at_once_need_two_proofs(ada: World) -> None:
    here = signed_in(ada)
    confirm(here)
    token, results = token_of(here), list[int]()
    cookie = here.get_cookie("medfiles")
    assert cookie

    def create() -> None:
        client = ada.client(None)
        client.set_cookie("medfiles", cookie.value)
        results.append(client.post("/account/tokens/new", data={"csrf_token": token, **TOKEN}).status_code)

    run_at_once([create] * 4)
    assert sorted(results) == [200, 303, 303, 303]
    assert len(way_in()[3]) == 1  # type: ignore[arg-type]


def test_suspended_token_is_confirmed_on_its_page(ada: World) -> None:
    client = signed_in(ada)
    token, text = api_tokens.create(accounts.actor_for(accounts.find(EMAIL)), "Scanner")
    path = f"/account/tokens/{token.id}/confirm"
    with transaction() as session:
        session.execute(update(ApiToken).values(suspended_at=now()))
    confirm(client)
    assert "Confirm “Scanner”" in client.get(path).text
    assert post(client, path, {})[0] == 303
    assert api_tokens.authenticate(text) is not None


def test_proof_of_one_session_is_none_of_another(ada: World) -> None:
    here, thief = signed_in(ada), signed_in(ada)
    confirm(here)
    assert thief.get("/account/tokens/new").status_code == 303


def test_setup_prepared_in_another_account_needs_proof(ada: World) -> None:
    """The address of the last step holds the new secret, and is not bound to the account that began."""
    accounts.create("eve@sample.example", PASSWORD)
    eve, victim = ada.client(None), signed_in(ada)
    sign_in(eve, "eve@sample.example")
    confirm(eve)
    page = send(eve, "/account/second-step", setup="authenticator")
    [action] = re.findall(r'action="(/account/second-step/[^"]+)"', page.text)
    [key] = re.findall(r'<code class="mf-key">([^<]+)</code>', page.text)
    code = TOTP(key=key.replace("-", "")).generate().token
    assert post(victim, action, {"code": code}) == (303, "/account/verify?next=/account/second-step")
    assert accounts.find(EMAIL).tf_primary_method is None


def test_second_step_of_sign_in_completes_no_setup_without_proof(ada: World, set_clock: SetClock) -> None:
    client = signed_in(ada)
    confirm(client)
    page = send(client, "/account/second-step", setup="authenticator")
    [key] = re.findall(r'<code class="mf-key">([^<]+)</code>', page.text)
    set_clock(timedelta(minutes=6))
    code = TOTP(key=key.replace("-", "")).generate().token
    assert post(client, "/sign-in/code", {"code": code})[0] == 303
    assert accounts.find(EMAIL).tf_primary_method is None


def test_a_phone_can_be_replaced_with_codes_of_the_same_half_minute(ada: World) -> None:
    here, elsewhere = signed_in(ada), signed_in(ada)
    old = codes_of(here)
    assert not is_in(elsewhere)
    confirm(here, code=next_code(old))
    page = send(here, "/account/second-step", setup="authenticator")
    [key] = re.findall(r'<code class="mf-key">([^<]+)</code>', page.text)
    [action] = re.findall(r'action="(/account/second-step/[^"]+)"', page.text)
    new = TOTP(key=key.replace("-", ""))
    assert post(here, action, {"code": new.generate().token}) == (302, "/account")
    client = ada.client(None)
    sign_in(client)
    assert send(client, "/sign-in/code", code=old.generate(time.time() + 60).token).status_code == 200
    assert send(client, "/sign-in/code", code=new.generate(time.time() + 30).token).status_code == 302


def test_a_new_password_by_command_leaves_two_step_verification_on(ada: World) -> None:
    phone = codes_of(signed_in(ada))
    accounts.set_password(EMAIL, "another long password")
    client = ada.client(None)
    assert sign_in(client, password="another long password").location.startswith("/sign-in/code")
    assert not is_in(client)
    send(client, "/sign-in/code", code=next_code(phone))
    assert is_in(client)


@pytest.mark.parametrize("change", ["password", "two-step off"])
def test_change_leaves_a_way_to_sign_in(ada: World, change: str) -> None:
    here = signed_in(ada)
    confirm(here)
    path, fields = CHANGES[change]
    post(here, path, fields)
    client = ada.client(None)
    sign_in(client, password=NEW["new_password"] if change == "password" else PASSWORD)
    assert is_in(client)


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/account/tokens/new", "/account/tokens/new"),
        ("https://evil.example/account/", "/account"),
        ("//evil.example/account/", "/account"),
        ("/patients/1", "/account"),
        ("http://[bad", "/account"),
        ("", "/account"),
    ],
)
def test_confirmation_leads_only_to_pages_of_the_account(ada: World, wanted: str, led: str) -> None:
    client = signed_in(ada)
    token = form_token(client.get("/account/verify"))
    form = {"csrf_token": token, "password": PASSWORD}
    assert client.post("/account/verify", query_string={"next": wanted}, data=form).location == led


def test_confirmation_works_without_script(ada: World) -> None:
    client = signed_in(ada)
    page = client.get("/account/tokens/new", follow_redirects=True)
    [action] = re.findall(r'action="(/account/verify[^"]*)"', page.text)
    form = {"csrf_token": form_token(page), "password": PASSWORD}
    shown = client.post(action, data=form, follow_redirects=True)
    assert (shown.status_code, "<h1>Create API token</h1>" in shown.text) == (200, True)
