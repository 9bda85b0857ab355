"""Photos of patients: one square picture each, stored like documents: under a new key, through the journal."""

import base64
from dataclasses import dataclass, field

from sqlalchemy import select

from medfiles.audit import event_log
from medfiles.database.session import count, db, transaction
from medfiles.documents import detection, lifecycle
from medfiles.errors import Conflict, NotFound, Rejected
from medfiles.i18n import N_, gettext
from medfiles.models import Patient
from medfiles.permissions import Action
from medfiles.previews.renderer import Picture, Renderer
from medfiles.record_types.media_types import group_of
from medfiles.sandbox.pool import Sandbox
from medfiles.service import Service
from medfiles.storage import Staged, Storages, journal, live_key

EXTENSION = ".webp"
NOT_A_PHOTO = N_("This is not a photo. Choose a picture, such as JPEG, PNG or HEIC.")


@dataclass
class PhotoService(Service):
    sandbox: Sandbox = field(kw_only=True)
    renderer: Renderer = field(kw_only=True)

    def open(self, patient_id: int) -> Picture:
        """Return the photo of a patient. Raises NotFound if there is none."""
        with self.operation("view-patient", patient_id=patient_id) as target:
            patient = self.authorized_patient(patient_id, Action.VIEW, target)
            key, storage = patient.photo_key, patient.photo_storage
            if key is None or storage is None:
                raise NotFound()
            opened = self.storages[storage]
            return Picture(opened.stat(key).size, key.rpartition("/")[2], lambda: opened.open(key))

    def set(self, patient_id: int, staged: Staged, name: str) -> Patient:
        """Store the middle of a picture as the photo of a patient, in place of an earlier one. Discard `staged`."""
        with self.operation("set-photo", patient_id=patient_id) as target:
            try:
                self.authorized_patient(patient_id, Action.EDIT, target)
                content = self._square(staged, name)
            finally:
                staged.discard()
            storage, key = self.storages.default, live_key(self.registry.patient.directory, EXTENSION)
            with lifecycle.storing(self.storages, {storage.name: [key]}):
                with storage.staged([content], len(content)) as picture:
                    storage.commit(picture, key)
                with transaction():
                    patient = self.authorized_patient(patient_id, Action.EDIT, target, lock=True)
                    earlier = release(patient)
                    patient.photo_key, patient.photo_storage, patient.photo_size = key, storage.name, len(content)
                    journal.settle([key])
                    event_log.record(self.actor, "set-photo", target)
            journal.remove(self.storages, earlier)
            return patient

    def remove(self, patient_id: int) -> Patient:
        """Delete the photo of a patient. Raises Conflict if there is none."""
        with self.operation("remove-photo", patient_id=patient_id) as target:
            with transaction():
                patient = self.authorized_patient(patient_id, Action.EDIT, target, lock=True)
                if patient.photo_key is None:
                    raise Conflict(gettext("This patient has no photo."))
                keys = release(patient)
                event_log.record(self.actor, "remove-photo", target)
            journal.remove(self.storages, keys)
            return patient

    def _square(self, staged: Staged, name: str) -> bytes:
        """Return the largest square in the middle of a picture, upright and without metadata, as WebP."""
        staged.finish()
        found = detection.inspect(staged.path, detection.extension_of(name), self.sandbox)
        if group_of(found.media_type) != "image":
            raise Rejected.about("file", gettext(NOT_A_PHOTO))
        answer = self.renderer.sandbox.run("square", file=staged.path, media_type=found.media_type)
        if "webp" not in answer:
            raise Rejected.about("file", gettext(answer.get("reason") or NOT_A_PHOTO))
        return base64.b64decode(answer["webp"])


def release(patient: Patient) -> list[str]:
    """Take the photo from a locked patient, in the open transaction. Return the keys to remove after the commit."""
    key, storage = patient.photo_key, patient.photo_storage
    patient.photo_key = patient.photo_storage = patient.photo_size = None
    if key is None or storage is None:
        return []
    journal.release(storage, [key])
    return [key]


def count_elsewhere(storages: Storages) -> int:
    return count(Patient.id, Patient.photo_storage != storages.default.name)


def copy_elsewhere(storages: Storages) -> None:
    """Copy all photos that are not in the default storage there, as documents are."""
    target, at = storages.default, 0
    query = select(Patient.id).where(Patient.photo_storage != target.name).order_by(Patient.id).limit(1)
    while at := db.session.scalar(query.where(Patient.id > at)) or 0:
        patient = db.session.get_one(Patient, at, populate_existing=True)
        source, key, size = patient.photo_storage, patient.photo_key, patient.photo_size
        db.session.rollback()
        if source is None or key is None:
            continue
        new = live_key(key.split("/")[1], EXTENSION)
        with lifecycle.storing(storages, {target.name: [new]}):
            with target.staged(storages[source].open(key), size or 0) as picture:
                target.commit(picture, new)
            with transaction() as session:
                patient = session.get_one(Patient, at, with_for_update=True, populate_existing=True)
                if patient.photo_key != key:
                    raise Conflict(lifecycle.CHANGED)
                release(patient)
                patient.photo_key, patient.photo_storage, patient.photo_size = new, target.name, size
                journal.settle([new])
        journal.remove(storages, [key])
