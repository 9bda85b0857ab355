"""Unmigrated files: listed, counted and downloaded unaltered, before and after the move, and never changed."""

import hashlib
import os
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from medfiles.database.session import db
from medfiles.models import LabResultFile
from tests.legacy.commands import DOWNLOAD
from tests.support import samples
from tests.support.factories import World, details_of

pytestmark = pytest.mark.database

OTTO = "otto@sample.example"


@pytest.fixture
def lab(world: World) -> Any:
    return world.record("lab-result")


def listed(world: World, lab: Any, address: str = "lab-results", **query: str) -> TestResponse:
    return world.client().get(f"/api/v1/{address}/{lab.id}/files", query_string=query)


def names(answer: TestResponse) -> list[str]:
    return [file["file_name"] for file in answer.json or []]


def test_an_unmigrated_file_is_downloaded_unaltered_whatever_size_its_row_has(world: World, lab: Any) -> None:
    content = samples.pdf()
    older = world.older_file(lab, content=content, file_size=3)
    answer = world.client().get(DOWNLOAD.format(older.id), buffered=True)
    assert (answer.status_code, answer.data) == (200, content)
    assert answer.headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_range_of_an_unmigrated_file_can_be_requested(world: World, lab: Any) -> None:
    older = world.older_file(lab, "Note.txt", b"0123456789")
    answer = world.client().get(DOWNLOAD.format(older.id), headers={"Range": "bytes=2-4"}, buffered=True)
    assert (answer.status_code, answer.data, answer.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")


def test_unknown_media_types_of_the_older_table_are_not_sent(world: World, lab: Any) -> None:
    types = ("text/html", "image/svg+xml", "text/plain\r\nX-Bad: 1", "nonsense")
    answers = [
        world.client().get(DOWNLOAD.format(world.older_file(lab, file_type=type).id), buffered=True) for type in types
    ]
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/octet-stream"}


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\r\nX-Bad: 1.pdf", "\u202e", "日本.pdf", " "])
def test_names_of_unmigrated_files_are_cleaned(world: World, lab: Any, name: str) -> None:
    older = world.older_file(lab, "Note.txt", b"x")
    older.file_name = name
    db.session.commit()
    answer = world.client().get(DOWNLOAD.format(older.id), buffered=True)
    assert answer.status_code == 200
    assert "X-Bad" not in answer.headers
    [shown] = names(listed(world, lab))
    assert shown.isprintable()
    assert "/" not in shown


def test_the_older_id_of_a_moved_file_leads_to_the_document(world: World, lab: Any) -> None:
    older = world.older_file(lab, moved=True)
    file = world.files()[0]
    (world.uploads / older.file_path).write_bytes(b"no longer asked for")
    answer = world.client().get(DOWNLOAD.format(older.id), buffered=True)
    assert hashlib.sha256(answer.data).hexdigest() == file.sha256
    assert answer.headers["Link"] == f'</api/v1/files/{file.id}/download>; rel="successor-version"'


def test_document_ids_are_accepted_at_older_addresses(world: World, lab: Any) -> None:
    file = world.attach(lab)
    assert world.client().get(DOWNLOAD.format(file.id), buffered=True).status_code == 200


@pytest.mark.parametrize("address", ["lab-results", "lab-result"])
def test_the_list_holds_moved_and_unmigrated_files_once(world: World, lab: Any, address: str) -> None:
    waiting, _ = world.older_file(lab, "Waiting.pdf"), world.older_file(lab, "Moved.pdf", moved=True)
    world.attach(lab, "New.pdf")
    answer = listed(world, lab, address)
    assert names(answer) == ["New.pdf", "Moved.pdf", "Waiting.pdf"]
    assert answer.headers["X-Total-Count"] == "3"
    last = (answer.json or [])[-1]
    assert (last["id"], last["sha256"], last["uploaded_by"]) == (waiting.id, None, None)
    assert (last["category"], last["uploaded_at"]) == ("result", "2021-03-04T09:30:00Z")


@pytest.mark.parametrize("sort", ["name", "date", "size", "type"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_list_unmigrated_files_and_documents_in_one_order(world: World, lab: Any, sort: str, order: str) -> None:
    for number in range(4):
        world.older_file(lab, f"Old {number}.txt", b"x" * (number + 1), uploaded_at=datetime(2020, 1, number + 1))
        world.attach(lab, f"New {number}.txt", b"y" * (number + 2))
    whole, pages, address = names(listed(world, lab, sort=sort, order=order)), [], f"/api/v1/lab-result/{lab.id}/files"
    query: dict[str, str] | None = {"sort": sort, "order": order, "limit": "3"}
    while address:
        answer = world.client().get(address, query_string=query)
        pages.append(names(answer))
        link = answer.headers.get("Link", "")
        address, query = (link.split(">")[0][1:], None) if 'rel="next"' in link else ("", None)
    assert [name for page in pages for name in page] == whole
    assert (len(whole), [len(page) for page in pages]) == (8, [3, 3, 2])


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "old"}, ["Old.txt"]),
        ({"category": "result"}, ["Old.txt"]),
        ({"category": "none"}, ["New.txt"]),
        ({"media": "text"}, ["New.txt"]),
        ({"media": "pdf"}, ["Old.txt"]),
        ({"to": "2021-03-04"}, ["Old.txt"]),
        ({"from": "2021-03-05"}, ["New.txt"]),
    ],
)
def test_filters_apply_to_unmigrated_files(world: World, lab: Any, query: dict[str, str], found: list[str]) -> None:
    world.older_file(lab, "Old.txt")
    world.attach(lab, "New.txt")
    assert names(listed(world, lab, **query)) == found


