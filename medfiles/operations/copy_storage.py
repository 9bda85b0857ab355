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
from medfiles.documents import relocation
from medfiles.errors import Conflict, DatabaseUnavailable, IntegrityFailed, MedfilesError
from medfiles.models import EntityFile, Rendition, StorageJournal
from medfiles.previews import cache as preview_cache
from medfiles.storage import Storages, key_beside

TRIES = 3  # for a document that is being moved elsewhere at the same time
MAX_FAILURES = 5  # consecutive failures after which the storage is at fault, not the document


@dataclass
class CopyResult:
    """Documents `moved`; ids of `damaged` and `failed` ones.

    `documents` and `others` count what remains elsewhere: documents, and objects to be removed.
    """

    moved: int
    damaged: list[int]
    failed: list[int]
    documents: int
    others: int


def count_elsewhere(storages: Storages) -> int:
    """Count documents outside the default storage."""
    return _count(select(EntityFile.id).where(EntityFile.storage != storages.default.name))


def copy_documents(storages: Storages, report: Callable[[int], None] = lambda count: None) -> CopyResult:
    """Copy every document that is elsewhere; `report` receives the number tried.

    StorageError when a storage stops answering.
    """
    moved, tried, at, in_a_row = 0, 0, 0, 0
    damaged: list[int] = []
    failed: list[int] = []
    query = select(EntityFile.id).where(EntityFile.storage != storages.default.name).order_by(EntityFile.id).limit(1)
    while at := db.session.scalar(query.where(EntityFile.id > at)) or 0:
        tried += 1
        try:
            moved += _copy_document(storages, at)
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
    pictures = select(Rendition.id).where(Rendition.storage != storages.default.name)
    return CopyResult(moved, damaged, failed, count_elsewhere(storages), _count(entries) + _count(pictures))


def _copy_document(storages: Storages, file_id: int) -> bool:
    """Return whether this call copied it: it may be trashed or purged meanwhile."""
    for _ in range(TRIES):
        file = db.session.get(EntityFile, file_id, populate_existing=True)
        if file is None or file.storage == storages.default.name:
            return False
        with suppress(Conflict):
            relocation.relocate(
                storages, [file], lambda row: key_beside(row.file_path), lambda rows: None, storages.default
            )
            return True
    raise Conflict(relocation.CHANGED)


def _count(query: Select[Any]) -> int:
    found = db.session.scalar(select(func.count()).select_from(query.subquery())) or 0
    db.session.rollback()
    return found
