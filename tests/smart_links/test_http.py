"""What apps get from the address of a SMART Health Link: the file, the manifest, refusals, headers, events."""

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.http import rate_limits
from medfiles.models import EntityFile, ShareLink, SmartLink
from medfiles.smart_links.rules import LOCATION_SECONDS
from medfiles.web import shl
from tests.smart_links.doubles import decrypted, pdfs, row_of, stored
from tests.smart_links.doubles import told as told
from tests.support.factories import Smart, World

PASSCODE, DESK = "482107", "Front desk"
ORIGIN = {"Origin": "https://app.example"}


@pytest.fixture
def app(world: World, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """An app on another site, without an account."""
    monkeypatch.setitem(world.app.config, "MEDFILES_PUBLIC_URL", "http://localhost")
    return world.app.test_client()


@pytest.fixture
def file(world: World) -> EntityFile:
    return world.attach(world.record(), "Letter.pdf")


def shared(world: World, file: EntityFile, **more: Any) -> ShareLink:
    return world.link(file, allow_download=True, **more).link


def fetch(app: FlaskClient, smart: Smart, recipient: str | None = DESK, **more: Any) -> TestResponse:
    query = {} if recipient is None else {"recipient": recipient}
    return app.get(smart.path, query_string=query, headers=ORIGIN, buffered=True, **more)


def ask(app: FlaskClient, smart: Smart, **body: Any) -> TestResponse:
    body = {"recipient": DESK, **body}
    return app.post(f"{smart.path}/manifest", json=body, headers=ORIGIN, buffered=True)


def json_of(answer: TestResponse) -> dict[str, Any]:
    return dict(answer.json or {})


# --- one file -----------------------------------------------------------------------------------------------------


def test_direct_link_answers_one_jwe(world: World, app: FlaskClient, file: EntityFile) -> None:
    smart = world.smart(shared(world, file))
    answer = fetch(app, smart)
    assert (answer.status_code, answer.mimetype) == (200, "application/jose")
    assert answer.data == stored(world, smart)
    assert answer.content_length == len(answer.data)
    assert list(pdfs(decrypted(answer.data, smart.key))) == ["Documents of Ella Sample", "Letter"]


@pytest.mark.parametrize("recipient", [None, "", "   "])
def test_without_a_recipient_nothing_is_given(
    world: World, app: FlaskClient, file: EntityFile, recipient: str | None
) -> None:
    smart, before = world.smart(shared(world, file)), len(world.events())
    assert fetch(app, smart, recipient).status_code == 400
    assert len(world.events()) == before


def test_head_is_refused_and_logs_nothing(world: World, app: FlaskClient, file: EntityFile) -> None:
    smart, before = world.smart(shared(world, file)), len(world.events())
    answer = app.head(f"{smart.path}?recipient=Bot")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, OPTIONS")
    assert len(world.events()) == before


def test_fetching_is_an_opening_by_the_recipient(world: World, app: FlaskClient, file: EntityFile) -> None:
    link = shared(world, file)
    fetch(app, world.smart(link), "  Front   desk ")
    [opening] = world.links().openings(link.id)
    assert (opening.reader, opening.address, opening.files) == (DESK, "127.0.0.0/24", [(file.id, "Letter.pdf", True)])


def test_long_name_of_a_recipient_is_cut(world: World, app: FlaskClient, file: EntityFile) -> None:
    link = shared(world, file)
    assert fetch(app, world.smart(link), "x" * 200).status_code == 200
    assert [one.reader for one in world.links().openings(link.id)] == ["x" * 80]


def test_events_are_there_before_the_first_byte(
    world: World, app: FlaskClient, file: EntityFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    smart, logged = world.smart(shared(world, file)), list[str]()

    def send(_: Any) -> None:
        logged.extend(event.action for event in world.events() if event.action.startswith(("open", "download")))
        raise KeyboardInterrupt

    monkeypatch.setattr(shl, "send_encrypted", send)
    with pytest.raises(KeyboardInterrupt):
        fetch(app, smart)
    assert logged == ["open-link", "download-by-link"]


def test_direct_link_has_no_manifest(world: World, app: FlaskClient, file: EntityFile) -> None:
    assert ask(app, world.smart(shared(world, file))).status_code == 404


def test_link_with_a_manifest_has_no_direct_file(world: World, app: FlaskClient, file: EntityFile) -> None:
    assert fetch(app, world.smart(shared(world, file), "app")).status_code == 404


# --- manifest -----------------------------------------------------------------------------------------------------


def test_manifest_names_a_location(world: World, app: FlaskClient, file: EntityFile) -> None:
    link = shared(world, file)
    smart = world.smart(link, "app")
    answer = ask(app, smart)
    [found] = json_of(answer)["files"]
    assert answer.status_code == 200
    assert (found["contentType"], found["status"]) == ("application/fhir+json", "finalized")
    assert found["lastUpdated"].endswith("Z")
    assert "Retry-After" not in answer.headers
    got = app.get(found["location"], headers=ORIGIN, buffered=True)
    assert (got.status_code, got.mimetype, got.data) == (200, "application/jose", stored(world, smart))
    [opening] = world.links().openings(link.id)
    assert opening.files == [(file.id, "Letter.pdf", True)]


def test_nothing_counts_as_downloaded_until_the_location_is_fetched(
    world: World, app: FlaskClient, file: EntityFile
) -> None:
    link = shared(world, file)
    ask(app, world.smart(link, "app"))
    [opening] = world.links().openings(link.id)
    assert (opening.reader, opening.files) == (DESK, [])


@pytest.mark.parametrize(("more", "embedded"), [(0, True), (1, True), (-1, False)])
def test_file_is_embedded_if_it_fits(
    world: World, app: FlaskClient, file: EntityFile, more: int, embedded: bool
) -> None:
    smart = world.smart(shared(world, file), "app")
    size = row_of(smart).size or 0
    answer = ask(app, smart, embeddedLengthMax=size + more)
    [found] = json_of(answer)["files"]
    assert ("embedded" in found, "location" in found) == (embedded, not embedded)
    assert answer.content_length == len(answer.data)
    if embedded:
        assert found["embedded"].encode() == stored(world, smart)


@pytest.mark.parametrize(
    "body",
    [
        {"recipient": ""},
        {"recipient": None},
        {"recipient": 7},
        {"passcode": 482107},
        {"embeddedLengthMax": "many"},
        {"embeddedLengthMax": True},
    ],
)
def test_malformed_request_is_refused(world: World, app: FlaskClient, file: EntityFile, body: dict[str, Any]) -> None:
    smart, before = world.smart(shared(world, file), "app"), len(world.events())
    assert ask(app, smart, **body).status_code == 400
    assert len(world.events()) == before


@pytest.mark.parametrize("content", ["", "[]", "7", "{"])
def test_body_must_be_a_json_object(world: World, app: FlaskClient, file: EntityFile, content: str) -> None:
    smart = world.smart(shared(world, file), "app")
    assert app.post(f"{smart.path}/manifest", data=content).status_code == 400


def test_location_is_absolute_and_of_this_link_alone(world: World, app: FlaskClient, file: EntityFile) -> None:
    link = shared(world, file)
    one, other = world.smart(link, "app"), world.smart(link, "app")
    location = json_of(ask(app, one))["files"][0]["location"]
    assert location.startswith(f"http://localhost{one.path}/file/")
    assert app.get(location.replace(one.token, other.token)).status_code == 404
    assert app.get(f"{location}x").status_code == 404


def test_location_works_for_an_hour(
    world: World, app: FlaskClient, file: EntityFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = json_of(ask(app, world.smart(shared(world, file), "app")))["files"][0]["location"]
    monkeypatch.setattr(shl, "LOCATION_SECONDS", -1)
    assert app.get(location).status_code == 404
    assert LOCATION_SECONDS <= 3600


# --- passcode -----------------------------------------------------------------------------------------------------


def test_passcode_of_the_share_link_is_asked_for(world: World, app: FlaskClient, file: EntityFile) -> None:
    smart = world.smart(shared(world, file, passcode=PASSCODE), "app")
    assert smart.payload["flag"] == "P"
    answer = ask(app, smart, passcode="000000")
    assert (answer.status_code, answer.json) == (401, {"remainingAttempts": 4})
    assert ask(app, smart, passcode=PASSCODE).status_code == 200


def test_missing_passcode_uses_up_no_try(world: World, app: FlaskClient, file: EntityFile) -> None:
    smart = world.smart(shared(world, file, passcode=PASSCODE), "app")
    for passcode in (None, ""):
        answer = ask(app, smart, passcode=passcode)
        assert (answer.status_code, answer.json) == (401, {"remainingAttempts": 5})


def test_wrong_passcodes_are_counted_with_those_of_the_page(world: World, app: FlaskClient, file: EntityFile) -> None:
    made = world.link(file, allow_download=True, passcode=PASSCODE)
    smart, left = world.smart(made.link, "app"), []
    for _ in range(2):
        app.post(f"/s/{made.token}/open", data={"passcode": "000000"})
        left.append(json_of(ask(app, smart, passcode="000000"))["remainingAttempts"])
    assert left == [3, 1]
    assert ask(app, smart, passcode="000000").json == {"remainingAttempts": 0}
    assert ask(app, smart, passcode=PASSCODE).status_code == 404
    assert app.get(f"/s/{made.token}").status_code == 404


def test_direct_link_needs_no_passcode(world: World, app: FlaskClient, file: EntityFile) -> None:
    smart = world.smart(shared(world, file, passcode=PASSCODE), "desk")
    assert smart.payload["flag"] == "U"
    assert fetch(app, smart).status_code == 200


# --- long-term ----------------------------------------------------------------------------------------------------


def test_link_that_keeps_up_to_date_says_when_to_come_back(world: World, app: FlaskClient, file: EntityFile) -> None:
    smart = world.smart(shared(world, file), "up-to-date")
    answer = ask(app, smart)
    assert (smart.payload["flag"], json_of(answer)["files"][0]["status"]) == ("L", "can-change")
    assert answer.headers["Retry-After"] == "3600"


def test_link_that_keeps_up_to_date_is_built_again_after_a_change(
    world: World, app: FlaskClient, file: EntityFile
) -> None:
    smart = world.smart(shared(world, file), "up-to-date")
    world.documents().edit(file.id, {"file_name": "Referral.pdf"})
    ask(app, smart)
    world.keep_house()
    answer = ask(app, smart, embeddedLengthMax=10**9)
    assert "Referral" in pdfs(decrypted(json_of(answer)["files"][0]["embedded"].encode(), smart.key))


# --- what is refused, and how -------------------------------------------------------------------------------------


def test_unknown_ended_paused_and_unprepared_answer_alike(world: World, app: FlaskClient, file: EntityFile) -> None:
    link, paused = shared(world, file), shared(world, file)
    ended, expired, of_paused = world.smart(link), world.smart(link), world.smart(paused)
    new = world.smart_links().create_smart(link.id, "desk", "http://localhost/shl/")
    world.smart_links().end_smart(link.id, ended.id)
    world.links().pause(paused.id)
    with transaction() as session:
        session.get_one(SmartLink, expired.id).expires_at = now() - timedelta(seconds=1)
    unprepared = Smart(new.smart.id, new.text)
    answers = [fetch(app, smart) for smart in (ended, expired, of_paused, unprepared)]
    answers.append(app.get("/shl/made-up?recipient=Front+desk"))
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.data for answer in answers}) == 1


def test_any_site_may_ask(world: World, app: FlaskClient, file: EntityFile) -> None:
    link = shared(world, file)
    one, other = world.smart(link), world.smart(link, "app")
    for answer in (fetch(app, one), ask(app, other), app.get("/shl/made-up?recipient=x"), fetch(app, one, None)):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("path", ["", "/manifest"])
def test_preflight_allows_json(world: World, app: FlaskClient, file: EntityFile, path: str) -> None:
    smart = world.smart(shared(world, file), "app")
    asked = {**ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = app.options(f"{smart.path}{path}", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Headers"] == "Content-Type"
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_nothing_else_allows_other_sites(world: World, app: FlaskClient, file: EntityFile) -> None:
    made = world.link(file)
    for path in (f"/s/{made.token}", "/", "/api/v1/openapi.json", "/healthz", "/shl/v"):
        assert "Access-Control-Allow-Origin" not in app.get(path, headers=ORIGIN).headers


def test_answers_are_not_kept_or_indexed(world: World, app: FlaskClient, file: EntityFile) -> None:
    headers = fetch(app, world.smart(shared(world, file))).headers
    assert (headers["Cache-Control"], headers["Referrer-Policy"]) == ("no-store", "no-referrer")
    assert "noindex" in headers["X-Robots-Tag"]
    assert "Set-Cookie" not in headers


def test_no_log_line_holds_a_token_or_key(world: World, app: FlaskClient, file: EntityFile) -> None:
    link = shared(world, file)
    with capture_logs() as lines:
        one, other = world.smart(link), world.smart(link, "app")
        fetch(app, one)
        ask(app, other)
        world.keep_house()
    said = repr(lines)
    for secret in (one.token, other.token, one.payload["key"], other.payload["key"], DESK):
        assert secret not in said
    assert "/shl/<token>" in said


def test_too_many_requests_are_refused(
    world: World, app: FlaskClient, file: EntityFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "LINK_OPENINGS", "2 per minute")
    smart = world.smart(shared(world, file))
    answers = [fetch(app, smart) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) > 0


def test_rows_do_not_hold_the_token(world: World, file: EntityFile) -> None:
    smart = world.smart(shared(world, file))
    columns = vars(row_of(smart)).values()
    assert smart.token not in columns
    assert smart.key not in columns
    db.session.rollback()


def test_viewer_works_without_an_account_and_reveals_nothing(app: FlaskClient) -> None:
    page = app.get("/shl/v")
    assert page.status_code == 200
    assert "<noscript>" in page.text
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]
    assert "csrf" not in page.text
