"""Moves documents' bytes to new keys, to the trash and back, so that a crash anywhere leaves every object named."""

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from sqlalchemy import select

from medfiles import journal
from medfiles.clock import now
from medfiles.db import db, transaction
from medfiles.entities import Registry
from medfiles.errors import BlobMissing, Conflict, DatabaseUnavailable, MedfilesError
from medfiles.models import EntityFile
from medfiles.storage import Storage, Storages, live_key, trash_key

CHANGED = "This was changed somewhere else in the meantime. Reload the page to see how it is now."


def to_trash(file: EntityFile) -> str:
    return trash_key(now().date(), _extension(file))


def to_life(registry: Registry) -> Callable[[EntityFile], str]:
    return lambda file: live_key(registry[file.entity_type].directory, _extension(file))


def relocate(
    storages: Storages,
    files: Sequence[EntityFile],
    key_for: Callable[[EntityFile], str],
    change: Callable[[Sequence[EntityFile]], None],
) -> None:
    """Copy the objects, then let the rows take the new keys in the transaction in which `change` does the rest.

    `change` gets the rows as that transaction sees them; what it raises undoes everything. Conflict when a document
    was moved by somebody else in the meantime.
    """
    moves = [(file.id, file.storage, file.file_path, key_for(file)) for file in files]
    new_keys = [new for *_, new in moves]
    for storage in {storage for _, storage, *_ in moves}:
        journal.expect(storage, [new for _, where, _, new in moves if where == storage])
    try:
        for file_id, storage, old, new in moves:
            _copy(storages[storage], file_id, old, new)
        with transaction():
            change(_take_keys({file_id: (old, new) for file_id, _, old, new in moves}))
            journal.settle(new_keys)
    except DatabaseUnavailable:
        raise  # the commit may have happened: only the sweep may decide
    except MedfilesError:
        journal.abandon(storages, new_keys)
        raise
    journal.remove(storages, [old for _, _, old, _ in moves])


def _copy(storage: Storage, file_id: int, old: str, new: str) -> None:
    try:
        storage.copy(old, new)
    except BlobMissing:
        named = db.session.scalar(select(EntityFile.file_path).where(EntityFile.id == file_id))
        if named == old:
            raise
        raise Conflict(CHANGED) from None  # somebody else moved it first


def _take_keys(keys: dict[int, tuple[str, str]]) -> Sequence[EntityFile]:
    query = select(EntityFile).where(EntityFile.id.in_(keys)).order_by(EntityFile.id)
    files = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
    if [(file.id, file.file_path) for file in files] != [(at, keys[at][0]) for at in sorted(keys)]:
        raise Conflict(CHANGED)
    for file in files:
        journal.release(file.storage, [file.file_path])
        file.file_path = keys[file.id][1]
    return files


def _extension(file: EntityFile) -> str:
    return PurePosixPath(file.file_path).suffix
