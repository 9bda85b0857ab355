"""Lists and single documents over JSON: page by page, what is held already, what somebody else changed meanwhile."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from medfiles.database.session import db
from medfiles.models import EntityFile
from medfiles.sandbox.pool import Sandbox
from tests.support import large_lists
from tests.support.api_client import HOME, Script, problem, script
from tests.support.factories import World, install

NAMES = ("Scan 10.txt", "scan 2.txt", "Ärztebrief.txt", "Zoë & Co + 100%.txt", "letter.txt", "letter.txt", "a.txt")
DIFFERING = {"X-Request-Id", "Date"}
DETAILS = {"file_name", "description", "category"}


@dataclass
class Shelf:
    """A visit with seven documents, two of them of one name and all of them of one moment, and its owner's script."""

    world: World
    by: Script
    record: int
    ids: list[int]

    @property
    def path(self) -> str:
        return f"/visit/{self.record}/files"

    @property
    def file(self) -> str:
        return f"/files/{self.ids[0]}"

    def page(self, **query: Any) -> TestResponse:
        return self.by.ask("GET", self.path, query_string=query)


@pytest.fixture
def shelf(world: World) -> Shelf:
    return shelf_in(world)


@pytest.fixture(scope="module")
def looked_at(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox
) -> Iterator[Shelf]:
    """One for all tests that change nothing."""
    place = tmp_path_factory.mktemp("looked-at")
    environ = {"MEDFILES_INSTANCE": str(place / "instance"), "MEDFILES_DATABASE_URL": new_database(place)}
    with install(environ, sandbox) as world:
        yield shelf_in(world)


def shelf_in(world: World) -> Shelf:
    record = world.record()
    ids = world.store(record, *NAMES)
    for number, file_id in enumerate(ids):
        values = {"file_size": 100 + number % 3, "file_type": ("text/plain", "application/pdf")[number % 2]}
        db.session.execute(update(EntityFile).where(EntityFile.id == file_id).values(**values))
    db.session.commit()
    return Shelf(world, script(world), record.id, ids)


def next_of(answer: TestResponse) -> str | None:
    link = answer.headers.get("Link")
    if link is None:
        return None
    found = re.fullmatch(r'<(/[!-;=?-~]*)>; rel="next"', link)
    assert found is not None, link
    return found[1].removeprefix(HOME)


def walk(by: Script, path: str) -> Iterator[TestResponse]:
    """The page at this path and all that follow, by nothing but their links."""
    following: str | None = path
    while following:
        answer = by.get(following)
        assert answer.status_code == 200, answer.text
        yield answer
        following = next_of(answer)


def ids_of(*answers: TestResponse) -> list[int]:
    return [file["id"] for answer in answers for file in answer.get_json()]


# --- pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", ["date", "name", "size", "type"])
def test_the_pages_of_a_list_hold_each_document_once_in_its_order(looked_at: Shelf, sort: str) -> None:
    whole = ids_of(looked_at.page(sort=sort, limit=7))
    pages = list(walk(looked_at.by, f"{looked_at.path}?sort={sort}&limit=3"))
    assert [len(page.get_json()) for page in pages] == [3, 3, 1]
    assert ids_of(*pages) == whole
    assert sorted(whole) == looked_at.ids
    assert {page.headers["X-Total-Count"] for page in pages} == {"7"}
    assert next_of(looked_at.page(limit=7)) is None


def test_a_link_keeps_what_was_asked_for(shelf: Shelf) -> None:
    asked = {"q": "txt & + % #", "media": "text", "sort": "name", "order": "desc", "limit": "1", "zone": "Asia/Tokyo"}
    shelf.world.store(shelf.world.records().get(shelf.world.kind(), shelf.record), *["a txt & + % #.txt"] * 2)
    [first, second] = walk(shelf.by, f"{shelf.path}?{shelf.page(**asked).request.query_string.decode()}")
    following = dict(parse_qsl(urlsplit(next_of(first) or "").query))
    assert {name: following[name] for name in asked} == asked
    assert len({*ids_of(first), *ids_of(second)}) == 2


def test_a_page_holds_fifty_unless_it_is_asked_for_up_to_a_thousand(shelf: Shelf) -> None:
    patient = shelf.world.records().get(shelf.world.kind(), shelf.record).patient_id
    large_lists.documents(patient, shelf.record, 1100, 1100)  # every twentieth is in the trash
    assert len(shelf.page().get_json()) == 50
    assert [len(page.get_json()) for page in walk(shelf.by, f"{shelf.path}?limit=1000")] == [1000, 52]


@pytest.mark.parametrize("sort", ["date", "type"])
def test_a_list_says_of_a_document_what_the_document_says_itself(looked_at: Shelf, sort: str) -> None:
    listed = looked_at.page(sort=sort).get_json()
    single = [looked_at.by.get(f"/files/{file['id']}").get_json() for file in listed]
    assert (listed, [list(file) for file in listed]) == (single, [list(file) for file in single])


