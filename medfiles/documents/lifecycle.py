"""Keep rows, bytes, previews and audit log consistent when documents are stored, moved, trashed, restored or purged.

Every change takes the same steps: journal the new keys, write the objects, change the locked rows in one transaction,
commit, remove the old objects. If a crash interrupts a change, a row or the journal still names each object.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import structlog
from sqlalchemy import ColumnElement, exists, not_, or_, select, update
from sqlalchemy.orm.attributes import flag_modified

from medfiles.audit import event_log
from medfiles.clock import now
from medfiles.database.session import db, read, transaction
from medfiles.documents import smart_copies, take_back
from medfiles.errors import BlobMissing, Conflict, DatabaseUnavailable, IntegrityFailed, MedfilesError
from medfiles.i18n import N_, gettext
from medfiles.jobs import queue as jobs
from medfiles.jobs import rounds
from medfiles.models import AuditEvent, EntityFile, Patient, RecordMixin, UploadKey
from medfiles.permissions import Actor
from medfiles.previews import cache as preview_cache
from medfiles.record_types.declared import RecordType, Registry
from medfiles.search import index
from medfiles.storage import TRASH, Storage, Storages, journal, live_key, trash_key
from medfiles.texts import store as texts

log = structlog.get_logger("medfiles.documents.lifecycle")
CHANGED = N_("This was changed elsewhere. Reload the page to see the latest version.")
LARGE = 50  # if a record has more documents, its rows change in one transaction and a job moves the bytes afterwards
BATCH = 100  # documents whose bytes a job moves in one transaction
# When a patient is trashed, only the patient's own row changes, not those of the patient's records and documents.
IN_TRASH = or_(
    EntityFile.deleted_at.is_not(None),
    exists(
        select(Patient.id)
        .where(Patient.id == EntityFile.patient_id, Patient.deleted_at.is_not(None))
        .correlate(EntityFile)
    ),
)
_AT_TRASH_KEY = EntityFile.file_path.startswith(TRASH)
_MISPLACED = or_(IN_TRASH & not_(_AT_TRASH_KEY), not_(IN_TRASH) & _AT_TRASH_KEY)

Moving = AbstractContextManager[Sequence[EntityFile]]


@dataclass(frozen=True)
class Move:
    """A planned copy of one document's bytes from `old` in storage `source` to `new` in storage `target`."""

    file_id: int
    source: str
    old: str
    target: str
    new: str
    size: int
    sha256: str
    deleted_at: datetime | None  # the row's value, which must not change during the copy


def moving_to_trash(storages: Storages, files: Sequence[EntityFile]) -> Moving:
    """Move documents' bytes to the trash. The `with` body must call `mark_trashed`."""
    return moving(storages, files, lambda file: trash_key(now().date(), _extension(file)))


def moving_from_trash(storages: Storages, registry: Registry, files: Sequence[EntityFile]) -> Moving:
    """Move documents' bytes out of the trash. The `with` body must call `mark_restored`."""
    return moving(storages, files, lambda file: live_key(registry[file.entity_type].directory, _extension(file)))


def mark_trashed(actor: Actor, files: Sequence[EntityFile], record: RecordMixin | None = None) -> None:
    """Mark documents as trashed and log this, in the open transaction of `moving_to_trash`.

    A `record` is trashed together with its documents and gets the same deletion time.
    """
    smart_copies.end_of_documents([file.id for file in files])
    at = now() if record else None
    for row in _with(record, files):
        row.deleted_at, row.deleted_by = at or now(), actor.user_id
        row.deleted_round = rounds.CURRENT
    _log(actor, "delete", files)


def mark_restored(actor: Actor, files: Sequence[EntityFile], record: RecordMixin | None = None) -> None:
    """Mark documents and their `record`, if given, as restored, and log this.

    This runs in the open transaction of `moving_from_trash`.
    """
    for row in _with(record, files):
        row.deleted_at = row.deleted_by = row.deleted_round = None
    _log(actor, "restore", files)


def _with(record: RecordMixin | None, files: Sequence[EntityFile]) -> Iterator[EntityFile | RecordMixin]:
    if record is not None:
        yield record
    yield from files


def lock_all(entity_type: str, entity_id: int, deleted_at: datetime | None) -> int:
    """Lock a record's documents that were trashed at this time, or its live documents if None. Return how many.

    The caller must lock the record afterwards, in the same transaction, because moves lock in this order.
    """
    query = select(EntityFile.id).where(*_of_record(entity_type, entity_id, deleted_at)).order_by(EntityFile.id)
    return len(db.session.scalars(query.with_for_update()).all())


