"""Records of every kind over JSON."""

from typing import Any

from flask import Response, url_for
from pydantic import BaseModel

from medfiles.api.schemas import input_name, output_name
from medfiles.api.toolkit import blueprint, models, operation, reply, sent
from medfiles.http.current import documents, records
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType


@blueprint.get("/patients/<int:patient_id>/<kind:type>")
@operation("Records")
def records_of_kind(patient_id: int, type: RecordType) -> Response:
    """List a patient's records of one type, the latest first."""
    found = records().list(patient_id, type)
    counts = documents().count(type, [record.id for record in found])
    shown = [_shown(type, record, counts.get(record.id, 0)) for record in found]
    return reply(models()["Records"].model_validate(shown))


@blueprint.post("/patients/<int:patient_id>/<kind:type>")
@operation("Record", {201: "Created"}, body="RecordInput")
def create_record(patient_id: int, type: RecordType) -> Response:
    """Add a record."""
    records().level(patient_id, Action.EDIT, "create-record")
    made = records().create(patient_id, type, _sent(type))
    return reply(_shown(type, made, 0), 201, headers={"Location": url_for("api.record", type=type, id=made.id)})


@blueprint.get("/<kind:type>/<int:id>")
@operation("Record")
def record(type: RecordType, id: int) -> Response:
    """Return a record; one in the trash only if you may edit it."""
    found = records().get(type, id)
    return reply(_shown(type, found, _count(type, found)))


@blueprint.put("/<kind:type>/<int:id>")
@operation("Record", body="RecordInput", errors=("record-trashed",))
def edit_record(type: RecordType, id: int) -> Response:
    """Replace a record's fields."""
    records().editable(type, id)
    changed = records().edit(type, id, _sent(type))
    return reply(_shown(type, changed, _count(type, changed)))


@blueprint.delete("/<kind:type>/<int:id>")
@operation("Record", errors=("record-already-in-trash",))
def delete_record(type: RecordType, id: int) -> Response:
    """Move a record and its documents to the trash."""
    gone, count = records().delete(type, id)
    return reply(_shown(type, gone, count))


@blueprint.post("/<kind:type>/<int:id>/restore")
@operation("Record", errors=("record-not-in-trash",))
def restore_record(type: RecordType, id: int) -> Response:
    """Restore a record with the documents that were deleted with it."""
    restored, _ = records().restore(type, id)
    return reply(_shown(type, restored, _count(type, restored)))


def _sent(record_type: RecordType) -> dict[str, Any]:
    return sent(models()[input_name(record_type)]).model_dump()


def _count(record_type: RecordType, record: Any) -> int:
    if record.deleted_at is not None:
        return documents().record_totals(record_type, record.id).trashed
    return documents().count(record_type, [record.id]).get(record.id, 0)


def _shown(record_type: RecordType, record: Any, count: int) -> BaseModel:
    said = {field.name: getattr(record, field.name) for field in record_type.fields}
    around = {"id": record.id, "entity_type": record_type.name, "patient_id": record.patient_id, "file_count": count}
    around |= {"title": record_type.title_of(record), "deleted_at": record.deleted_at}
    return models()[output_name(record_type)].model_validate(said | around)
