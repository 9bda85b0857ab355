"""An archived patient is hidden from the home page and cannot be changed."""

import pytest

from medfiles.documents.listing import ListQuery
from medfiles.documents.rules import UploadMetadata
from medfiles.errors import Archived, Conflict, Forbidden
from medfiles.permissions import Action
from medfiles.records.moving import RecordMoves
from medfiles.records.sharing import ShareService
from medfiles.search.query import SearchQuery
from tests.support.api_client import problem, script
from tests.support.factories import World, values_for

pytestmark = pytest.mark.database
OTTO = "otto@sample.example"


def test_only_the_owner_archives_and_unarchives(world: World) -> None:
    patient = world.patient()
    world.share(patient, OTTO, "edit")
    with pytest.raises(Forbidden):
        world.records(OTTO).archive_patient(patient.id)
    assert world.records().archive_patient(patient.id).archived_at is not None
    with pytest.raises(Conflict, match="already archived"):
        world.records().archive_patient(patient.id)
    with pytest.raises(Forbidden):
        world.records(OTTO).unarchive_patient(patient.id)
    assert world.records().unarchive_patient(patient.id).archived_at is None
    with pytest.raises(Conflict, match="not archived"):
        world.records().unarchive_patient(patient.id)
    assert [event.action for event in world.events(outcome="done")][-2:] == ["archive-patient", "unarchive-patient"]


def test_an_archived_patient_and_its_documents_are_not_on_the_home_page(world: World) -> None:
    shelved, active = world.record(), world.record()
    world.store(shelved, "old.txt")
    world.store(active, "new.txt")
    world.records().archive_patient(shelved.patient_id)
    records = world.records()
    assert [entry.patient.id for entry in records.shown_people(12)[0]] == [active.patient_id]
    assert [entry.patient.id for entry in records.find_people("", None, 10)[0]] == [active.patient_id]
    assert [entry.patient.id for entry in records.archived_people("ella")] == [shelved.patient_id]
    assert records.archived_people("theo") == []
    assert [file.file_name for file in world.documents().recent()] == ["new.txt"]
    assert {entry.patient.id for entry in records.patients()} == {active.patient_id, shelved.patient_id}


def test_an_archived_patient_is_read_and_found_as_before(world: World) -> None:
    record = world.record(reason="Sprained ankle")
    [file] = world.store(record, "letter.txt")
    world.records().archive_patient(record.patient_id)
    assert world.records().level(record.patient_id) == Action.OWN
    assert world.documents().open(file).file.id == file
    assert [one.id for one in world.documents().list(world.kind(), record.id, ListQuery()).files] == [file]
    found = world.searches().search(SearchQuery("ankle"), 10).items
    assert ("record", record.id) in [(item.kind, item.subject_id) for item in found]
    assert world.records().trail(record.patient_id).events


def test_nothing_of_an_archived_patient_is_changed(world: World) -> None:
    record = world.record()
    [file] = world.store(record, "letter.txt")
    patient_id, records, documents = record.patient_id, world.records(), world.documents()
    permit = documents.authorize_upload(world.kind(), record.id, 100, files=1)
    staged = documents.stage(permit)
    staged.write(b"Letter")
    records.archive_patient(patient_id)
    shares = ShareService(world.actor(), world.parts.registry, world.parts.storages)
    for change in (
        lambda: documents.attach(permit, staged, UploadMetadata("late.txt")),
        lambda: documents.trash(file),
        lambda: documents.edit(file, {"description": "Changed"}),
        lambda: records.edit_patient(patient_id, {"notes": "Changed"}),
        lambda: records.create(patient_id, world.kind(), values_for(world.kind())),
        lambda: records.delete(world.kind(), record.id),
        lambda: shares.grant(patient_id, OTTO, "view"),
    ):
        with pytest.raises(Archived):
            change()
    assert [row.file_name for row in world.files()] == ["letter.txt"]
    [result] = world.bulk().across([file], world.bulk().trash_many)
    assert isinstance(result.error, Archived)
    world.assert_settled()


