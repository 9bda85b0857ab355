"""Roll back an import: delete the documents it created, then the unchanged rows it created."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.exc import IntegrityError

from medfiles.audit import event_log
from medfiles.content import DocumentContent
from medfiles.database.session import db, transaction
from medfiles.documents import lifecycle
from medfiles.legacy import log
from medfiles.legacy.medikeep import schema
from medfiles.legacy.medikeep.bringing import PATIENT, SHARE, USER
from medfiles.legacy.medikeep.files import KINDS
from medfiles.legacy.medikeep.schema import MediKeep
from medfiles.legacy.rollback import TakenBack
from medfiles.legacy.verification import hash_of
from medfiles.models import EntityFile, LegacyId, LegacySource, Patient, PatientShare, User
from medfiles.record_types.declared import Registry
from medfiles.search import index
from medfiles.services import Services
from medfiles.storage import journal

BATCH = 100
FILE_KINDS = tuple(KINDS.values())
MODELS: Mapping[str, Any] = {SHARE: PatientShare, PATIENT: Patient, USER: User}


def count(known: LegacySource) -> int:
    """Count the documents that were imported."""
    query = select(func.count(func.distinct(LegacyId.new_id))).where(
        LegacyId.source_id == known.id, LegacyId.kind.in_(FILE_KINDS), LegacyId.new_id.is_not(None)
    )
    return db.session.scalar(query) or 0


def roll_back(
    services: Services, medikeep: MediKeep, known: LegacySource, report: Callable[[int], None] = lambda done: None
) -> TakenBack:
    """Roll back an import. What was added or changed since then is kept, with the rows it belongs to.

    A document is kept if its file in MediKeep is missing or has changed, because it may be the only copy.
    """
    log.note(known, verified_at=None)
    _note_deleted(known)
    back, after = TakenBack(), 0
    while files := _imported(known, after):
        after = files[-1].id
        sources = _paths(medikeep, known, files)
        good = [file for file in files if _is_unaltered(medikeep, sources, file, back)]
        _delete(services, good, back)
        report(back.documents)
    back.people = _take_back_rows(services.registry, known)
    if not back.kept and not back.people:
        log.end(known)
    return back


def _note_deleted(known: LegacySource) -> None:
    """Note which documents were deleted permanently, so that a later import does not bring them back.

    Entries for rows that were never brought along are dropped.
    """
    mine = LegacyId.source_id == known.id
    is_gone = ~exists().where(EntityFile.id == LegacyId.new_id)
    with transaction() as session:
        session.execute(delete(LegacyId).where(mine, LegacyId.new_id.is_(None), ~LegacyId.brought))
        session.execute(update(LegacyId).where(mine, LegacyId.kind.in_(FILE_KINDS), is_gone).values(new_id=None))


def _imported(known: LegacySource, after: int) -> Sequence[EntityFile]:
    mine = select(LegacyId.new_id).where(LegacyId.source_id == known.id, LegacyId.kind.in_(FILE_KINDS))
    query = select(EntityFile).where(EntityFile.id.in_(mine), EntityFile.id > after)
    files = db.session.scalars(query.order_by(EntityFile.id).limit(BATCH)).all()
    db.session.expunge_all()
    db.session.rollback()
    return files


def _paths(medikeep: MediKeep, known: LegacySource, files: Sequence[EntityFile]) -> Mapping[int, Sequence[str]]:
    """Return the paths that the source's rows have for each document."""
    ids = [file.id for file in files]
    query = select(LegacyId.kind, LegacyId.old_id, LegacyId.new_id).where(
        LegacyId.source_id == known.id, LegacyId.kind.in_(FILE_KINDS), LegacyId.new_id.in_(ids)
    )
    found: dict[int, list[str]] = {}
    entries = db.session.execute(query).all()
    db.session.rollback()
    for table, kind in KINDS.items():
        new = {old: number for name, old, number in entries if name == kind and number is not None}
        for row in medikeep.of(table, "id", list(new)):
            found.setdefault(new[row["id"]], []).append(str(row["file_path"]))
    return found


def _is_unaltered(medikeep: MediKeep, paths: Mapping[int, Sequence[str]], file: EntityFile, back: TakenBack) -> bool:
    for path in paths.get(file.id, ()):
        if hash_of(DocumentContent(EntityFile(id=file.id, file_path=path), medikeep.folder)) == file.sha256:
            return True
    back.kept.append(f"Document {file.id} was kept: its file in MediKeep is missing or has changed.")
    return False


def _delete(services: Services, files: Sequence[EntityFile], back: TakenBack) -> None:
    if not files:
        return
    with transaction() as session:
        ids = [file.id for file in files]
        query = select(EntityFile).where(EntityFile.id.in_(ids)).order_by(EntityFile.id).with_for_update()
        locked = session.scalars(query.execution_options(populate_existing=True)).all()
        details = [(event_log.subject_of(file), {"old_id": (file.extra or {}).get("old_id")}) for file in locked]
        event_log.record_each(None, "rollback", details)
        keys = lifecycle.delete_rows(locked)
        session.execute(delete(LegacyId).where(LegacyId.kind.in_(FILE_KINDS), LegacyId.new_id.in_(ids)))
    back.failed += journal.remove(services.storages, keys).failed
    back.documents += len(locked)


def _take_back_rows(registry: Registry, known: LegacySource) -> Sequence[tuple[str, int]]:
    """Delete unused rows that the import created, last ones first; return the kind and id of those in use."""
    kept: list[tuple[str, int]] = []
    for kind in (*schema.RECORDS.values(), *MODELS):
        after: int | None = 0
        while after is not None:
            after = _take_back_some(registry, kind, known, after, kept)
    return kept


def _take_back_some(
    registry: Registry, kind: str, known: LegacySource, after: int, kept: list[tuple[str, int]]
) -> int | None:
    model = MODELS.get(kind) or registry[kind].model
    query = select(LegacyId).where(
        LegacyId.source_id == known.id, LegacyId.kind == kind, LegacyId.brought, LegacyId.new_id > after
    )
    with transaction() as session:
        entries = session.scalars(query.order_by(LegacyId.new_id).limit(BATCH)).all()
        last = entries[-1].new_id if entries else None
        for entry in entries:
            row = session.get(model, entry.new_id)
            if row is None or _deleted(registry, kind, row):
                session.delete(entry)
            else:
                kept.append((kind, entry.new_id))
        return last


def _deleted(registry: Registry, kind: str, row: Any) -> bool:
    """Delete a row unless it was changed or is referenced; return whether it was deleted."""
    if _is_changed(kind, row):
        return False
    try:
        with db.session.begin_nested():
            if kind == USER:
                row.roles = []
            elif kind == PATIENT:
                index.drop_patient(row.id)
            elif kind != SHARE:
                index.drop_records(registry[kind], [row.id])
            db.session.delete(row)
            db.session.flush()
    except IntegrityError:
        return False
    return True


def _is_changed(kind: str, row: Any) -> bool:
    if kind == SHARE:
        return False
    if kind == USER:
        return bool(row.update_datetime - row.create_datetime > timedelta(seconds=1))
    if row.updated_at != row.created_at or row.deleted_at is not None:
        return True
    held = select(exists().where(EntityFile.entity_type == kind, EntityFile.entity_id == row.id))
    return bool(db.session.scalar(held))
