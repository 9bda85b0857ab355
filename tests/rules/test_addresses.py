"""Every address of the URL map, asked by everybody who might: its owner, a reader, strangers and nobody.

A new address without a row in these tables fails. Strangers must not be able to tell what is not theirs from what is
not there: the two answers are compared byte for byte, after CSRF tokens (which differ in every answer) are taken out.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import lxml.html
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from medfiles import accounts, tokens
from medfiles.access import Action
from medfiles.clock import now
from medfiles.db import db
from medfiles.models import Session
from medfiles.sandbox import Sandbox
from tests.factories import World, install, token_of

# Flask-Security builds its forms as WTForms would no longer like them.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
KINDS = ("lab-result", "visit", "procedure", "insurance")
HTMX = {"HX-Request": "true"}
ABSENT = 1_999_999_999
# What a reader gets: method, address, status, what is sent. Who may edit asks them in this order, so what ends a
# record comes last.
ADDRESSES = """
GET  /patients/{patient}                           200
GET  /patients/{patient}/edit                      403
POST /patients/{patient}/edit                      403
GET  /patients/{patient}/trash                     403
GET  /patients/{patient}/activity                  403
GET  /patients/{patient}/{plural}                  200
GET  /patients/{patient}/{plural}/new              403
POST /patients/{patient}/{plural}/new              403
GET  /{type}/{record}                              200
GET  /{type}/{gone}                                404
GET  /{type}/{record}/edit                         403
POST /{type}/{record}/edit                         403
POST /{type}/{gone}/restore                        404
GET  /documents/{type}/{record}                    200
GET  /documents/{plural}/{record}                  200
GET  /documents/{type}/{gone}                      404
GET  /documents/{type}/new?patient={patient}       403
GET  /documents/{type}/{record}/upload-zone        200
GET  /documents/{type}/{record}/list               200
GET  /documents/{type}/{record}/list?q=l&category=none&media=pdf&from=2026-01-01&sort=name&order=desc 200
GET  /documents/{type}/{record}/list?row={file}    200
GET  /documents/{type}/{record}/trash              403
GET  /documents/{type}/{record}/trash?q=old&sort=size 403
GET  /documents/{type}/{record}/badge              200
POST /documents/{type}/{record}/files              403
GET  /documents/files/{file}/download              200
GET  /documents/files/{trashed}/download           404
GET  /documents/files/{file}/preview               200
GET  /documents/files/{trashed}/preview            404
GET  /documents/files/{file}/print                 200
GET  /documents/files/{trashed}/print              404
GET  /documents/files/{file}/pictures/{sha256}-v1w160/1.webp 200
GET  /documents/files/{trashed}/pictures/{sha256}-v1w160/1.webp 404
POST /documents/files/{file}/edit                  403
POST /documents/files/{file}/delete                403
POST /documents/files/{trashed}/restore            404
POST /documents/files/{trashed}/purge              404
POST /documents/{type}/{record}/bulk               403 action=delete&file_ids={trashed}
POST /documents/{type}/{record}/bulk               403 action=delete&all=1
POST /documents/{type}/{record}/bulk               403 action=restore&file_ids={file}
POST /documents/{type}/{record}/bulk               403 action=purge&file_ids={trashed}
POST /documents/{type}/{record}/bulk               403 action=category&category=&file_ids={file}
POST /documents/{type}/{record}/bulk               200 action=download&file_ids={file}
POST /documents/{type}/{record}/bulk               200 action=download&all=1
POST /documents/{type}/{record}/bulk               200 action=print&file_ids={file}
POST /documents/{type}/{record}/bulk               200 action=print&all=1
POST /documents/{type}/{record}/bulk               403 action=cancel&idempotency_key=some-try
POST /{type}/{record}/delete                       403
"""
# For a patient's owner alone.
OWNERS = """
GET  /patients/{patient}/people                    403
POST /patients/{patient}/people                    403
"""
# Many records at once: those that are not the asker's are left out, as those that are not there.
MANY = "GET /documents/{type}/badges?ids={record}"
# Another account's session or token, which no share opens.
SESSION = """
POST /account/sessions/{session}/end
POST /account/tokens/{token}/revoke
"""
# What concerns nobody's patients but one's own, and needs an account.
OWN = """
GET /
GET /patients/new
POST /patients/new
GET /account
POST /sign-out
POST /account/sign-out
GET /account/tokens/new
POST /account/tokens/new
GET /account/password
POST /account/password
GET /account/verify
POST /account/verify
GET /account/second-step
POST /account/second-step
POST /account/second-step/made-up-token
GET /sign-in/method
POST /sign-in/method
GET /sign-in/rescue
POST /sign-in/rescue
"""
# For whoever looks after the installation; others are told so.
ADMINS = """
GET /status
"""
PUBLIC = """
GET /sign-in
POST /sign-in
GET /sign-in/code
POST /sign-in/code
GET /healthz
GET /readyz
GET /metrics
GET /api/v1/openapi.json
GET /api/v1/docs
GET /static/medfiles.css
GET /static/@older/medfiles.css
GET /static/security/anything.css
"""


@dataclass(frozen=True)
class Address:
    method: str
    path: str
    for_reader: int = 200
    sent: str = "nothing=to+see"

    def at(self, ids: dict[str, Any]) -> str:
        return self.path.format(**ids)

    def body(self, ids: dict[str, Any]) -> dict[str, str] | None:
        sent = parse_qsl(self.sent.format(**ids), keep_blank_values=True)
        return dict(sent) if self.method == "POST" else None

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.sent}"


@dataclass
class Family:
    """One patient with a record of each kind, one of each in the trash, and documents in and out of the trash."""

    world: World
    patient: Any
    ids: dict[str, dict[str, Any]] = field(default_factory=dict)


def rows(text: str) -> list[Address]:
    lines = (line.split() for line in text.strip().splitlines())
    return [Address(method, path, int((more or ["200"])[0]), *more[1:]) for method, path, *more in lines]


GUARDED = [*rows(OWNERS), *rows(ADDRESSES)]
EVERY = [*GUARDED, *rows(MANY), *rows(SESSION), *rows(OWN), *rows(ADMINS), *rows(PUBLIC)]


@pytest.fixture
def family(world: World) -> Family:
    return family_in(world)


def family_in(world: World) -> Family:
    made = Family(world, world.patient())
    world.client()
    session = db.session.scalars(select(Session.id)).one()
    token, _ = tokens.create(world.actor(), "Scanner")
    for kind in KINDS:
        record, gone = world.record(kind, made.patient), world.record(kind, made.patient)
        file, trashed = world.attach(record), world.attach(record, "old.pdf")
        world.attach(gone, "gone.pdf")
        world.documents().trash(trashed.id)
        world.records().delete(world.kind(kind), gone.id)
        made.ids[kind] = {
            "type": kind,
            "plural": world.kind(kind).plural,
            "patient": made.patient.id,
            "record": record.id,
            "gone": gone.id,
            "file": file.id,
            "sha256": file.sha256,
            "trashed": trashed.id,
            "session": session,
            "token": token.id,
        }
    return made


def guarded(addresses: list[Address], kind: str) -> list[Address]:
    """Those that people with access are let in at; that insurance is not previewed is said to whoever may see it."""
    return [one for one in addresses if kind != "insurance" or not one.path.endswith("/preview")]


def absent(ids: dict[str, Any]) -> dict[str, Any]:
    return {name: value if name in ("type", "plural", "sha256") else ABSENT for name, value in ids.items()}


def as_owner(world: World, patient: Any) -> FlaskClient:
    return world.client()


def as_stranger(world: World, patient: Any) -> FlaskClient:
    world.record(email="otto@sample.example")
    return world.client("otto@sample.example")


def as_admin(world: World, patient: Any) -> FlaskClient:
    world.user("admin@sample.example")
    accounts.set_admin("admin@sample.example", True)
    return world.client("admin@sample.example")


def as_former_reader(world: World, patient: Any) -> FlaskClient:
    world.share(patient, "otto@sample.example", "edit", now() - timedelta(seconds=1))
    return world.client("otto@sample.example")


def as_reader(world: World, patient: Any) -> FlaskClient:
    world.share(patient, "otto@sample.example", Action.VIEW)
    return world.client("otto@sample.example")


def as_editor(world: World, patient: Any) -> FlaskClient:
    world.share(patient, "otto@sample.example", Action.EDIT, now() + timedelta(hours=1))
    return world.client("otto@sample.example")


STRANGERS = (as_stranger, as_admin, as_former_reader)
Role = Callable[[World, Any], FlaskClient]


def ask(client: FlaskClient, address: Address, ids: dict[str, Any], token: str = "", **headers: str) -> TestResponse:
    sent = {"X-CSRFToken": token, **headers}
    return client.open(address.at(ids), method=address.method, headers=sent, data=address.body(ids), buffered=True)


def shown(response: TestResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    """Status, body and headers without what differs in every answer: CSRF tokens, request id."""
    body = re.sub(rb'(data-mf-csrf="|name="csrf_token" value="|csrf_token=)[^"&]*', rb"\1", response.data)
    differing = {"X-Request-Id", "Content-Length"}
    return response.status_code, body, [(name, value) for name, value in response.headers if name not in differing]


def stored(world: World) -> dict[str, Any]:
    """All rows of patients, records and documents, and all bytes, but what is only derived from them."""
    db.session.rollback()
    own = {"audit_events", "sessions", "renditions"}
    tables = [table for table in db.metadata.sorted_tables if table.name not in own]
    rows = {table.name: db.session.execute(select(table).order_by(*table.primary_key)).all() for table in tables}
    return rows | {str(path): path.read_bytes() for path in world.uploads.rglob("*.*") if path.suffix != ".webp"}


def named(app: Flask, address: Address, ids: dict[str, Any]) -> tuple[str, str]:
    path = address.at(ids).split("?")[0]
    return app.url_map.bind("localhost").match(path, address.method, return_rule=True)[0].rule, address.method


def test_every_address_has_a_row(family: Family) -> None:
    app = family.world.app
    with app.test_request_context():
        rowed = {named(app, address, family.ids["visit"]) for address in EVERY}
    rules = app.url_map.iter_rules()
    offered = {(rule.rule, method) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert rowed == {entry for entry in offered if entry not in of_the_api(app)}


def of_the_api(app: Flask) -> set[tuple[str, str]]:
    """Those that test_api_addresses.py asks."""
    return {
        (rule.rule, method)
        for rule in app.url_map.iter_rules()
        for method in rule.methods or set()
        if hasattr(app.view_functions[rule.endpoint], "operation")
    }


@pytest.mark.parametrize(
    ("role", "headers"),
    [*((role, {}) for role in STRANGERS), (as_stranger, HTMX)],
    ids=["page", "page for an admin", "page for a former reader", "fragment"],
)
def test_a_stranger_cannot_tell_what_is_not_theirs_from_what_is_not_there(
    family: Family, role: Role, headers: dict[str, str]
) -> None:
    client = role(family.world, family.patient)
    assert client.get("/account").status_code == 200  # and a session that is as old for both requests
    token, before, wrong = token_of(client), stored(family.world), []
    asked = KINDS if role is as_stranger and not headers else ("visit",)  # the door is one for all kinds
    for ids in [family.ids[kind] for kind in asked]:
        for address in [*GUARDED, *rows(SESSION)]:
            foreign, missing = (shown(ask(client, address, which, token, **headers)) for which in (ids, absent(ids)))
            if foreign[0] != 404 or foreign != missing:
                wrong.append((str(address), foreign[0], missing[0]))
    assert wrong == []
    assert stored(family.world) == before


@pytest.mark.parametrize("role", STRANGERS)
def test_a_stranger_gets_no_counts(family: Family, role: Role) -> None:
    client = role(family.world, family.patient)
    assert client.get("/account").status_code == 200  # and a session that is as old for both requests
    for ids in family.ids.values():
        for address in rows(MANY):
            foreign, missing = (shown(ask(client, address, which, **HTMX)) for which in (ids, absent(ids)))
            assert foreign[0] == 200
            assert foreign == missing


@pytest.mark.parametrize("role", STRANGERS)
def test_a_strangers_own_pages_speak_of_no_other_family(family: Family, role: Role) -> None:
    client = role(family.world, family.patient)
    for address in rows(OWN):
        if address.method == "GET":
            page = ask(client, address, {}).get_data(as_text=True)
            assert f'href="/patients/{family.patient.id}"' not in page
            assert "letter.pdf" not in page


def test_nobody_gets_further_than_the_sign_in(family: Family) -> None:
    client, wrong = family.world.client(None), []
    for address in [*GUARDED, *rows(MANY), *rows(SESSION), *rows(OWN)]:
        answer = ask(client, address, family.ids["visit"])
        if answer.status_code != 302 or not answer.location.startswith("/sign-in"):
            wrong.append((str(address), answer.status_code))
    assert wrong == []


def test_nobody_is_told_to_sign_in_where_htmx_asks(family: Family) -> None:
    client, wrong = family.world.client(None), []
    for address in [*GUARDED, *rows(MANY), *rows(SESSION), *rows(OWN)]:
        answer = ask(client, address, family.ids["visit"], **HTMX)
        if answer.status_code != 401 or b"Sign in again" not in answer.data or b"<html" in answer.data:
            wrong.append((str(address), answer.status_code))
    assert wrong == []


def test_nobody_changes_anything(family: Family) -> None:
    before = stored(family.world)
    client = family.world.client(None)
    for address in EVERY:
        if address.method == "POST":
            ask(client, address, family.ids["visit"])
    assert stored(family.world) == before


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["page", "htmx"])
def test_a_reader_may_look_at_everything_and_change_nothing(family: Family, headers: dict[str, str]) -> None:
    client = as_reader(family.world, family.patient)
    token, before, wrong = token_of(client), stored(family.world), []
    for kind, ids in family.ids.items():
        for address in guarded(GUARDED, kind):
            status = ask(client, address, ids, token, **headers).status_code
            if status != address.for_reader:
                wrong.append((str(address), status))
    assert wrong == []
    assert stored(family.world) == before


@pytest.mark.parametrize("role", [as_owner, as_editor])
def test_who_may_edit_is_refused_nowhere(family: Family, role: Role) -> None:
    client, wrong = role(family.world, family.patient), []
    token = token_of(client)
    for kind, ids in family.ids.items():
        for address in guarded(rows(ADDRESSES), kind):
            status = ask(client, address, ids, token).status_code
            if status in (401, 403, 404) or status >= 500:
                wrong.append((str(address), status))
    assert wrong == []


@pytest.mark.parametrize(("role", "statuses"), [(as_owner, [200, 422]), (as_editor, [403, 403])])
def test_only_the_owner_decides_who_has_access(family: Family, role: Role, statuses: list[int]) -> None:
    client = role(family.world, family.patient)
    token, ids = token_of(client), family.ids["visit"]
    assert [ask(client, address, ids, token).status_code for address in rows(OWNERS)] == statuses


def test_nothing_is_changed_without_the_token(family: Family) -> None:
    client, before = family.world.client(), stored(family.world)
    asked = [address for address in EVERY if address.method == "POST"]
    got = {str(address): ask(client, address, family.ids["visit"]).status_code for address in asked}
    assert {address: status for address, status in got.items() if status != 403} == {}
    assert stored(family.world) == before


# --- what pages lead to -------------------------------------------------------------------------------------------


def links(page: Any) -> Iterator[str]:
    for attribute in ("href", "hx-get"):
        for element in page.xpath(f"//*[@{attribute}]"):
            yield element.get(attribute).split("#")[0]


def forms(page: Any) -> Iterator[str]:
    yield from (element.get("hx-post") for element in page.xpath("//*[@hx-post]"))
    yield from (button.get("formaction") for button in page.xpath("//*[@formaction]"))
    yield from (form.get("action").split("?")[0] for form in page.xpath("//form[@method='post']"))


def pressed(page: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """What is sent where when each button that changes something is pressed, with every document ticked."""
    for button in page.xpath("//button[@type='submit'][@form or ancestor::form[@method='post']]"):
        [form] = page.xpath("//form[@id=$id]", id=button.get("form")) or button.xpath("ancestor::form")
        ticked = page.xpath("//input[@name='file_ids' and @form=$id]/@value", id=form.get("id") or "")
        entered = dict(form.form_values()) | ({"file_ids": ",".join(ticked)} if ticked else {})
        if button.get("name"):
            entered[button.get("name")] = button.get("value")
        yield button.get("hx-post") or button.get("formaction") or form.get("action"), entered


def crawl(client: FlaskClient, start: str = "/") -> dict[str, TestResponse]:
    """Every page, fragment and document that can be reached from the start page by following what leads to others; of
    addresses that differ in nothing but what their parameters say, as those of sorting do, one."""
    found: dict[str, TestResponse] = {}
    seen, waiting = set[tuple[str, ...]](), [start]
    while waiting:
        path = waiting.pop()
        alike = (urlsplit(path).path, *sorted(name for name, _ in parse_qsl(urlsplit(path).query)))
        if alike in seen or not path.startswith("/"):
            continue
        seen.add(alike)
        found[path] = client.get(path, buffered=True, follow_redirects=True)
        if found[path].mimetype == "text/html":
            waiting.extend(links(lxml.html.fromstring(found[path].data)))
            as_fragment = client.get(path, headers=HTMX, follow_redirects=True)
            if as_fragment.mimetype == "text/html" and as_fragment.data.strip():
                waiting.extend(links(lxml.html.fromstring(as_fragment.data)))
                found[f"{path} as a fragment"] = as_fragment
    return found


@dataclass
class Crawled:
    """What following every link from the start page gave its owner, and what it changed."""

    answers: dict[str, TestResponse]
    before: dict[str, Any]
    after: dict[str, Any]
    missing: list[str]

    @property
    def pages(self) -> dict[str, Any]:
        html = {path: answer for path, answer in self.answers.items() if answer.mimetype == "text/html"}
        return {path: lxml.html.fromstring(answer.data) for path, answer in html.items() if answer.data.strip()}


@pytest.fixture(scope="module")
def crawled(
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Callable[[Path], str],
    sandbox: Sandbox,
    renderers: Sandbox,
) -> Crawled:
    """One walk through everything, for all the tests that only look at what it found."""
    place = tmp_path_factory.mktemp("crawled")
    environ = {"MEDFILES_INSTANCE": str(place / "instance"), "MEDFILES_DATABASE_URL": new_database(place)}
    with install(environ, sandbox, renderers=renderers) as world:
        made, client = family_in(world), world.client()
        before = stored(world)
        answers = crawl(client)
        for address in EVERY:
            if address.method == "GET":
                for ids in made.ids.values():
                    ask(client, address, ids)
                    ask(client, address, ids, **HTMX)
        after, adapter = stored(world), world.app.url_map.bind("localhost")
        found = Crawled(answers, before, after, [])
        with world.app.test_request_context():
            posts = {path for page in found.pages.values() for path in forms(page)}
            found.missing += [path for path in posts if not adapter.test(path, "POST")]
        assert len(posts) > 20
        return found


def test_every_link_leads_somewhere(crawled: Crawled) -> None:
    assert {path: answer.status_code for path, answer in crawled.answers.items() if answer.status_code != 200} == {}
    assert len(crawled.answers) > 50


def test_every_form_is_sent_to_an_address_there_is(crawled: Crawled) -> None:
    assert crawled.missing == []


def test_no_get_changes_anything(crawled: Crawled) -> None:
    assert crawled.after == crawled.before


def test_every_page_and_fragment_carries_the_headers(crawled: Crawled) -> None:
    wrong = []
    for path, answer in crawled.answers.items():
        policy, static = answer.headers["Content-Security-Policy"], path.startswith("/static")
        closed = "default-src 'none'" in policy and "unsafe" not in policy
        private = static or answer.headers["Cache-Control"] == "private, no-store"
        varies = static or {"HX-Request", "HX-History-Restore-Request"} <= set(answer.vary)
        if not (closed and private and varies and answer.headers["X-Content-Type-Options"] == "nosniff"):
            wrong.append((path, policy, answer.headers.get("Cache-Control"), answer.headers.get("Vary")))
    assert wrong == []


def test_no_page_holds_script_or_style_of_its_own(crawled: Crawled) -> None:
    inline = (
        "//@style | //style | //script[not(@src)] | //@*[starts-with(name(), 'on')] | //@href[contains(., 'script:')]"
    )
    assert {path: page.xpath(inline) for path, page in crawled.pages.items() if page.xpath(inline)} == {}


def test_every_element_that_asks_by_htmx_says_where_the_answer_goes(crawled: Crawled) -> None:
    asking = "//*[(@hx-get or @hx-post or @hx-put or @hx-delete) and not(@hx-target and @hx-swap)]"
    assert {path: len(page.xpath(asking)) for path, page in crawled.pages.items() if page.xpath(asking)} == {}
    assert sum(len(page.xpath("//*[@hx-post]")) for page in crawled.pages.values()) > 20


def test_a_reader_sees_no_control_that_would_be_refused(family: Family) -> None:
    client = as_reader(family.world, family.patient)
    token, refused, offered = token_of(client), [], set()
    giving_up = [f"/patients/{family.patient.id}/people"]  # which would end the walk
    pages = crawl(client)
    asked = [address for address in GUARDED if address.method == "GET" and address.for_reader == 200]
    for kind in KINDS:
        for address in guarded(asked, kind):
            pages |= {f"{address} {kind}": ask(client, address, family.ids[kind], **HTMX)}
    for path, page in pages.items():
        if page.mimetype == "text/html" and page.data.strip():
            for action, entered in pressed(lxml.html.fromstring(page.data)):
                if "sign-out" not in action and not action.startswith(("/account", "/patients/new", *giving_up)):
                    offered.add((re.sub(r"\d+", "*", action), entered.get("action")))
                    status = client.post(action, data=entered, headers={"X-CSRFToken": token}).status_code
                    if status != 200:
                        refused.append((path, action, status))
        if page.status_code != 200:
            refused.append((path, "", page.status_code))
    assert refused == []
    printed = {(f"/documents/{kind}/*/bulk", "print") for kind in KINDS if kind != "insurance"}
    assert offered == {(f"/documents/{kind}/*/bulk", "download") for kind in KINDS} | printed


PAYLOAD = """"><img src=x onerror=alert(1)>{{7*7}}'<script>alert(2)</script>"""


def test_what_people_type_is_shown_as_they_typed_it(world: World) -> None:
    patient = world.patient(first_name=PAYLOAD[:60])
    for kind in KINDS:
        entity = world.kind(kind)
        typed = {part.name: PAYLOAD[: part.limit] for part in entity.fields if part.kind in ("string", "text")}
        if kind == "insurance":
            typed |= {"contact_info": {"phone": PAYLOAD, "email": PAYLOAD}}  # type: ignore[dict-item]
        record = world.record(kind, patient, **typed)
        world.attach(record, f"{PAYLOAD}.pdf", description=PAYLOAD)
        world.documents().trash(world.attach(record, f"{PAYLOAD}.pdf", description=PAYLOAD).id)
    pages = [page for page in crawl(world.client()).values() if page.mimetype == "text/html" and page.data.strip()]
    said = sum("onerror=alert(1)" in lxml.html.fromstring(page.data).text_content() for page in pages)
    assert said > 20
    for page in pages:
        assert lxml.html.fromstring(page.data).xpath("//@onerror | //script[not(@src)]") == []
