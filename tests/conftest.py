"""What every test stands on: a migrated database and an app of its own, on SQLite or with --database=postgres."""

import gc
import os
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask_migrate import upgrade
from hypothesis import HealthCheck, settings
from passlib.hash import argon2
from sqlalchemy import event, make_url

from medfiles.antivirus.clamd import Clamd
from medfiles.app import create_app
from medfiles.database.session import db
from medfiles.documents import detection
from medfiles.links import rules
from medfiles.previews import renderer
from medfiles.record_types.declared import Registry
from medfiles.sandbox.pool import Sandbox
from medfiles.smart_links import building, story
from medfiles.texts import reading
from tests.support import clamav, clocks, memory, postgres, seaweed
from tests.support.extent import Extent, Part
from tests.support.factories import World, install, make_app
from tests.support.shared_installation import administer, emptied_each_time, environ_in

STARTED = ExitStack()
# Where the cases of a test are alike and each takes seconds, the suite tries one in so many, and --full all of them.
PARTS = {
    "browser/test_states": Part(4, together=True),
    "browser/test_translations": Part(6, together=True),
    "browser/": Part(3),
    "legacy/test_crashes": Part(4),
    "links/test_states": Part(20),
    "smart_links/test_states": Part(20),
    "operations/test_instance": Part(3),
    "sandbox/render/test_hostile": Part(4),
}
ON_POSTGRES = Part(3)  # all cases are tried on SQLite
FOR_POSTGRES = re.compile(r"mark\.database|postgres")
SERVER = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgres"), default="sqlite", help="Which database to test on.")
    parser.addoption("--full", action="store_true", help="Try all faults and hostile inputs, not a part of them.")
    parser.addoption("--seed", type=int, default=7, help="From which the choice of that part follows.")


def pytest_configure(config: pytest.Config) -> None:
    memory.prefer()
    argon2.default_rounds, argon2.memory_cost = 1, 64  # so slow on purpose that a fifth of the time went by in it
    building.WAIT_SECONDS = 0  # jobs run when a test says so
    rules.HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    config.addinivalue_line("markers", "database: also run with --database=postgres")
    config.addinivalue_line("markers", "database_when_full: also run with --database=postgres --full")
    config.addinivalue_line("markers", "only_full: too slow for anything but --full")
    config.addinivalue_line("markers", "only_postgres: run with --database=postgres alone")
    config.addinivalue_line("markers", "only_sqlite: exception in a module marked database")
    for name in [name for name in os.environ if name.startswith("MEDFILES_")]:
        del os.environ[name]
    settings.register_profile(
        "costly", max_examples=100 if config.getoption("full") else 20, deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )  # fmt: skip
    if config.getoption("database") != "postgres":
        return
    os.environ["PATH"] = os.pathsep.join(
        [str(postgres.PROGRAMS), os.environ["PATH"]]
    )  # pg_dump of the server's version
    handed_over = getattr(config, "workerinput", {}).get("postgres")
    config.stash[SERVER] = handed_over or STARTED.enter_context(postgres.server())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """On PostgreSQL, skip modules without tests for it unread: importing them takes longer than many tests."""
    if config.getoption("database") != "postgres" or not collection_path.match("test_*.py"):
        return None
    return None if FOR_POSTGRES.search(collection_path.read_text()) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect slow tests without --full, and on PostgreSQL all tests not marked for it."""
    if not config.getoption("full"):
        _keep(config, items, [item for item in items if not item.get_closest_marker("only_full")])
        _keep(config, items, _of_alike_ones(items, config.getoption("seed")))
    if config.getoption("database") == "postgres":
        full = config.getoption("full")
        _keep(config, items, [item for item in items if _runs_on_postgres(item, full)])
        if not full:
            alike = [item for item in items if _differs_in_values(item)]
            some = ON_POSTGRES.chosen(alike, _test_of, config.getoption("seed"))
            _keep(config, items, {*items} - {*alike} | {*some})
    else:
        _keep(config, items, [item for item in items if not item.get_closest_marker("only_postgres")])


def _keep(config: pytest.Config, items: list[pytest.Item], kept: Iterable[pytest.Item]) -> None:
    kept = set(kept)
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def _of_alike_ones(items: Sequence[pytest.Item], seed: int) -> Iterator[pytest.Item]:
    concerned: dict[str, list[pytest.Item]] = {place: [] for place in PARTS}
    for item in items:
        place = next((place for place in PARTS if item.nodeid.startswith(f"tests/{place}")), None)
        if place and hasattr(item, "callspec"):
            concerned[place].append(item)
        else:
            yield item
    for place, cases in concerned.items():
        yield from PARTS[place].chosen(cases, _test_of, seed)


def _test_of(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _differs_in_values(item: pytest.Item) -> bool:
    """Whether it is one case of a test on both databases, and not marked for PostgreSQL itself."""
    call = getattr(item, "callspec", None)
    if call is None or item.get_closest_marker("only_postgres"):
        return False
    return all(mark.name != "database" for mark in call.marks)


def _runs_on_postgres(item: pytest.Item, full: bool) -> bool:
    markers = {marker.name for marker in item.iter_markers()}
    wanted = markers & ({"database", "only_postgres", "database_when_full"} if full else {"database", "only_postgres"})
    return bool(wanted) and "only_sqlite" not in markers and "new_database" in getattr(item, "fixturenames", ())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many hostile inputs there were, which are many to a test, and what was skipped for want of what."""
    reports = [report for found in terminalreporter.stats.values() for report in found if hasattr(report, "when")]
    counts = [
        count for each in reports if each.when == "call" for name, count in each.user_properties if name == "inputs"
    ]
    if counts:
        terminalreporter.write_line(f"{sum(counts):,} hostile inputs")
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"{count} × {reason}")


