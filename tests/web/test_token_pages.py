"""Tokens on the account page and by command: made with the password, shown this one time, revoked."""

import json
import re
from datetime import timedelta

import lxml.html
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.models import ApiToken
from tests.cli.test_commands import FINDINGS, MISUSE, run
from tests.http.test_sessions import EMAIL, PASSWORD, confirm, send, signed_in
from tests.support import large_lists
from tests.support.api_client import with_token
from tests.support.factories import World, token_of

# Flask-Security builds its forms as WTForms would no longer like them.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
TOKEN = re.compile(r"mf_[0-9a-f]{16}_[\w-]{43}")
FORM = {"name": "Scanner in the hall", "scope": "write", "patient": "", "days": "30"}


@pytest.fixture
def ada(world: World) -> World:
    accounts.create(EMAIL, PASSWORD)
    world.user()
    return world


@pytest.fixture
def here(ada: World) -> FlaskClient:
    return signed_in(ada)


def rows() -> list[ApiToken]:
    db.session.rollback()
    return list(db.session.scalars(select(ApiToken).order_by(ApiToken.id)))


def make(client: FlaskClient, **wrong: str) -> TestResponse:
    confirm(client)
    return send(client, "/account/tokens/new", **{**FORM, **wrong})


def shown(page: TestResponse) -> str:
    [text] = lxml.html.fromstring(page.data).xpath("//input[@id='token']/@value")
    assert TOKEN.fullmatch(text)
    return str(text)


# --- pages --------------------------------------------------------------------------------------------------------


def test_a_token_is_made_and_shown_this_one_time(ada: World, here: FlaskClient) -> None:
    page = make(here)
    text = shown(page)
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "private, no-store")
    assert with_token(ada, text).get("/patients").status_code == 200
    for path in ("/account", "/account/tokens/new", "/"):
        assert TOKEN.search(here.get(path).text) is None
    [row] = rows()
    assert (row.name, row.scope, row.patient_id) == ("Scanner in the hall", "write", None)
    assert row.expires_at is not None
    assert timedelta(days=29) < row.expires_at - now() < timedelta(days=30)


def test_a_token_may_be_for_one_patient(ada: World, here: FlaskClient) -> None:
    values = {"first_name": "Ella", "last_name": "Sample", "birth_date": "2018-03-02"}
    assert send(here, "/patients/new", **values).status_code == 303
    confirm(here)
    [choice] = lxml.html.fromstring(here.get("/account/tokens/new").data).xpath(
        "//select[@name='patient']/option[@value!='']/@value"
    )
    by = with_token(ada, shown(make(here, patient=choice, days="0")))
    assert [found["first_name"] for found in by.get("/patients").get_json()] == ["Ella"]
    [row] = rows()
    assert (row.patient_id, row.expires_at) == (int(choice), None)
    assert "Ella Sample" in here.get("/account").text


MISTAKES: tuple[tuple[dict[str, str], str], ...] = (
    ({"name": ""}, "Enter a name."),
    ({"scope": "admin"}, ""),
    ({"days": "-1"}, ""),
    ({"patient": "9" * 40}, "not have access to it"),
    ({"patient": "Ella"}, "not have access to it"),
)


def test_of_very_many_patients_those_used_last_are_offered(ada: World, here: FlaskClient) -> None:
    large_lists.patients(accounts.find(EMAIL).id, 5000, 210)
    assert here.get("/patients/5205").status_code == 200
    confirm(here)
    form = lxml.html.fromstring(here.get("/account/tokens/new").data)
    [select] = form.xpath("//select[@name='patient']")
    assert (len(select), [one.get("value") for one in select[:2]]) == (201, ["", "5205"])
    assert "The 200 patients you used last." in form.text_content()


def test_a_form_with_a_mistake_makes_no_token_and_is_shown_again(here: FlaskClient) -> None:
    for wrong, said in MISTAKES:
        page = make(here, **wrong)
        assert (page.status_code, said in page.text) == (422, True), wrong
        assert TOKEN.search(page.text) is None
    assert rows() == []


