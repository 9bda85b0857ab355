"""Patients over JSON."""

from typing import Any

from flask import Response, url_for

from medfiles.api.schemas import Patient, Patients
from medfiles.api.toolkit import blueprint, models, operation, reply, sent
from medfiles.http import views
from medfiles.http.current import records
from medfiles.permissions import Action


@blueprint.get("/patients")
@operation("The patients you may see, by name", Patients)
def patients() -> Response:
    found = records().patients()
    return reply(Patients([_shown(entry.patient, entry.level) for entry in found]))


@blueprint.post("/patients")
@operation("Add a patient of your own", Patient, status=201, body="patient")
def create_patient() -> Response:
    made = records().create_patient(sent(models().patient_input).model_dump())
    return reply(_shown(made, Action.OWN), 201, headers={"Location": url_for("api.patient", patient_id=made.id)})


@blueprint.get("/patients/<int:patient_id>")
@operation("One patient", Patient)
def patient(patient_id: int) -> Response:
    found = records().patient(patient_id)
    return reply(_shown(found.patient, found.level))


@blueprint.put("/patients/<int:patient_id>")
@operation("Replace a patient’s fields", Patient, body="patient")
def edit_patient(patient_id: int) -> Response:
    level = records().level(patient_id, Action.EDIT, "edit-patient")
    changed = records().edit_patient(patient_id, sent(models().patient_input).model_dump())
    return reply(_shown(changed, level))


def _shown(patient: Any, level: Action) -> Patient:
    return Patient.model_validate(views.patient_view(patient, level))
