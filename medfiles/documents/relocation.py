"""Moves documents' bytes to new keys, to the trash and back, so that a crash anywhere leaves every object named."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from sqlalchemy import select

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import BlobMissing, Conflict, DatabaseUnavailable, IntegrityFailed, MedfilesError
from medfiles.models import EntityFile
from medfiles.record_types.declared import Registry
from medfiles.storage import Storage, Storages, journal, live_key, trash_key

CHANGED = "This was changed elsewhere. Reload the page to see the current state."


def to_trash(file: EntityFile) -> str:
    return trash_key(now().date(), _extension(file))


def to_life(registry: Registry) -> Callable[[EntityFile], str]:
    return lambda file: live_key(registry[file.entity_type].directory, _extension(file))


def relocate(
    storages: Storages,
    files: Sequence[EntityFile],
    key_for: Callable[[EntityFile], str],
    change: Callable[[Sequence[EntityFile]], None],
    target: Storage | None = None,
) -> None:
    """Copy the objects, then let the rows take the new keys in the transaction in which `change` does the rest.

    The new keys are in the same storages, or all in `target`. `change` gets the rows as that transaction sees them;
    what it raises undoes everything. Conflict when a document was moved by somebody else in the meantime.
    """
    moves = [Move(file, key_for(file), target.name if target else file.storage) for file in files]
    new_keys = [move.new for move in moves]
    for storage in {move.there for move in moves}:
        journal.expect(storage, [move.new for move in moves if move.there == storage])
    try:
        for move in moves:
            _copy(storages, move)
        with transaction():
            change(_take_keys({move.id: move for move in moves}))
            journal.settle(new_keys)
    except DatabaseUnavailable:
        raise  # the commit may have happened: only the sweep may decide
    except MedfilesError:
        journal.abandon(storages, new_keys)
        raise
    journal.remove(storages, [move.old for move in moves])


class Move:
    """Of a document from where its row says it is, under `old`, to the storage called `there`, under `new`."""

    def __init__(self, file: EntityFile, new: str, there: str) -> None:
        self.id, self.here, self.old, self.new, self.there = file.id, file.storage, file.file_path, new, there
        self.size, self.sha256 = file.file_size, file.sha256


def _copy(storages: Storages, move: Move) -> None:
    try:
        if move.here == move.there:
            storages[move.here].copy(move.old, move.new)
        else:
            _carry(storages[move.here], storages[move.there], move)
    except BlobMissing:
        named = db.session.scalar(select(EntityFile.file_path).where(EntityFile.id == move.id))
        if named == move.old:
            raise
        raise Conflict(CHANGED) from None  # somebody else moved it first


def _carry(here: Storage, there: Storage, move: Move) -> None:
    """From one storage to another nothing but the document itself: IntegrityFailed when it is not what it was."""
    staged = there.stage(move.size)
    try:
        for chunk in here.open(move.old):
            staged.write(chunk)
        if (staged.size, staged.sha256) != (move.size, move.sha256):
            raise IntegrityFailed("This document is damaged in the store and was not moved.")
        there.commit(staged, move.new)
    finally:
        staged.discard()


def _take_keys(moves: dict[int, Move]) -> Sequence[EntityFile]:
    query = select(EntityFile).where(EntityFile.id.in_(moves)).order_by(EntityFile.id)
    files = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
    if [(file.id, file.file_path) for file in files] != [(at, moves[at].old) for at in sorted(moves)]:
        raise Conflict(CHANGED)
    for file in files:
        journal.release(file.storage, [file.file_path])
        file.storage, file.file_path = moves[file.id].there, moves[file.id].new
    return files


def _extension(file: EntityFile) -> str:
    return PurePosixPath(file.file_path).suffix
