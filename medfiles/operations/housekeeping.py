"""Recurring work on all documents: sweep the journal, empty the trash, render missing thumbnails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, delete, not_, or_, select, update

from medfiles.antivirus.policy import CLEAN
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import is_past, now
from medfiles.content import opened
from medfiles.database.session import count, db, read, transaction
from medfiles.documents import lifecycle, smart_copies, take_back
from medfiles.errors import NotFound, StorageError
from medfiles.jobs import rounds
from medfiles.models import (
    ApiToken,
    AuditEvent,
    CancelledUpload,
    EntityFile,
    Patient,
    PatientShare,
    Rendition,
    SmartLink,
    TrashMixin,
)
from medfiles.previews.renderer import NoPreview, PreviewTimedOut, Renderer
from medfiles.record_types.declared import RecordType, Registry
from medfiles.record_types.media_types import WITH_THUMBNAIL
from medfiles.sandbox.render.spec import THUMBNAIL, recipe
from medfiles.search import index
from medfiles.smart_links import states as smart_states
from medfiles.storage import Storages, journal
from medfiles.storage.journal import Swept
from medfiles.storage.row_objects import PHOTO

log = structlog.get_logger("medfiles.operations.housekeeping")
STAGED_FOR = timedelta(hours=24)  # no upload takes longer
BATCH = 100
BEGINNING = datetime.min.replace(tzinfo=UTC)  # before all stored times; unlike IS NOT NULL, lets SQLite use the index


@dataclass(frozen=True)
class Purged:
    documents: int
    records: int
    failed: int
    patients: int = 0


@dataclass(frozen=True)
class Expiry:
    """The condition under which an item in the trash has expired: it was trashed before `before`.

    Unless `last_round` is None, it must also have been trashed in that housekeeping round or an earlier one.
    """

    before: datetime
    last_round: int | None = None

    @classmethod
    def after(cls, retention: timedelta, *, force: bool = False) -> "Expiry":
        """Return the expiry for this retention period. With `force`, the clock alone decides."""
        last_round = None if force else rounds.current() - rounds.needed(retention)
        return cls(now() - retention, last_round)

    def has_passed(self, model: type[EntityFile] | type[TrashMixin]) -> ColumnElement[bool]:
        """Return the SQL condition for expired documents, records of one type, or patients."""
        by_clock = model.deleted_at < self.before
        return by_clock if self.last_round is None else by_clock & (model.deleted_round <= self.last_round)


@dataclass(frozen=True)
class Warmed:
    made: int
    failed: int


def sweep(storages: Storages, report: Callable[[str], None] = lambda key: None) -> Swept:
    """Sweep the journal, then remove the staged files of uploads that ended long ago."""
    swept = journal.sweep(storages, report=report)
    for storage in storages:
        storage.clear_staged(STAGED_FOR.total_seconds())
    return swept


def end_smart_links() -> int:
    """End SMART Health Links that have expired, or whose share link ended or lost a document; return how many."""
    ids = [smart_id for (smart_id,) in read(smart_states.over())]
    if ids:
        with transaction():
            smart_copies.end(SmartLink.id.in_(ids))
    return len(ids)


def forget_cancelled(before: datetime) -> None:
    """Delete the keys of uploads canceled before this time, which can no longer arrive.

    Cancellation times in the future are set to now.
    """
    with transaction() as session:
        session.execute(update(CancelledUpload).where(not_(is_past(CancelledUpload.at))).values(at=now()))
        session.execute(delete(CancelledUpload).where(CancelledUpload.at < before))


def forget_readers(before: datetime) -> int:
    """Erase the names and addresses of readers of share links that opened them before this time; return how many."""
    with transaction():
        return event_log.erase_readers(before)


def due(before: datetime) -> Sequence[tuple[EntityFile, datetime]]:
    """Return documents trashed before this time, alone or with their patient, with deletion times, oldest first."""
    own = select(EntityFile, EntityFile.deleted_at).where(_is_due(Expiry(before)))
    with_patient = select(EntityFile, Patient.deleted_at).join(Patient, Patient.id == EntityFile.patient_id)
    with_patient = with_patient.where(Expiry(before).has_passed(Patient), not_(_is_due(Expiry(before))))
    found = [(file, at) for query in (own, with_patient) for file, at in db.session.execute(query) if at]
    return sorted(found, key=lambda entry: (entry[1], entry[0].id))


def purge_expired(
    registry: Registry,
    storages: Storages,
    retention: timedelta,
    report: Callable[[str], None] = lambda text: None,
    *,
    force: bool = False,
) -> Purged:
    """Permanently delete what has been in the trash longer than `retention`.

    Documents are deleted first, then records that no longer have any, then patients with everything that belongs to
    them. The retention must have passed by the clock and by housekeeping rounds; with `force`, the clock alone decides.
    One transaction deletes at most BATCH documents or records.
    """
    if not force:
        rounds.begin()
        mend_deletion_times(registry)
    take_back.forget_expired()
    expiry = Expiry.after(retention, force=force)
    purge = _Purge(registry, storages, report)
    purge.delete_documents(_is_due(expiry) & not_(take_back.is_held()))
    for record_type in registry:
        held = take_back.holds_record(record_type.model, record_type.name)
        purge.delete_records(record_type, expiry.has_passed(record_type.model) & not_(held))
    _begin_purge(registry, expiry)
    for (patient_id,) in read(select(Patient.id).where(Patient.purge_began_at.is_not(None)).order_by(Patient.id)):
        purge.delete_patient(patient_id)
    return purge.result


def purge_patient(registry: Registry, storages: Storages, patient_id: int) -> Purged:
    """Permanently delete a patient whose purge has begun, with everything below; do nothing if it is complete."""
    purge = _Purge(registry, storages, lambda text: None)
    if read(select(Patient.id).where(Patient.id == patient_id, Patient.purge_began_at.is_not(None))):
        purge.delete_patient(patient_id)
    return purge.result


def _begin_purge(registry: Registry, expiry: Expiry) -> None:
    """Mark expired patients: they can no longer be restored, and every run continues their purge.

    A patient with additional documents stays in the trash until the other feature has handed them over, and one with
    documents that a previous owner can still take back, until that is over.
    """
    expired = (expiry.has_passed(Patient), Patient.purge_began_at.is_(None))
    patients: Any = select(Patient.id).where(*expired)
    counts = registry.additional.per_patient(patients).values()
    held = {patient_id for of_type in counts for patient_id, number in of_type.items() if number}
    with transaction() as session:
        remain = Patient.id.not_in(held) & Patient.id.not_in(take_back.held_patients())
        began = update(Patient).where(*expired, remain).values(purge_began_at=now())
        session.execute(began)


@dataclass
class _Purge:
    """A run of permanent deletion in batches, with counts of what it has deleted so far."""

    registry: Registry
    storages: Storages
    report: Callable[[str], None]
    documents: int = 0
    records: int = 0
    patients: int = 0
    failed: int = 0

    @property
    def result(self) -> Purged:
        return Purged(self.documents, self.records, self.failed, self.patients)

    def delete_documents(self, which: ColumnElement[bool]) -> None:
        first = select(EntityFile.id).where(which).order_by(EntityFile.id).limit(BATCH)
        while ids := [file_id for (file_id,) in read(first)]:
            with transaction() as session:
                still_due = select(EntityFile).where(EntityFile.id.in_(ids), which).with_for_update()
                keys = lifecycle.purge(self.registry, None, session.scalars(still_due).all())
            self.failed += journal.remove(self.storages, keys).failed
            self.documents += len(ids)
            self.report(f"{self.documents} documents")

    def delete_records(self, record_type: RecordType, which: ColumnElement[bool]) -> None:
        """Delete the matching records that have no documents and that no other feature needs."""
        model = record_type.model
        holds = select(EntityFile.id).where(
            EntityFile.entity_type == record_type.name, EntityFile.entity_id == model.id
        )
        kept = self.registry.additional.refers_to(record_type.name, model.id.expression)
        empty = select(model).where(which, ~holds.exists(), ~kept).order_by(model.id).limit(BATCH)
        deleted = BATCH
        while deleted == BATCH:
            with transaction() as session:
                records = session.scalars(empty.with_for_update()).all()
                for record in records:
                    of_record = (AuditEvent.entity_type == record_type.name) & (AuditEvent.entity_id == record.id)
                    event_log.erase_private(of_record)
                    event_log.record(None, "purge-record", AuditTarget(record.patient_id, record_type.name, record.id))
                    session.delete(record)
                if records:
                    index.drop_records(record_type, [record.id for record in records])
                    lifecycle.erase_later()
            deleted = len(records)
            self.records += deleted

    def delete_patient(self, patient_id: int) -> None:
        """Delete everything belonging to a patient, then the patient, unless another feature needs a record."""
        self.delete_documents(EntityFile.patient_id == patient_id)
        for record_type in self.registry:
            self.delete_records(record_type, record_type.model.patient_id == patient_id)
        left = (select(one.model.id).where(one.model.patient_id == patient_id).exists() for one in self.registry)
        with transaction() as session:
            patient = session.get(Patient, patient_id, with_for_update=True, populate_existing=True)
            if patient is None or session.scalar(select(or_(*left))):
                return  # another run was faster, or another feature needs a record
            session.execute(delete(PatientShare).where(PatientShare.patient_id == patient_id))
            session.execute(delete(ApiToken).where(ApiToken.patient_id == patient_id))
            event_log.erase_private(AuditEvent.patient_id == patient_id)
            event_log.record(None, "purge-patient", AuditTarget(patient_id))
            index.drop_patient(patient_id)
            keys = [*PHOTO.release(patient), *smart_copies.end_of_patient(patient_id)]
            session.delete(patient)
            lifecycle.erase_later()
        self.failed += journal.remove(self.storages, keys).failed
        self.patients += 1


def held_back(retention: timedelta) -> int:
    """Count documents whose retention has passed by the clock, but not by housekeeping rounds."""
    by_clock, by_both = Expiry.after(retention, force=True), Expiry.after(retention)
    own = and_(_is_due(by_clock), not_(by_both.has_passed(EntityFile)))
    patients = select(Patient.id).where(by_clock.has_passed(Patient), not_(by_both.has_passed(Patient)))
    return count(EntityFile.id, or_(own, EntityFile.patient_id.in_(patients)))


def mend_deletion_times(registry: Registry) -> int:
    """Replace impossible deletion times with the current time; return how many rows had one.

    A deletion time in the future, or before the upload or creation, is impossible: the clock was wrong. Deletion times
    without a known round are replaced too. The full retention period starts over. Documents and records that were
    trashed together stay together.
    """
    wrong = _impossible(registry)
    wrong_patients = _is_impossible(Patient, Patient.created_at)
    any_patient = db.session.scalar(select(select(Patient.id).where(wrong_patients).exists()))
    db.session.rollback()
    if not wrong and not any_patient:
        return 0
    with transaction() as session:
        current, at = rounds.current(), now()
        of_patients = update(Patient).where(wrong_patients).values(deleted_at=at, deleted_round=current)
        rows: int = session.execute(of_patients).rowcount
        for entity_type, entity_id, deleted_at in wrong:
            at += timedelta(microseconds=1)  # keep separate deletions in one record apart
            values = {"deleted_at": at, "deleted_round": current}
            files = (EntityFile.entity_type == entity_type, EntityFile.entity_id == entity_id)
            model = registry[entity_type].model
            for row, which in ((EntityFile, files), (model, (model.id == entity_id,))):
                mended = session.execute(update(row).where(*which, row.deleted_at == deleted_at).values(values))
                rows += mended.rowcount
    log.warning("deletion times replaced", rows=rows)
    return rows


def _impossible(registry: Registry) -> set[tuple[str, int, datetime]]:
    """Return (record type, record id, deletion time) for each impossible deletion."""
    columns = (EntityFile.entity_type, EntityFile.entity_id, EntityFile.deleted_at)
    documents = select(*columns).where(_is_impossible(EntityFile, EntityFile.uploaded_at)).distinct()
    known = {record_type.name for record_type in registry.every}
    found = {(kind, number, at) for kind, number, at in db.session.execute(documents) if at and kind in known}
    for record_type in registry:
        model = record_type.model
        records = select(model.id, model.deleted_at).where(_is_impossible(model, model.created_at))
        found |= {(record_type.name, number, at) for number, at in db.session.execute(records) if at}
    return found


def _is_impossible(model: Any, made_at: Any) -> ColumnElement[bool]:
    """Return the condition for an impossible deletion time.

    A creation time in the future is itself wrong, so it says nothing about the deletion.
    """
    before_creation = and_(model.deleted_at < made_at, made_at <= now())
    wrong: ColumnElement[bool] = or_(not_(is_past(model.deleted_at)), before_creation, model.deleted_round.is_(None))
    return and_(model.deleted_at > BEGINNING, wrong)


def _is_due(expiry: Expiry) -> ColumnElement[bool]:
    """Return the condition for expired documents.

    A document that was imported with a lab result already in the trash stays for the full retention after the import.
    """
    return expiry.has_passed(EntityFile) & or_(EntityFile.legacy_id.is_(None), EntityFile.updated_at < expiry.before)


def cold_count() -> int:
    """Count documents that have no thumbnail yet, except those for which rendering failed."""
    return count(EntityFile.id, *_cold())


def warm(renderer: Renderer, report: Callable[[], None] = lambda: None) -> Warmed:
    """Render all missing thumbnails, one at a time."""
    made = failed = after = 0
    query = select(EntityFile).where(*_cold()).order_by(EntityFile.id).limit(BATCH)
    while files := db.session.scalars(query.where(EntityFile.id > after)).all():
        db.session.expunge_all()
        for file in files:
            try:
                has = _warmed(renderer, file)
            except StorageError as error:
                has = False
                log.info("no thumbnail", document=file.id, code=error.code)
            made, failed = made + has, failed + (not has)
            report()
        after = files[-1].id
    return Warmed(made, failed)


def warm_one(renderer: Renderer, file_id: int) -> bool:
    """Render one thumbnail if it is missing; return whether it was rendered.

    Raises StorageError if a retry may help.
    """
    file = db.session.scalar(select(EntityFile).where(EntityFile.id == file_id, *_cold()))
    if file is None:
        return False
    db.session.expunge(file)
    db.session.rollback()
    return _warmed(renderer, file)


def _warmed(renderer: Renderer, file: EntityFile) -> bool:
    try:
        renderer.picture(opened(file, renderer.storages), recipe(THUMBNAIL), 1)
    except (NotFound, NoPreview, PreviewTimedOut) as error:
        log.info("no thumbnail", document=file.id, code=error.code)
        return False
    return True


def _cold() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions for documents that can have a thumbnail but for which none has been attempted."""
    small = select(Rendition.id).where(
        Rendition.sha256 == EntityFile.sha256, Rendition.recipe == recipe(THUMBNAIL), Rendition.page == 1
    )
    drawn = EntityFile.file_type.in_(WITH_THUMBNAIL)
    harmless = or_(EntityFile.scan.is_(None), EntityFile.scan == CLEAN)
    return not_(lifecycle.IN_TRASH), drawn, harmless, ~small.exists()
