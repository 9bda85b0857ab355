"""With 200,000 documents (--full: a million) an index finds what a list, search, count or the trash reads.

One account has 5 patients, the other 19,995: to the larger one a page costs little more.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from medfiles.database.session import count, db
from medfiles.documents.listing import ListQuery
from medfiles.http.parameters import list_query
from medfiles.legacy import ids
from medfiles.models import EntityFile
from medfiles.operations import status
from medfiles.operations.housekeeping import Expiry
from medfiles.records.timeline import TimelineQuery, read_cursor
from medfiles.sandbox.pool import Sandbox
from tests.support import large_lists
from tests.support.api_client import script
from tests.support.extent import Extent
from tests.support.factories import World, at_work, make_app
from tests.support.large_lists import FIRST, LONG
from tests.support.shared_installation import environ_in

pytestmark = pytest.mark.database

LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)  # before anything was moved to the trash
PAGE = 50
LARGE = ("entity_files", "visits", "audit_events", "patients")
NEWEST = "SCAN entity_files USING INDEX ix_entity_files_uploaded_at"  # from its end, as far as a LIMIT says


@pytest.fixture(scope="module")
def large(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox, extent: Extent
) -> Iterator[Flask]:
    place = tmp_path_factory.mktemp("large")
    app = make_app(environ_in(place, new_database(place)), sandbox)
    with at_work(app) as world:
        large_lists.fill(world.user().id, world.user("other@sample.example").id, extent.of(10, 2))
    yield app
    app.extensions["medfiles"].renderers.close()


@pytest.fixture
def clinic(large: Flask) -> Iterator[World]:
    with at_work(large) as world:
        world._users["nora@sample.example"] = 1
        yield world


@contextmanager
def asked() -> Iterator[list[tuple[str, Any]]]:
    """What is read meanwhile, with its parameters."""
    found: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            found.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def whole_tables(statement: str, parameters: Any) -> list[str]:
    """Large tables that the database would go through from end to end for it."""
    with db.engine.connect() as connection:
        if db.engine.dialect.name == "sqlite":
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [step for *_, step in plan if not (step == NEWEST and "LIMIT" in statement)]
            return [step for step in steps if step.startswith("SCAN") and step.split()[1] in LARGE]
        [plan] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalars()
        found = nodes((plan if isinstance(plan, list) else json.loads(plan))[0]["Plan"])
        names = [node.get("Relation Name") for node in found if node["Node Type"] == "Seq Scan"]
        return [name for name in names if name in LARGE]


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def listed(world: World, record: int, **query: str) -> Any:
    kind = world.kind()
    return world.documents().list(kind, record, list_query(query, kind), PAGE)


def listed_behind(world: World, **query: str) -> Any:
    return listed(world, LONG, cursor=listed(world, LONG, **query).next, **query)


def trashed(world: World) -> Any:
    kind = world.kind()
    return world.documents().list(kind, LONG, list_query({}, kind, trashed=True), PAGE)


def documents_behind(world: World) -> Any:
    first = world.documents().of_patient(FIRST, ListQuery(), PAGE)
    return world.documents().of_patient(FIRST, list_query({"cursor": str(first.next)}, world.kind()), PAGE)


def timeline_behind(world: World) -> Any:
    first = world.records().timeline(FIRST, TimelineQuery(), 2)
    return world.records().timeline(FIRST, TimelineQuery(cursor=read_cursor(str(first.next))), 2)


VERBS: dict[str, Callable[[World], Any]] = {
    "list": lambda world: listed(world, FIRST),
    "list of a very long record": lambda world: listed(world, LONG),
    "list by name": lambda world: listed(world, LONG, sort="name"),
    "next page": listed_behind,
    "next page by name": lambda world: listed_behind(world, sort="name"),
    "search": lambda world: listed(world, LONG, q="knee"),
    "category": lambda world: listed(world, LONG, category="referral"),
    "days": lambda world: listed(world, LONG, **{"from": "2026-01-01", "to": "2026-01-01"}),
    "trash of a record": trashed,
    "trash of a patient": lambda world: world.documents().trashed(FIRST),
    "count of 500 records": lambda world: world.documents().count(world.kind(), [*range(FIRST, FIRST + 500)]),
    "count of one": lambda world: world.documents().record_totals(world.kind(), LONG),
    "totals of a patient": lambda world: world.documents().totals(FIRST),
    "newest of all patients": lambda world: world.documents().recent(),
    "newest of a patient": lambda world: world.documents().recent(FIRST),
    "quarantined": lambda world: world.documents().quarantined(FIRST),
    "one document": lambda world: world.documents().details(FIRST_DOCUMENT),
    "twin": lambda world: world.documents().duplicate_of(world.documents().get(FIRST_DOCUMENT)),
    "expired": lambda world: count(EntityFile.id, Expiry(LONG_AGO).has_passed(EntityFile)),
    "imported document": lambda world: ids.document_id(1),
    "documents of a patient": lambda world: world.documents().of_patient(FIRST, ListQuery(), PAGE),
    "next documents of a patient": documents_behind,
    "timeline": lambda world: world.records().timeline(FIRST, TimelineQuery(), PAGE),
    "next page of the timeline": timeline_behind,
    "totals of the timeline": lambda world: world.records().timeline_totals(FIRST),
    "records of a patient": lambda world: world.records().list(FIRST, world.kind()),
}
FIRST_DOCUMENT = 1_000_000_001


@pytest.mark.parametrize("verb", VERBS)
def test_no_large_table_is_gone_through(clinic: World, verb: str) -> None:
    with asked() as statements:
        VERBS[verb](clinic)
    assert [(step, statement) for statement, told in statements for step in whole_tables(statement, told)] == []
    assert any("entity_files" in statement or "visits" in statement for statement, _ in statements)


CLINIC, SEEN = "other@sample.example", FIRST + 500  # the account with 19,995 patients, and one of them
BADGES = f"/documents/visit/badges?ids={','.join(map(str, range(SEEN * 5 - 4000, SEEN * 5 - 3500)))}"
PAGES = {  # and how many rows of a table or an index, times ten, SQLite may go through for it
    "home": ("/", 1_000_000),
    "patient": (f"/patients/{SEEN}", 500_000),
    "documents": (f"/patients/{SEEN}/documents", 500_000),
    "trash": (f"/patients/{SEEN}/trash", 500_000),
    "record": (f"/visit/{LONG + 1 + 5 * (SEEN - FIRST)}", 500_000),
    "people": ("/patients", 1_000_000),
    "found people": ("/patients?q=19999", 1_000_000),
    "account": ("/account", 500_000),
    "500 badges": (BADGES, 100_000),
}


@contextmanager
def work() -> Iterator[list[int]]:
    """How much SQLite does meanwhile, in instructions of its virtual machine; nothing on PostgreSQL."""
    done = [0]

    def note() -> None:
        done[0] += 1000

    def watch(connection: Any, *_: Any) -> None:
        connection.set_progress_handler(note, 1000)

    if db.engine.dialect.name != "sqlite":
        yield done
        return
    db.session.remove()
    db.engine.dispose()  # so that the page's connection is a new one
    event.listen(db.engine, "checkout", watch)
    try:
        yield done
    finally:
        event.remove(db.engine, "checkout", watch)
        db.session.remove()
        db.engine.dispose()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_an_account_with_very_many_patients_is_as_small_as_any(clinic: World, name: str) -> None:
    clinic._users[CLINIC] = 2
    path, most = PAGES[name]
    page = clinic.browser(CLINIC, htmx=False)
    assert page.get(path).status_code == 200
    with work() as done:
        answer = page.get(path)
    assert answer.status_code == 200
    assert len(answer.data) < 150 * 1024
    assert done[0] <= most


def test_patients_of_a_large_account_are_read_page_by_page(clinic: World) -> None:
    clinic._users[CLINIC] = 2
    by = script(clinic, CLINIC)
    first = by.get("/patients?limit=100")
    assert (len(first.get_json()), 'rel="next"' in first.headers["Link"]) == (100, True)
    assert len(by.get("/patients").get_json()) == 1000


def test_a_count_of_very_many_documents_is_used_again(clinic: World) -> None:
    first = status.measure(clinic.parts)
    with asked() as statements:
        assert status.measure(clinic.parts).kinds == first.kinds
    assert not [statement for statement, _ in statements if "sum(" in statement and "entity_files" in statement]


def test_a_statement_that_goes_through_it_is_found(clinic: World) -> None:
    assert whole_tables("SELECT count(*) FROM entity_files WHERE file_size = 1", ())
