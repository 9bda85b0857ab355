"""Patients as a whole: move to trash, restore, permanently delete, archive, export."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, union_all

from medfiles import permissions
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.database.session import count, db, transaction
from medfiles.database.sqlite import ASYNCHRONOUS
from medfiles.documents import lifecycle, take_back
from medfiles.errors import Conflict
from medfiles.i18n import N_, gettext
from medfiles.models import EntityFile, Patient
from medfiles.permissions import Action
from medfiles.records import exporting, people
from medfiles.records.exporting import Export
from medfiles.service import Service

AT_ONCE = 500  # events per statement
FIRST_TO_TRASH = N_("Only patients in the trash can be deleted permanently. Move this patient to trash first.")
HAS_OLDER_FILES = N_(
    "This patient has files of the previous lab results, which must be moved first. Contact your administrator."
)
HELD = N_(
    "Documents were moved to this patient from another account’s patient in the last 30 days, so their previous owner "
    "can still take them back. The patient can be deleted permanently after that."
)


@dataclass(frozen=True)
class Contents:
    """How many live records and documents a patient has; they come back with the patient."""

    records: int
    documents: int


@dataclass
class PatientService(Service):
    def trashed_patients(self) -> Sequence[Patient]:
        """Return the actor's own patients that are in the trash, the most recently deleted first."""
        query = select(Patient).where(Patient.id.in_(permissions.trashed_patients(self.actor)))
        return db.session.scalars(query.order_by(Patient.deleted_at.desc(), Patient.id)).all()

    def delete_patient(self, patient_id: int) -> Patient:
        """Move a patient, with all records and documents, to the trash. A job moves the bytes afterwards."""
        with self.operation("delete-patient", patient_id=patient_id) as target, transaction():
            if self._trashed_patient(patient_id, target):
                raise Conflict(gettext("This patient is already in the trash."))
            patient = self.authorized_patient(patient_id, Action.OWN, target, lock=True)
            lifecycle.trash_patient(self.actor, patient)
            live = (EntityFile.patient_id == patient_id, EntityFile.deleted_at.is_(None))
            event_log.record(self.actor, "delete-patient", target, documents=count(EntityFile.id, *live))
            return patient

    def restore_patient(self, patient_id: int) -> Patient:
        """Restore a patient, with all shares and everything else that was live at the time of deletion."""
        with self.operation("restore-patient", patient_id=patient_id) as target, transaction():
            patient = self._trashed_patient(patient_id, target)
            if patient is None:
                self.authorize(Action.OWN, patient_id, target)
                raise Conflict(gettext("This patient is not in the trash."))
            lifecycle.restore_patient(patient)
            event_log.record(self.actor, "restore-patient", target)
            return people.reloaded(self.actor, patient)

    def archive_patient(self, patient_id: int) -> Patient:
        """Hide a patient from the home page and refuse all changes, until the patient is unarchived."""
        with self.operation("archive-patient", patient_id=patient_id) as target, transaction():
            patient = self.authorized_patient(patient_id, Action.OWN, target, lock=True)
            if patient.archived_at is not None:
                raise Conflict(gettext("This patient is already archived."))
            patient.archived_at = now()
            event_log.record(self.actor, "archive-patient", target)
            return people.reloaded(self.actor, patient)

    def unarchive_patient(self, patient_id: int) -> Patient:
        with self.operation("unarchive-patient", patient_id=patient_id) as target, transaction():
            patient = self.authorized_patient(patient_id, Action.OWN, target, lock=True)
            if patient.archived_at is None:
                raise Conflict(gettext("This patient is not archived."))
            patient.archived_at = None
            event_log.record(self.actor, "unarchive-patient", target)
            return people.reloaded(self.actor, patient)

    def export_patient(self, patient_id: int) -> Export:
        """Return everything that belongs to a patient, to be read as one archive.

        Audit events for the export and for each document are written before the first byte is read.
        """
        with self.operation("export-patient", patient_id=patient_id) as target:
            patient = self.authorized_patient(patient_id, Action.VIEW, target)
            level = self.authorize(Action.VIEW, patient_id, target)
            export = Export(patient, level, exporting.collect(self.actor, self.registry, self.storages, patient))
            files = [content.file for content in export.documents]
            with transaction(ASYNCHRONOUS):
                event_log.record(self.actor, "export-patient", target, documents=len(files))
                for at in range(0, len(files), AT_ONCE):
                    event_log.record_reads(self.actor, "download", files[at : at + AT_ONCE])
            return export

    def trash_contents(self) -> Mapping[int, Contents]:
        """Count what each of the actor's own patients in the trash would bring back."""
        trashed = permissions.trashed_patients(self.actor)
        models = [record_type.model for record_type in self.registry]
        of_types = (
            select(model.patient_id).where(model.patient_id.in_(trashed), model.deleted_at.is_(None))
            for model in models
        )
        every = union_all(*of_types).subquery()
        records = select(every.c.patient_id, func.count()).group_by(every.c.patient_id)
        documents = select(EntityFile.patient_id, func.count(EntityFile.id)).group_by(EntityFile.patient_id)
        documents = documents.where(EntityFile.patient_id.in_(trashed), EntityFile.deleted_at.is_(None))
        counted: list[dict[int, int]] = [dict(db.session.execute(query).all()) for query in (records, documents)]
        ids = db.session.scalars(trashed)
        return {patient_id: Contents(*(of.get(patient_id, 0) for of in counted)) for patient_id in ids}

    def purge_patient(self, patient_id: int) -> None:
        """Permanently delete a patient in the trash with everything below, which a job does in batches.

        From this moment on, the patient can be neither seen nor restored.
        """
        with self.operation("purge-patient", patient_id=patient_id) as target, transaction():
            patient = self._trashed_patient(patient_id, target)
            if patient is None:
                self.authorize(Action.OWN, patient_id, target)
                raise Conflict(FIRST_TO_TRASH)
            this: Any = select(Patient.id).where(Patient.id == patient_id)
            others = self.registry.additional.per_patient(this)
            if any(of_type.get(patient_id) for of_type in others.values()):
                raise Conflict(HAS_OLDER_FILES)
            held = select(Patient.id).where(Patient.id == patient_id, Patient.id.in_(take_back.held_patients()))
            if db.session.scalar(held) is not None:
                raise Conflict(HELD)
            lifecycle.begin_purge(patient)
            target.name = None
            event_log.record(self.actor, "purge-patient", target)

    def _trashed_patient(self, patient_id: int, target: AuditTarget) -> Patient | None:
        """Lock and return a patient in the trash that the actor may restore; None if there is none with this id."""
        mine = Patient.id.in_(permissions.trashed_patients(self.actor))
        query = select(Patient).where(Patient.id == patient_id, mine).with_for_update()
        patient: Patient | None = db.session.scalar(query.execution_options(populate_existing=True))
        if patient is None or patient.deleted_at is None or patient.purge_began_at is not None:
            return None  # on PostgreSQL, the subquery may not see what changed while this waited for the lock
        target.name = f"{patient.first_name} {patient.last_name}"
        return patient
