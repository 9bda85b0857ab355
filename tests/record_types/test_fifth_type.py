"""A new kind of record is one model and one entry: its whole life works, as that of the four there are.

The model has metadata of its own, so that the tables of the product, which migrations are held against, stay as
they are; installing it is what its migration would do.
"""

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import lxml.html
import pytest
from flask.testing import FlaskClient
from sqlalchemy import ForeignKey, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.test import TestResponse

from medfiles.database.session import NAMING, db
from medfiles.models import Patient, RecordMixin
from medfiles.record_types.declared import MB, RECORD_TYPES, RecordType
from medfiles.record_types.fields import Field
from medfiles.sandbox.pool import Sandbox
from tests.support import samples
from tests.support.factories import World, make_app, token_of, values_for
from tests.support.shared_installation import emptied_each_time, environ_in

HTMX = {"HX-Request": "true"}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class Immunization(RecordMixin, Base):
    __tablename__ = "immunizations"

    vaccine: Mapped[str] = mapped_column(String(255))
    given_on: Mapped[date]
    lot: Mapped[str | None] = mapped_column(String(50))
    patient_id: Mapped[int] = mapped_column(ForeignKey(Patient.__table__.c.id), index=True)


IMMUNIZATION = RecordType(
    name="immunization", plural="immunizations", directory="immunizations", model=Immunization,
    title="Immunization", titles="Immunizations", icon="syringe",
    accepts=(".pdf", ".jpg", ".png", ".txt"), max_size=1 * MB, max_files=3, categories=("certificate", "leaflet"),
    title_field="vaccine", date_fields=("given_on",), subtitle_fields=("lot",),
    fields=(
        Field("vaccine", "Vaccine", required=True),
        Field("given_on", "Given on", "date", required=True),
        Field("lot", "Lot", limit=50),
        Field("notes", "Notes", "text"),
    ),
)  # fmt: skip
KINDS = (*RECORD_TYPES, IMMUNIZATION)


@dataclass
class Life:
    """One patient, one kind of record, one browser; with and without script."""

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


@pytest.fixture(scope="module")
def installed(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox, renderers: Sandbox
) -> Callable[[], AbstractContextManager[World]]:
    """The product with the new kind beside its own."""
    place = tmp_path_factory.mktemp("five")
    environ = environ_in(place, new_database(place))
    app = make_app(environ, sandbox, renderers, KINDS)
    with app.app_context():
        Base.metadata.create_all(db.engine)
        db.engine.dispose()
    return emptied_each_time(app, environ)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def life(request: pytest.FixtureRequest, installed: Callable[[], AbstractContextManager[World]]) -> Iterator[Life]:
    with installed() as world:
        client = world.client()
        yield Life(world, request.param, world.patient().id, client, token_of(client))


def test_it_stands_on_the_patients_page(life: Life) -> None:
    page = life.text(f"/patients/{life.patient_id}")
    assert life.record_type.titles in page
    assert f'href="{life.listing}"' in life.client.get(f"/patients/{life.patient_id}").text


def test_its_form_asks_for_its_fields(life: Life) -> None:
    page = lxml.html.fromstring(life.client.get(f"{life.listing}/new").data)
    names = {control.get("name") for control in page.xpath("//form[@data-mf-guard]//*[@name]")}
    asked = {part.name for part in life.record_type.fields if part.kind != "object"}
    assert asked <= names


def test_an_incomplete_form_says_what_is_missing_and_keeps_the_rest(life: Life) -> None:
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


def test_a_record_is_changed(life: Life) -> None:
    record_id = life.record()
    entered = {name: str(value) for name, value in values_for(life.record_type).items()}
    answer = life.send(life.at(record_id, "/edit"), {**entered, life.record_type.title_field: "Another name"})
    assert (answer.status_code, answer.location) == (303, life.at(record_id))
    assert "Another name" in life.text(life.listing)


def test_it_takes_documents_and_gives_them_back(life: Life) -> None:
    record_id = life.create()
    assert life.badge(record_id) == "No documents yet"
    file_id = life.upload(record_id)
    assert life.badge(record_id) == "1 document"
    assert "letter.pdf" in life.text(life.documents(record_id, "/list"), **HTMX)
    assert life.client.get(f"/documents/files/{file_id}/download").data == samples.pdf()


def test_its_own_limits_hold(life: Life) -> None:
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


def test_its_own_categories_are_offered_and_no_others_taken(life: Life) -> None:
    record_id = life.record()
    file_id = life.document(record_id)
    page = lxml.html.fromstring(life.client.get(life.documents(record_id)).data)
    offered = page.xpath("//*[@data-mf-zone]//form//select[@name='category']/option/@value")
    assert tuple(offered) == ("", *life.record_type.categories)
    path = f"/documents/files/{file_id}/edit"
    assert life.send(path, {"category": life.record_type.categories[0]}).status_code == 303
    assert life.send(path, {"category": "made-up"}).status_code == 422
    assert life.world.files()[0].category == life.record_type.categories[0]


