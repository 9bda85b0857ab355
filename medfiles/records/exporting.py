"""The export of a patient: all records and documents, except those in the trash, to be written to one archive."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from medfiles.antivirus.policy import require_readable
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db
from medfiles.errors import Conflict, StorageError
from medfiles.models import EntityFile, Patient, RecordMixin
from medfiles.permissions import Action, Actor
from medfiles.record_types.declared import RecordType, Registry
from medfiles.storage import Storages, digest


@dataclass(frozen=True)
class ExportedRecord:
    """A record, or the patient for the patient's own documents, with its documents by date."""

    record_type: RecordType
    record: RecordMixin
    documents: Sequence[DocumentContent]
    missing: Sequence[EntityFile]  # those that cannot be read


@dataclass(frozen=True)
class Export:
    patient: Patient
    level: Action
    records: Sequence[ExportedRecord]

    @property
    def documents(self) -> Sequence[DocumentContent]:
        return [content for record in self.records for content in record.documents]


def collect(actor: Actor, registry: Registry, storages: Storages, patient: Patient) -> Sequence[ExportedRecord]:
    """Return the patient's own documents, if there are any, then all records by type, the newest first."""
    by_record: dict[tuple[str, int], list[EntityFile]] = {}
    query = select(EntityFile).where(EntityFile.patient_id == patient.id, EntityFile.deleted_at.is_(None))
    for file in db.session.scalars(query.order_by(EntityFile.dated_on, EntityFile.id)).all():
        db.session.expunge(file)  # so that later commits do not expire it
        by_record.setdefault((file.entity_type, file.entity_id), []).append(file)
    for file in registry.additional.of_patient(patient.id):
        by_record.setdefault((file.entity_type, file.entity_id), []).append(file)
    found = []
    for record_type in (registry.patient, *registry):
        for record in _records(record_type, patient):
            readable, missing = list[DocumentContent](), list[EntityFile]()
            for file in by_record.get((record_type.name, record.id), ()):
                content = _readable(actor, storages, file)
                readable += [content] if content else []
                missing += [] if content else [file]
            if readable or missing or record_type is not registry.patient:
                found.append(ExportedRecord(record_type, record, readable, missing))
    return found


def _records(record_type: RecordType, patient: Patient) -> Sequence[RecordMixin]:
    if isinstance(patient, record_type.model):
        return [patient]  # it is a record to its own documents
    model = record_type.model
    records = db.session.scalars(select(model).where(model.patient_id == patient.id, model.deleted_at.is_(None))).all()
    return sorted(records, key=lambda record: (record_type.date_of(record) or date.min, record.id), reverse=True)


def _readable(actor: Actor, storages: Storages, file: EntityFile) -> DocumentContent | None:
    """Return the content of a document, or None if the actor cannot open it or its object is missing or damaged."""
    try:
        if file.is_additional:
            content = DocumentContent(file, storages.attached[file.storage])
            _, file.file_size = digest(content.read())  # the size recorded by the other feature may be wrong
        else:
            require_readable(file, actor)
            content = opened(file, storages)
            content.size()
    except (Conflict, StorageError):
        return None
    return content
