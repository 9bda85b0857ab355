"""How often the database is asked does not grow with what is asked for."""

from collections.abc import Callable
from typing import Any

import pytest

from medfiles.database import cursors
from medfiles.records import timeline
from tests.rules.matrix import KINDS
from tests.support.api_client import Script, script
from tests.support.factories import Browser, World

pytestmark = pytest.mark.database

Statements = Callable[[], list[str]]
MOST = 12  # for one page, whatever it holds: who asks, the door, the trail, the documents, their count, their senders


def asked(by: Script, heard: list[str], method: str, path: str, **sent: Any) -> list[str]:
    """The statements of one request, by a token that was used just now."""
    del heard[:]
    assert by.ask(method, path, **sent).status_code == 200
    return [statement for statement in heard if not statement.startswith(("BEGIN", "COMMIT", "ROLLBACK", "PRAGMA"))]


def test_counting_takes_as_many_statements_for_one_record_as_for_five_hundred(
    world: World, statements: Statements
) -> None:
    by, record, documents = script(world), world.record().id, world.documents()
    assert by.get("/patients").status_code == 200
    heard, counts = statements(), []
    for ids in ([record], list(range(record, record + 500))):
        counts.append(
            len(asked(by, heard, "POST", "/files/batch-counts", json={"entity_type": "visit", "entity_ids": ids}))
        )
        del heard[:]
        assert documents.count(world.kind(), ids) == {record: 0}
        assert len([statement for statement in heard if statement.startswith("SELECT")]) == 1
    assert counts[0] == counts[1] <= 3


@pytest.mark.parametrize("query", ["&trashed=1", "&q=letter&category=none&sort=name"])
def test_a_list_takes_as_many_statements_for_one_document_as_for_two_hundred(
    world: World, statements: Statements, query: str
) -> None:
    by, patient = script(world), world.patient()
    few, many = world.record(patient=patient), world.record(patient=patient)
    for record, count in ((few, 1), (many, 200)):
        ids = world.store(record, *["letter.txt"] * count)
        if "trashed" in query:
            world.bulk().trash_many(world.kind(), record.id, ids)
    for record in (few, many):
        assert by.get(f"/visit/{record.id}/files").status_code == 200  # the trail keeps one opening in a minute
    heard = statements()
    counts = [len(asked(by, heard, "GET", f"/visit/{record.id}/files?limit=200{query}")) for record in (few, many)]
    assert counts[0] == counts[1] <= MOST


@pytest.mark.parametrize("path", ["/patients", "/patients/{patient}/visits"])
def test_a_list_of_patients_or_records_takes_as_many_statements_for_one_as_for_thirty(
    world: World, statements: Statements, path: str
) -> None:
    by, counts = script(world), []
    patient = world.patient()
    path = path.format(patient=patient.id)
    world.attach(world.record(patient=patient))
    assert by.get(path).status_code == 200
    heard = statements()
    for _ in range(2):
        counts.append(len(asked(by, heard, "GET", path)))
        for _ in range(29):
            world.record(patient=patient)
            world.patient()
    assert counts[0] == counts[1] <= MOST


# --- bounds of whole requests, the first view of the minute included ------------------------------------------------

CHANGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
HTML_BOUNDS = {
    "list fragment": 10,
    "preview": 11,
    "record page": 12,
    "home": 12,
    "patient page": 18,
    "next page of the timeline": 10,
    "documents of a patient": 16,
    "download": 6,
    "badge batch": 3,
    "upload fragment": 24,
    "trash fragment": 22,
    "restore fragment": 24,
}
API_BOUNDS = {"trash": 13, "restore": 14, "upload": 14}


def counted(heard: list[str]) -> list[str]:
    return [statement for statement in heard if statement.lstrip("( ").startswith(CHANGES)]


