"""Copy documents from other storages into the default one while the installation is in use.

Each document is verified by its SHA-256 and stored under a new key; one transaction updates its row and releases the
old object. The copy can therefore be stopped and continued at any time.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import select

from medfiles.database.session import count, db
from medfiles.documents import lifecycle
from medfiles.errors import Conflict, DatabaseUnavailable, IntegrityFailed, MedfilesError
from medfiles.models import EntityFile, Rendition, StorageJournal
from medfiles.previews import cache as preview_cache
from medfiles.records import photos
from medfiles.smart_links import copying as smart_copies
from medfiles.storage import Storages, key_beside

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
    photos.copy_elsewhere(storages)
    smart_copies.copy_elsewhere(storages)
    preview_cache.clear_elsewhere(storages)
    result.documents = count_remaining(storages)
    result.others = sum(count(one.id, one.storage != storages.default.name) for one in (StorageJournal, Rendition))
    result.others += photos.count_elsewhere(storages) + smart_copies.count_elsewhere(storages)
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