def trash_all(actor: Actor, record_type: RecordType, record: RecordMixin, number: int) -> None:
    """Trash a record and its `number` documents, locked by `lock_all`, with a fixed number of statements.

    The documents keep their keys until a job has moved the bytes. The record's audit event covers all of them.
    """
    of_record = _of_record(record_type.name, record.id, record.deleted_at)
    smart_copies.end_of_documents(select(EntityFile.id).where(*of_record))
    _change_all(record_type, record, number, now(), actor.user_id, rounds.current())


def restore_all(record_type: RecordType, record: RecordMixin, number: int) -> None:
    """Restore a record and the documents trashed with it, as `trash_all` does."""
    _change_all(record_type, record, number, None, None, None)


def _change_all(
    record_type: RecordType, record: RecordMixin, number: int, at: datetime | None, by: int | None, current: int | None
) -> None:
    state = {"deleted_at": at, "deleted_by": by, "deleted_round": current}
    change = update(EntityFile).where(*_of_record(record_type.name, record.id, record.deleted_at)).values(state)
    changed: Any = db.session.execute(change, execution_options={"synchronize_session": False})
    if changed.rowcount != number:
        raise Conflict(CHANGED)
    for name, value in state.items():
        setattr(record, name, value)
    jobs.enqueue(jobs.MOVE, record.patient_id)


def _of_record(entity_type: str, entity_id: int, deleted_at: datetime | None) -> tuple[ColumnElement[bool], ...]:
    same_time = EntityFile.deleted_at == deleted_at
    return EntityFile.entity_type == entity_type, EntityFile.entity_id == entity_id, same_time


def trash_patient(actor: Actor, patient: Patient) -> None:
    """Trash a locked patient, in the open transaction. The rows of the patient's records and documents stay as is."""
    patient.deleted_at, patient.deleted_by, patient.deleted_round = now(), actor.user_id, rounds.current()
    smart_copies.end_of_patient(patient.id)
    jobs.enqueue(jobs.MOVE, patient.id)


def restore_patient(patient: Patient) -> None:
    """Restore a locked patient, in the open transaction. Anything that was trashed separately stays in the trash."""
    patient.deleted_at = patient.deleted_by = patient.deleted_round = None
    jobs.enqueue(jobs.MOVE, patient.id)


def begin_purge(patient: Patient) -> None:
    """Have a locked patient in the trash deleted permanently by a job, in the open transaction."""
    patient.purge_began_at = now()
    jobs.enqueue(jobs.PURGE_PATIENT, patient.id)


def move_pending(storages: Storages, registry: Registry, patient_id: int) -> int:
    """Move the bytes of a patient's documents that were trashed or restored before their bytes were moved.

    Return the number of documents moved. Each batch is a separate, journaled move, so this can be interrupted and
    repeated. It uses the current state: bytes still at live keys stay there if their record or patient was restored.
    """
    moved = after = 0
    pending = select(EntityFile.id).where(EntityFile.patient_id == patient_id, _MISPLACED).order_by(EntityFile.id)
    while ids := [number for (number,) in read(pending.where(EntityFile.id > after).limit(BATCH))]:
        after = ids[-1]
        moved += _move_some(storages, registry, ids)
    return moved


def _move_some(storages: Storages, registry: Registry, ids: Sequence[int]) -> int:
    """Move all documents at once. If one was changed or lost, halve the batch until only that one is not moved."""
    files = db.session.scalars(select(EntityFile).where(EntityFile.id.in_(ids), _MISPLACED)).all()
    try:
        with moving(storages, files, lambda file: _key_after_change(registry, file)) as moved:
            for file in moved:
                flag_modified(file, "updated_at")  # keep its value, because the document itself did not change
        return len(files)
    except (Conflict, BlobMissing) as error:
        if half := len(ids) // 2:
            return _move_some(storages, registry, ids[:half]) + _move_some(storages, registry, ids[half:])
        log.info("not moved", document=ids[0], code=error.code)
        return 0


def _key_after_change(registry: Registry, file: EntityFile) -> str:
    """Return a new trash key for a document at a live key, and vice versa."""
    if file.file_path.startswith(TRASH):
        return live_key(registry[file.entity_type].directory, _extension(file))
    return trash_key(now().date(), _extension(file))


def purge(registry: Registry, actor: Actor | None, files: Sequence[EntityFile]) -> Sequence[str]:
    """Permanently delete documents in the open transaction. Return the keys to remove after the commit."""
    erase_personal(files)
    event_log.record_each(actor, "purge", [(replace(event_log.subject_of(file), name=None), {}) for file in files])
    return [*delete_rows(files), *registry.additional.forget(files)]


