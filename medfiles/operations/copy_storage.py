"""Brings documents from where they were kept before to where new ones are kept, while people work with them.

Each goes by itself: its bytes are read, compared with their SHA-256 and stored under a new key, and the transaction
that makes its row name that key releases the old one. So it can be stopped at any time, goes on where it was, and a
document is never without a place.
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

TRIES = 3  # of a document that is moved by others, too
PATIENCE = 5  # failures in a row after which it is not the document


@dataclass
class Carried:
    """How many documents went over; the ids of those that are damaged or could not be read or stored; how many
    objects are still elsewhere: `documents`, and what has yet to be removed there."""

    moved: int
    damaged: list[int]
    failed: list[int]
    documents: int
    others: int


def elsewhere(storages: Storages) -> int:
    """How many documents are not where new ones are kept."""
    return _count(select(EntityFile.id).where(EntityFile.storage != storages.default.name))


def carry(storages: Storages, report: Callable[[int], None] = lambda count: None) -> Carried:
    """Bring over every document that is elsewhere; `report` hears how many were looked at. StorageError when either
    place does not answer any more."""
    moved, seen, at, in_a_row = 0, 0, 0, 0
    damaged: list[int] = []
    failed: list[int] = []
    query = select(EntityFile.id).where(EntityFile.storage != storages.default.name).order_by(EntityFile.id).limit(1)
    while at := db.session.scalar(query.where(EntityFile.id > at)) or 0:
        seen += 1
        try:
            moved += _carry(storages, at)
            in_a_row = 0
        except IntegrityFailed:
            damaged.append(at)
        except DatabaseUnavailable:
            raise
        except MedfilesError:
            failed.append(at)
            in_a_row += 1
            if in_a_row == PATIENCE:
                raise
        report(seen)
    preview_cache.clear_elsewhere(storages)
    entries = select(StorageJournal.id).where(StorageJournal.storage != storages.default.name)
    pictures = select(Rendition.id).where(Rendition.storage != storages.default.name)
    return Carried(moved, damaged, failed, elsewhere(storages), _count(entries) + _count(pictures))


def _carry(storages: Storages, file_id: int) -> bool:
    """Whether it was this call that did it: it may go to the trash or for ever at the same time."""
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
