"""Patients over JSON."""

from typing import Any

from flask import Response, url_for

from medfiles.api.schemas import Patient, Patients
from medfiles.api.toolkit import blueprint, models, operation, reply, sent
from medfiles.http import views
from medfiles.http.current import records
from medfiles.permissions import Action


@blueprint.get("/patients")
@operation(Patients)
def patients() -> Response:
    """List the patients you can view, by name."""
    found = records().patients()
    return reply(Patients([_shown(entry.patient, entry.level) for entry in found]))


@blueprint.post("/patients")
@operation(Patient, {201: "Created"}, body="PatientInput")
def create_patient() -> Response:
    """Add a patient of your own."""
    made = records().create_patient(sent(models()["PatientInput"]).model_dump())
    return reply(_shown(made, Action.OWN), 201, headers={"Location": url_for("api.patient", patient_id=made.id)})


@blueprint.get("/patients/<int:patient_id>")
@operation(Patient)
def patient(patient_id: int) -> Response:
    """Return a patient."""
    found = records().patient(patient_id)
    return reply(_shown(found.patient, found.level))


@blueprint.put("/patients/<int:patient_id>")
@operation(Patient, body="PatientInput")
def edit_patient(patient_id: int) -> Response:
    """Replace a patient's fields."""
    level = records().level(patient_id, Action.EDIT, "edit-patient")
    changed = records().edit_patient(patient_id, sent(models()["PatientInput"]).model_dump())
    return reply(_shown(changed, level))


def _shown(patient: Any, level: Action) -> Patient:
    return Patient.model_validate(views.patient_view(patient, level))
