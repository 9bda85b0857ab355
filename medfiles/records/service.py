"""Every verb on patients and their records, through the same door as the documents."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, func, select

from medfiles import permissions
from medfiles.audit import event_log
from medfiles.audit.event_log import EVERYTHING, ActivityFilter, AuditTarget
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.documents import relocation
from medfiles.errors import Conflict, NotFound, OutOfScope
from medfiles.models import AuditEvent, EntityFile, Patient, RecordMixin
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.record_types.fields import PATIENT_FIELDS, checked
from medfiles.service import Service


@dataclass(frozen=True)
class Activity:
    """Events with the address of who did it, the newest first; the accounts that stand in any; `document`: the last
    name of the one that was asked for."""

    events: Sequence[tuple[AuditEvent, str | None]]
    people: Sequence[tuple[int, str]]
    document: str | None


@dataclass(frozen=True)
class Summary:
    """A patient, the actor's level on it, and how many records and documents it has."""

    patient: Patient
    level: Action
    records: int = 0
    files: int = 0


@dataclass
class RecordService(Service):
    def patients(self, *, counted: bool = True) -> Sequence[Summary]:
        """The patients the actor may see, by name; unless `counted`, the figures are all 0."""
        allowed = permissions.levels(self.actor).subquery()
        query = select(Patient, allowed.c.level).join(allowed, allowed.c.patient_id == Patient.id)
        rows = db.session.execute(query.order_by(Patient.first_name, Patient.last_name, Patient.id)).all()
        records, files = (self._record_counts(), self._file_counts()) if counted else ({}, {})
        return [Summary(row, Action(level), records.get(row.id, 0), files.get(row.id, 0)) for row, level in rows]

    def patient(self, patient_id: int) -> Summary:
        with self.reading("view-patient", patient_id=patient_id) as target:
            patient = self.authorized_patient(patient_id, Action.VIEW, target)
            return Summary(patient, self.authorize(Action.VIEW, patient_id, target))

    def level(self, patient_id: int, action: Action = Action.VIEW, verb: str = "view-patient") -> Action:
        """The actor's level, which must allow the action; `verb` is what stands in the trail when it does not."""
        with self.operation(verb, patient_id=patient_id) as target:
            return self.authorize(action, patient_id, target)

    def create_patient(self, values: Mapping[str, Any]) -> Patient:
        """A new patient of the actor's own."""
        with self.operation("create-patient") as target, transaction() as session:
            if self.actor.only_patient is not None:
                raise OutOfScope("This token is limited to one patient and cannot add patients.")
            patient = Patient(user_id=self.actor.user_id, **checked(PATIENT_FIELDS, values))
            session.add(patient)
            session.flush()
            self.authorized_patient(patient.id, Action.OWN, target)
            event_log.record(self.actor, "create-patient", target)
            return patient

    def edit_patient(self, patient_id: int, values: Mapping[str, Any]) -> Patient:
        with self.operation("edit-patient", patient_id=patient_id) as target, transaction():
            patient = self.authorized_patient(patient_id, Action.EDIT, target)
            changed = _apply(patient, checked(PATIENT_FIELDS, values))
            event_log.record(self.actor, "edit-patient", target, changed=changed)
            return patient

    def counts(self, patient_id: int) -> dict[str, int]:
        """How many records of each kind a patient has."""
        with self.operation("view-patient", patient_id=patient_id) as target:
            self.authorize(Action.VIEW, patient_id, target)
            return {
                record_type.name: self._count(record_type, record_type.model.patient_id == patient_id)
                for record_type in self.registry
            }

    def list(self, patient_id: int, record_type: RecordType) -> Sequence[RecordMixin]:
        """A patient's records of a kind, the latest first."""
        with self.reading("list-records", patient_id=patient_id, entity_type=record_type.name) as target:
            self.authorized_patient(patient_id, Action.VIEW, target)
            query = select(record_type.model).where(
                record_type.model.patient_id == patient_id, record_type.model.deleted_at.is_(None)
            )
            records = db.session.scalars(query).all()
        return sorted(records, key=lambda record: (record_type.date_of(record) or date.min, record.id), reverse=True)

    def trashed(self, patient_id: int) -> Sequence[tuple[RecordType, RecordMixin, int]]:
        """A patient's records in the trash, with the number of documents that come back with each."""
        with self.reading("list-trash", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
            found = [
                (record_type, record, len(self._trashed_with(record_type, record)))
                for record_type in self.registry
                for record in db.session.scalars(_in_trash(record_type, patient_id))
            ]
        return sorted(found, key=lambda entry: cast(datetime, entry[1].deleted_at), reverse=True)

    def get(self, record_type: RecordType, record_id: int) -> RecordMixin:
        with self.reading("view-record", entity_type=record_type.name, entity_id=record_id) as target:
            return self.authorized_record(record_type, record_id, Action.VIEW, target)

    def editable(self, record_type: RecordType, record_id: int) -> RecordMixin:
        """Refused as `edit` would, before what is to be changed is looked at."""
        with self.operation("edit-record", entity_type=record_type.name, entity_id=record_id) as target:
            return self.authorized_record(record_type, record_id, Action.EDIT, target)

    def titles(self, files: Sequence[EntityFile]) -> Mapping[tuple[str, int], str]:
        """Titles of the records that these documents are attached to."""
        named: dict[tuple[str, int], str] = {}
        for record_type in self.registry:
            ids = {file.entity_id for file in files if file.entity_type == record_type.name}
            named |= {
                (record_type.name, record_id): title for record_id, title in self.titles_of(record_type, ids).items()
            }
        return named

    def titles_of(self, record_type: RecordType, record_ids: Iterable[int]) -> Mapping[int, str]:
        """Titles of those of these records that the actor may see."""
        allowed = permissions.patients_for(self.actor)
        query = select(record_type.model).where(
            record_type.model.id.in_(list(record_ids)), record_type.model.patient_id.in_(allowed)
        )
        return {record.id: record_type.title_of(record) for record in db.session.scalars(query)}

    def create(
        self, patient_id: int, record_type: RecordType, values: Mapping[str, Any], key: str | None = None
    ) -> RecordMixin:
        """A new record; never a second one for the same `key`, which finds the first and saves what is said now."""
        with (
            self.operation("create-record", patient_id=patient_id, entity_type=record_type.name) as target,
            transaction() as session,
        ):
            self.authorized_patient(patient_id, Action.EDIT, target, lock=True)
            fields = checked(record_type.fields, values)
            if earlier := _made_with(record_type, patient_id, key):
                return self._save(record_type, earlier, fields, target)
            record = record_type.model(patient_id=patient_id, creation_key=key, **fields)  # type: ignore[call-arg]
            session.add(record)
            session.flush()
            target.entity_id, target.name = record.id, record_type.title_of(record)
            event_log.record(self.actor, "create-record", target)
            return record

    def edit(
        self, record_type: RecordType, record_id: int, values: Mapping[str, Any], remove: Collection[int] = ()
    ) -> RecordMixin:
        """Save a record and, in the same transaction, move those of its documents to the trash that `remove` names."""
        with self.operation("edit-record", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.EDIT, target)
            fields, files = checked(record_type.fields, values), self._marked(record_type, record_id, remove)

            def change(moved: Sequence[EntityFile]) -> None:
                locked = self.authorized_record(record_type, record_id, Action.EDIT, target, lock=True)
                self._save(record_type, locked, fields, target)
                for file in moved:
                    file.deleted_at, file.deleted_by = now(), self.actor.user_id
                self.record_each("delete", moved)

            relocation.relocate(self.storages, files, relocation.to_trash, change)
            return record

    def delete(self, record_type: RecordType, record_id: int) -> tuple[RecordMixin, int]:
        """Move a record to the trash and its documents with it; how many there were."""
        with self.operation("delete-record", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.EDIT, target)
            if record.deleted_at is not None:
                raise Conflict(f"This {record_type.title.lower()} is already in the trash.")
            files = _files(record_type, record_id, EntityFile.deleted_at.is_(None))

            def change(moved: Sequence[EntityFile]) -> None:
                locked = self._unchanged(record_type, record_id, None, moved, EntityFile.deleted_at.is_(None))
                locked.deleted_at, locked.deleted_by = now(), self.actor.user_id
                for file in moved:
                    file.deleted_at, file.deleted_by = locked.deleted_at, self.actor.user_id
                self.record_each("delete", moved)
                event_log.record(self.actor, "delete-record", target, documents=len(moved))

            relocation.relocate(self.storages, files, relocation.to_trash, change)
            return record, len(files)

    def restore(self, record_type: RecordType, record_id: int) -> tuple[RecordMixin, int]:
        """Bring a record back with the documents that went to the trash with it; how many there were."""
        with self.operation("restore-record", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.EDIT, target)
            if record.deleted_at is None:
                raise Conflict(f"This {record_type.title.lower()} is not in the trash.")
            deleted_at, files = record.deleted_at, self._trashed_with(record_type, record)

            def change(moved: Sequence[EntityFile]) -> None:
                locked = self._unchanged(record_type, record_id, deleted_at, moved, EntityFile.deleted_at == deleted_at)
                locked.deleted_at = locked.deleted_by = None
                for file in moved:
                    file.deleted_at = file.deleted_by = None
                self.record_each("restore", moved)
                event_log.record(self.actor, "restore-record", target, documents=len(moved))

            relocation.relocate(self.storages, files, relocation.to_life(self.registry), change)
            return record, len(files)

    def trail(self, patient_id: int, before: int | None = None, narrowed: ActivityFilter = EVERYTHING) -> Activity:
        """Who did what with this patient's papers; for its owner and those who may edit."""
        with self.reading("view-activity", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
        name = event_log.last_name_of(patient_id, narrowed.document) if narrowed.document is not None else None
        events = event_log.trail(patient_id, before, narrowed=narrowed)
        return Activity(events, event_log.people(patient_id), name)

    def _save(
        self, record_type: RecordType, record: RecordMixin, fields: Mapping[str, Any], target: AuditTarget
    ) -> RecordMixin:
        must_be_in_use(record_type, record)
        target.entity_id, target.name = record.id, record_type.title_of(record)
        event_log.record(self.actor, "edit-record", target, changed=_apply(record, fields))
        return record

    def _marked(self, record_type: RecordType, record_id: int, remove: Collection[int]) -> Sequence[EntityFile]:
        """The marked documents of this record; those that went to the trash meanwhile are where they should be."""
        if not remove:
            return ()
        record_type.allow("delete")
        files = _files(record_type, record_id, EntityFile.id.in_(remove))
        if {file.id for file in files} != set(remove):
            raise NotFound()
        return [file for file in files if file.deleted_at is None]

    def _unchanged(
        self,
        record_type: RecordType,
        record_id: int,
        deleted_at: datetime | None,
        moved: Sequence[EntityFile],
        which: ColumnElement[bool],
    ) -> RecordMixin:
        """The locked record, if it and its documents still are as they were when their bytes were copied."""
        record = self.authorized_record(record_type, record_id, Action.EDIT, AuditTarget(), lock=True)
        if record.deleted_at != deleted_at or {file.id for file in moved} != {
            file.id for file in _files(record_type, record_id, which)
        }:
            raise Conflict(relocation.CHANGED)
        return record

    def _trashed_with(self, record_type: RecordType, record: RecordMixin) -> Sequence[EntityFile]:
        return _files(record_type, record.id, EntityFile.deleted_at == record.deleted_at)

    def _count(self, record_type: RecordType, which: ColumnElement[bool]) -> int:
        query = select(func.count(record_type.model.id)).where(which, record_type.model.deleted_at.is_(None))
        return db.session.scalar(query) or 0

    def _record_counts(self) -> dict[int, int]:
        totals: dict[int, int] = {}
        for record_type in self.registry:
            model, allowed = record_type.model, permissions.patients_for(self.actor)
            query = select(model.patient_id, func.count(model.id)).where(model.deleted_at.is_(None))
            for patient_id, count in db.session.execute(
                query.where(model.patient_id.in_(allowed)).group_by(model.patient_id)
            ):
                totals[patient_id] = totals.get(patient_id, 0) + count
        return totals

    def _file_counts(self) -> dict[int, int]:
        query = select(EntityFile.patient_id, func.count(EntityFile.id)).where(
            EntityFile.deleted_at.is_(None), EntityFile.patient_id.in_(permissions.patients_for(self.actor))
        )
        counts = dict(db.session.execute(query.group_by(EntityFile.patient_id)).all())
        for additional in self.registry.additional.per_patient(permissions.patients_for(self.actor)).values():
            for patient_id, count in additional.items():
                counts[patient_id] = counts.get(patient_id, 0) + count
        return counts


def _files(record_type: RecordType, record_id: int, which: ColumnElement[bool]) -> Sequence[EntityFile]:
    query = select(EntityFile).where(
        EntityFile.entity_type == record_type.name, EntityFile.entity_id == record_id, which
    )
    return db.session.scalars(query.order_by(EntityFile.id)).all()


def _made_with(record_type: RecordType, patient_id: int, key: str | None) -> RecordMixin | None:
    query = select(record_type.model).where(
        record_type.model.patient_id == patient_id, record_type.model.creation_key == key
    )
    return db.session.scalar(query) if key else None


def _in_trash(record_type: RecordType, patient_id: int) -> Any:
    return select(record_type.model).where(
        record_type.model.patient_id == patient_id, record_type.model.deleted_at.is_not(None)
    )


def must_be_in_use(record_type: RecordType, record: RecordMixin) -> None:
    if record.deleted_at is not None:
        raise Conflict(f"This {record_type.title.lower()} is in the trash. Restore it before you change it.")


def _apply(row: Any, values: Mapping[str, Any]) -> Sequence[str]:
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    return sorted(changed)