def test_the_trash_lists_no_unmigrated_files(world: World, lab: Any) -> None:
    world.older_file(lab)
    assert names(listed(world, lab, trashed="1")) == []


def test_an_unmigrated_file_cannot_be_deleted(world: World, lab: Any) -> None:
    older = world.older_file(lab)
    answer = world.browser(htmx=False)
    response = answer.client.delete(f"/api/v1/lab-result-files/{older.id}", headers={"X-CSRFToken": answer.token})
    assert (response.status_code, response.json and response.json["code"]) == (409, "conflict")
    assert (world.uploads / older.file_path).exists()
    assert db.session.scalar(select(func.count(LabResultFile.id))) == 1


def test_a_moved_file_is_trashed_by_its_older_id(world: World, lab: Any) -> None:
    older, browser = world.older_file(lab, moved=True), world.browser(htmx=False)
    path = f"/api/v1/lab-result-files/{older.id}"
    response = browser.client.delete(path, headers={"X-CSRFToken": browser.token})
    [file] = world.files()
    assert (response.status_code, file.deleted_at is not None) == (200, True)
    assert response.headers["Link"] == f'</api/v1/files/{file.id}>; rel="successor-version"'


def test_older_addresses_are_marked_as_deprecated(world: World, lab: Any) -> None:
    older = world.older_file(lab)
    for answer in (listed(world, lab), world.client().get(DOWNLOAD.format(older.id), buffered=True)):
        assert answer.headers["Deprecation"] == "@1795651200"
        assert answer.headers["Link"] == f'</api/v1/lab-result/{lab.id}/files>; rel="successor-version"'
    assert "Deprecation" not in listed(world, lab, "lab-result").headers


def test_an_upload_to_the_older_address_makes_a_document(world: World, lab: Any) -> None:
    browser = world.browser(htmx=False)
    answer = browser.upload(f"/api/v1/lab-results/{lab.id}/files", "Count.pdf", samples.pdf())
    assert (answer.status_code, len(world.files())) == (201, 1)
    assert answer.headers["Link"] == f'</api/v1/lab-result/{lab.id}/files>; rel="successor-version"'


@pytest.mark.parametrize("moved", [False, True])
def test_to_a_stranger_an_older_file_does_not_exist(world: World, lab: Any, moved: bool) -> None:
    older = world.older_file(lab, moved=moved)
    stranger = world.client(OTTO)
    answers = [stranger.get(DOWNLOAD.format(number), buffered=True) for number in (older.id, older.id + 1)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].data == answers[1].data
    assert answers[0].headers.get("Link") == answers[1].headers.get("Link")


def test_a_reader_can_download_but_not_delete_an_unmigrated_file(world: World, lab: Any) -> None:
    older = world.older_file(lab)
    world.share(world.records().patient(lab.patient_id).patient, OTTO)
    otto = world.browser(OTTO, htmx=False)
    assert otto.client.get(DOWNLOAD.format(older.id), buffered=True).status_code == 200
    path = f"/api/v1/lab-result-files/{older.id}"
    assert otto.client.delete(path, headers={"X-CSRFToken": otto.token}).status_code == 403


def test_downloading_an_unmigrated_file_is_audited(world: World, lab: Any) -> None:
    older = world.older_file(lab)
    world.client().get(DOWNLOAD.format(older.id), buffered=True)
    [event] = world.events(action="download")
    assert (event.file_id, event.patient_id) == (older.id, lab.patient_id)
    assert details_of(event) == {"name": "Blood count.pdf"}


def test_every_spelling_of_older_paths_is_accepted(world: World, lab: Any) -> None:
    older = world.older_file(lab, "Note.txt", b"found")
    name = Path(older.file_path).name
    elsewhere = f"/srv/app/data/{older.file_path}"
    for path in (name, f"uploads/{older.file_path}", str(world.uploads / older.file_path), elsewhere):
        older = world.older_file(lab, "Other.txt", file_path=path)
        assert world.client().get(DOWNLOAD.format(older.id), buffered=True).data == b"found"


@pytest.mark.parametrize(
    "path", ["../medfiles.db", "lab_result_files/../../secret-key", "/etc/passwd", "a\0b", "", "x" * 400]
)
def test_no_path_leads_out_of_the_older_folder(world: World, lab: Any, path: str) -> None:
    if "\0" in path and db.engine.dialect.name == "postgresql":
        path = "lab_result_files"  # a text of PostgreSQL holds no such letter
    older = world.older_file(lab, file_path=path)
    answer = world.client().get(DOWNLOAD.format(older.id), buffered=True)
    assert (answer.status_code, answer.json and answer.json["code"]) == (503, "blob-missing")


