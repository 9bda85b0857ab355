"""Work on the whole store: sweep the journal, empty the trash, make thumbnails before anybody looks."""

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
from medfiles.errors import NotFound, StorageError
from medfiles.models import CancelledUpload, EntityFile, Rendition
from medfiles.previews import cache as preview_cache
from medfiles.previews.renderer import NoPreview, Renderer
from medfiles.record_types.declared import RecordType, Registry
from medfiles.sandbox.render.spec import THUMBNAIL, recipe
from medfiles.storage import Storages, journal
from medfiles.storage.journal import Swept

log = structlog.get_logger("medfiles.operations.housekeeping")
STAGED_FOR = timedelta(hours=24)  # no upload takes longer
BATCH = 100
DRAWN_TYPES = ("application/pdf", "application/dicom", "image/")


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
    """Reconcile the journal, then clear staged files that no upload writes to any more."""
    swept = journal.sweep(storages, report=report)
    for storage in storages:
        storage.clear_staged(STAGED_FOR.total_seconds())
    return swept


def forget_cancelled(before: datetime) -> None:
    """Uploads that were given up before that time have long ended on both sides."""
    with transaction() as session:
        session.execute(delete(CancelledUpload).where(CancelledUpload.at < before))


def due(before: datetime) -> Sequence[EntityFile]:
    """Documents that went to the trash before that time, the oldest first."""
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
        swept = _purge(ids, before, registry, storages)
        documents += len(ids)
        failed += swept.failed
        report(f"{documents} documents")
    records = sum(_purge_records(record_type, before, registry) for record_type in registry)
    return Purged(documents, records, failed)


def _is_due(before: datetime) -> tuple[ColumnElement[bool], ...]:
    """Conditions of expiry. A document imported into the trash stays there for the whole period, too."""
    return EntityFile.deleted_at < before, or_(EntityFile.legacy_id.is_(None), EntityFile.updated_at < before)


def _due_ids(before: datetime) -> Sequence[int]:
    query = select(EntityFile.id).where(*_is_due(before)).order_by(EntityFile.id).limit(BATCH)
    ids = db.session.scalars(query).all()
    db.session.rollback()
    return ids


def _purge(ids: Sequence[int], before: datetime, registry: Registry, storages: Storages) -> Swept:
    with transaction() as session:
        still = select(EntityFile).where(EntityFile.id.in_(ids), *_is_due(before)).with_for_update()
        files = session.scalars(still).all()
        event_log.record_each(None, "purge", [(event_log.subject_of(file), {}) for file in files])
        for file in files:
            journal.release(file.storage, [file.file_path])
            session.delete(file)
        keys = [*(file.file_path for file in files), *preview_cache.release({file.sha256 for file in files})]
        keys += registry.additional.forget(files)
    return journal.remove(storages, keys)


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
            target = AuditTarget(record.patient_id, record_type.name, record.id, name=record_type.title_of(record))
            event_log.record(None, "purge-record", target)
            session.delete(record)
    return len(records)


def cold_count() -> int:
    """How many documents have no thumbnail yet, nor are known to get none."""
    return db.session.scalar(_cold().with_only_columns(func.count(EntityFile.id))) or 0


def warm(renderer: Renderer, report: Callable[[], None] = lambda: None) -> Warmed:
    """Make their thumbnails, one after another."""
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
    """Whether it has a thumbnail now that it had not before; StorageError when that should be tried again."""
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


def clear_previews(storages: Storages, *, failed: bool = False) -> Swept:
    """Remove everything that was derived, or only forget what could not be made."""
    return preview_cache.clear(storages, failed=failed)


def _cold(after: int = 0) -> Select[EntityFile]:
    small = select(Rendition.id).where(
        Rendition.sha256 == EntityFile.sha256, Rendition.recipe == recipe(THUMBNAIL), Rendition.page == 1
    )
    drawn = or_(*(EntityFile.file_type.startswith(start) for start in DRAWN_TYPES))
    harmless = or_(EntityFile.scan.is_(None), EntityFile.scan == CLEAN)
    return select(EntityFile).where(
        EntityFile.id > after, EntityFile.deleted_at.is_(None), drawn, harmless, ~small.exists()
    )
