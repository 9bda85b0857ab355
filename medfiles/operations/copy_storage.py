"""Copy documents from other storages into the default one, while in use.

Each document is verified by its SHA-256 and stored under a new key; one transaction switches its row and releases the
old object. So the copy can be stopped and continued at any time.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select

from medfiles.database.session import db
from medfiles.documents import lifecycle
from medfiles.errors import Conflict, DatabaseUnavailable, IntegrityFailed, MedfilesError
from medfiles.models import EntityFile, Rendition, StorageJournal
from medfiles.previews import cache as preview_cache
from medfiles.storage import Storages, key_beside

ATTEMPTS = 3  # per document, if others move it at the same time
MAX_FAILURES = 5  # failures in a row after which the storage is to blame, not the documents


@dataclass
class CopyResult:
    """What one run did and left.

    moved      number of documents copied
    damaged    ids of documents whose bytes do not match their checksum
    failed     ids of documents that could not be read or stored
    documents  number of documents still in other storages
    others     number of previews and journal entries still in other storages
    """

    moved: int
    damaged: list[int]
    failed: list[int]
    documents: int
    others: int


def count_remaining(storages: Storages) -> int:
    """Count the documents that are not in the default storage."""
    return _count(select(EntityFile.id).where(EntityFile.storage != storages.default.name))


def copy_documents(storages: Storages, report: Callable[[int], None] = lambda count: None) -> CopyResult:
    """Copy every document that is not in the default storage; call `report` with the number processed.

    Raises StorageError if one of the storages stops answering.
    """
    moved, tried, at, in_a_row = 0, 0, 0, 0
    damaged: list[int] = []
    failed: list[int] = []
    query = select(EntityFile.id).where(EntityFile.storage != storages.default.name).order_by(EntityFile.id).limit(1)
    while at := db.session.scalar(query.where(EntityFile.id > at)) or 0:
        tried += 1
        try:
            moved += _copy(storages, at)
            in_a_row = 0
        except IntegrityFailed:
            damaged.append(at)
        except DatabaseUnavailable:
            raise
        except MedfilesError:
            failed.append(at)
            in_a_row += 1
            if in_a_row == MAX_FAILURES:
                raise
        report(tried)
    preview_cache.clear_elsewhere(storages)
    entries = select(StorageJournal.id).where(StorageJournal.storage != storages.default.name)
    previews = select(Rendition.id).where(Rendition.storage != storages.default.name)
    return CopyResult(moved, damaged, failed, count_remaining(storages), _count(entries) + _count(previews))


def _copy(storages: Storages, file_id: int) -> bool:
    """Copy one document. Return False if it was moved or deleted by another operation meanwhile."""
    for _ in range(ATTEMPTS):
        file = db.session.get(EntityFile, file_id, populate_existing=True)
        if file is None or file.storage == storages.default.name:
            return False
        with suppress(Conflict):
            with lifecycle.moving(storages, [file], lambda file: key_beside(file.file_path), storages.default):
                pass  # the row changes in nothing but its key
            return True
    raise Conflict(lifecycle.CHANGED)


def _count(query: Select[Any]) -> int:
    found = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    db.session.rollback()
    return found