def html_requests(world: World, neighbours: int) -> dict[str, Callable[[], Any]]:
    """One request of each kind, by a browser that was here before, on a record with other documents."""
    by, record = world.browser(), world.record()
    world.store(record, *["letter.txt"] * neighbours)
    here = f"/documents/visit/{record.id}"
    shown, downloaded, gone, back = world.store(record, *["shown.txt"] * 4)
    world.documents().trash(back)
    page = Browser(by.client, htmx=False)
    assert page.get("/account").status_code == 200
    behind = cursors.write(timeline.SCOPE, "2100-01-01 visit", 1)
    badges = f"/documents/visit/badges?ids={record.id},{record.id + 1}"
    return {
        "list fragment": lambda: by.get(f"{here}/list"),
        "preview": lambda: by.get(f"/documents/files/{shown}/preview"),
        "record page": lambda: page.get(f"/visit/{record.id}"),
        "home": lambda: page.get("/"),
        "patient page": lambda: page.get(f"/patients/{record.patient_id}"),
        "next page of the timeline": lambda: by.get(f"/patients/{record.patient_id}?cursor={behind}"),
        "documents of a patient": lambda: page.get(f"/patients/{record.patient_id}/documents"),
        "download": lambda: by.get(f"/documents/files/{downloaded}/download"),
        "badge batch": lambda: by.get(badges),
        "upload fragment": lambda: by.upload(f"{here}/files", "new.txt", b"New"),
        "trash fragment": lambda: by.post(f"/documents/files/{gone}/delete", within="manager"),
        "restore fragment": lambda: by.post(f"/documents/files/{back}/restore", within="manager"),
    }


def api_requests(world: World) -> dict[str, Callable[[], Any]]:
    by, record = script(world), world.record()
    gone, back = world.store(record, "gone.txt", "back.txt")
    world.documents().trash(back)
    assert by.get("/patients").status_code == 200
    return {
        "trash": lambda: by.delete(f"/files/{gone}"),
        "restore": lambda: by.post(f"/files/{back}/restore"),
        "upload": lambda: by.upload(f"/visit/{record.id}/files", "new.txt", b"New"),
    }


@pytest.mark.parametrize("name", HTML_BOUNDS)
def test_an_html_request_asks_the_database_at_most_so_often(world: World, statements: Statements, name: str) -> None:
    request, heard = html_requests(world, 3)[name], statements()
    del heard[:]
    with request() as response:
        assert response.status_code in (200, 201)
    assert len(counted(heard)) <= HTML_BOUNDS[name], "\n".join(counted(heard))


@pytest.mark.parametrize("name", API_BOUNDS)
def test_an_api_request_asks_the_database_at_most_so_often(world: World, statements: Statements, name: str) -> None:
    request, heard = api_requests(world)[name], statements()
    del heard[:]
    assert request().status_code in (200, 201, 204)
    assert len(counted(heard)) <= API_BOUNDS[name], "\n".join(counted(heard))


@pytest.mark.parametrize("name", ["home", "patient page", "documents of a patient"])
def test_a_page_takes_no_more_statements_with_many_records(world: World, statements: Statements, name: str) -> None:
    patient, page, counts = world.patient(), world.browser(htmx=False), []
    path = {"home": "/", "patient page": "/patients/{}", "documents of a patient": "/patients/{}/documents"}[name]
    for kind in KINDS:
        world.store(world.record(kind, patient), "letter.txt")
    assert page.get("/account").status_code == 200
    heard = statements()
    for _ in range(2):
        del heard[:]
        assert page.get(path.format(patient.id)).status_code == 200
        counts.append(len(counted(heard)))
        for number in range(20):
            world.store(world.record(KINDS[number % len(KINDS)], patient), "letter.txt", "note.txt")
    assert counts[0] >= counts[1]


@pytest.mark.parametrize("name", ["preview", "list fragment"])
def test_a_page_takes_no_more_statements_with_many_documents(world: World, statements: Statements, name: str) -> None:
    heard, counts = statements(), []
    for neighbours in (1, 70):
        request = html_requests(world, neighbours)[name]
        del heard[:]
        assert request().status_code == 200
        counts.append(len(counted(heard)))
    assert counts[0] == counts[1]
