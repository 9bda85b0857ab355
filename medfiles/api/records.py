"""Records of every kind over JSON."""

from typing import Any

from flask import Response, url_for
from pydantic import BaseModel

from medfiles.api.toolkit import blueprint, models, operation, reply, sent
from medfiles.http.current import documents, records
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType


@blueprint.get("/patients/<int:patient_id>/<kind:type>")
@operation("A patient’s records of a kind, the latest first", "records")
def records_of_kind(patient_id: int, type: RecordType) -> Response:
    found = records().list(patient_id, type)
    counts = documents().count(type, [record.id for record in found])
    shown = [_shown(type, record, counts.get(record.id, 0)) for record in found]
    return reply(models().records.model_validate(shown))


@blueprint.post("/patients/<int:patient_id>/<kind:type>")
@operation("Add a record", "record", status=201, body="record input")
def create_record(patient_id: int, type: RecordType) -> Response:
    records().level(patient_id, Action.EDIT, "create-record")
    made = records().create(patient_id, type, _sent(type))
    return reply(_shown(type, made, 0), 201, headers={"Location": url_for("api.record", type=type, id=made.id)})


@blueprint.get("/<kind:type>/<int:id>")
@operation("One record, also from the trash for who may edit", "record")
def record(type: RecordType, id: int) -> Response:
    found = records().get(type, id)
    return reply(_shown(type, found, _count(type, found)))


@blueprint.put("/<kind:type>/<int:id>")
@operation("Replace a record’s fields", "record", body="record input", refuses=(409,))
def edit_record(type: RecordType, id: int) -> Response:
    records().editable(type, id)
    changed = records().edit(type, id, _sent(type))
    return reply(_shown(type, changed, _count(type, changed)))


@blueprint.delete("/<kind:type>/<int:id>")
@operation("Move a record to the trash, its documents with it", "record", refuses=(409,))
def delete_record(type: RecordType, id: int) -> Response:
    gone, count = records().delete(type, id)
    return reply(_shown(type, gone, count))


@blueprint.post("/<kind:type>/<int:id>/restore")
@operation("Bring a record back with the documents that went with it", "record", refuses=(409,))
def restore_record(type: RecordType, id: int) -> Response:
    restored, _ = records().restore(type, id)
    return reply(_shown(type, restored, _count(type, restored)))


def _sent(record_type: RecordType) -> dict[str, Any]:
    return sent(models().inputs[record_type.name]).model_dump()


def _count(record_type: RecordType, record: Any) -> int:
    if record.deleted_at is not None:
        return documents().tally(record_type, record.id).trashed
    return documents().count(record_type, [record.id]).get(record.id, 0)


def _shown(record_type: RecordType, record: Any, count: int) -> BaseModel:
    said = {field.name: getattr(record, field.name) for field in record_type.fields}
    around = {"id": record.id, "entity_type": record_type.name, "patient_id": record.patient_id, "file_count": count}
    around |= {"title": record_type.title_of(record), "deleted_at": record.deleted_at}
    return models().outputs[record_type.name].model_validate(said | around)
