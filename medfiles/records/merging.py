"""Merge a patient that was created twice: everything moves to the other one, and what is left goes to the trash."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update

from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget, subject_of
from medfiles.database.session import db, transaction
from medfiles.documents import lifecycle
from medfiles.documents.rules import require_room
from medfiles.documents.transfers import leave_links, log_moves
from medfiles.documents.uploading import count_live
from medfiles.errors import Conflict, Rejected
from medfiles.i18n import N_, gettext
from medfiles.jobs import queue as jobs
from medfiles.models import DocumentMove, EntityFile, Patient, PatientShare, RecordMixin, User
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.search import index
from medfiles.service import Service

SAME = N_("Choose another patient.")
UNMIGRATED = N_("Some documents of this patient have not been moved here from the previous lab results yet.")


@dataclass(frozen=True)
class Merged:
    """The result of a merge.

    records, documents  how many were moved, with those in the trash
    without_access      email addresses with access to the patient in the trash, but not to the other one
    """

    patient: Patient
    records: int
    documents: int
    without_access: Sequence[str]


@dataclass
class MergeService(Service):
    """Merges of patients with the same owner. Only rows change: the objects of documents stay where they are."""

    def merge(self, patient_id: int, into: int) -> Merged:
        """Move all records and documents, also those in the trash, to the patient `into`; trash the emptied patient.

        Shares are not moved, so that no account gets more access than it was given. Raises Rejected if both are the
        same, and Conflict if the other patient has no room for this one's own documents.
        """
        if patient_id == into:
            raise Rejected.about("into", gettext(SAME))
        with self.operation("merge-patient", patient_id=patient_id) as target, transaction():
            files = self._lock_documents(patient_id)
            patients = self._lock_patients((patient_id, into), target)
            self._require_movable(patient_id, into, files)
            records = self._move_records(patient_id, into)
            self._move_documents(files, patients[into])
            self._keep_moves(patient_id, into)
            details: dict[str, Any] = {"documents": len(files), "records": len(records)}
            event_log.record(self.actor, "merge-patient", target, to_patient=into, **details)
            received = AuditTarget(into, name=patients[into].full_name)
            event_log.record(self.actor, "merge-patient", received, from_patient=patient_id, **details)
            lifecycle.trash_patient(self.actor, patients[patient_id])
            event_log.record(self.actor, "delete-patient", target, documents=0)
            jobs.enqueue(jobs.MOVE, into)
            merged = Merged(patients[into], len(records), len(files), _without_access(patient_id, into))
        if self.loaded is not None:
            self.loaded.clear()
        return merged

    def _lock_documents(self, patient_id: int) -> Sequence[EntityFile]:
        """Lock all documents of a patient before records and patients, as moves of documents do."""
        query = select(EntityFile).where(EntityFile.patient_id == patient_id).order_by(EntityFile.id)
        return db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()

    def _lock_patients(self, ids: Sequence[int], target: AuditTarget) -> dict[int, Patient]:
        """Lock both patients, in the order of their ids, if the actor owns both."""
        for patient_id in ids:  # the first one is what the operation is about
            self.authorize(Action.OWN, patient_id, target if patient_id == ids[0] else AuditTarget())
        targets = {ids[0]: target, ids[1]: AuditTarget()}
        return {one: self.authorized_patient(one, Action.OWN, targets[one], lock=True) for one in sorted(ids)}

    def _require_movable(self, patient_id: int, into: int, files: Sequence[EntityFile]) -> None:
        this: Any = select(Patient.id).where(Patient.id == patient_id)
        if any(of_type.get(patient_id) for of_type in self.registry.additional.per_patient(this).values()):
            raise Conflict(UNMIGRATED)
        record_type = self.registry.patient
        own = sum(file.entity_type == record_type.name and file.deleted_at is None for file in files)
        if own:
            require_room(record_type, count_live(self.registry, record_type, into) + own - 1)

    def _move_records(self, patient_id: int, into: int) -> Sequence[tuple[RecordType, RecordMixin]]:
        """Give all records to the other patient."""
        moved = []
        for record_type in self.registry:
            query = select(record_type.model).where(record_type.model.patient_id == patient_id)
            for record in db.session.scalars(query.order_by(record_type.model.id).with_for_update()):
                event_log.record(self.actor, "move-record-out", _about(record_type, record))
                record.patient_id = into
                event_log.record(self.actor, "move-record-in", _about(record_type, record))
                moved.append((record_type, record))
        db.session.flush()
        for record_type, record in moved:
            index.put_record(record_type, record)
        return moved

    def _move_documents(self, files: Sequence[EntityFile], patient: Patient) -> None:
        """Give documents to the other patient, with their record or as the patient's own."""
        sources = [subject_of(file) for file in files]
        for file in files:
            if file.entity_type == self.registry.patient.name:
                file.entity_id = patient.id
            file.patient_id = patient.id
        db.session.flush()
        leave_links([file.id for file in files])
        index.drop_documents([file.id for file in files])
        for entry in index.document_entries(self.registry, files, owner=patient.user_id):
            index.put(entry)
        log_moves(self.actor, zip(sources, map(subject_of, files), [False] * len(files), strict=True))

    def _keep_moves(self, patient_id: int, into: int) -> None:
        """Let documents that were moved away from the emptied patient be taken back to the other one."""
        name = self.registry.patient.name
        for patient, kind, number in (
            (DocumentMove.from_patient_id, DocumentMove.from_type, DocumentMove.from_id),
            (DocumentMove.to_patient_id, DocumentMove.to_type, DocumentMove.to_id),
        ):
            own = update(DocumentMove).where(kind == name, number == patient_id).values({number: into})
            every = update(DocumentMove).where(patient == patient_id).values({patient: into})
            for change in (own, every):
                db.session.execute(change, execution_options={"synchronize_session": False})


def _about(record_type: RecordType, record: RecordMixin) -> AuditTarget:
    return AuditTarget(record.patient_id, record_type.name, record.id, name=record_type.title_of(record))


def _without_access(patient_id: int, into: int) -> Sequence[str]:
    """Return the addresses of shares of the first patient that have no share of the second."""
    address = func.coalesce(User.email, PatientShare.address)
    there = select(PatientShare.address_key).where(PatientShare.patient_id == into)
    query = select(address).select_from(PatientShare).outerjoin(User, User.id == PatientShare.user_id)
    query = query.where(PatientShare.patient_id == patient_id, PatientShare.address_key.not_in(there))
    return db.session.scalars(query.order_by(address)).all()
