"""What happens to row, bytes, previews and audit log when a document is stored, moved, trashed, restored or purged.

Wherever a crash interrupts it, each object is named by a row or by the journal: journal the new keys, write, change the
rows under their locks in one transaction, commit, remove the old objects.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import PurePosixPath

from sqlalchemy import select, update

from medfiles.audit import event_log
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import BlobMissing, Conflict, DatabaseUnavailable, IntegrityFailed, MedfilesError
from medfiles.jobs import queue as jobs
from medfiles.jobs import rounds
from medfiles.models import AuditEvent, EntityFile, RecordMixin, UploadKey
from medfiles.permissions import Actor
from medfiles.previews import cache as preview_cache
from medfiles.record_types.declared import Registry
from medfiles.storage import Storage, Storages, journal, live_key, trash_key

ERASE_AFTER = timedelta(hours=12)  # one job for many deletions, and time for retries within a day
CHANGED = "This was changed elsewhere. Reload the page to see the latest version."

Moving = AbstractContextManager[Sequence[EntityFile]]


@dataclass(frozen=True)
class Move:
    """A copy of one document's bytes from `old` in storage `source` to `new` in storage `target`."""

    file_id: int
    source: str
    old: str
    target: str
    new: str
    size: int
    sha256: str


def moving_to_trash(storages: Storages, files: Sequence[EntityFile]) -> Moving:
    """Move documents' bytes to the trash; the body of the `with` must call `mark_trashed`."""
    return moving(storages, files, lambda file: trash_key(now().date(), _extension(file)))


def moving_from_trash(storages: Storages, registry: Registry, files: Sequence[EntityFile]) -> Moving:
    """Move documents' bytes out of the trash; the body of the `with` must call `mark_restored`."""
    return moving(storages, files, lambda file: live_key(registry[file.entity_type].directory, _extension(file)))


def mark_trashed(actor: Actor, files: Sequence[EntityFile], record: RecordMixin | None = None) -> None:
    """Change the rows of documents whose bytes go to the trash, and log it, in the open transaction.

    `record`: it goes to the trash with them, at the same time.
    """
    at = now() if record else None
    for row in _with(record, files):
        row.deleted_at, row.deleted_by = at or now(), actor.user_id
        row.deleted_round = rounds.CURRENT
    _log(actor, "delete", files)


def mark_restored(actor: Actor, files: Sequence[EntityFile], record: RecordMixin | None = None) -> None:
    """Change the rows of documents whose bytes leave the trash, and of their `record`, as `mark_trashed` does."""
    for row in _with(record, files):
        row.deleted_at = row.deleted_by = row.deleted_round = None
    _log(actor, "restore", files)


def _with(record: RecordMixin | None, files: Sequence[EntityFile]) -> Iterator[EntityFile | RecordMixin]:
    if record is not None:
        yield record
    yield from files


def purge(registry: Registry, actor: Actor | None, files: Sequence[EntityFile]) -> Sequence[str]:
    """Delete documents permanently, in the open transaction. Return the keys to remove once it is committed."""
    erase_personal(files)
    event_log.record_each(actor, "purge", [(replace(event_log.subject_of(file), name=None), {}) for file in files])
    return [*delete_rows(files), *registry.additional.forget(files)]


def erase_personal(files: Sequence[EntityFile]) -> None:
    """Erase what events and keys of uploads say of these documents, in the open transaction; both stay as such."""
    ids = [file.id for file in files]
    event_log.erase_private(AuditEvent.file_id.in_(ids))
    db.session.execute(update(UploadKey).where(UploadKey.file_id.in_(ids)).values(sha256=None))
    erase_later()


def erase_later() -> None:
    """Have what the open transaction deletes permanently erased from the database's files as well."""
    jobs.enqueue(jobs.ERASE, after=ERASE_AFTER)


def delete_rows(files: Sequence[EntityFile]) -> Sequence[str]:
    """Delete rows and previews as `purge` does, but leave the audit log and additional documents to the caller."""
    for file in files:
        journal.release(file.storage, [file.file_path])
        db.session.delete(file)
    return [*(file.file_path for file in files), *preview_cache.release({file.sha256 for file in files})]


@contextmanager
def moving(
    storages: Storages, files: Sequence[EntityFile], new_key: Callable[[EntityFile], str], target: Storage | None = None
) -> Iterator[Sequence[EntityFile]]:
    """Copy bytes to new keys in the same storages or in `target`, then run the body in the rows' transaction.

    Yield the locked rows, which name their new keys once the body is done. An error in the body undoes everything.
    Raises Conflict if another operation moved one of the documents first.
    """
    moves = {
        file.id: Move(
            file.id, file.storage, file.file_path, target.name if target else file.storage, new_key(file),
            file.file_size, file.sha256,
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
    """Journal the keys that the body is about to write, by storage; on one of these failures remove what it wrote."""
    for storage, keys in expected.items():
        journal.expect(storage, keys)
    try:
        yield
    except DatabaseUnavailable:
        raise  # the commit may have happened: only the sweep may decide
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
                raise IntegrityFailed("This document is damaged in the store and was not moved.")
            target.commit(staged, move.new)
        finally:
            staged.discard()
    except BlobMissing:
        current = db.session.scalar(select(EntityFile.file_path).where(EntityFile.id == move.file_id))
        if current == move.old:
            raise
        raise Conflict(CHANGED) from None  # another operation moved it first


def _lock(moves: Mapping[int, Move]) -> Sequence[EntityFile]:
    """Lock the rows in the order of their ids; raise Conflict if one does not name its old key any more."""
    query = select(EntityFile).where(EntityFile.id.in_(moves)).order_by(EntityFile.id)
    files = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
    if [(file.id, file.file_path) for file in files] != [(at, moves[at].old) for at in sorted(moves)]:
        raise Conflict(CHANGED)
    return files


def _log(actor: Actor | None, action: str, files: Sequence[EntityFile]) -> None:
    event_log.record_each(actor, action, [(event_log.subject_of(file), {}) for file in files])


def _extension(file: EntityFile) -> str:
    return PurePosixPath(file.file_path).suffix
