"""What every test stands on: a migrated database and an app of its own, on SQLite or with --database=postgres."""

import gc
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import upgrade
from passlib.hash import argon2
from sqlalchemy import event, make_url

from medfiles.antivirus.clamd import Clamd
from medfiles.app import create_app
from medfiles.database.session import db
from medfiles.documents import detection
from medfiles.previews import renderer
from medfiles.sandbox.pool import Sandbox
from tests.support import clamav, postgres, seaweed
from tests.support.extent import Extent, Part
from tests.support.factories import World, install, make_app
from tests.support.shared_installation import administer, emptied_each_time, environ_in

STARTED = ExitStack()
# Doors hold no SQL (a contract in setup.cfg): of their tests, those that send every address, race, or go all the way;
# of those of a move, those that are about what is in the database; of those of a backup, those about its folder alone.
DOORS = (
    "browser",
    "proof/corpus",
    "proof/faults",
    "legacy/test_crashes",
    "legacy/test_moving",
    "legacy/test_sources",
    "legacy/test_ways_back",
    "rules/test_addresses",
    "rules/test_authorization",
    "rules/test_held",
    "rules/test_links",
    "rules/test_openapi",
    "rules/test_url_map",
    "accounts/test_accounts",
    "audit/test_activity",
    "api/test_addresses",
    "api/test_api_previews",
    "api/test_lists",
    "api/test_openapi_document",
    "api/test_page",
    "api/test_served",
    "api/test_statuses",
    "api/test_uploads",
    "docs/",
    "http/test_static_files",
    "audit/test_event_log",
    "operations/test_backup.py::test_a_backup_of_a_newer",
    "operations/test_backup.py::test_a_folder_of_any_name",
    "operations/test_backup.py::test_an_older_file_that",
    "operations/test_backup.py::test_room_is_asked",
    "operations/test_backup.py::test_thinning_out_leaves",
    "operations/test_backup.py::test_what_was_damaged",
    "cli/test_commands",
    "test_config",
    "previews/test_libreoffice",
    "record_types/test_declared",
    "record_types/test_lifecycle",
    "record_types/test_registering",
    "http/test_content",
    "http/test_downloads",
    "http/test_errors",
    "http/test_file_names",
    "http/test_uploads",
    "web/test_bulk",
    "web/test_lists",
    "web/test_people",
    "web/test_previews",
    "web/test_upload_queue",
    "web/test_journey_without_script",
    "http/test_logging",
    "documents/test_quota",
    "http/test_rate_limits",
    "web/test_record_forms",
    "operations/test_scanning",
    "http/test_sessions",
    "database/test_sqlite",
    "operations/test_status",
    "test_text",
    "web/test_token_pages",
    "accounts/test_api_tokens",
)
ON_EVERY_DATABASE = (
    "browser/test_journey.py::test_an_account_from",
    "proof/faults/test_lost_commits.py::test_a_commit_that_seems_to_fail_leaves_all_or_nothing[restore",
    "proof/faults/test_lost_commits.py::test_a_commit_that_seems_to_fail_leaves_all_or_nothing[upload",
    "proof/faults/test_states.py::test_in_any_order_verbs_are_done_or_not[disk",
    "proof/faults/test_system_calls.py::test_killed_at_any_system_call_a_verb_is_done_or_not[trash",
    "proof/faults/test_system_calls.py::test_killed_at_any_system_call_a_verb_is_done_or_not[upload",
    "legacy/test_crashes.py::test_killed_at_a_step_the_next_run_continues[medfiles.storage.journal",
    "legacy/test_crashes.py::test_killed_at_a_step_the_next_run_continues[medfiles.operations.backup-copy_database",
    "legacy/test_crashes.py::test_killed_at_a_step_the_next_run_continues[medfiles.legacy.moving",
    "legacy/test_crashes.py::test_killed_at_fifty_moments_the_result_is_the_same",
    "legacy/test_crashes.py::test_killed_during_rollback_the_next_run_completes_it",
    "legacy/test_moving.py::test_a_lab_result_trashed_during_the_move_takes_its_files_along",
    "legacy/test_moving.py::test_a_row_that_cannot_be_stored_does_not_stop_the_others",
    "legacy/test_moving.py::test_a_second_run",
    "legacy/test_moving.py::test_an_installation_of_real_size",
    "legacy/test_moving.py::test_documents_can_be_added_during_the_move",
    "legacy/test_moving.py::test_files_of_a_trashed_lab_result_are_trashed_and_restored_with_it",
    "legacy/test_moving.py::test_dry_run_reports_everything_and_changes_nothing",
    "legacy/test_moving.py::test_the_backed_up_database",
    "legacy/test_moving.py::test_times_are_read",
    "legacy/test_moving.py::test_verification_finds",
    "legacy/test_moving.py::test_without_pg_dump",
    "legacy/test_sources.py::test_another_installation_is_imported_and_not_changed",
    "legacy/test_sources.py::test_no_password",
    "legacy/test_sources.py::test_people_who_exist_already_are_matched",
    "legacy/test_sources.py::test_rollback_keeps_and_reports",
    "legacy/test_sources.py::test_rollback_removes_imported_people",
    "legacy/test_sources.py::test_the_backup",
    "legacy/test_sources.py::test_permanently_deleted_documents_are_not_imported_again",
    "legacy/test_ways_back.py::test_after_finishing_older_ids",
    "legacy/test_ways_back.py::test_finishing_deletes_older_rows_and_files_of_what_was_moved",
    "legacy/test_ways_back.py::test_permanently_deleted_documents_are_not_moved_again",
    "legacy/test_ways_back.py::test_moving_again_after_a_rollback",
    "legacy/test_ways_back.py::test_permanent_deletion_deletes_the_older_file",
    "legacy/test_ways_back.py::test_rollback_reports_changes_made_since",
    "rules/test_addresses.py::test_who_may_edit",
    "api/test_addresses.py::test_who_may_edit",
    "api/test_served.py",
    "record_types/test_lifecycle.py::test_every_step_is_in_the_activity",
    "documents/test_quota.py::test_of_many_at_once",
    "operations/test_scanning.py::test_a_document_that_others_scan",
    "operations/test_scanning.py::test_all_is_scanned_again",
    "operations/test_scanning.py::test_what_turns_out",
    "operations/test_scanning.py::test_what_waited",
    "operations/test_scanning.py::test_what_was_stored",
)
# Where the cases of a test are alike and each takes seconds, the suite tries one in so many, and --full all of them.
PARTS = {
    "browser/test_states": Part(2, together=True),
    "browser/": Part(2),
    "legacy/test_crashes": Part(3),
    "sandbox/render/test_hostile": Part(3),
}
FILES = (
    "proof/faults/test_full_disk",
    "proof/faults/test_mutants",
    "proof/faults/test_power_cuts",
)  # on databases of their own
SERVER = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=("sqlite", "postgres"), default="sqlite", help="Which database to test on.")
    parser.addoption("--full", action="store_true", help="Try all faults and hostile inputs, not a part of them.")
    parser.addoption("--seed", type=int, default=7, help="From which the choice of that part follows.")