def test_a_documents_details_are_changed(life: Life) -> None:
    file_id = life.document(life.record())
    fields = {"file_name": "Better name", "description": "From the clinic"}
    answer = life.send(f"/documents/files/{file_id}/edit", fields, **HTMX)
    assert answer.status_code == 200
    [file] = life.world.files()
    assert (file.file_name, file.description) == ("Better name.pdf", "From the clinic")


def test_a_document_goes_to_the_trash_and_comes_back(life: Life) -> None:
    record_id = life.record()
    file_id = life.document(record_id)
    gone = life.send(f"/documents/files/{file_id}/delete", **HTMX)
    assert json.loads(gone.headers["HX-Trigger"])["documents:changed"]["count"] == 0
    assert f"/documents/files/{file_id}/restore" in gone.text
    assert "letter.pdf" in life.text(life.documents(record_id, "/trash"))
    assert "letter.pdf" in life.text(f"/patients/{life.patient_id}/trash")
    back = life.send(f"/documents/files/{file_id}/restore", {"view": "trash"}, **HTMX)
    assert json.loads(back.headers["HX-Trigger"])["documents:changed"]["count"] == 1
    assert life.client.get(f"/documents/files/{file_id}/download").data == samples.pdf()
    life.world.assert_settled()


def test_a_document_is_deleted_for_ever_only_from_the_trash(life: Life) -> None:
    file_id = life.document(life.record())
    assert life.send(f"/documents/files/{file_id}/purge").status_code == 409
    life.send(f"/documents/files/{file_id}/delete")
    assert life.send(f"/documents/files/{file_id}/purge").status_code == 303
    assert life.client.get(f"/documents/files/{file_id}/download").status_code == 404
    assert life.world.files() == []
    life.world.assert_settled()


def test_a_record_takes_its_documents_along_and_brings_them_back(life: Life) -> None:
    record_id = life.record()
    staying, gone_before = life.document(record_id), life.document(record_id, "old.pdf")
    life.send(f"/documents/files/{gone_before}/delete")
    deleted = life.send(life.at(record_id, "/delete"))
    assert (deleted.status_code, deleted.location) == (303, life.listing)
    assert life.badge(record_id) == ""
    trash = life.text(f"/patients/{life.patient_id}/trash")
    assert "1 document · deleted" in trash
    assert life.send(life.at(record_id, "/edit"), {"notes": "Changed"}).status_code in (409, 422)
    assert life.send(life.at(record_id, "/restore")).status_code == 303
    live = {file.id for file in life.world.files() if file.deleted_at is None}
    assert live == {staying}
    assert life.badge(record_id) == "1 document"
    life.world.assert_settled()


def test_a_record_is_deleted_and_brought_back_in_place(life: Life) -> None:
    record_id = life.record()
    gone = life.send(life.at(record_id, "/delete"), **HTMX)
    assert "moved to trash" in gone.text
    assert json.loads(gone.headers["HX-Trigger"]) == {
        "records:changed": {"type": life.record_type.name, "id": record_id}
    }
    assert life.send(life.at(record_id, "/delete")).status_code == 409
    assert life.send(life.at(record_id, "/restore"), **HTMX).status_code == 200
    assert life.send(life.at(record_id, "/restore")).status_code == 409


def test_every_step_stands_in_the_activity(life: Life) -> None:
    record_id = life.create()
    file_id = life.upload(record_id)
    life.client.get(f"/documents/files/{file_id}/download", buffered=True)
    life.send(f"/documents/files/{file_id}/edit", {"description": "New"})
    life.send(f"/documents/files/{file_id}/delete")
    life.send(f"/documents/files/{file_id}/restore")
    life.send(life.at(record_id, "/delete"))
    activity = life.text(f"/patients/{life.patient_id}/activity")
    title = life.record_type.title_of(life.world.records().get(life.record_type, record_id))
    for words in (
        "You added",
        "You downloaded",
        "You changed",
        "You moved",
        "You restored",
    ):
        assert f"{words} “letter.pdf”" in activity
    for words in ("created", "moved"):
        assert re.search(rf"You {words} (the {life.record_type.title.lower()} )?“{title}”", activity)


def test_a_stranger_finds_none_of_it(life: Life) -> None:
    record_id = life.record()
    file_id = life.document(record_id)
    stranger = life.world.client("otto@sample.example")
    for path in (life.listing, life.at(record_id), life.documents(record_id), f"/documents/files/{file_id}/download"):
        assert stranger.get(path).status_code == 404


def test_what_was_deleted_long_ago_is_emptied(life: Life) -> None:
    record_id = life.record()
    life.document(record_id)
    life.send(life.at(record_id, "/delete"))
    db.session.rollback()
    result = life.world.app.test_cli_runner().invoke(
        args=["medfiles", "trash", "purge", "--older-than", "0m", "--json"]
    )
    assert json.loads(result.stdout) == {"documents": 1, "records": 1, "failed": 0}
    assert life.send(life.at(record_id, "/restore")).status_code == 404
    life.world.assert_settled()


def test_the_tables_of_the_product_know_nothing_of_it() -> None:
    assert "immunizations" not in db.metadata.tables
