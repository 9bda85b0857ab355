"""Documents on their way in: leave to send them, storing each exactly once, giving up what is not wanted after all."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import bindparam, func, select
from sqlalchemy.exc import IntegrityError

from medfiles.antivirus import policy
from medfiles.antivirus.clamd import Clamd
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.documents import detection
from medfiles.documents.quota import must_fit
from medfiles.documents.rules import (
    FORM_OVERHEAD,
    UploadMetadata,
    UploadPermit,
    accepted_extension,
    checked_details,
    must_be_alive,
    must_have_room,
    too_large,
)
from medfiles.errors import Conflict, DatabaseUnavailable, EmptyFile, MedfilesError, Rejected
from medfiles.jobs import queue as jobs
from medfiles.models import CancelledUpload, EntityFile
from medfiles.permissions import Action
from medfiles.previews import cache as preview_cache
from medfiles.record_types.declared import RecordType, Registry
from medfiles.record_types.media_types import DRAWN, media_of
from medfiles.sandbox.pool import Sandbox
from medfiles.service import Service
from medfiles.storage import Staged, journal, live_key

SCAN_AFTER = timedelta(seconds=10)
WARM_AFTER = timedelta(seconds=5)  # whoever looks at the list has made it by then
CANCEL_WITHIN = timedelta(hours=1)  # older uploads were acknowledged long ago: only the trash takes them
# What every upload asks for is built once.
_BY_KEY = select(EntityFile).where(
    EntityFile.uploaded_by == bindparam("user_id"), EntityFile.idempotency_key == bindparam("key")
)
_CANCELLED = select(CancelledUpload.id).where(
    CancelledUpload.user_id == bindparam("user_id"), CancelledUpload.idempotency_key == bindparam("key")
)
_LIVE = select(func.count(EntityFile.id)).where(
    EntityFile.entity_type == bindparam("kind"),
    EntityFile.entity_id == bindparam("record_id"),
    EntityFile.deleted_at.is_(None),
)
_STANDING = select(_BY_KEY.exists(), _CANCELLED.exists(), _LIVE.scalar_subquery())


@dataclass(frozen=True)
class Standing:
    """What an upload comes upon: an earlier try of it that was stored or cancelled, `live` documents in its record."""

    stored: bool
    cancelled: bool
    live: int


@dataclass
class Arrivals(Service):
    sandbox: Sandbox = field(kw_only=True)
    quota: int = field(default=0, kw_only=True)  # bytes for each owner of patients; 0: no end
    scanner: Clamd | None = field(default=None, kw_only=True)

    def receive(
        self,
        record_type: RecordType,
        record_id: int,
        announced: int,
        files: int | None = None,
        retry_of: str | None = None,
    ) -> UploadPermit:
        """Leave to send `announced` bytes in at most `files` documents; asked before any of them is read.

        `retry_of` is the upload's Idempotency-Key: a full record still answers the retry of an upload it took.
        """
        with self.operation("attach", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.EDIT, target)
            record_type.allow("upload")
            must_be_alive(record_type, record)
            if announced > record_type.max_size * (files or record_type.max_files) + FORM_OVERHEAD:
                raise too_large(record_type)
            standing = self._standing(record_type, record_id, retry_of)
            if files == 1 and not standing.stored:
                must_have_room(record_type, standing.live)
                must_fit(record.patient_id, max(1, announced - FORM_OVERHEAD), self.quota)
            permit = UploadPermit(record_type, record_id, record.patient_id, again=standing.stored)
        db.session.rollback()  # no transaction stays open while the bytes come in
        return permit

    def stage(self, permit: UploadPermit) -> Staged:
        return self.storages.default.stage(permit.record_type.max_size)

    def attach(self, permit: UploadPermit, staged: Staged, metadata: UploadMetadata) -> tuple[EntityFile, bool]:
        """Store a document and return it and True; or, for a retry of the same upload, the first one and False."""
        subject = {
            "entity_type": permit.record_type.name,
            "entity_id": permit.record_id,
            "patient_id": permit.patient_id,
        }
        with self.operation("attach", **subject, name=metadata.name[:255]) as target:
            try:
                return self._attach(permit, staged, metadata, target)
            finally:
                staged.discard()

    def refuse(self, permit: UploadPermit, name: str, error: MedfilesError) -> None:
        """Remember a document that was refused while it was still being received."""
        target = AuditTarget(permit.patient_id, permit.record_type.name, permit.record_id, name=name[:255])
        with transaction():
            event_log.record(self.actor, "attach", target, outcome="refused", reason=error.code)

    def cancel(self, record_type: RecordType, record_id: int, key: str) -> None:
        """Keep nothing of the upload with this Idempotency-Key: not what was stored, not what is still on its way."""
        with self.operation("cancel", entity_type=record_type.name, entity_id=record_id) as target:
            with transaction():
                stored = self._by_key(key, lock=True)  # before its record, as whoever moves it does
                self.authorized_record(record_type, record_id, Action.EDIT, target, lock=True)
                stored = stored or self._by_key(key, lock=True)
                if not self._standing(record_type, record_id, key).cancelled:
                    self._mark_cancelled(key)  # also when it is stored: another try may be on its way
                keys = self._give_up(record_type, record_id, stored, target) if stored is not None else ()
            journal.remove(self.storages, keys)

    def _attach(
        self, permit: UploadPermit, staged: Staged, metadata: UploadMetadata, target: AuditTarget
    ) -> tuple[EntityFile, bool]:
        record_type = permit.record_type
        target.name = name = detection.clean_name(metadata.name)
        extension = accepted_extension(record_type, name)
        if staged.size == 0:
            raise EmptyFile("This file is empty. Check it on your device, then select it again.")
        details = checked_details(record_type, metadata.description, metadata.category)
        staged.finish()
        found = detection.inspect(staged.path, extension, self.sandbox)
        if permit.again and (earlier := self._earlier(permit, staged, metadata)):
            return earlier, False
        db.session.rollback()  # no transaction stays open while they are scanned
        scan = policy.scan_upload(self.scanner, staged.path)
        storage, key = self.storages.default, live_key(record_type.directory, extension)
        file = EntityFile(
            entity_type=record_type.name, entity_id=permit.record_id,
            file_name=name, file_path=key, storage=storage.name,
            file_type=found.media_type, pages=found.pages, file_size=staged.size, sha256=staged.sha256,
            uploaded_by=self.actor.user_id, idempotency_key=metadata.idempotency_key, **details, **scan,
        )  # fmt: skip
        journal.expect(storage.name, [key])
        try:
            storage.commit(staged, key)
            with transaction():
                stored, new = self._insert(permit, staged, metadata, file, target)
        except DatabaseUnavailable:
            raise  # the commit may have happened: only the sweep may decide
        except MedfilesError:
            journal.abandon(self.storages, [key])
            raise
        if not new:
            journal.abandon(self.storages, [key])
        return stored, new

    def _insert(
        self, permit: UploadPermit, staged: Staged, metadata: UploadMetadata, file: EntityFile, target: AuditTarget
    ) -> tuple[EntityFile, bool]:
        """Under the record's lock: what was true when the upload began may not be any more."""
        record = self.authorized_record(permit.record_type, permit.record_id, Action.EDIT, AuditTarget(), lock=True)
        must_be_alive(permit.record_type, record)
        standing = self._standing(permit.record_type, record.id, metadata.idempotency_key)
        if standing.stored and (earlier := self._earlier(permit, staged, metadata)):
            return earlier, False  # its twin won the race
        if standing.cancelled:
            raise Conflict("This upload was cancelled.")
        must_have_room(permit.record_type, standing.live)
        must_fit(record.patient_id, file.file_size, self.quota, lock=True)
        file.patient_id = record.patient_id
        db.session.add(file)
        try:
            db.session.flush()
        except IntegrityError as error:
            raise _key_reused() from error
        journal.settle([file.file_path])
        target.file_id = file.id
        event_log.record(self.actor, "attach", target, size=file.file_size, sha256=file.sha256)
        _see_to_it_later(file)
        return file, True

    def _give_up(self, record_type: RecordType, record_id: int, file: EntityFile, target: AuditTarget) -> Sequence[str]:
        """In the open transaction: the keys whose objects have to go once it is committed."""
        if (file.entity_type, file.entity_id) != (record_type.name, record_id):
            raise _key_reused()
        if file.uploaded_at < now() - CANCEL_WITHIN:
            raise Conflict("This document has already been added. Move it to trash instead.")
        target.file_id, target.name = file.id, file.file_name
        event_log.record(self.actor, "cancel", target)
        journal.release(file.storage, [file.file_path])
        db.session.delete(file)
        return [file.file_path, *preview_cache.release([file.sha256])]

    def _mark_cancelled(self, key: str) -> None:
        with suppress(IntegrityError), db.session.begin_nested():  # the same key may be given up on another record
            db.session.add(CancelledUpload(user_id=self.actor.user_id, idempotency_key=key))

    def _standing(self, record_type: RecordType, record_id: int, key: str | None) -> Standing:
        asked = {"user_id": self.actor.user_id, "key": key, "kind": record_type.name, "record_id": record_id}
        stored, cancelled, live = db.session.execute(_STANDING, asked).one()
        live += self.registry.additional.count(record_type.name, record_id)
        return Standing(bool(stored), bool(cancelled), live)

    def _earlier(self, permit: UploadPermit, staged: Staged, metadata: UploadMetadata) -> EntityFile | None:
        """The document that an earlier try of the same upload stored."""
        earlier = self._by_key(metadata.idempotency_key)
        here = (permit.record_type.name, permit.record_id, staged.sha256)
        if earlier and (earlier.entity_type, earlier.entity_id, earlier.sha256) != here:
            raise _key_reused()
        return earlier

    def _by_key(self, key: str | None, *, lock: bool = False) -> EntityFile | None:
        if key is None:
            return None
        query = _BY_KEY.with_for_update() if lock else _BY_KEY
        return db.session.scalar(query, {"user_id": self.actor.user_id, "key": key})


def live_count(registry: Registry, record_type: RecordType, record_id: int) -> int:
    """Count the documents that take up room in a record: those in its trash do not."""
    stored = db.session.scalar(_LIVE, {"kind": record_type.name, "record_id": record_id}) or 0
    return stored + registry.additional.count(record_type.name, record_id)


def _see_to_it_later(file: EntityFile) -> None:
    """In the open transaction: what nobody has to wait for."""
    if file.scan == policy.WAITING:
        jobs.enqueue(jobs.SCAN, file.id, SCAN_AFTER)
    elif media_of(file.file_type) in DRAWN:
        jobs.enqueue(jobs.WARM, file.id, WARM_AFTER)


def _key_reused() -> Rejected:
    return Rejected("This Idempotency-Key was already used for another document.")
