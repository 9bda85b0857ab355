"""Documents of the patient, which belong to no single record."""

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.documents import lifecycle
from medfiles.errors import Forbidden, NotFound, TooMany
from medfiles.models import EntityFile, Patient
from medfiles.operations import housekeeping, status
from tests.support import samples
from tests.support.api_client import HOME, script
from tests.support.factories import World, heard

pytestmark = pytest.mark.database
HTMX = {"HX-Request": "true"}


def totals(world: World, patient_id: int) -> tuple[int, int]:
    db.session.rollback()  # start a new snapshot
    found = world.documents().record_totals(world.kind("patient"), patient_id)
    return found.live, found.trashed


def test_a_document_of_the_patient_lives_as_any_other(world: World) -> None:
    patient_id = world.patient().id
    page = world.browser()
    answer = page.upload(f"/documents/patient/{patient_id}/files", "id.pdf", samples.pdf(), "one", category="id")
    assert (answer.status_code, heard(answer)["documents:changed"]) == (
        201, {"type": "patient", "id": patient_id, "count": 1},
    )  # fmt: skip
    [file] = world.files()
    assert (file.entity_type, file.entity_id, file.patient_id, file.category) == (
        "patient",
        patient_id,
        patient_id,
        "id",
    )
    assert file.file_path.startswith("files/patients/")
    assert "1 document" in page.get("/documents/patient/badges", ids=str(patient_id)).text
    assert "id.pdf" in page.get(f"/documents/patients/{patient_id}/list").text
    assert page.get(f"/documents/files/{file.id}/preview").status_code == 200
    assert page.post(f"/documents/files/{file.id}/edit", file_name="passport.pdf").status_code == 200
    assert page.post(f"/documents/files/{file.id}/delete").status_code == 200
    assert totals(world, patient_id) == (0, 1)
    assert "passport.pdf" in page.client.get(f"/patients/{patient_id}/trash").text
    assert page.post(f"/documents/files/{file.id}/restore").status_code == 200
    assert totals(world, patient_id) == (1, 0)
    assert page.post(f"/documents/files/{file.id}/delete").status_code == 200
    assert page.post(f"/documents/files/{file.id}/purge").status_code == 200
    assert world.files() == []
    world.assert_settled()


def test_the_api_serves_documents_of_the_patient_and_no_record_of_that_type(world: World) -> None:
    patient_id, client = world.patient().id, script(world)
    made = client.upload(f"/patient/{patient_id}/files", "letter.pdf", samples.pdf())
    file = made.get_json()
    assert (made.status_code, file["entity_type"], file["entity_id"]) == (201, "patient", patient_id)
    [listed] = client.get(f"/patients/{patient_id}/files").get_json()
    assert listed == client.get(f"/files/{file['id']}").get_json()
    counts = client.post("/files/batch-counts", json={"entity_type": "patients", "entity_ids": [patient_id]})
    assert counts.json == {"counts": {str(patient_id): 1}}
    for method, path in (
        ("GET", f"/patient/{patient_id}"), ("PUT", f"/patient/{patient_id}"), ("DELETE", f"/patient/{patient_id}"),
        ("POST", f"/patient/{patient_id}/restore"), ("GET", f"/patients/{patient_id}/patients"),
        ("POST", f"/patients/{patient_id}/patients"), ("GET", f"/patients/{patient_id}/patient"),
    ):  # fmt: skip
        assert client.ask(method, path, json={} if method in ("POST", "PUT") else None).status_code in (404, 405)
    assert client.get(f"/patients/{patient_id}").get_json()["first_name"] == "Ella"


def test_urls_of_the_patient_as_a_record_lead_to_the_patient(world: World) -> None:
    patient_id, client = world.patient().id, world.client()
    for part in ("", "/history", "/edit?x=1&y=2"):
        answer = client.get(f"/patient/{patient_id}{part}")
        assert (answer.status_code, answer.location) == (308, f"/patients/{patient_id}{part}")
    assert client.get(f"/documents/patient/new?patient={patient_id}").status_code == 404
    assert client.get(f"/documents/patient/{patient_id}?mode=edit").status_code == 200


def test_what_a_record_holds_and_what_the_patient_holds_are_apart(world: World) -> None:
    patient = world.patient()
    visit = world.record("visit", patient)
    world.attach(visit, "visit.pdf")
    world.attach(patient, "own.pdf")
    names = [file.file_name for file in world.documents().list(world.kind("patient"), patient.id).files]
    assert names == ["own.pdf"]
    assert world.documents().totals(patient.id) == {"visit": 1, "patient": 1}
    assert world.records().counts(patient.id) == {"lab-result": 0, "visit": 1, "procedure": 0, "insurance": 0}
    world.records().delete(world.kind("visit"), visit.id)
    assert totals(world, patient.id) == (1, 0)
    assert status.measure(world.parts).kinds["patient"].documents == 1


def test_access_follows_the_patient(world: World) -> None:
    patient = world.patient()
    file = world.attach(patient)
    kind, patient_id = world.kind("patient"), patient.id
    world.share(patient, "viewer@sample.example", "view")
    world.share(patient, "editor@sample.example", "edit")
    assert len(world.documents("viewer@sample.example").list(kind, patient_id).files) == 1
    with pytest.raises(Forbidden):
        world.documents("viewer@sample.example").authorize_upload(kind, patient_id, 10)
    with pytest.raises(NotFound):
        world.documents("stranger@sample.example").list(kind, patient_id)
    assert world.documents("stranger@sample.example").count(kind, [patient_id]) == {}
    world.documents("editor@sample.example").trash(file.id)
    assert totals(world, patient_id) == (0, 1)


