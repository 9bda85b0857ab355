"""After the permanent deletion of a patient and `flask medfiles erase --now`, no trace of its words is left."""

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from medfiles.accounts import api_tokens
from medfiles.database.session import db, transaction
from medfiles.models import EntityFile, Patient
from medfiles.models.search import WORDS_TABLE
from medfiles.operations import worker
from medfiles.previews import cache as preview_cache
from medfiles.record_types.fields import PATIENT_FIELDS
from medfiles.records.sharing import ShareService
from medfiles.search import index
from medfiles.texts import store as page_texts
from medfiles.texts.layout import Word
from tests.cli.test_commands import run
from tests.support.factories import Browser, World

pytestmark = pytest.mark.database
LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")
LEAST = 50


class Markers(list[str]):
    """Words that occur nowhere else, each of which is planted in one place."""

    def plant(self) -> str:
        self.append("Zq" + secrets.token_hex(8).translate(LETTERS))
        return self[-1]

    def fill(self, fields: Any) -> dict[str, Any]:
        return {field.name: self.plant() for field in fields if field.kind in ("string", "text")}


def plant_patient(world: World, markers: Markers) -> Patient:
    """A patient with words in every field, and others there before."""
    patient = world.patient()
    for _ in range(2):
        world.records().edit_patient(patient.id, markers.fill(PATIENT_FIELDS))
    address = f"{markers.plant()}@sample.example"
    ShareService(world.actor(), world.parts.registry, world.parts.storages).grant(patient.id, address, "view")
    api_tokens.create(world.actor(), markers.plant(), patient_id=patient.id)
    return patient


def plant_record(world: World, kind: str, patient: Patient, markers: Markers) -> None:
    """A record with words in every field, and documents with words in name, details, content and derived data."""
    record = world.record(kind, patient, **markers.fill(world.kind(kind).fields))
    world.records().edit(world.kind(kind), record.id, {"notes": markers.plant()})
    plant_documents(world, record, markers)


def plant_documents(world: World, record: Any, markers: Markers) -> None:
    ids = world.store(record, *(f"{markers.plant()}.txt" for _ in range(3)))
    world.documents().edit(ids[0], {"file_name": f"{markers.plant()}.txt", "description": markers.plant()})
    with transaction() as session:
        for file in session.scalars(select(EntityFile).where(EntityFile.id.in_(ids))):
            content = f"Letter with {markers.plant()}".encode()
            (world.uploads / file.file_path).write_bytes(content)
            file.file_size, file.sha256 = len(content), hashlib.sha256(content).hexdigest()
    sha256 = db.session.get_one(EntityFile, ids[0]).sha256
    page_texts.store(sha256, 1, 1, "text-layer", word := markers.plant(), [Word(word, 0.1, 0.1, 0.2, 0.1)])
    preview_cache.store_facts(sha256, "v1", 1, facts={"note": markers.plant()})
    with transaction() as session:
        files = session.scalars(select(EntityFile).where(EntityFile.id.in_(ids))).all()
        index.put_documents(world.parts.registry, files)
    world.documents().trash(ids[1])
    world.documents().trash(ids[2])
    world.documents().purge(ids[2])


def traces(world: World) -> Iterator[tuple[str, str]]:
    """Name and content of everything the installation consists of: tables, the search index, files."""
    db.session.rollback()
    tables = [str(table.name) for table in db.metadata.sorted_tables]
    for name in [*tables, *([WORDS_TABLE] if db.engine.dialect.name == "sqlite" else [])]:
        yield name, " ".join(str(tuple(row)) for row in db.session.execute(text(f"SELECT * FROM {name}")))
    if db.engine.dialect.name == "sqlite":
        with db.engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, {WORDS_TABLE}, row)")
            yield "terms", " ".join(connection.exec_driver_sql("SELECT term FROM temp.terms").scalars())
            connection.exec_driver_sql("DROP TABLE temp.terms")
        database = Path(str(db.engine.url.database))
        for path in database.parent.glob(f"{database.name}*"):
            yield path.name, path.read_bytes().decode("latin-1")
    db.session.remove()
    for path in Path(world.app.instance_path).rglob("*"):
        yield path.name, path.name + (path.read_bytes().decode("latin-1") if path.is_file() else "")


def found(world: World, markers: Markers) -> set[tuple[str, str]]:
    """Return which markers were found where, in any case."""
    places = [(place, content.casefold()) for place, content in traces(world)]
    return {(marker, place) for marker in markers for place, content in places if marker.casefold() in content}


def delete(world: World, patient_id: int) -> None:
    """Delete the patient on pages, as people do, and look for it once more."""
    browser: Browser = world.browser(htmx=False)
    browser.get("/search", q="Zq")
    for path in (f"/patients/{patient_id}/delete", f"/patients/{patient_id}/purge"):
        assert browser.post(path).status_code == 303
        assert browser.get("/trash").status_code == 200


def test_no_trace_of_a_patient_is_left(world: World) -> None:
    markers, patient = Markers(), world.patient(first_name="Kept")
    patient = plant_patient(world, markers)
    for record_type in world.parts.registry:
        plant_record(world, record_type.name, patient, markers)
    plant_documents(world, patient, markers)
    patient_id = patient.id
    assert len(markers) >= LEAST
    first = {marker for marker, _ in found(world, markers)}
    assert len(first) >= LEAST
    delete(world, patient_id)
    db.session.rollback()
    while worker.run_next(world.app) is not None:
        db.session.rollback()
    assert run(world, "erase", "--now").exit_code == 0
    assert found(world, markers) == set()
    assert [one.first_name for one in db.session.scalars(select(Patient))] == ["Kept"]
    assert run(world, "audit", "seal").exit_code == run(world, "audit", "verify").exit_code == 0
    assert {event.patient_id for event in world.events(action="purge-patient")} == {patient_id}
    world.assert_settled()