def test_a_token_is_revoked_with_one_button(ada: World, here: FlaskClient) -> None:
    by = with_token(ada, shown(make(here)))
    [action] = lxml.html.fromstring(here.get("/account").data).xpath("//a[contains(@href, '/revoke')]/@href")
    assert here.get(action).location == f"/account/verify?next={action}"
    confirm(here)
    assert "This token was not used to give anyone access." in here.get(action).text
    answer = here.post(action, data={"csrf_token": token_of(here)}, follow_redirects=True)
    assert "revoked. It no longer works." in answer.text
    assert "Scanner in the hall" in answer.text
    assert by.get("/patients").status_code == 401
    confirm(here)
    assert here.post(action, data={"csrf_token": token_of(here)}).status_code == 404


def test_the_account_page_lists_what_each_token_may_do_under_the_name_that_was_entered(here: FlaskClient) -> None:
    name = "<script>alert(1)</script>\"'{{7*7}}"
    assert name in lxml.html.fromstring(make(here, name=name).data).text_content()
    page = " ".join(lxml.html.fromstring(here.get("/account").data).text_content().split())
    assert all(words in page for words in (name, "Can edit everything you have access to", "never used"))
    [row] = rows()
    row.expires_at = now() - timedelta(seconds=1)
    db.session.commit()
    page = lxml.html.fromstring(here.get("/account").data)
    assert page.xpath("//li[.//strong]//*[@class='mf-chip']/text()") == ["Expired"]


# --- commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def eve(world: World) -> World:
    """An account that nobody signs in to: no password is hashed for it."""
    world.user(EMAIL)
    world.user()
    return world


def test_a_created_token_is_printed_for_people_and_for_programs(eve: World) -> None:
    result = run(eve, "token", "create", EMAIL, "--name", "Scanner", "--scope", "write")
    assert result.exit_code == 0
    assert with_token(eve, result.stdout.split()[-1]).get("/patients").status_code == 200
    [row] = rows()
    assert (row.scope, (row.expires_at or now()) - now() > timedelta(days=364)) == ("write", True)
    patient = eve.patient().id
    words = ("--name", "Scanner", "--patient", str(patient), "--days", "0", "--json")
    said = json.loads(run(eve, "token", "create", "nora@sample.example", *words).stdout)
    assert (said["name"], said["scope"], said["expires_at"]) == ("Scanner", "read", None)
    assert [each["id"] for each in with_token(eve, said["token"]).get("/patients").get_json()] == [patient]


MISUSED: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("nobody@sample.example", "--name", "Scanner"), FINDINGS, "no account"),
    ((EMAIL, "--name", "Scanner", "--patient", "1999999"), FINDINGS, "do not have access"),
    ((EMAIL, "--name", "Scanner", "--patient", "9" * 30), MISUSE, "--patient"),
    ((EMAIL, "--name", "Scanner", "--days", "4000"), MISUSE, "3650"),
    ((EMAIL, "--name", "Scanner", "--scope", "admin"), MISUSE, "--scope"),
    ((EMAIL,), MISUSE, "--name"),
)


def test_a_command_with_a_mistake_makes_no_token(eve: World) -> None:
    for words, status, said in MISUSED:
        result = run(eve, "token", "create", *words)
        assert (result.exit_code, said in result.stderr) == (status, True), result.output
        assert "Traceback" not in result.output
    assert rows() == []


def test_tokens_are_listed_without_what_opens_anything(eve: World) -> None:
    text = run(eve, "token", "create", EMAIL, "--name", "Scanner").stdout.split()[-1]
    listed = run(eve, "token", "list", EMAIL)
    assert listed.exit_code == 0
    assert "Scanner" in listed.stdout
    assert TOKEN.search(listed.output) is None
    [said] = json.loads(run(eve, "token", "list", EMAIL, "--json").stdout)["tokens"]
    assert (said["name"], said["scope"], said["used_at"]) == ("Scanner", "read", None)
    assert text.split("_", 2)[2] not in json.dumps(said)