def pytest_configure(config: pytest.Config) -> None:
    argon2.default_rounds, argon2.memory_cost = 1, 64  # so slow on purpose that a fifth of the time went by in it
    config.addinivalue_line("markers", "only_full: too long for anything but --full")
    config.addinivalue_line("markers", "only_postgres: about PostgreSQL beside SQLite")
    for name in [name for name in os.environ if name.startswith("MEDFILES_")]:
        del os.environ[name]
    if config.getoption("database") != "postgres":
        return
    os.environ["PATH"] = os.pathsep.join(
        [str(postgres.PROGRAMS), os.environ["PATH"]]
    )  # pg_dump of the server's version
    handed_over = getattr(config, "workerinput", {}).get("postgres")
    config.stash[SERVER] = handed_over or STARTED.enter_context(postgres.server())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Another database changes nothing for tests that touch none, nor for what a page looks and does like."""
    if not config.getoption("full"):
        _keep(config, items, [item for item in items if not item.get_closest_marker("only_full")])
        _keep(config, items, _of_alike_ones(items, config.getoption("seed")))
    if config.getoption("database") == "postgres":
        concerned = [item for item in items if "new_database" in getattr(item, "fixturenames", ()) and _stores(item)]
        _keep(config, items, concerned)
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
        yield from PARTS[place].chosen(cases, lambda item: item.nodeid.partition("[")[0], seed)


def _stores(item: pytest.Item) -> bool:
    place = item.nodeid.removeprefix("tests/")
    every = item.config.getoption("full") and place.startswith("proof/faults/") and not place.startswith(FILES)
    return every or place.startswith(ON_EVERY_DATABASE) or not place.startswith(DOORS)


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
    shared = Sandbox(1, renderer.TASKS, renderer.LIMITS)
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