def test_access_to_an_archived_patient_is_revoked_and_left(world: World) -> None:
    patient = world.patient()
    for email in (OTTO, "max@sample.example"):
        world.share(patient, email)
    world.records().archive_patient(patient.id)
    own = ShareService(world.actor(), world.parts.registry, world.parts.storages)
    others = ShareService(world.actor(OTTO), world.parts.registry, world.parts.storages)
    ids = {grant.email: grant.share.id for grant in own.list(patient.id)}
    others.revoke(ids[OTTO])
    own.revoke(ids["max@sample.example"])
    assert own.list(patient.id) == []


def test_an_archived_patient_goes_to_the_trash_and_comes_back_archived(world: World) -> None:
    patient = world.patient()
    world.records().archive_patient(patient.id)
    world.records().delete_patient(patient.id)
    assert world.records().archived_people() == []
    assert world.records().restore_patient(patient.id).archived_at is not None


def test_the_api_archives_and_says_so(world: World) -> None:
    by, patient = script(world), world.patient()
    archived = by.post(f"/patients/{patient.id}/archive")
    assert (archived.status_code, archived.get_json()["archived_at"] is not None) == (200, True)
    assert by.get("/patients").get_json() == [archived.get_json()]
    refused = problem(by.put(f"/patients/{patient.id}", {"notes": "Changed"}), 409, "archived")
    assert refused["detail"].startswith("This patient is archived")
    problem(by.post(f"/patients/{patient.id}/archive"), 409, "conflict")
    back = by.post(f"/patients/{patient.id}/unarchive")
    assert (back.status_code, back.get_json()["archived_at"]) == (200, None)
    problem(by.post(f"/patients/{patient.id}/unarchive"), 409, "conflict")


def test_pages_archive_with_undo_and_show_no_way_to_change(world: World) -> None:
    browser, record = world.browser(htmx=False), world.record()
    world.store(record, "letter.txt")
    page = f"/patients/{record.patient_id}"
    assert f"{page}/archive" in browser.get(page).text
    assert browser.post(f"{page}/archive").location == "/"
    home = browser.get("/").text
    assert "Ella Sample archived." in home
    assert f'action="{page}/unarchive"' in home
    assert "1 archived patient" in browser.get("/").text
    assert f'href="{page}"' in browser.get("/patients").text.partition("archived")[2]
    for address in (page, f"{page}/visits", f"{page}/trash", f"{page}/activity", f"/visit/{record.id}"):
        text = browser.get(address).text
        for way in ("/edit", "/new", "/files?", f"{page}/archive", 'value="delete"', f"/visit/{record.id}/delete"):
            assert way not in text, (address, way)
    assert "Archived" in browser.get(page).text
    assert browser.post(f"{page}/unarchive").location == page
    assert "Ella Sample unarchived." in browser.get(page).text


def test_nothing_of_an_archived_patient_is_moved_filed_or_taken_back(world: World) -> None:
    archived, other = world.record(), world.record()
    [file] = world.store(archived, "letter.txt")
    [moved] = world.store(archived, "moved.txt")
    world.moving().move(moved, world.kind(), other.id)
    records = RecordMoves(world.actor(), world.parts.registry, world.parts.storages)
    world.records().archive_patient(archived.patient_id)
    for change in (
        lambda: world.moving().move(file, world.kind(), other.id),
        lambda: world.moving().move(moved, world.kind(), archived.id),
        lambda: world.moving().take_back(moved),
        lambda: records.move(world.kind(), archived.id, other.patient_id),
        lambda: records.move(world.kind(), other.id, archived.patient_id),
    ):
        with pytest.raises(Archived):
            change()
    assert [(one.id, one.patient_id) for one in world.files()] == [
        (file, archived.patient_id),
        (moved, other.patient_id),
    ]
    world.assert_settled()
