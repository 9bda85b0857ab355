"""The export of a patient: a ZIP with a folder for each record and an index page that needs nothing else."""

import re
from datetime import date
from io import BytesIO
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

import lxml.html
import pytest

from medfiles.database.session import db
from medfiles.documents.zip_archive import folder_names
from tests.support.api_client import problem, script
from tests.support.factories import World

pytestmark = pytest.mark.database
OTTO = "otto@sample.example"


def exported(world: World, patient_id: int, email: str = "nora@sample.example") -> tuple[ZipFile, Any]:
    """The archive, and its index page."""
    answer = world.client(email).get(f"/patients/{patient_id}/export")
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    archive = ZipFile(BytesIO(answer.data))
    assert archive.testzip() is None
    return archive, lxml.html.fromstring(archive.read("index.html"))


def test_each_record_is_a_folder_and_each_document_an_original(world: World) -> None:
    patient = world.patient()
    visit = world.record(patient=patient, reason="Knee / second: opinion", date=date(2026, 5, 12))
    twin = world.record(patient=patient, reason="Knee / second: opinion", date=date(2026, 5, 12))
    world.record("lab-result", patient, test_name="Blood count")
    world.store(visit, "letter.txt", "letter.txt")
    world.store(twin, "other.txt")
    world.store(patient, "vaccination.txt")
    archive, index = exported(world, patient.id)
    assert sorted(archive.namelist()) == [
        "General documents/Ella Sample/vaccination.txt",
        "Visits/2026-05-12 Knee - second_ opinion (2)/letter (2).txt",
        "Visits/2026-05-12 Knee - second_ opinion (2)/letter.txt",
        "Visits/2026-05-12 Knee - second_ opinion/other.txt",
        "index.html",
    ]
    assert archive.read("General documents/Ella Sample/vaccination.txt") == b"Letter 0"
    links = [unquote(link) for link in index.xpath("//a/@href")]
    assert sorted(links) == sorted(name for name in archive.namelist() if name != "index.html")
    words = " ".join(index.text_content().split())
    for shown in ("Ella Sample", "Born 2 Mar 2018", "Blood count", "Knee / second: opinion", "12 May 2026"):
        assert shown in words


def test_the_index_page_refers_to_nothing_outside_the_archive(world: World) -> None:
    record = world.record(notes="<script>alert(1)</script>")
    world.store(record, "letter.txt")
    archive, index = exported(world, record.patient_id)
    assert index.xpath("//script | //link | //img") == []
    assert not re.search(r"https?://|url\(", archive.read("index.html").decode())
    assert "alert(1)" in index.text_content()


def test_what_is_in_the_trash_is_not_exported(world: World) -> None:
    patient = world.patient()
    kept, gone = world.record(patient=patient, reason="Kept"), world.record(patient=patient, reason="Gone")
    [one, two] = world.store(kept, "one.txt", "two.txt")
    world.store(gone, "three.txt")
    world.documents().trash(two)
    world.records().delete(world.kind(), gone.id)
    archive, index = exported(world, patient.id)
    assert [name.rpartition("/")[2] for name in archive.namelist()] == ["index.html", "one.txt"]
    assert "Gone" not in index.text_content()
    assert one in [event.file_id for event in world.events(action="download")]


def test_a_document_that_cannot_be_opened_is_named_on_the_index_page(world: World) -> None:
    record = world.record()
    ids = world.store(record, "lost.txt", "held.txt", "kept.txt")
    (world.uploads / next(file.file_path for file in world.files() if file.id == ids[0])).unlink()
    for file in world.files():
        if file.id == ids[1]:
            file.scan = "infected"
    db.session.commit()
    archive, index = exported(world, record.patient_id)
    assert [name.rpartition("/")[2] for name in archive.namelist()] == ["index.html", "kept.txt"]
    missing = [item.text_content().split()[0] for item in index.xpath("//li[strong]")]
    assert missing == ["lost.txt", "held.txt"]


def test_files_of_the_older_feature_are_exported_too(world: World) -> None:
    record = world.record("lab-result")
    world.older_file(record, "Blood count.pdf")
    archive, _ = exported(world, record.patient_id)
    assert [name.rpartition("/")[2] for name in archive.namelist()] == ["index.html", "Blood count.pdf"]


def test_everyone_who_can_view_exports_and_each_export_is_logged(world: World) -> None:
    record = world.record()
    ids = world.store(record, "one.txt", "two.txt")
    patient, stranger = world.records().patient(record.patient_id).patient, world.client("max@sample.example")
    world.share(patient, OTTO)
    exported(world, record.patient_id, OTTO)
    [event] = world.events(action="export-patient")
    assert (event.patient_id, event.actor_id) == (patient.id, world.user(OTTO).id)
    assert (event.details or {})["documents"] == len(ids)
    assert [event.file_id for event in world.events(action="download")] == ids
    assert stranger.get(f"/patients/{patient.id}/export").status_code == 404
    page = world.browser(htmx=False).get(f"/patients/{patient.id}/activity").text
    assert "exported the patient" in page


def test_the_api_exports_a_patient(world: World) -> None:
    record, stranger = world.record(), script(world, OTTO)
    world.store(record, "letter.txt")
    answer = script(world).get(f"/patients/{record.patient_id}/export")
    assert answer.mimetype == "application/zip"
    assert "Ella Sample" in answer.headers["Content-Disposition"]
    assert len(ZipFile(BytesIO(answer.data)).namelist()) == 2
    problem(stranger.get(f"/patients/{record.patient_id}/export"), 404, "not-found")


@pytest.mark.parametrize(
    ("titles", "names"),
    [
        (["Dr. Smith", "dr. smith"], ["Dr. Smith", "dr. smith (2)"]),
        (["con", "a" * 200], ["_con", "a" * 80]),
        (["Visit. . ", "../up"], ["Visit", "-up"]),
        (["...", "?"], ["Document", "_"]),
    ],
)
def test_names_of_folders_are_safe_on_every_system(titles: list[str], names: list[str]) -> None:
    assert list(folder_names(titles)) == names
