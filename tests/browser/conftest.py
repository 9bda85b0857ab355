"""A browser at the real server: one of each for all tests, a fresh account and browser context for every test."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from medfiles.sandbox.pool import Sandbox
from tests.browser.chromium import launch
from tests.browser.people import A_SECOND_LATER, TELL_BREACHES, Complaints, Person, Site, Turn, listening
from tests.support.factories import World, at_work, make_app
from tests.support.server import serve
from tests.support.shared_installation import LIMITS
from tests.support.tools import need

NUMBERS = itertools.count(1)
USUAL: Any = {"locale": "en-GB", "timezone_id": "Europe/London", "reduced_motion": "reduce"}
SECONDS = 15  # until something that should be seen counts as missing, also on a busy machine


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    need("node", "chromium")
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("site")
    settings = {"MEDFILES_INSTANCE": str(place), "MEDFILES_DATABASE_URL": new_database(place), "MEDFILES_WORKERS": "1"}
    settings["MEDFILES_ENTITIES"] = str(LIMITS)
    settings["MEDFILES_JOBS"] = "worker"  # there is none: thumbnails are rendered when a page asks for them
    with serve(settings) as address:
        yield Site(address, settings)


@pytest.fixture(scope="session")
def installed(site: Site, sandbox: Sandbox) -> Iterator[Flask]:
    app = make_app(site.settings, sandbox)
    yield app
    app.extensions["medfiles"].renderers.close()


@pytest.fixture
def world(installed: Flask) -> Iterator[World]:
    """The server's own installation, for putting things into it and looking at what became of them."""
    with at_work(installed) as world:
        yield world


@pytest.fixture
def person(world: World) -> Person:
    """Somebody with an account nobody else in the tests has."""
    return Person(world, f"person-{next(NUMBERS)}@sample.example")


@pytest.fixture
def complaints() -> Iterator[Complaints]:
    """What browsers complained about; a test fails over what it did not expect."""
    complaints = Complaints()
    yield complaints
    assert complaints.unexpected() == []


@pytest.fixture
def open_context(browser: Browser, site: Site, complaints: Complaints) -> Iterator[Callable[..., BrowserContext]]:
    """Opens one more browser context; signed in when it is given a person."""
    with ExitStack() as stack:

        def open_context(
            person: Person | None = None,
            *,
            width: int = 1440,
            height: int = 900,
            touch: bool = False,
            address: str = site.address,
        ) -> BrowserContext:
            options = {"base_url": address, "viewport": {"width": width, "height": height}, **USUAL}
            context = browser.new_context(**options, has_touch=touch, is_mobile=touch)
            stack.callback(context.close)
            context.set_default_timeout(SECONDS * 1000)
            context.add_init_script(TELL_BREACHES)
            context.add_init_script(A_SECOND_LATER)
            stack.enter_context(listening(context, address, complaints))
            if person is not None:
                person.sign_in(context, address)
            return context

        yield open_context


@pytest.fixture
def own_page(open_context: Callable[..., BrowserContext], person: Person) -> Page:
    """As `page`, for tests that do to a context what cannot be undone: set its clock, add scripts."""
    return open_context(person).new_page()


@pytest.fixture(scope="session")
def shared_context(browser: Browser, site: Site) -> Iterator[Callable[[bool], BrowserContext]]:
    """Give the context with or without script. A new context loads and compiles everything again."""
    with ExitStack() as stack:

        @cache
        def opened(script: bool) -> BrowserContext:
            options = {"base_url": site.address, "viewport": {"width": 1440, "height": 900}, **USUAL}
            context = browser.new_context(**options, java_script_enabled=script)
            stack.callback(context.close)
            context.set_default_timeout(SECONDS * 1000)
            context.add_init_script(TELL_BREACHES)
            context.add_init_script(A_SECOND_LATER)
            keeper = context.new_page()  # keeps the process that renders the site's pages
            keeper.goto("/healthz")
            return context

        yield opened


@pytest.fixture(scope="session")
def taking_a_turn(shared_context: Callable[[bool], BrowserContext], site: Site) -> Turn:
    """Lend a shared context as if it were new: not signed in, nothing stored, allowed or intercepted."""

    @contextmanager
    def turn(complaints: Complaints, *, script: bool = True) -> Iterator[BrowserContext]:
        context = shared_context(script)
        context.clear_cookies()
        context.pages[0].evaluate("localStorage.clear()")
        with listening(context, site.address, complaints):
            yield context
            for page in context.pages[1:]:
                page.close()
        context.unroute_all(behavior="ignoreErrors")
        context.set_offline(False)
        context.clear_permissions()

    return turn


@pytest.fixture
def page(taking_a_turn: Turn, person: Person, complaints: Complaints, site: Site) -> Iterator[Page]:
    """A page of a browser in which `person` is signed in."""
    with taking_a_turn(complaints) as context:
        person.sign_in(context, site.address)
        yield context.new_page()


@pytest.fixture
def plain_page(taking_a_turn: Turn, person: Person, complaints: Complaints, site: Site) -> Iterator[Page]:
    """As `page`, in a browser that runs no script."""
    with taking_a_turn(complaints, script=False) as context:
        person.sign_in(context, site.address)
        yield context.new_page()
