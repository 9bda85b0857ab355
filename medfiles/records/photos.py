"""Photos of patients: one square picture each, stored like documents: under a new key, through the journal."""

import base64
from dataclasses import dataclass, field

from medfiles.audit import event_log
from medfiles.database.session import transaction
from medfiles.documents import detection, lifecycle
from medfiles.errors import Conflict, NotFound, Rejected
from medfiles.i18n import N_, gettext
from medfiles.models import Patient
from medfiles.permissions import Action
from medfiles.previews.renderer import Picture, Renderer
from medfiles.record_types.media_types import group_of
from medfiles.sandbox.pool import Sandbox
from medfiles.service import Service
from medfiles.storage import Staged, journal, live_key
from medfiles.storage.row_objects import PHOTO

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
                    earlier = PHOTO.put(patient, storage.name, key, len(content))
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
                keys = PHOTO.release(patient)
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
