"""The whole life of a record of each type: pages, forms, documents, trash, activity and API.

tests/docs/test_add_a_record_type.py runs these tests for the record type that docs/add-a-record-type.md adds.
"""

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import lxml.html
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from medfiles.database.session import db
from medfiles.models import Patient
from medfiles.record_types.declared import RECORD_TYPES, RecordType
from tests.support import samples
from tests.support.factories import World, heard, token_of, values_for

HTMX = {"HX-Request": "true"}


@dataclass
class Life:
    """One patient, one record type, one browser; with and without script."""

    world: World
    record_type: RecordType
    patient_id: int
    client: FlaskClient
    token: str

    @property
    def listing(self) -> str:
        return f"/patients/{self.patient_id}/{self.record_type.plural}"

    def at(self, record_id: int, verb: str = "") -> str:
        return f"/{self.record_type.name}/{record_id}{verb}"

    def documents(self, record_id: int, verb: str = "") -> str:
        return f"/documents/{self.record_type.name}/{record_id}{verb}"

    def send(self, path: str, fields: dict[str, Any] | None = None, /, **headers: str) -> TestResponse:
        sent = {"X-CSRFToken": self.token, **headers}
        return self.client.post(path, data=fields or {}, headers=sent)

    def create(self, **fields: str) -> int:
        entered = {name: str(value) for name, value in values_for(self.record_type).items()}
        answer = self.send(f"{self.listing}/new", {**entered, **fields})
        assert answer.status_code == 303
        found = re.fullmatch(rf"/{self.record_type.name}/(\d+)", answer.location)
        assert found
        return int(found[1])

    def record(self) -> int:
        """As `create`, without the form."""
        patient = db.session.get_one(Patient, self.patient_id)
        return int(self.world.record(self.record_type.name, patient).id)

    def document(self, record_id: int, name: str = "letter.pdf") -> int:
        """As `upload`, without the request."""
        return self.world.attach(db.session.get_one(self.record_type.model, record_id), name).id

    def upload(self, record_id: int, name: str = "letter.pdf", content: bytes | None = None) -> int:
        body = {"file": (io.BytesIO(samples.pdf() if content is None else content), name)}
        answer = self.client.post(
            self.documents(record_id, "/files"), data=body, headers={"X-CSRFToken": self.token, **HTMX}
        )
        assert answer.status_code == 201, answer.text
        return self.world.files()[-1].id

    def text(self, path: str, **headers: str) -> str:
        answer = self.client.get(path, headers=headers)
        assert answer.status_code == 200
        return " ".join(lxml.html.fromstring(answer.data).text_content().split())

    def badge(self, record_id: int) -> str:
        shown = self.client.get(f"/documents/{self.record_type.name}/badges?ids={record_id}", headers=HTMX).text
        return re.sub(r"<[^>]+>", "", shown).strip()


@pytest.fixture(params=RECORD_TYPES, ids=lambda record_type: record_type.name)
def life(request: pytest.FixtureRequest, usual_world: Callable[[], AbstractContextManager[World]]) -> Iterator[Life]:
    with usual_world() as world:
        client = world.client()
        yield Life(world, world.kind(request.param.name), world.patient().id, client, token_of(client))


def test_the_patients_page_offers_to_add_one_and_counts_those_there_are(life: Life) -> None:
    at = f"/patients/{life.patient_id}"
    assert f'href="{life.listing}/new"' in life.client.get(at).text
    assert f"{life.record_type.titles} 1" not in life.text(at)
    life.record()
    assert f"{life.record_type.titles} 1" in life.text(at)
    assert f'href="{at}?type={life.record_type.name}"' in life.client.get(at).text


def test_the_form_has_its_fields_names_missing_ones_and_keeps_the_others(life: Life) -> None:
    page = lxml.html.fromstring(life.client.get(f"{life.listing}/new").data)
    names = {control.get("name") for control in page.xpath("//form[@data-mf-guard]//*[@name]")}
    assert {part.name for part in life.record_type.fields if part.kind != "object"} <= names
    answer = life.send(f"{life.listing}/new", {"notes": "Half filled in"})
    assert answer.status_code == 422
    for field in life.record_type.fields:
        if field.required:
            assert field.missing in answer.text
    assert "Half filled in" in answer.text
    assert life.world.records().list(life.patient_id, life.record_type) == []


def test_a_record_gets_a_card_and_a_page(life: Life) -> None:
    record_id = life.create()
    title = life.record_type.title_of(life.world.records().get(life.record_type, record_id))
    for path in (life.listing, life.at(record_id), f"/{life.record_type.plural}/{record_id}"):
        assert title in life.text(path)
        assert title in life.text(path, **HTMX)
    assert title in life.text(life.documents(record_id))


def test_a_record_is_edited(life: Life) -> None:
    record_id = life.record()
    entered = {name: str(value) for name, value in values_for(life.record_type).items()}
    answer = life.send(life.at(record_id, "/edit"), {**entered, life.record_type.title_field: "Another name"})
    assert (answer.status_code, answer.location) == (303, life.at(record_id))
    assert "Another name" in life.text(life.listing)


def test_a_document_is_uploaded_and_downloaded(life: Life) -> None:
    record_id = life.create()
    assert life.badge(record_id) == "No documents yet"
    file_id = life.upload(record_id)
    assert life.badge(record_id) == "1 document"
    assert "letter.pdf" in life.text(life.documents(record_id, "/list"), **HTMX)
    assert life.client.get(f"/documents/files/{file_id}/download").data == samples.pdf()


