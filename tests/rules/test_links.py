"""What pages lead to: every link somewhere, every form to an address there is, nothing to what would be refused.

One walk through everything is enough for most of it: a family all of whose words are an attack, seen by its owner.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import lxml.html
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from medfiles.permissions import Action
from tests.rules.matrix import (
    ACCOUNT_PAGES,
    EVERY_PAGE,
    GUARDED_PAGES,
    HTMX,
    KINDS,
    OF_THE_ACCOUNT,
    PAGES_OF_ADMINS,
    PUBLIC,
    ask,
    family_in,
    rows,
    stored,
)
from tests.support.factories import World, token_of

# Flask-Security builds its forms as WTForms would no longer like them.
pytestmark = pytest.mark.filterwarnings("ignore:Passing SelectField choices as tuples:DeprecationWarning")
PAYLOAD = """"><img src=x onerror=alert(1)>{{7*7}}'<script>alert(2)</script>"""
FRAGMENT = " as a fragment"


def parsed(answer: TestResponse) -> Any:
    """The page with the menu of every row open, which static/js/row-menu.js builds from one template of the list."""
    page = lxml.html.fromstring(answer.data)
    for template in page.xpath("//template[@data-mf-menu-of]"):
        for row in template.getparent().xpath(".//*[@data-mf-row][.//@data-mf-menu]"):
            [button] = row.xpath(".//*[@data-mf-menu]")
            able = (button.get("data-mf-menu") or "open download edit delete").split()
            menu = deepcopy(template)
            for part in menu.xpath(".//*[@data-mf-can]"):
                if part.get("data-mf-can") not in able:
                    part.getparent().remove(part)
            for part in menu.iter():
                for name, value in part.attrib.items():
                    opened = value.replace("/files/0/", f"/files/{row.get('data-mf-row')}/")
                    part.set(name, opened.replace("edit=0", f"edit={row.get('data-mf-row')}"))
            button.addnext(menu)
        template.getparent().remove(template)
    return page


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
            waiting.extend(links(parsed(found[path])))
            as_fragment = client.get(path, headers=HTMX, follow_redirects=True)
            if as_fragment.mimetype == "text/html" and as_fragment.data.strip():
                waiting.extend(links(parsed(as_fragment)))
                found[path + FRAGMENT] = as_fragment
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
        return {path: parsed(answer) for path, answer in html.items() if answer.data.strip()}


@pytest.fixture(scope="module")
def crawled(usual_world: Callable[[], AbstractContextManager[World]]) -> Crawled:
    """One walk through everything, for all the tests that only look at what it found."""
    with usual_world() as world:
        made, client = family_in(world, PAYLOAD), world.client()
        before = stored(world)
        answers = crawl(client)
        reached = {path.removesuffix(FRAGMENT) for path in answers}
        for operation in EVERY_PAGE:
            if operation.method == "GET":
                alike = operation in [*ACCOUNT_PAGES, *rows(PAGES_OF_ADMINS), *rows(PUBLIC)]
                for ids in list(made.ids.values())[: 1 if alike else None]:
                    if operation.path.format(**ids) not in reached:
                        ask(client, operation, ids)
                        ask(client, operation, ids, HTMX)
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


def test_what_people_type_is_shown_as_they_typed_it(crawled: Crawled) -> None:
    said = sum("onerror=alert(1)" in page.text_content() for page in crawled.pages.values())
    assert said > 20
    attacked = "//@onerror | //script[not(@src)]"
    assert {path: page.xpath(attacked) for path, page in crawled.pages.items() if page.xpath(attacked)} == {}


def test_a_reader_sees_no_control_that_would_be_refused(world: World) -> None:
    family = family_in(world)
    world.share(family.patient, "otto@sample.example", Action.VIEW)
    client = world.client("otto@sample.example")
    token, refused, pressed_once = token_of(client), [], dict[tuple[str, str], str]()
    giving_up = [f"/patients/{family.patient.id}/people"]  # which would end the walk
    pages = crawl(client)
    asked = [each for each in GUARDED_PAGES if each.method == "GET" and each.status(Action.VIEW, "active") == 200]
    for operation in asked:
        for kind in KINDS:
            if f"{operation.path.format(**family.ids[kind])}{FRAGMENT}" not in pages:
                pages[f"{operation} {kind}"] = ask(client, operation, family.ids[kind], HTMX)
    for path, page in pages.items():
        if page.mimetype == "text/html" and page.data.strip():
            for action, entered in pressed(parsed(page)):
                if "sign-out" not in action and not action.startswith(("/account", "/patients/new", *giving_up)):
                    entered.pop("csrf_token", None)
                    pressed_once[action, urlencode(sorted(entered.items()))] = path
        if page.status_code != 200:
            refused.append((path, "", page.status_code))
    for (action, sent), path in pressed_once.items():
        status = client.post(action, data=dict(parse_qsl(sent)), headers={"X-CSRFToken": token}).status_code
        if status != (303 if action.endswith(OF_THE_ACCOUNT) else 200):
            refused.append((path, action, status))
    assert refused == []
    offered = {(re.sub(r"\d+", "*", action), dict(parse_qsl(sent)).get("action")) for action, sent in pressed_once}
    pins = {(f"/patients/*{change}", None) for change in OF_THE_ACCOUNT}
    assert offered - pins == {
        (f"/documents/{kind}/*/bulk", action) for kind in KINDS for action in ("download", "print")
    }
