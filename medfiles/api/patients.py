"""Endpoints for patients."""

from typing import Any

from flask import Response, request, url_for

from medfiles.api.schemas import EditHeaders, Into, MergedPatient, Patient, Patients, PatientsQuery, UploadForm
from medfiles.api.toolkit import MOST, blueprint, models, operation, reply, reply_list, sent, versions
from medfiles.http import parameters
from medfiles.http.capacity import admit_archive
from medfiles.http.current import merges, photos, records
from medfiles.http.export import send_export
from medfiles.http.photo import receive_photo, send_photo
from medfiles.http.rate_limits import BULK, UPLOADS, rate_limited
from medfiles.permissions import Action
from medfiles.record_types.edits import version_of
from medfiles.records.people import read_cursor

FIELDS = tuple(Patient.model_fields)


@blueprint.get("/patients")
@operation(Patients, query=PatientsQuery)
def patients() -> Response:
    """List the patients you can view, by name."""
    if parameters.flag(request.args, "trashed"):
        return reply_list([_values(one, Action.OWN) for one in records().trashed_patients()])
    if parameters.flag(request.args, "pinned"):
        return reply_list([_values(entry.patient, entry.level) for entry in records().pinned_people(MOST)])
    limit, cursor = parameters.number(request.args, "limit", MOST, 1, MOST), request.args.get("cursor")
    found, more = records().patient_page(read_cursor(cursor) if cursor else None, limit)
    return reply_list([_values(entry.patient, entry.level) for entry in found], more)


@blueprint.post("/patients")
@operation(Patient, {201: "Created"}, body="PatientInput")
def create_patient() -> Response:
    """Add a patient of your own."""
    made = records().create_patient(sent(models()["PatientInput"]).model_dump())
    return _answer(made, Action.OWN, 201, {"Location": url_for("api.patient", patient_id=made.id)})


@blueprint.get("/patients/<int:patient_id>")
@operation(Patient)
def patient(patient_id: int) -> Response:
    """Return a patient."""
    found = records().patient(patient_id)
    return _answer(found.patient, found.level)


@blueprint.put("/patients/<int:patient_id>")
@operation(Patient, body="PatientChanges", headers=EditHeaders, errors=("outdated",))
def edit_patient(patient_id: int) -> Response:
    """Change a patient's fields."""
    level = records().level(patient_id, Action.EDIT, "edit-patient")
    changes = sent(models()["PatientChanges"]).model_dump(exclude_unset=True)
    return _answer(records().edit_patient(patient_id, changes, versions=versions()), level)


@blueprint.delete("/patients/<int:patient_id>")
@operation(Patient, errors=("patient-already-in-trash",))
def delete_patient(patient_id: int) -> Response:
    """Move a patient with all records and documents to the trash; only the owner may."""
    return reply(_shown(records().delete_patient(patient_id), Action.OWN))


@blueprint.post("/patients/<int:patient_id>/pin")
@operation(Patient)
def pin_patient(patient_id: int) -> Response:
    """Pin a patient: it comes first in the lists of your account."""
    pinned = records().pin_patient(patient_id)
    return _answer(pinned.patient, pinned.level)


@blueprint.post("/patients/<int:patient_id>/unpin")
@operation(Patient)
def unpin_patient(patient_id: int) -> Response:
    """Unpin a patient."""
    unpinned = records().pin_patient(patient_id, False)
    return _answer(unpinned.patient, unpinned.level)


@blueprint.post("/patients/<int:patient_id>/restore")
@operation(Patient, errors=("patient-not-in-trash",))
def restore_patient(patient_id: int) -> Response:
    """Restore a patient with everything that was not in the trash before; only the owner may."""
    return reply(_shown(records().restore_patient(patient_id), Action.OWN))


@blueprint.get("/patients/<int:patient_id>/export")
@rate_limited(BULK)
@operation(None, media="application/zip", errors=("busy",))
def export_patient(patient_id: int) -> Response:
    """Download all records and documents of a patient as a ZIP, with an index page."""
    admit_archive()
    return send_export(records().export_patient(patient_id))


@blueprint.get("/patients/<int:patient_id>/photo")
@operation(None, media="image/webp", errors=("blob-missing",))
def photo(patient_id: int) -> Response:
    """Return the photo of a patient, a square WebP picture."""
    return send_photo(patient_id)


@blueprint.put("/patients/<int:patient_id>/photo")
@rate_limited(UPLOADS)
@operation(
    None,
    {204: "Stored"},
    body=UploadForm,
    errors=(
        *("malformed", "truncated", "too-many", "quota", "too-large", "type-not-allowed", "content-mismatch"),
        *("rejected-upload", "bad-name", "empty-file", "not-checked", "storage", "busy", "too-many-uploads"),
    ),
)
def set_photo(patient_id: int) -> Response:
    """Store the photo of a patient, of which the square in the middle is kept."""
    receive_photo(patient_id)
    return Response(status=204)


@blueprint.delete("/patients/<int:patient_id>/photo")
@operation(None, {204: "Removed"}, errors=("no-photo",))
def remove_photo(patient_id: int) -> Response:
    """Remove the photo of a patient."""
    photos().remove(patient_id)
    return Response(status=204)


@blueprint.post("/patients/<int:patient_id>/archive")
@operation(Patient, errors=("patient-already-archived",))
def archive_patient(patient_id: int) -> Response:
    """Archive a patient: hidden from the home page and read-only; only the owner may."""
    return reply(_shown(records().archive_patient(patient_id), Action.OWN))


@blueprint.post("/patients/<int:patient_id>/unarchive")
@operation(Patient, errors=("patient-not-archived",))
def unarchive_patient(patient_id: int) -> Response:
    """Unarchive a patient, who can be changed again; only the owner may."""
    return reply(_shown(records().unarchive_patient(patient_id), Action.OWN))


@blueprint.post("/patients/<int:patient_id>/merge")
@operation(MergedPatient, body=Into, errors=("too-many",))
def merge_patient(patient_id: int) -> Response:
    """Move all records and documents to another patient of yours, and this one to the trash."""
    records().level(patient_id, Action.OWN, "merge-patient")
    merged = merges().merge(patient_id, sent(Into).into)
    counts = {"records": merged.records, "documents": merged.documents}
    return reply(MergedPatient(patient_id=merged.patient.id, without_access=list(merged.without_access), **counts))


@blueprint.post("/patients/<int:patient_id>/purge")
@operation(None, {204: "Deleted permanently"}, errors=("patient-not-yet-in-trash",))
def purge_patient(patient_id: int) -> Response:
    """Permanently delete a patient in the trash with all records and documents; only the owner may."""
    records().purge_patient(patient_id)
    return Response(status=204)


def _answer(patient: Any, level: Action, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return reply(
        _shown(patient, level),
        status,
        etag=f"{version_of(patient)}/{level}{'/pinned' if patient.is_pinned else ''}",
        headers=headers,
    )


def _shown(patient: Any, level: Action) -> Patient:
    return Patient.model_validate(_values(patient, level))


def _values(patient: Any, level: Action) -> dict[str, Any]:
    computed = {"access": level.value, "pinned": patient.is_pinned}
    return {name: computed[name] if name in computed else getattr(patient, name) for name in FIELDS}