def test_a_token_is_revoked_by_command(eve: World) -> None:
    by = with_token(eve, run(eve, "token", "create", EMAIL, "--name", "Scanner").stdout.split()[-1])
    number = str(rows()[0].id)
    for email, status, answer in (("nora@sample.example", FINDINGS, 200), (EMAIL, 0, 401), (EMAIL, FINDINGS, 401)):
        assert run(eve, "token", "revoke", email, number).exit_code == status
        assert by.get("/patients").status_code == answer
    assert run(eve, "token", "revoke", EMAIL, "9" * 30).exit_code == MISUSE


def test_revoking_by_command_lists_the_access_the_token_gave(eve: World) -> None:
    patient = eve.patient(EMAIL).id
    text = run(eve, "token", "create", EMAIL, "--name", "Scanner", "--scope", "share").stdout.split()[-1]
    share = with_token(eve, text).post(f"/patients/{patient}/shares", {"email": "max@sample.example", "level": "view"})
    result = run(eve, "token", "revoke", EMAIL, str(rows()[0].id), "--json")
    [said] = json.loads(result.stdout)["shared"]
    assert said == {
        "id": share.get_json()["id"],
        "patient_id": patient,
        "email": "max@sample.example",
        "level": "view",
        "accepted_at": None,
    }


def test_revoking_a_token_lists_the_access_it_gave(ada: World, here: FlaskClient) -> None:
    ada._users[EMAIL] = accounts.find(EMAIL).id
    patient = ada.patient(EMAIL).id
    by = with_token(ada, shown(make(here, scope="share")))
    for level in ("view", "edit"):
        share = {"email": f"{level}@sample.example", "level": level}
        assert by.post(f"/patients/{patient}/shares", share).status_code == 201
    ada.share(ada.records(EMAIL).patient(patient).patient, "by-hand@sample.example")
    action = f"/account/tokens/{rows()[0].id}/revoke"
    confirm(here)
    pages = [here.get(action), here.post(action, data={"csrf_token": token_of(here)})]
    for page in pages:
        listed = [" ".join(item.text_content().split()) for item in lxml.html.fromstring(page.data).xpath("//main//li")]
        assert [item.partition(" (invitation pending)")[0] for item in listed] == [
            "edit@sample.example can edit Ella Sample",
            "view@sample.example can view Ella Sample",
        ]
    assert by.get("/patients").status_code == 401


def test_a_suspended_token_works_again_once_its_owner_confirms_it(ada: World, here: FlaskClient) -> None:
    by = with_token(ada, shown(make(here)))
    with transaction() as session:
        session.execute(update(ApiToken).values(suspended_at=now()))
    answer = by.get("/patients")
    assert (answer.status_code, "suspended" in answer.get_json()["detail"]) == (401, True)
    page = lxml.html.fromstring(here.get("/account").data)
    assert "Suspended" in page.text_content()
    [action] = page.xpath("//a[contains(@href, '/confirm')]/@href")
    confirm(here)
    answer = here.post(action, data={"csrf_token": token_of(here)}, follow_redirects=True)
    assert ("confirmed. It works again." in answer.text, "Suspended" in answer.text) == (True, False)
    assert by.get("/patients").status_code == 200
    [event] = ada.events(action="confirm-token")
    assert (event.outcome, event.personal["name"]) == ("done", "Scanner in the hall")


def test_a_suspended_token_is_listed_and_confirmed_by_command(eve: World) -> None:
    by = with_token(eve, run(eve, "token", "create", EMAIL, "--name", "Scanner").stdout.split()[-1])
    with transaction() as session:
        session.execute(update(ApiToken).values(suspended_at=now()))
    assert "suspended  Scanner" in run(eve, "token", "list", EMAIL).stdout
    assert run(eve, "token", "confirm", EMAIL, str(rows()[0].id)).exit_code == 0
    assert "suspended" not in run(eve, "token", "list", EMAIL).stdout
    assert by.get("/patients").status_code == 200