def test_its_own_limit_is_enforced(life: Life) -> None:
    record_id = life.record()
    record = db.session.get_one(life.record_type.model, record_id)
    life.world.store(record, *(f"{number}.txt" for number in range(life.record_type.max_files - 1)))
    life.upload(record_id)
    body = {"file": (io.BytesIO(samples.pdf()), "more.pdf")}
    answer = life.client.post(
        life.documents(record_id, "/files"), data=body, headers={"X-CSRFToken": life.token, **HTMX}
    )
    assert answer.status_code == 409
    assert f"{life.record_type.max_files} of {life.record_type.max_files}" in answer.text


def test_a_document_has_its_own_details_and_categories(life: Life) -> None:
    record_id = life.record()
    file_id = life.document(record_id)
    page = lxml.html.fromstring(life.client.get(life.documents(record_id)).data)
    offered = page.xpath("//*[@data-mf-zone]//form//select[@name='category']/option/@value")
    assert tuple(offered) == ("", *life.record_type.categories)
    path = f"/documents/files/{file_id}/edit"
    assert life.send(path, {"category": life.record_type.categories[0]}).status_code == 303
    assert life.send(path, {"category": "made-up"}).status_code == 422
    life.send(path, {"file_name": "Better name", "description": "From the clinic"}, **HTMX)
    [file] = life.world.files()
    details = (file.file_name, file.description, file.category)
    assert details == ("Better name.pdf", "From the clinic", life.record_type.categories[0])


def test_a_document_is_moved_to_trash_and_restored(life: Life) -> None:
    record_id = life.record()
    file_id = life.document(record_id)
    gone = life.send(f"/documents/files/{file_id}/delete", **HTMX)
    assert heard(gone)["documents:changed"]["count"] == 0
    assert f"/documents/files/{file_id}/restore" in gone.text
    assert "letter.pdf" in life.text(life.documents(record_id, "/trash"))
    assert "letter.pdf" in life.text(f"/patients/{life.patient_id}/trash")
    back = life.send(f"/documents/files/{file_id}/restore", {"view": "trash"}, **HTMX)
    assert heard(back)["documents:changed"]["count"] == 1
    assert life.client.get(f"/documents/files/{file_id}/download").data == samples.pdf()
    life.world.assert_settled()


def test_a_record_is_trashed_and_restored_with_its_documents(life: Life) -> None:
    record_id = life.record()
    staying, gone_before = life.document(record_id), life.document(record_id, "old.pdf")
    life.send(f"/documents/files/{gone_before}/delete")
    deleted = life.send(life.at(record_id, "/delete"), **HTMX)
    changed = {"records:changed": {"type": life.record_type.name, "id": record_id}}
    assert ("moved to trash" in deleted.text, heard(deleted)) == (True, changed)
    assert life.send(life.at(record_id, "/delete")).status_code == 409
    assert life.badge(record_id) == ""
    trash = life.text(f"/patients/{life.patient_id}/trash")
    assert "1 document · deleted" in trash
    assert life.send(life.at(record_id, "/edit"), {"notes": "Changed"}).status_code in (409, 422)
    assert life.send(life.at(record_id, "/restore")).status_code == 303
    live = {file.id for file in life.world.files() if file.deleted_at is None}
    assert live == {staying}
    assert life.badge(record_id) == "1 document"
    life.world.assert_settled()


@pytest.mark.database
def test_every_step_is_in_the_activity(life: Life) -> None:
    record_id = life.create()
    file_id = life.upload(record_id)
    life.client.get(f"/documents/files/{file_id}/download", buffered=True)
    life.send(f"/documents/files/{file_id}/edit", {"description": "New"})
    life.send(f"/documents/files/{file_id}/delete")
    life.send(f"/documents/files/{file_id}/restore")
    life.send(life.at(record_id, "/delete"))
    activity = life.text(f"/patients/{life.patient_id}/activity")
    title = life.record_type.title_of(life.world.records().get(life.record_type, record_id))
    for words in ("added", "downloaded", "changed Description of", "moved", "restored"):
        assert f"You {words} “letter.pdf”" in activity
    for words in ("created", "moved"):
        assert re.search(rf"You {words} (the {life.record_type.title.lower()} )?“{title}”", activity)


def test_old_records_are_purged_from_the_trash(life: Life) -> None:
    record_id = life.record()
    life.document(record_id)
    life.send(life.at(record_id, "/delete"))
    db.session.rollback()
    result = life.world.app.test_cli_runner().invoke(
        args=["medfiles", "trash", "purge", "--older-than", "0m", "--json"]
    )
    assert json.loads(result.stdout) == {"documents": 1, "records": 1, "patients": 0, "failed": 0}
    assert life.send(life.at(record_id, "/restore")).status_code == 404
    life.world.assert_settled()


def test_a_script_creates_it_and_adds_documents_over_the_api(life: Life) -> None:
    api, csrf = "/api/v1", {"X-CSRFToken": life.token}
    entered = {name: str(value) for name, value in values_for(life.record_type).items()}
    created = life.client.post(f"{api}{life.listing}", json=entered, headers=csrf)
    assert created.status_code == 201
    record_id = json.loads(created.text)["id"]
    record = f"{api}/{life.record_type.name}/{record_id}"
    raw = {"Content-Type": "application/octet-stream", "Content-Disposition": 'attachment; filename="letter.pdf"'}
    assert life.client.post(f"{record}/files", data=samples.pdf(), headers=csrf | raw).status_code == 201
    [file] = json.loads(life.client.get(f"{record}/files").text)
    assert (file["entity_type"], file["file_name"]) == (life.record_type.name, "letter.pdf")
    assert json.loads(life.client.get(record).text)["file_count"] == 1
    assert [found["id"] for found in json.loads(life.client.get(f"{api}{life.listing}").text)] == [record_id]
    described = life.client.get(f"{api}/openapi.json").text
    assert all(f'"{field.name}"' in described for field in life.record_type.fields)