def test_a_link_in_the_older_folder_is_not_followed(world: World, lab: Any) -> None:
    older = world.older_file(lab, "Note.txt", b"mine")
    place = world.uploads / older.file_path
    os.link(place, world.uploads / "elsewhere.txt")
    place.unlink()
    place.symlink_to(world.uploads / "elsewhere.txt")
    assert world.client().get(DOWNLOAD.format(older.id), buffered=True).status_code == 503


def test_the_older_folder_can_be_set(make_world: Any, tmp_path: Path) -> None:
    world = make_world(OLDER_UPLOADS=str(tmp_path / "old"))
    (tmp_path / "old" / "lab_result_files").mkdir(parents=True)
    (tmp_path / "old" / "lab_result_files" / "a.txt").write_bytes(b"there")
    older = world.older_file(world.record("lab-result"), "Note.txt", b"here", file_path="lab_result_files/a.txt")
    assert world.client().get(DOWNLOAD.format(older.id), buffered=True).data == b"there"


# --- in the widget -----------------------------------------------------------------------------------------------


def test_the_widget_offers_only_download_for_unmigrated_files(world: World, lab: Any) -> None:
    older, file = world.older_file(lab, "Old.pdf"), world.attach(lab, "New.pdf")
    page = world.browser().get(f"/documents/lab-result/{lab.id}").text
    [row] = re.findall(rf'<tbody class="mf-doc" id="[^"]*-doc-{older.id}".*?</tbody>', page, re.DOTALL)
    [other] = re.findall(rf'<tbody class="mf-doc" id="[^"]*-doc-{file.id}".*?</tbody>', page, re.DOTALL)
    assert "Not moved yet" in row
    assert f"/documents/files/{older.id}/download" in row
    assert not re.search(r"/edit|/delete|/preview|pictures|mf-tick\b", row)
    assert "Not moved yet" not in other
    assert re.search(r"mf-tick\b", other)


def test_the_widgets_link_works_before_and_after_the_move(world: World, lab: Any) -> None:
    for moved in (False, True):
        older = world.older_file(lab, "Note.txt", b"whole", moved=moved)
        answer = world.client().get(f"/documents/files/{older.id}/download", buffered=True)
        assert (answer.status_code, answer.data) == (200, b"whole")
        assert answer.headers["Content-Disposition"].startswith("attachment")


def test_every_count_includes_unmigrated_files(world: World, lab: Any) -> None:
    world.older_file(lab, "Old.txt")
    world.older_file(lab, "Moved.txt", moved=True)
    world.attach(lab, "New.txt")
    kind, documents = world.kind("lab-result"), world.documents()
    assert documents.count(kind, [lab.id]) == {lab.id: 3}
    assert documents.record_totals(kind, lab.id).live == 3
    assert documents.totals(lab.patient_id) == {"lab-result": 3}
    assert "3 documents" in world.browser().get(f"/documents/lab-result/{lab.id}/badge").text


def test_counts_of_other_accounts_do_not_include_them(world: World, lab: Any) -> None:
    world.older_file(lab)
    other = world.record("lab-result", email=OTTO)
    assert world.documents(OTTO).count(world.kind("lab-result"), [lab.id, other.id]) == {other.id: 0}
    assert world.documents(OTTO).totals(lab.patient_id) == {}


def test_unmigrated_files_count_towards_the_limit_of_their_record(world: World, lab: Any) -> None:
    for number in range(world.kind("lab-result").max_files):
        world.older_file(lab, f"{number}.txt", b"x")
    answer = world.browser(htmx=False).upload(f"/api/v1/lab-result/{lab.id}/files", "One more.pdf", samples.pdf())
    assert (answer.status_code, answer.json and answer.json["code"]) == (409, "too-many")


def test_select_all_leaves_unmigrated_files_out(world: World, lab: Any) -> None:
    for number in range(3):
        world.older_file(lab, f"Old {number}.txt")
    world.store(lab, *(f"New {number}.txt" for number in range(60)))
    page = world.browser().get(f"/documents/lab-result/{lab.id}").text
    assert "Select all 60 documents" in page


def test_unmigrated_files_cannot_be_removed_in_a_form(world: World, lab: Any) -> None:
    older = world.older_file(lab, "Old.txt")
    page = world.client().get(f"/lab-results/{lab.id}/edit").text
    assert "Old.txt" in page
    assert f'name="remove" value="{older.id}"' not in page


def test_bulk_actions_do_not_change_unmigrated_files(world: World, lab: Any) -> None:
    older = world.older_file(lab)
    browser = world.browser(htmx=False)
    for action in ("delete", "purge", "category"):
        browser.post(f"/documents/lab-result/{lab.id}/bulk", action=action, file_ids=str(older.id), category="report")
    assert (world.uploads / older.file_path).exists()
    assert db.session.scalar(select(func.count(LabResultFile.id))) == 1
