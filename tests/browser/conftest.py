"""A browser at the real server: one of each for all tests, a fresh account and browser context for every test."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from medfiles.db import db
from medfiles.sandbox import Sandbox
from tests.browser.chromium import launch
from tests.browser.people import Complaints, Person, Site, listen
from tests.factories import World, install
from tests.server import serve

NUMBERS = itertools.count(1)
SECONDS = 15  # until something that should be seen counts as missing, also on a busy machine


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=SECONDS * 1000)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("site")
    settings = {"MEDFILES_INSTANCE": str(place), "MEDFILES_DATABASE_URL": new_database(place), "MEDFILES_WORKERS": "1"}
    with serve(settings) as address:
        yield Site(address, settings)


@pytest.fixture(scope="session")
def installed(site: Site, sandbox: Sandbox) -> Iterator[World]:
    with install(site.settings, sandbox) as world:
        yield world


@pytest.fixture
def world(installed: World) -> Iterator[World]:
    """The server's own installation, for putting things into it and looking at what became of them."""
    yield World(installed.app)
    db.session.remove()


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
            script: bool = True,
            touch: bool = False,
            address: str = site.address,
        ) -> BrowserContext:
            context = browser.new_context(
                base_url=address,
                viewport={"width": width, "height": height},
                locale="en-GB",
                timezone_id="Europe/London",
                reduced_motion="reduce",
                java_script_enabled=script,
                has_touch=touch,
                is_mobile=touch,
            )
            stack.callback(context.close)
            context.set_default_timeout(SECONDS * 1000)
            listen(context, address, complaints)
            if person is not None:
                person.sign_in(context, address)
            return context

        yield open_context


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], person: Person) -> Page:
    """A page of a browser in which `person` is signed in."""
    return open_context(person).new_page()