def test_patients_come_in_pages_by_name(world: World) -> None:
    by, owner = script(world), world.user().id
    large_lists.patients(owner, 5000, 5)
    for name in ("Ärztin", 'O\u2019Neil, "Zoë"', "Patient"):
        world.patient(first_name=name)
    shared = world.patient("otto@sample.example", first_name="Nora")
    world.share(shared, "nora@sample.example")
    whole = by.get("/patients").get_json()
    pages = list(walk(by, "/patients?limit=4"))
    assert [len(page.get_json()) for page in pages] == [4, 4, 1]
    assert [one for page in pages for one in page.get_json()] == whole
    assert [one["access"] for one in whole if one["first_name"] == "Nora"] == ["view"]
    assert by.get(f"/patients/{whole[0]['id']}").get_json() == whole[0]


@pytest.mark.parametrize("cursor", ["x", "cGF0aWVudHMKMQp7fQ", "cGF0aWVudHMKMQpbMSwyXQ", "cGF0aWVudHMKMQo1"])
def test_a_cursor_of_patients_that_was_made_up_is_refused(world: World, cursor: str) -> None:
    answer = script(world).ask("GET", "/patients", query_string={"cursor": cursor})
    assert problem(answer, 422, "rejected")["errors"][0]["field"] == "cursor"


def test_an_empty_list_has_one_page(looked_at: Shelf) -> None:
    nothing = looked_at.page(q="nobody calls it so")
    assert (nothing.get_json(), nothing.headers["X-Total-Count"], next_of(nothing)) == ([], "0", None)


def test_the_trash_is_a_list_of_its_own(shelf: Shelf) -> None:
    for file_id in shelf.ids[:3]:
        shelf.by.delete(f"/files/{file_id}")
    pages = list(walk(shelf.by, f"{shelf.path}?trashed=1&limit=2"))
    assert sorted(ids_of(*pages)) == shelf.ids[:3]
    assert all(file["deleted_at"] for page in pages for file in page.get_json())
    assert sorted(ids_of(shelf.page(trashed=0))) == shelf.ids[3:]


def test_a_cursor_of_one_list_is_none_of_another(looked_at: Shelf) -> None:
    cursor = dict(parse_qsl(urlsplit(next_of(looked_at.page(limit=2)) or "").query))["cursor"]
    for query in ({"sort": "name"}, {"order": "asc"}, {"trashed": "1"}):
        assert problem(looked_at.page(cursor=cursor, **query), 422, "rejected")


# --- what is held already -----------------------------------------------------------------------------------------


def readable(shelf: Shelf) -> list[str]:
    patient = shelf.world.records().get(shelf.world.kind(), shelf.record).patient_id
    record = f"/visit/{shelf.record}"
    return ["/patients", f"/patients/{patient}", f"/patients/{patient}/visits", record, shelf.path, shelf.file]


def test_what_is_held_already_is_not_sent_again(looked_at: Shelf) -> None:
    for path in readable(looked_at):
        etag = looked_at.by.get(path).headers["ETag"]
        for held in (etag, f'"other", {etag}', "*", etag.removeprefix("W/"), f"W/{etag.removeprefix('W/')}"):
            answer = looked_at.by.get(path, If_None_Match=held)
            assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", etag), (path, held)
        assert looked_at.by.get(path, If_None_Match='"other"').status_code == 200


def test_a_change_is_sent_whatever_is_held(shelf: Shelf) -> None:
    held = {path: shelf.by.get(path).headers["ETag"] for path in (shelf.path, shelf.file)}
    assert shelf.by.put(f"{shelf.file}/metadata", {"description": "Changed"}).status_code == 200
    for path, etag in held.items():
        answer = shelf.by.get(path, If_None_Match=etag)
        assert (answer.status_code, "Changed" in answer.text) == (200, True)
        assert answer.headers["ETag"] != etag


def test_head_tells_all_and_sends_nothing(shelf: Shelf) -> None:
    whole_file = shelf.world.attach(shelf.world.record(), "whole.txt")
    for path in [*readable(shelf), f"{shelf.path}?limit=2", f"/files/{whole_file.id}/download"]:
        head, whole = shelf.by.ask("HEAD", path), shelf.by.get(path)
        told, sent = ({k: v for k, v in answer.headers if k not in DIFFERING} for answer in (head, whole))
        assert (head.status_code, head.data, told) == (200, b"", sent), path


def test_head_is_refused_as_get_is(looked_at: Shelf) -> None:
    for path, status in (("/files/1999999999", 404), (f"{looked_at.path}?limit=0", 422), ("/files/archive", 422)):
        answer = looked_at.by.ask("HEAD", path)
        assert (answer.status_code, answer.data) == (status, b"")


# --- what somebody else changed meanwhile -------------------------------------------------------------------------


def change(shelf: Shelf, held: str, **changes: Any) -> TestResponse:
    return shelf.by.put(f"{shelf.file}/metadata", changes or {"description": "Mine"}, If_Match=held)


