"""Copy documents from other storages into the default one while the installation is in use.

Each document is verified by its SHA-256 and stored under a new key; one transaction updates its row and releases the
old object. The copy can therefore be stopped and continued at any time.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select

from medfiles.database.session import count, db, read, transaction
from medfiles.documents import lifecycle
from medfiles.errors import BlobMissing, Conflict, DatabaseUnavailable, IntegrityFailed, MedfilesError
from medfiles.models import EntityFile, Rendition, StorageJournal
from medfiles.previews import cache as preview_cache
from medfiles.storage import Storages, journal, key_beside
from medfiles.storage.row_objects import ROW_OBJECTS, RowObject

ATTEMPTS = 3  # per document, if it is being moved concurrently
MAX_FAILURES = 5  # consecutive failures that point to the storage rather than the documents


@dataclass
class CopyResult:
    """The result of one run of the copy."""

    moved: int  # documents copied
    damaged: list[int]  # ids of documents whose bytes do not match their checksum
    failed: list[int]  # ids of documents that could not be read or stored
    documents: int  # documents still in other storages
    others: int  # photos, SMART Health Links, previews and journal entries still in other storages


def count_remaining(storages: Storages) -> int:
    """Count the documents that are not in the default storage."""
    return count(EntityFile.id, EntityFile.storage != storages.default.name)


def copy_documents(storages: Storages, report: Callable[[int], None] = lambda count: None) -> CopyResult:
    """Copy every document that is not in the default storage. `report` receives the number processed.

    Raises StorageError if one of the storages stops responding.
    """
    result, tried, at, in_a_row = CopyResult(0, [], [], 0, 0), 0, 0, 0
    query = select(EntityFile.id).where(EntityFile.storage != storages.default.name).order_by(EntityFile.id).limit(1)
    while at := db.session.scalar(query.where(EntityFile.id > at)) or 0:
        tried += 1
        try:
            result.moved += _copy(storages, at)
            in_a_row = 0
        except IntegrityFailed:
            result.damaged.append(at)
        except DatabaseUnavailable:
            raise
        except MedfilesError:
            result.failed.append(at)
            in_a_row += 1
            if in_a_row == MAX_FAILURES:
                raise
        report(tried)
    for kind in ROW_OBJECTS:
        _copy_others(storages, kind)
    preview_cache.clear_elsewhere(storages)
    result.documents = count_remaining(storages)
    others = [(one.id, one.storage) for one in (StorageJournal, Rendition)] + [one.columns[:2] for one in ROW_OBJECTS]
    result.others = sum(count(number, storage != storages.default.name) for number, storage in others)
    return result


def _copy(storages: Storages, file_id: int) -> bool:
    """Copy one document; return False if another operation moved or deleted it."""
    for _ in range(ATTEMPTS):
        file = db.session.get(EntityFile, file_id, populate_existing=True)
        if file is None or file.storage == storages.default.name:
            return False
        with suppress(Conflict):
            with lifecycle.moving(storages, [file], lambda file: key_beside(file.file_path), storages.default):
                pass  # nothing else in the row changes
            return True
    raise Conflict(lifecycle.CHANGED)


def _copy_others(storages: Storages, kind: RowObject) -> None:
    """Copy the photos, or the SMART Health Links, that are not in the default storage.

    One that is replaced or ends while it is copied is left alone, as is one whose object is missing.
    """
    at, (number, where, *_) = 0, kind.columns
    query = select(*kind.columns).where(where != storages.default.name).order_by(number).limit(1)
    while found := read(query.where(number > at)):
        [(at, storage, key, size)] = found
        with suppress(Conflict, BlobMissing):
            _copy_other(storages, kind, at, storage, key, size)


def _copy_other(storages: Storages, kind: RowObject, number: int, storage: str, key: str, size: int) -> None:
    target, new = storages.default, kind.new_key(key)
    with lifecycle.storing(storages, {target.name: [new]}):
        with target.staged(storages[storage].open(key), size) as copy:
            target.commit(copy, new)
        with transaction() as session:
            row = session.get(kind.model, number, with_for_update=True, populate_existing=True)
            if row is None or getattr(row, kind.key) != key:
                raise Conflict(lifecycle.CHANGED)
            kind.put(row, target.name, new, size)
    journal.remove(storages, [key])
