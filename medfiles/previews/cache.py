"""The preview cache, keyed by content hash.

A cached preview is dropped along with the last document that has the same content.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.exc import IntegrityError

from medfiles.clock import is_within
from medfiles.database.session import db, end_read, read, transaction
from medfiles.errors import NotFound
from medfiles.models import EntityFile, Rendition, StorageJournal
from medfiles.storage import Storages, journal
from medfiles.storage.journal import LEASE, Swept

CLAIM_TIMEOUT = timedelta(seconds=90)  # after this, the process that claimed a key is presumed dead
RETRY_AFTER = timedelta(days=1)
TIMED_OUT = {"timed_out": True}  # facts of a failure that is not the document's fault for certain
BATCH = 100
HAS_DOCUMENT = exists().where(EntityFile.sha256 == Rendition.sha256)


class AlreadyStored(Exception):
    """Raised to roll back a claim because the picture has been stored in the meantime."""


def find(sha256: str, recipe: str, page: int) -> Rendition | None:
    """Return the row for a cached preview, detached so that later commits do not expire it."""
    row = db.session.scalar(select(Rendition).filter_by(sha256=sha256, recipe=recipe, page=page))
    if row is not None:
        db.session.expunge(row)
    end_read()
    if row is not None and is_overdue(row):
        forget(row)
        return None
    return row


def is_overdue(row: Rendition) -> bool:
    """Return whether to try again: a timeout says that the server was slow, which may have changed in a day."""
    return row.facts == TIMED_OUT and not is_within(row.made_at, RETRY_AFTER)


def failure(sha256: str, recipe: str, pages: Collection[int]) -> str | None:
    """Return the recorded reason why one of these pages could not be rendered, if any."""
    rows = (find(sha256, recipe, page) for page in pages)
    return next((row.failure for row in rows if row is not None), None)


def has_other(sha256: str, recipe: str, page: int) -> bool:
    query = select(Rendition.id).filter_by(sha256=sha256, recipe=recipe).where(Rendition.page != page)
    return bool(read(query.limit(1)))


def claim(storage: str, key: str) -> bool:
    """Claim an object and return whether the caller should render it.

    Returns False if another caller is rendering it or has stored it since this caller checked.
    """
    with suppress(IntegrityError, AlreadyStored), transaction() as session:
        journal.enter(storage, [key])
        if session.scalar(select(Rendition.id).where(Rendition.key == key)) is not None:
            raise AlreadyStored
        return True
    return False


def is_in_progress(key: str) -> bool:
    query = select(StorageJournal.lease_until).where(StorageJournal.key == key, StorageJournal.action == "attach")
    return any(is_within(lease - LEASE, CLAIM_TIMEOUT) for (lease,) in read(query))


def store(row: Rendition) -> None:
    """Store the row for a finished object. Raises NotFound if its last document has been purged."""
    with transaction() as session:
        _lock_document(row.sha256)
        session.add(row)
        session.flush()
        journal.settle([str(row.key)])


def store_facts(sha256: str, recipe: str, page: int, **facts: Any) -> None:
    """Store a row that has no object, only `facts` or a `failure`. Keep any existing row."""
    with suppress(NotFound), transaction() as session:
        _lock_document(sha256)
        with suppress(IntegrityError), session.begin_nested():
            session.add(Rendition(sha256=sha256, recipe=recipe, page=page, **facts))


def forget_timeouts(sha256: str) -> None:
    """Delete the timeouts recorded for this content, so that it is rendered again."""
    query = select(Rendition).where(Rendition.sha256 == sha256, Rendition.failure.is_not(None))
    with transaction() as session:
        for row in session.scalars(query).all():
            if row.facts == TIMED_OUT:
                session.delete(row)


def forget(row: Rendition) -> None:
    """Delete a row whose object is missing (for example, after a restore) so that it is rendered again."""
    with transaction() as session:
        session.execute(delete(Rendition).where(Rendition.id == row.id))


def release(hashes: Collection[str]) -> Sequence[str]:
    """Drop the rows whose last document is being deleted in this transaction.

    Returns the keys of the objects to remove after the commit.
    """
    db.session.flush()
    return _drop(Rendition.sha256.in_(hashes), ~HAS_DOCUMENT)


def clear(storages: Storages, *, failed: bool = False) -> Swept:
    """Remove all cached previews, or only the recorded failures."""
    return _clear(storages, *([Rendition.failure.is_not(None)] if failed else []))


def clear_elsewhere(storages: Storages) -> Swept:
    """Remove previews stored outside the default storage. They are rendered again on demand."""
    return _clear(storages, Rendition.storage != storages.default.name)


def clear_orphans(storages: Storages) -> Swept:
    """Remove orphaned previews, left behind if the last two documents with a hash are deleted concurrently."""
    return _clear(storages, ~HAS_DOCUMENT)


def _clear(storages: Storages, *where: ColumnElement[bool]) -> Swept:
    removed = failed = 0
    while True:
        with transaction() as session:
            ids = session.scalars(select(Rendition.id).where(*where).order_by(Rendition.id).limit(BATCH)).all()
            keys = _drop(Rendition.id.in_(ids))
        if not ids:
            return Swept(removed, failed)
        swept = journal.remove(storages, keys)
        removed, failed = removed + len(ids), failed + swept.failed


def _drop(*where: ColumnElement[bool]) -> Sequence[str]:
    keys = []
    for row in db.session.scalars(select(Rendition).where(*where).with_for_update()).all():
        if row.key and row.storage:
            journal.release(row.storage, [row.key])
            keys.append(row.key)
        db.session.delete(row)
    return keys


def _lock_document(sha256: str) -> None:
    """Lock a document with this hash so that it cannot be purged before the commit. Raises NotFound if none exists."""
    query = select(EntityFile.id).where(EntityFile.sha256 == sha256).limit(1)
    if db.session.scalar(query.with_for_update()) is None:
        raise NotFound()