def erase_personal(files: Sequence[EntityFile]) -> None:
    """Erase personal data about these documents from audit events and upload keys, in the open transaction.

    The events and keys themselves are kept.
    """
    ids = [file.id for file in files]
    event_log.erase_private(AuditEvent.file_id.in_(ids))
    db.session.execute(update(UploadKey).where(UploadKey.file_id.in_(ids)).values(sha256=None))
    erase_later()


def erase_later() -> None:
    """Enqueue a job that erases from the database files what the open transaction deletes."""
    jobs.enqueue(jobs.ERASE, after=jobs.ERASE_AFTER)


def delete_rows(files: Sequence[EntityFile]) -> Sequence[str]:
    """Delete rows, previews and texts as `purge` does. The audit log and additional documents are left to the caller.

    Return the keys to remove after the commit.
    """
    ids = [file.id for file in files]
    index.drop_documents(ids)
    take_back.forget(ids)
    smart_copies.end_of_documents(ids)
    for file in files:
        journal.release(file.storage, [file.file_path])
        db.session.delete(file)
    hashes = {file.sha256 for file in files}
    texts.release(hashes)
    return [*(file.file_path for file in files), *preview_cache.release(hashes)]


@contextmanager
def moving(
    storages: Storages, files: Sequence[EntityFile], new_key: Callable[[EntityFile], str], target: Storage | None = None
) -> Iterator[Sequence[EntityFile]]:
    """Copy documents' bytes to new keys in the same storages or in `target`, then run the body in a transaction.

    Yields the locked rows, which get their new keys after the body. An error in the body undoes everything. Raises
    Conflict if another operation moved one of the documents first.
    """
    moves = {
        file.id: Move(
            file.id, file.storage, file.file_path, target.name if target else file.storage, new_key(file),
            file.file_size, file.sha256, file.deleted_at,
        )
        for file in files
    }  # fmt: skip
    expected: dict[str, list[str]] = {}
    for move in moves.values():
        expected.setdefault(move.target, []).append(move.new)
    with storing(storages, expected):
        for move in moves.values():
            _copy(storages, move)
        with transaction():
            locked = _lock(moves)
            yield locked
            for file in locked:
                journal.release(file.storage, [file.file_path])
                file.storage, file.file_path = moves[file.id].target, moves[file.id].new
            journal.settle([move.new for move in moves.values()])
    journal.remove(storages, [move.old for move in moves.values()])


@contextmanager
def storing(
    storages: Storages, expected: Mapping[str, Sequence[str]], failures: tuple[type[Exception], ...] = (MedfilesError,)
) -> Iterator[None]:
    """Journal the keys, by storage, that the body will write. If it raises one of `failures`, remove what it wrote."""
    for storage, keys in expected.items():
        journal.expect(storage, keys)
    try:
        yield
    except DatabaseUnavailable:
        raise  # the commit may have succeeded, so leave the decision to the sweep
    except failures:
        journal.abandon(storages, [key for keys in expected.values() for key in keys])
        raise


def _copy(storages: Storages, move: Move) -> None:
    try:
        if move.source == move.target:
            storages[move.source].copy(move.old, move.new)
            return
        source, target = storages[move.source], storages[move.target]
        staged = target.stage(move.size)
        try:
            for chunk in source.open(move.old):
                staged.write(chunk)
            if (staged.size, staged.sha256) != (move.size, move.sha256):
                raise IntegrityFailed(gettext("This document is damaged in the store and was not moved."))
            target.commit(staged, move.new)
        finally:
            staged.discard()
    except BlobMissing:
        current = db.session.scalar(select(EntityFile.file_path).where(EntityFile.id == move.file_id))
        if current == move.old:
            raise
        raise Conflict(CHANGED) from None  # another operation moved it first


def _lock(moves: Mapping[int, Move]) -> Sequence[EntityFile]:
    """Lock the rows in id order. Raises Conflict if one is missing or its key or deletion time has changed."""
    query = select(EntityFile).where(EntityFile.id.in_(moves)).order_by(EntityFile.id)
    files = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
    expected = [(at, moves[at].old, moves[at].deleted_at) for at in sorted(moves)]
    if [(file.id, file.file_path, file.deleted_at) for file in files] != expected:
        raise Conflict(CHANGED)
    return files


def _log(actor: Actor | None, action: str, files: Sequence[EntityFile]) -> None:
    event_log.record_each(actor, action, [(event_log.subject_of(file), {}) for file in files])


def _extension(file: EntityFile) -> str:
    return PurePosixPath(file.file_path).suffix
