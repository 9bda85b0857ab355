"""Keep row, bytes, previews and audit log consistent when a document is stored, moved, trashed, restored or purged.

Every change takes the same steps: journal the new keys, write the objects, change the locked rows in one transaction,
commit, remove the old objects. Wherever a crash interrupts it, a row or the journal names each object.
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

ERASE_AFTER = timedelta(hours=12)  # so that one job serves many deletions, and retries still fit into a day
CHANGED = "This was changed elsewhere. Reload the page to see the current state."

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
    """Move documents' bytes to the trash. The body of the `with` must call `mark_trashed`."""
    return moving(storages, files, lambda file: trash_key(now().date(), _extension(file)))


def moving_from_trash(storages: Storages, registry: Registry, files: Sequence[EntityFile]) -> Moving:
    """Move documents' bytes out of the trash. The body of the `with` must call `mark_restored`."""
    return moving(storages, files, lambda file: live_key(registry[file.entity_type].directory, _extension(file)))


def mark_trashed(actor: Actor, files: Sequence[EntityFile], record: RecordMixin | None = None) -> None:
    """Mark the rows of documents whose bytes move to the trash, and log it, in the open transaction.

    A `record` is trashed together with its documents, with the same deletion time.
    """
    at = now() if record else None
    for row in _with(record, files):
        row.deleted_at, row.deleted_by = at or now(), actor.user_id
        row.deleted_round = rounds.CURRENT
    _log(actor, "delete", files)


def mark_restored(actor: Actor, files: Sequence[EntityFile], record: RecordMixin | None = None) -> None:
    """Unmark the rows of documents whose bytes leave the trash, and of their `record`, and log it.

    Like `mark_trashed`, this is part of the open transaction.
    """
    for row in _with(record, files):
        row.deleted_at = row.deleted_by = row.deleted_round = None
    _log(actor, "restore", files)


def _with(record: RecordMixin | None, files: Sequence[EntityFile]) -> Iterator[EntityFile | RecordMixin]:
    if record is not None:
        yield record
    yield from files


def purge(registry: Registry, actor: Actor | None, files: Sequence[EntityFile]) -> Sequence[str]:
    """Permanently delete documents in the open transaction. Return the keys to remove after its commit."""
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
    """Enqueue a job that erases what the open transaction deletes from the database files as well."""
    jobs.enqueue(jobs.ERASE, after=ERASE_AFTER)


def delete_rows(files: Sequence[EntityFile]) -> Sequence[str]:
    """Delete rows and previews as `purge` does, but leave the audit log and additional documents to the caller.

    Return the keys to remove after the commit.
    """
    for file in files:
        journal.release(file.storage, [file.file_path])
        db.session.delete(file)
    return [*(file.file_path for file in files), *preview_cache.release({file.sha256 for file in files})]


@contextmanager
def moving(
    storages: Storages, files: Sequence[EntityFile], new_key: Callable[[EntityFile], str], target: Storage | None = None
) -> Iterator[Sequence[EntityFile]]:
    """Copy bytes to new keys in the same storages or in `target`, then run the body in the transaction for the rows.

    Yields the locked rows. They get their new keys after the body; an error in the body undoes everything. Raises
    Conflict if another operation moved one of the documents first.
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
    """Journal the keys that the body will write, by storage. On one of the `failures`, remove what it wrote."""
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
    """Lock the rows in the order of their ids. Raises Conflict if one of them no longer has its old key."""
    query = select(EntityFile).where(EntityFile.id.in_(moves)).order_by(EntityFile.id)
    files = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
    if [(file.id, file.file_path) for file in files] != [(at, moves[at].old) for at in sorted(moves)]:
        raise Conflict(CHANGED)
    return files


def _log(actor: Actor | None, action: str, files: Sequence[EntityFile]) -> None:
    event_log.record_each(actor, action, [(event_log.subject_of(file), {}) for file in files])


def _extension(file: EntityFile) -> str:
    return PurePosixPath(file.file_path).suffix