ALLOWED = {  # for the owner and an editor; a viewer sees and downloads, and everyone else finds nothing
    "GET /documents/patient/{patient}": (200, 200),
    "GET /documents/patient/{patient}/list": (200, 200),
    "GET /documents/patient/{patient}/trash": (200, 403),
    "POST /documents/patient/{patient}/files": (422, 403),
    "GET /documents/files/{file}/download": (200, 200),
    "POST /documents/files/{file}/edit": (303, 403),
    "POST /documents/files/{file}/delete": (303, 403),
    "POST /documents/files/{file}/restore": (303, 403),
    "POST /documents/files/{file}/purge": (409, 403),
    "GET /api/v1/patient/{patient}/files": (200, 200),
    "GET /api/v1/files/{file}": (200, 200),
    "GET /api/v1/files/{file}/download": (200, 200),
    "PUT /api/v1/files/{file}/metadata": (200, 403),
    "DELETE /api/v1/files/{file}": (200, 403),
}


def test_owner_editor_and_viewer_may_do_what_their_level_allows(world: World) -> None:
    patient = world.patient()
    patient_id, [file_id] = patient.id, world.store(patient, "letter.txt")
    for name in ("edit", "view"):
        world.share(patient, f"{name}@sample.example", name)
    roles = {"nora": 0, "edit": 0, "view": 1, "stranger": 2}
    for role, column in roles.items():
        page, api = world.browser(f"{role}@sample.example", htmx=False), script(world, f"{role}@sample.example")
        for operation, statuses in ALLOWED.items():
            method, path = operation.format(patient=patient_id, file=file_id).split()
            if path.startswith(HOME):
                sent = {"description": role} if method == "PUT" else None
                status = api.ask(method, path.removeprefix(HOME), json=sent).status_code
            else:
                answer = page.client.get(path, buffered=True) if method == "GET" else page.post(path, nothing="at all")
                status = answer.status_code
            assert status == (*statuses, 404)[column], (role, operation)
        if totals(world, patient_id)[1]:
            world.documents().restore(file_id)


def test_the_patients_own_limit_is_enforced(make_world: Callable[..., World], tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text("[patient]\nmax_files = 1\n")
    world = make_world(ENTITIES=str(path))
    patient = world.patient()
    world.attach(patient)
    with pytest.raises(TooMany, match="This patient is full"):
        world.attach(patient)


def test_documents_share_the_fate_of_their_patient(world: World) -> None:
    patient = world.patient()
    patient_id, file_id = patient.id, world.attach(patient).id
    world.records().delete_patient(patient_id)
    lifecycle.move_pending(world.parts.storages, world.parts.registry, patient_id)
    with pytest.raises(NotFound):
        world.documents().list(world.kind("patient"), patient_id)
    with pytest.raises(NotFound):
        world.attach(db.session.get_one(Patient, patient_id))
    world.records().restore_patient(patient_id)
    lifecycle.move_pending(world.parts.storages, world.parts.registry, patient_id)
    assert totals(world, patient_id) == (1, 0)
    assert db.session.get_one(EntityFile, file_id).file_path.startswith("files/patients/")
    world.records().delete_patient(patient_id)
    housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta(), force=True)
    assert (world.files(), db.session.get(Patient, patient_id)) == ([], None)
    world.assert_settled()


def test_an_expired_document_of_the_patient_is_purged_and_a_wrong_deletion_time_mended(world: World) -> None:
    patient = world.patient()
    [gone, wrong] = world.store(patient, "gone.txt", "wrong.txt")
    for number in (gone, wrong):
        world.documents().trash(number)
    db.session.get_one(EntityFile, wrong).deleted_at = now() + timedelta(days=9)
    db.session.commit()
    assert housekeeping.mend_deletion_times(world.parts.registry) == 1
    housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta(), force=True)
    assert world.files() == []


def test_an_edit_is_in_the_patients_history_and_can_be_taken_back(world: World) -> None:
    patient = world.patient()
    patient_id, file = patient.id, world.attach(patient, "letter.pdf", description="From the school")
    world.documents().edit(file.id, {"description": "From the clinic"})
    page = world.browser(htmx=False)
    shown = page.get(f"/patients/{patient_id}/history").text
    assert "From the school" in shown
    edit = world.events(action="edit")[-1].id
    sent = {"field": "description", "as_of": edit}
    answer = page.post(f"/patients/{patient_id}/history/{edit}/restore", **sent)
    assert answer.status_code == 303
    assert page.client.get(answer.location, follow_redirects=True).status_code == 200
    assert [one.description for one in world.files()] == ["From the school"]


def test_the_activity_names_the_patient(world: World) -> None:
    patient = world.patient()
    world.attach(patient)
    world.documents().list(world.kind("patient"), patient.id)
    assert (
        "viewed the documents of the patient “Ella Sample”"
        in world.client().get(f"/patients/{patient.id}/activity").text
    )


def test_without_script_a_form_uploads_to_the_patient(world: World) -> None:
    patient_id = world.patient().id
    page = world.browser(htmx=False)
    body = {"file": (io.BytesIO(samples.pdf()), "letter.pdf")}
    answer = page.client.post(
        f"/documents/patient/{patient_id}/files?csrf_token={page.token}", data=body, follow_redirects=True
    )
    assert answer.status_code == 200
    assert "Documents for Ella Sample" in answer.text


def test_the_api_lists_a_document_of_the_patient_as_it_tells_it(world: World) -> None:
    file = world.attach(world.patient(), "card.pdf")
    client = world.client()
    [listed] = client.get(f"/api/v1/patient/{file.entity_id}/files").get_json()
    assert listed == client.get(f"/api/v1/files/{file.id}").get_json()
    assert listed["preview"] is True
