"""Recurring work on all documents: sweep the journal, empty the trash, render missing thumbnails."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, Select, delete, func, or_, select

from medfiles.antivirus.policy import CLEAN
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.content import opened
from medfiles.database.session import db, transaction
from medfiles.documents import lifecycle
from medfiles.errors import NotFound, StorageError
from medfiles.models import AuditEvent, CancelledUpload, EntityFile, Rendition
from medfiles.previews.renderer import NoPreview, Renderer
from medfiles.record_types.declared import RecordType, Registry
from medfiles.record_types.media_types import WITH_THUMBNAIL
from medfiles.sandbox.render.spec import THUMBNAIL, recipe
from medfiles.storage import Storages, journal
from medfiles.storage.journal import Swept

log = structlog.get_logger("medfiles.operations.housekeeping")
STAGED_FOR = timedelta(hours=24)  # no upload takes longer
BATCH = 100


@dataclass(frozen=True)
class Purged:
    documents: int
    records: int
    failed: int


@dataclass(frozen=True)
class Warmed:
    made: int
    failed: int


def sweep(storages: Storages, report: Callable[[str], None] = lambda key: None) -> Swept:
    """Sweep the journal, then remove staged files of uploads that ended long ago."""
    swept = journal.sweep(storages, report=report)
    for storage in storages:
        storage.clear_staged(STAGED_FOR.total_seconds())
    return swept


def forget_cancelled(before: datetime) -> None:
    """Delete the keys of uploads cancelled before that time: none of them can still be on its way."""
    with transaction() as session:
        session.execute(delete(CancelledUpload).where(CancelledUpload.at < before))


def due(before: datetime) -> Sequence[EntityFile]:
    """Return documents that were trashed before that time, oldest first."""
    query = select(EntityFile).where(*_is_due(before))
    return db.session.scalars(query.order_by(EntityFile.deleted_at, EntityFile.id)).all()


def purge_expired(
    registry: Registry,
    storages: Storages,
    before: datetime,
    report: Callable[[str], None] = lambda text: None,
) -> Purged:
    """Delete permanently what went to the trash before that time: documents, then records that hold none any more."""
    documents = failed = 0
    while ids := _due_ids(before):
        with transaction() as session:
            still_due = select(EntityFile).where(EntityFile.id.in_(ids), *_is_due(before)).with_for_update()
            keys = lifecycle.purge(registry, None, session.scalars(still_due).all())
        failed += journal.remove(storages, keys).failed
        documents += len(ids)
        report(f"{documents} documents")
    records = sum(_purge_records(record_type, before, registry) for record_type in registry)
    return Purged(documents, records, failed)


def _is_due(before: datetime) -> tuple[ColumnElement[bool], ...]:
    """Conditions; a document imported with a long trashed lab result stays for the full time after the import."""
    return EntityFile.deleted_at < before, or_(EntityFile.legacy_id.is_(None), EntityFile.updated_at < before)


def _due_ids(before: datetime) -> Sequence[int]:
    query = select(EntityFile.id).where(*_is_due(before)).order_by(EntityFile.id).limit(BATCH)
    ids = db.session.scalars(query).all()
    db.session.rollback()
    return ids


def _purge_records(record_type: RecordType, before: datetime, registry: Registry) -> int:
    model = record_type.model
    with transaction() as session:
        holds = select(EntityFile.id).where(
            EntityFile.entity_type == record_type.name, EntityFile.entity_id == model.id
        )
        kept = registry.additional.refers_to(record_type.name, model.id.expression)
        empty = select(model).where(model.deleted_at < before, ~holds.exists(), ~kept)
        records = session.scalars(empty.with_for_update()).all()
        for record in records:
            of_record = (AuditEvent.entity_type == record_type.name) & (AuditEvent.entity_id == record.id)
            event_log.erase_private(of_record)
            event_log.record(None, "purge-record", AuditTarget(record.patient_id, record_type.name, record.id))
            session.delete(record)
    return len(records)


def cold_count() -> int:
    """Count documents without a thumbnail for which none has failed."""
    return db.session.scalar(_cold().with_only_columns(func.count(EntityFile.id))) or 0


def warm(renderer: Renderer, report: Callable[[], None] = lambda: None) -> Warmed:
    """Render the missing thumbnails, one after another."""
    made = failed = after = 0
    while files := db.session.scalars(_cold(after).order_by(EntityFile.id).limit(BATCH)).all():
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
    """Render one thumbnail if it is missing. Return whether it was; raise StorageError if a retry may help."""
    file = db.session.scalar(_cold().where(EntityFile.id == file_id))
    if file is None:
        return False
    db.session.expunge(file)
    db.session.rollback()
    return _warmed(renderer, file)


def _warmed(renderer: Renderer, file: EntityFile) -> bool:
    try:
        renderer.picture(opened(file, renderer.storages), recipe(THUMBNAIL), 1)
    except (NotFound, NoPreview) as error:
        log.info("no thumbnail", document=file.id, code=error.code)
        return False
    return True


def _cold(after: int = 0) -> Select[EntityFile]:
    small = select(Rendition.id).where(
        Rendition.sha256 == EntityFile.sha256, Rendition.recipe == recipe(THUMBNAIL), Rendition.page == 1
    )
    drawn = EntityFile.file_type.in_(WITH_THUMBNAIL)
    harmless = or_(EntityFile.scan.is_(None), EntityFile.scan == CLEAN)
    return select(EntityFile).where(
        EntityFile.id > after, EntityFile.deleted_at.is_(None), drawn, harmless, ~small.exists()
    )
