"""Authorize uploads, store each document exactly once, and cancel uploads."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.exc import IntegrityError

from medfiles.antivirus import policy
from medfiles.antivirus.clamd import Clamd
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import is_within
from medfiles.database.session import db, transaction
from medfiles.documents import detection, lifecycle, take_back
from medfiles.documents.quota import require_quota
from medfiles.documents.rules import (
    FORM_OVERHEAD,
    UploadMetadata,
    UploadPermit,
    checked_details,
    require_document,
    require_live,
    require_live_record,
    require_room,
    too_large,
)
from medfiles.errors import Conflict, EmptyFile, MedfilesError, Rejected
from medfiles.i18n import N_, gettext
from medfiles.jobs import queue as jobs
from medfiles.models import CancelledUpload, EntityFile, Patient, RecordMixin, UploadKey
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType, Registry
from medfiles.record_types.media_types import WITH_THUMBNAIL
from medfiles.sandbox.pool import Sandbox
from medfiles.search import index
from medfiles.service import Service
from medfiles.storage import Staged, journal, live_key

SCAN_AFTER = timedelta(seconds=10)
WARM_AFTER = timedelta(seconds=5)  # by then, an open list has requested the thumbnail
KEY_REUSED = N_("This Idempotency-Key was already used for another document.")
ADDED_THEN_TRASHED = N_("This document was added earlier and is now in the trash.")
CANCEL_WITHIN = timedelta(hours=1)  # older uploads were acknowledged long ago and can only be trashed
# Executed for every upload, so they are built once.
_BY_KEY = select(UploadKey).where(
    UploadKey.user_id == bindparam("user_id"), UploadKey.idempotency_key == bindparam("key")
)
_CANCELLED = select(CancelledUpload.id).where(
    CancelledUpload.user_id == bindparam("user_id"), CancelledUpload.idempotency_key == bindparam("key")
)
_LIVE = select(func.count(EntityFile.id)).where(
    EntityFile.entity_type == bindparam("record_type"),
    EntityFile.entity_id == bindparam("record_id"),
    EntityFile.deleted_at.is_(None),
)
_OWNER = select(Patient.user_id).where(Patient.id == bindparam("patient_id"))
_STATE = select(_CANCELLED.exists(), _LIVE.scalar_subquery(), _OWNER.scalar_subquery())


@dataclass(frozen=True)
class UploadState:
    """Whether an upload was cancelled, how many live documents its record has, and the account of the patient's owner.

    `owner` is None unless the patient was given.
    """

    cancelled: bool
    live: int
    owner: int | None


@dataclass
class UploadService(Service):
    sandbox: Sandbox = field(kw_only=True)
    quota: int = field(default=0, kw_only=True)  # bytes per patient owner; 0: no limit
    scanner: Clamd | None = field(default=None, kw_only=True)

    def authorize_upload(
        self,
        record_type: RecordType,
        record_id: int,
        announced: int,
        files: int | None = None,
        retry_of: str | None = None,
    ) -> UploadPermit:
        """Grant permission to upload `announced` bytes in at most `files` documents, before reading any of the bytes.

        `retry_of` is the upload's Idempotency-Key. Retrying an upload that was already stored is allowed if the actor
        can see the document, wherever it is now, even if the record is full.
        """
        with self.operation("attach", entity_type=record_type.name, entity_id=record_id) as target:
            row: EntityFile | RecordMixin
            if key := self._by_key(record_type, record_id, retry_of):
                row = self._uploaded_as(key, Action.VIEW, target)
            else:
                row = self.authorized_record(record_type, record_id, Action.EDIT, target)
            record_type.allow("upload")
            if key is None:
                require_live_record(record_type, row)
            if announced > record_type.max_size * (files or record_type.max_files) + FORM_OVERHEAD:
                raise too_large(record_type)
            if files == 1 and key is None:
                require_room(record_type, self._state(record_type, record_id, retry_of).live)
                require_quota(row.patient_id, max(1, announced - FORM_OVERHEAD), self.quota)
            permit = UploadPermit(record_type, record_id, row.patient_id, again=key is not None)
        db.session.rollback()  # no transaction stays open while the bytes are received
        return permit

    def stage(self, permit: UploadPermit) -> Staged:
        return self.storages.default.stage(permit.record_type.max_size)

    def attach(self, permit: UploadPermit, staged: Staged, metadata: UploadMetadata) -> tuple[EntityFile, bool]:
        """Store a document. Return it and True, or False with the document that an earlier attempt stored."""
        about = {"entity_type": permit.record_type.name, "entity_id": permit.record_id, "name": metadata.name[:255]}
        with self.operation("attach", patient_id=permit.patient_id, **about) as target:
            try:
                return self._attach(permit, staged, metadata, target)
            finally:
                staged.discard()

    def refuse(self, permit: UploadPermit, name: str, error: MedfilesError) -> None:
        """Record that a document was refused while it was being received."""
        target = AuditTarget(permit.patient_id, permit.record_type.name, permit.record_id, name=name[:255])
        with transaction():
            event_log.record(self.actor, "attach", target, outcome="refused", reason=error.code)

    def cancel(self, record_type: RecordType, record_id: int, key: str) -> None:
        """Discard the upload with this Idempotency-Key, whether it is already stored or still being sent."""
        with self.operation("cancel", entity_type=record_type.name, entity_id=record_id) as target:
            with transaction():
                stored = self._by_key(record_type, record_id, key, lock=True)
                if stored is None:
                    self.authorized_record(record_type, record_id, Action.EDIT, target, lock=True)
                    stored = self._by_key(record_type, record_id, key, lock=True)  # may be stored by now
                keys = self._discard(stored, target) if stored is not None else ()
                if not self._state(record_type, record_id, key).cancelled:
                    # Even if stored, because another attempt may be under way. Ignore a concurrent cancel of this key.
                    with suppress(IntegrityError), db.session.begin_nested():
                        db.session.add(CancelledUpload(user_id=self.actor.user_id, idempotency_key=key))
            journal.remove(self.storages, keys)

    def _attach(
        self, permit: UploadPermit, staged: Staged, metadata: UploadMetadata, target: AuditTarget
    ) -> tuple[EntityFile, bool]:
        record_type = permit.record_type
        target.name = sent = detection.clean_name(metadata.name)
        if staged.size == 0:
            raise EmptyFile(gettext("This file is empty. Check it on your device, then select it again."))
        if metadata.to_file and record_type is not self.registry.patient:
            raise Rejected(gettext("Only a patient has an inbox. Add documents to a record without “to_file”."))
        details = checked_details(record_type, metadata.details)
        staged.finish()
        found = detection.inspect(staged.path, detection.declared_extension(sent), self.sandbox, record_type.takes)
        original = detection.original_name(metadata.name)
        require_document(record_type, original, found)
        target.name = name = detection.named(sent, found.extension)
        if permit.again and (earlier := self._earlier(permit, staged, metadata, target)):
            return earlier, False
        db.session.rollback()  # no transaction stays open during the scan
        scan = policy.scan_upload(self.scanner, staged.path)
        storage, key = self.storages.default, live_key(record_type.directory, found.extension)
        file = EntityFile(
            entity_type=record_type.name, entity_id=permit.record_id,
            file_name=name, original_name=original, renamed_from=original if name != sent else None,
            file_path=key, storage=storage.name,
            file_type=found.media_type, pages=found.pages, file_size=staged.size, sha256=staged.sha256,
            uploaded_by=self.actor.user_id, idempotency_key=metadata.idempotency_key, to_file=metadata.to_file,
            **details, **scan,
        )  # fmt: skip
        with lifecycle.storing(self.storages, {storage.name: [key]}):
            storage.commit(staged, key)
            with transaction():
                stored, new = self._insert(permit, staged, metadata, file, target)
        if not new:
            journal.abandon(self.storages, [key])
        return stored, new

    def _insert(
        self, permit: UploadPermit, staged: Staged, metadata: UploadMetadata, file: EntityFile, target: AuditTarget
    ) -> tuple[EntityFile, bool]:
        """Lock the record, check everything again and add the row, or return the row from an earlier attempt."""
        record = self.authorized_record(permit.record_type, permit.record_id, Action.EDIT, AuditTarget(), lock=True)
        if earlier := self._earlier(permit, staged, metadata, target):
            return earlier, False  # another attempt at the same upload was faster
        require_live_record(permit.record_type, record)
        state = self._state(permit.record_type, record.id, metadata.idempotency_key, record.patient_id)
        if state.cancelled:
            raise Conflict(gettext("This upload was canceled."))
        require_room(permit.record_type, state.live)
        require_quota(record.patient_id, file.file_size, self.quota, lock=True)
        file.patient_id = record.patient_id
        db.session.add(file)
        try:
            db.session.flush()
            if metadata.idempotency_key is not None:
                self._remember(metadata.idempotency_key, file)
        except IntegrityError as error:
            raise Rejected(KEY_REUSED) from error
        journal.settle([file.file_path])
        index.put_documents(self.registry, [file], record, state.owner)
        target.file_id = file.id
        target.renamed_from = file.renamed_from
        inbox: dict[str, Any] = {"to_file": True} if file.to_file else {}
        event_log.record(self.actor, "attach", target, size=file.file_size, sha256=file.sha256, **inbox)
        if file.scan == policy.WAITING:
            jobs.enqueue(jobs.SCAN, file.id, SCAN_AFTER)
        else:
            jobs.enqueue_each(
                [*([jobs.WARM] if file.file_type in WITH_THUMBNAIL else []), jobs.TEXT], file.id, WARM_AFTER
            )
        return file, True

    def _discard(self, key: UploadKey, target: AuditTarget) -> Sequence[str]:
        """Delete a stored upload in the open transaction. Return the keys to remove after the commit."""
        file = self._uploaded_as(key, Action.EDIT, target, lock=True)
        if not is_within(file.uploaded_at, CANCEL_WITHIN):
            raise Conflict(gettext("This document has already been added. Move it to trash instead."))
        take_back.require_not_held([file.id])
        lifecycle.erase_personal([file])
        target.file_id, target.name = file.id, None
        event_log.record(self.actor, "cancel", target)
        db.session.delete(key)
        return lifecycle.delete_rows([file])

    def _state(
        self, record_type: RecordType, record_id: int, key: str | None, patient_id: int | None = None
    ) -> UploadState:
        values = {"user_id": self.actor.user_id, "key": key, "record_type": record_type.name, "record_id": record_id}
        cancelled, live, owner = db.session.execute(_STATE, {**values, "patient_id": patient_id}).one()
        live += self.registry.additional.count(record_type.name, record_id)
        return UploadState(bool(cancelled), live, owner)

    def _earlier(
        self, permit: UploadPermit, staged: Staged, metadata: UploadMetadata, target: AuditTarget
    ) -> EntityFile | None:
        """Return the document stored by an earlier attempt at the same upload, or None.

        Raises Rejected if that attempt sent other bytes.
        """
        key = self._by_key(permit.record_type, permit.record_id, metadata.idempotency_key)
        if key is None:
            return None
        file = self._uploaded_as(key, Action.VIEW, target)
        if key.sha256 != staged.sha256:
            raise Rejected(KEY_REUSED)
        return file

    def _by_key(
        self, record_type: RecordType, record_id: int, key: str | None, *, lock: bool = False
    ) -> UploadKey | None:
        """Return the stored upload with this key, or None. Raises Rejected if it belongs to another record."""
        if key is None:
            return None
        query = _BY_KEY.with_for_update() if lock else _BY_KEY
        found = db.session.scalar(query, {"user_id": self.actor.user_id, "key": key})
        if found and (found.entity_type, found.entity_id) != (record_type.name, record_id):
            raise Rejected(KEY_REUSED)
        return found

    def _uploaded_as(self, key: UploadKey, action: Action, target: AuditTarget, *, lock: bool = False) -> EntityFile:
        """Return the upload's document, wherever it is now.

        Raises Conflict if it is in the trash, or NotFound if it was deleted permanently.
        """
        file = self.authorized_file(key.file_id, action, target, lock=lock)
        require_live(file, ADDED_THEN_TRASHED)
        return file

    def _remember(self, key: str, file: EntityFile) -> None:
        db.session.add(
            UploadKey(
                user_id=self.actor.user_id, idempotency_key=key, entity_type=file.entity_type, entity_id=file.entity_id,
                sha256=file.sha256, file_id=file.id,
            )
        )  # fmt: skip
        db.session.flush()


def count_live(registry: Registry, record_type: RecordType, record_id: int) -> int:
    """Count the documents that count toward the record's limit: all except those in the trash."""
    live = db.session.scalar(_LIVE, {"record_type": record_type.name, "record_id": record_id})
    return (live or 0) + registry.additional.count(record_type.name, record_id)