def test_only_the_current_version_is_changed(shelf: Shelf) -> None:
    etag = shelf.by.get(shelf.file).headers["ETag"]
    answer = change(shelf, etag)
    assert (answer.status_code, answer.get_json()["description"]) == (200, "Mine")
    assert answer.headers["ETag"] == shelf.by.get(shelf.file).headers["ETag"] != etag
    assert problem(change(shelf, etag, description="Theirs"), 412, "outdated")
    assert shelf.by.get(shelf.file).get_json()["description"] == "Mine"


HELD = (
    ("*", 200), ('"other", {etag}', 200), ("W/{etag}", 412), ('"other"', 412), ('"*"', 412), ("", 412),
    ("nonsense without quotes", 412), ('"' + "x" * 5000 + '"', 412),
)  # fmt: skip


def test_a_version_is_compared_to_the_letter(shelf: Shelf) -> None:
    for held, status in HELD:
        etag = shelf.by.get(shelf.file).headers["ETag"]
        assert not etag.startswith("W/")
        assert change(shelf, held.format(etag=etag)).status_code == status, held


def test_a_version_ends_with_every_move(shelf: Shelf) -> None:
    seen = [shelf.by.get(shelf.file).headers["ETag"]]
    for move in (shelf.by.delete(shelf.file), shelf.by.post(f"{shelf.file}/restore")):
        assert move.headers["ETag"] not in seen
        seen.append(move.headers["ETag"])
    assert seen[-1] == shelf.by.get(shelf.file).headers["ETag"]


# --- one document -------------------------------------------------------------------------------------------------


def test_details_that_are_absent_stay_and_empty_ones_are_cleared(shelf: Shelf) -> None:
    def details(**changes: Any) -> dict[str, Any]:
        answer = shelf.by.put(f"{shelf.file}/metadata", changes)
        assert answer.status_code == 200, answer.text
        return {name: value for name, value in answer.get_json().items() if name in DETAILS}

    named = {"file_name": "New name.txt", "description": "Said", "category": "referral"}
    assert details(**named) == named
    assert details() == named
    assert details(description=None) == named | {"description": None}
    assert details(description="Again", category="") == named | {"description": "Again", "category": None}
    assert details(file_name="Other.pdf")["file_name"] == "Other.pdf.txt"


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_details_come_by_form_as_by_json(shelf: Shelf, media_type: str) -> None:
    said = {"file_name": "Zoë & Co.txt", "description": "Said", "category": "referral"}
    answer = shelf.by.ask("PUT", f"{shelf.file}/metadata", data=said, content_type=media_type)
    assert answer.status_code == 200, answer.text
    assert {name: value for name, value in answer.get_json().items() if name in DETAILS} == said
    assert shelf.by.ask("PUT", f"{shelf.file}/metadata", data={"colour": "red"}).status_code == 422


def test_a_document_is_told_whole_and_nothing_of_the_inside(looked_at: Shelf) -> None:
    told = looked_at.by.get(looked_at.file).get_json()
    assert set(told) == {
        "id", "entity_type", "entity_id", "file_name", "file_type", "file_size", "sha256", "description", "category",
        "document_date", "document_date_suggested", "to_file", "uploaded_at", "created_at", "updated_at", "deleted_at",
        "uploaded_by", "preview", "pages", "scan", "original_name", "renamed_from",
    }  # fmt: skip
    assert told["uploaded_by"] == "nora@sample.example"
    assert told["uploaded_at"].endswith("Z")
    [stored] = [file for file in looked_at.world.files() if file.id == told["id"]]
    assert stored.file_path not in looked_at.by.get(looked_at.file).text + looked_at.page().text


def test_many_documents_are_changed_each_with_its_own_outcome(shelf: Shelf) -> None:
    first, second, *_ = shelf.ids
    shelf.by.delete(f"/files/{second}")
    asked = [second, first, 1_999_999_999, first]
    answer = shelf.by.post("/files/bulk", {"action": "delete", "file_ids": asked})
    assert answer.status_code == 200
    assert [(outcome["id"], outcome["status"], outcome["code"]) for outcome in answer.get_json()] == [
        (second, 409, "conflict"),
        (first, 200, "done"),
        (1_999_999_999, 404, "not-found"),
    ]
    assert [
        outcome["id"] for outcome in shelf.by.post("/files/bulk", {"action": "restore", "file_ids": asked}).get_json()
    ] == asked[:3]


def test_counts_leave_out_what_is_not_there_or_not_ones_own(shelf: Shelf) -> None:
    theirs = shelf.world.record(email="otto@sample.example").id
    bare = shelf.world.record().id
    for kind in ("visit", "visits"):
        answer = shelf.by.post(
            "/files/batch-counts", {"entity_type": kind, "entity_ids": [shelf.record, bare, theirs, 1_999_999_999]}
        )
        assert answer.get_json() == {"counts": {str(shelf.record): 7, str(bare): 0}}
