"""Endpoints for records of every type."""

from typing import Any

from flask import Response, url_for
from pydantic import BaseModel

from medfiles.api.schemas import EditHeaders, NewPatient, changes_name, input_name, output_name
from medfiles.api.toolkit import blueprint, models, operation, reply, sent, versions
from medfiles.http.current import documents, record_moves, records
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.record_types.edits import version_of


@blueprint.get("/patients/<int:patient_id>/<record_kind:type>")
@operation("Records")
def records_of_kind(patient_id: int, type: RecordType) -> Response:
    """List a patient's records of one type, the latest first."""
    found = records().list(patient_id, type)
    counts = documents().count(type, [record.id for record in found])
    shown = [_shown(type, record, counts.get(record.id, 0)) for record in found]
    return reply(models()["Records"].model_validate(shown))


@blueprint.post("/patients/<int:patient_id>/<record_kind:type>")
@operation("Record", {201: "Created"}, body="RecordInput")
def create_record(patient_id: int, type: RecordType) -> Response:
    """Add a record."""
    records().level(patient_id, Action.EDIT, "create-record")
    made = records().create(patient_id, type, sent(models()[input_name(type)]).model_dump())
    return _answer(type, made, 0, 201, {"Location": url_for("api.record", type=type, id=made.id)})


@blueprint.get("/<record_kind:type>/<int:id>")
@operation("Record")
def record(type: RecordType, id: int) -> Response:
    """Return a record; one in the trash only if you may edit it."""
    found = records().get(type, id)
    return _answer(type, found, _count(type, found))


@blueprint.put("/<record_kind:type>/<int:id>")
@operation("Record", body="RecordChanges", headers=EditHeaders, errors=("record-trashed", "outdated"))
def edit_record(type: RecordType, id: int) -> Response:
    """Change a record's fields."""
    records().editable(type, id)
    changes = sent(models()[changes_name(type)]).model_dump(exclude_unset=True)
    changed = records().edit(type, id, changes, versions=versions())
    return _answer(type, changed, _count(type, changed))


@blueprint.delete("/<record_kind:type>/<int:id>")
@operation("Record", errors=("record-already-in-trash",))
def delete_record(type: RecordType, id: int) -> Response:
    """Move a record and its documents to the trash."""
    gone, count = records().delete(type, id)
    return _answer(type, gone, count)


@blueprint.post("/<record_kind:type>/<int:id>/restore")
@operation("Record", errors=("record-not-in-trash",))
def restore_record(type: RecordType, id: int) -> Response:
    """Restore a record with the documents that were deleted with it."""
    restored, _ = records().restore(type, id)
    return _answer(type, restored, _count(type, restored))


@blueprint.post("/<record_kind:type>/<int:id>/move")
@operation("Record", body=NewPatient, errors=("record-trashed", "quarantined-within", "quota"))
def move_record(type: RecordType, id: int) -> Response:
    """Move a record with its documents to another patient."""
    records().editable(type, id)
    moved, _ = record_moves().move(type, id, sent(NewPatient).patient_id)
    return _answer(type, moved, _count(type, moved))


@blueprint.post("/<record_kind:type>/<int:id>/take-back")
@operation("Record", errors=("record-not-moved", "quota"))
def take_back_record(type: RecordType, id: int) -> Response:
    """Undo the move of a record within 30 days, even if the record is in the trash."""
    record = record_moves().take_back(type, id)
    return _answer(type, record, _count(type, record))


def _answer(
    record_type: RecordType, record: Any, count: int, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    shown, etag = _shown(record_type, record, count), f"{version_of(record)}/{count}"
    return reply(shown, status, etag=etag, headers=headers)


def _count(record_type: RecordType, record: Any) -> int:
    if record.deleted_at is not None:
        return documents().record_totals(record_type, record.id).trashed
    return documents().count(record_type, [record.id]).get(record.id, 0)


def _shown(record_type: RecordType, record: Any, count: int) -> BaseModel:
    said = {field.name: getattr(record, field.name) for field in record_type.fields}
    around = {"id": record.id, "entity_type": record_type.name, "patient_id": record.patient_id, "file_count": count}
    around |= {"title": record_type.title_of(record), "deleted_at": record.deleted_at}
    return models()[output_name(record_type)].model_validate(said | around)
