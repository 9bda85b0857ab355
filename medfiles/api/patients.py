"""Endpoints for patients."""

from typing import Any

from flask import Response, request, url_for

from medfiles.api.schemas import EditHeaders, Patient, Patients, PatientsQuery
from medfiles.api.toolkit import MOST, blueprint, models, operation, reply, reply_list, sent, versions
from medfiles.http import parameters
from medfiles.http.current import records
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


@blueprint.post("/patients/<int:patient_id>/restore")
@operation(Patient, errors=("patient-not-in-trash",))
def restore_patient(patient_id: int) -> Response:
    """Restore a patient with everything that was not in the trash before; only the owner may."""
    return reply(_shown(records().restore_patient(patient_id), Action.OWN))


def _answer(patient: Any, level: Action, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return reply(_shown(patient, level), status, etag=f"{version_of(patient)}/{level}", headers=headers)


def _shown(patient: Any, level: Action) -> Patient:
    return Patient.model_validate(_values(patient, level))


def _values(patient: Any, level: Action) -> dict[str, Any]:
    return {name: level.value if name == "access" else getattr(patient, name) for name in FIELDS}