def pytest_collection_finish() -> None:
    """What was imported stays: looking through it for garbage again and again took a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure(config: pytest.Config) -> None:
    STARTED.close()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: pytest.Item) -> None:
    """One PostgreSQL server serves all processes of a test run."""
    if SERVER in node.config.stash:
        node.workerinput["postgres"] = node.config.stash[SERVER]  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def extent(request: pytest.FixtureRequest) -> Extent:
    return Extent(request.config.getoption("full"), request.config.getoption("seed"))


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """Makes one more migrated, empty database and gives its address; migrations run once, the rest are copies."""
    folder = tmp_path_factory.mktemp("database")
    if request.config.getoption("database") == "postgres":
        return _postgres_databases(request.config.stash[SERVER], folder)
    template = folder / "template.db"
    _migrate(f"sqlite:///{template}", folder)

    def copy(place: Path) -> str:
        path = place / f"{uuid.uuid4().hex}.db"
        shutil.copy(template, path)
        return f"sqlite:///{path}"

    return copy


def _postgres_databases(server: str, folder: Path) -> Callable[[Path], str]:
    template = f"template_{uuid.uuid4().hex}"
    run = administer(server)
    run(f"CREATE DATABASE {template}")
    _migrate(_named(server, template), folder)

    def copy(_: Path) -> str:
        name = f"test_{uuid.uuid4().hex}"
        run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return _named(server, name)

    return copy


def _named(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


def _migrate(url: str, folder: Path) -> None:
    app = create_app({"MEDFILES_INSTANCE": str(folder / "instance"), "MEDFILES_DATABASE_URL": url})
    with app.app_context():
        upgrade()
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Workers that check content, shared by all tests of a process."""
    shared = Sandbox(2)
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def renderers() -> Iterator[Sandbox]:
    """Workers that draw previews, shared by all tests of a process."""
    shared = Sandbox(1, (*renderer.TASKS, *reading.TASKS, *story.TASKS), renderer.LIMITS)
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def bucket() -> Iterator[Callable[[], str]]:
    """Gives addresses of new folders in a real object store, to which the environment has the keys."""
    with seaweed.server() as endpoint, pytest.MonkeyPatch.context() as patch:
        for name, value in seaweed.KEYS.items():
            patch.setenv(name, value)
        yield lambda: seaweed.url(endpoint, uuid.uuid4().hex)


@pytest.fixture(scope="module")
def scanner() -> Iterator[Clamd]:
    """ClamAV's daemon itself."""
    with clamav.daemon() as running:
        yield running


@pytest.fixture
def look(sandbox: Sandbox, tmp_path: Path) -> Callable[[bytes, str], detection.Found]:
    """Has these bytes inspected as an upload with this extension."""

    def at(data: bytes, extension: str) -> detection.Found:
        path = tmp_path / "upload"
        path.write_bytes(data)
        return detection.inspect(path, extension, sandbox)

    return at


@pytest.fixture(scope="session")
def usual_world(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox, renderers: Sandbox
) -> Callable[[], AbstractContextManager[World]]:
    """An installation with no settings of its own."""
    place = tmp_path_factory.mktemp("usual")
    environ = environ_in(place, new_database(place))
    return emptied_each_time(make_app(environ, sandbox, renderers), environ)


@pytest.fixture
def make_world(
    tmp_path: Path, new_database: Callable[[Path], str], sandbox: Sandbox, renderers: Sandbox
) -> Iterator[Callable[..., World]]:
    """Makes an installation of its own; keywords are settings without their MEDFILES_ prefix."""
    with ExitStack() as stack:

        def make(**settings: str) -> World:
            place = tmp_path / f"world-{uuid.uuid4().hex[:8]}"
            place.mkdir()
            environ = environ_in(place, new_database(place), **settings)
            return stack.enter_context(install(environ, sandbox, renderers=renderers))

        yield make


@pytest.fixture
def world(usual_world: Callable[[], AbstractContextManager[World]]) -> Iterator[World]:
    with usual_world() as world:
        yield world


@pytest.fixture
def without_previews(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """An installation in which documents of insurance have no previews."""
    registry = Registry(
        replace(kind, operations=kind.operations - {"preview"}) if kind.name == "insurance" else kind
        for kind in world.parts.registry
    )
    monkeypatch.setitem(world.app.extensions, "medfiles", replace(world.parts, registry=registry))
    return world


@pytest.fixture
def set_clock(monkeypatch: pytest.MonkeyPatch) -> clocks.SetClock:
    """Sets the product's clock ahead or, with a negative time, behind."""
    return lambda ahead: clocks.set_by(monkeypatch, ahead)


@pytest.fixture
def app(world: World) -> Flask:
    return world.app


@pytest.fixture
def statements(world: World) -> Iterator[Callable[[], list[str]]]:
    """Call it to start listening: the list it returns grows with every SQL statement."""
    heard: list[str] = []

    def listen(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        heard.append(statement)

    def start() -> list[str]:
        event.listen(db.engine, "before_cursor_execute", listen)
        return heard

    yield start
    if heard:
        event.remove(db.engine, "before_cursor_execute", listen)
