"""Rows and objects of what was derived from documents' bytes: found by hash, claimed before they are made, forgotten
with the last document that has the hash."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import Exists, Select, delete, exists, select
from sqlalchemy.exc import IntegrityError

from medfiles.clock import now
from medfiles.database.session import db, end_reading, transaction
from medfiles.errors import NotFound
from medfiles.models import EntityFile, Rendition, StorageJournal
from medfiles.storage import Storages, journal
from medfiles.storage.journal import LEASE, Swept

AT_WORK = timedelta(seconds=90)  # whoever claimed a key longer ago than this has died
BATCH = 100


class AlreadyMade(Exception):
    """Takes the claim back."""


def find(sha256: str, recipe: str, page: int) -> Rendition | None:
    """Out of the session: what is done afterwards expires it not."""
    row = db.session.scalar(
        select(Rendition).where(Rendition.sha256 == sha256, Rendition.recipe == recipe, Rendition.page == page)
    )
    if row is not None:
        db.session.expunge(row)
    end_reading()
    return row


def failure(sha256: str, recipe: str, pages: Collection[int]) -> str | None:
    """Why one of these pages could not be made, as far as that is known."""
    query = select(Rendition.failure).where(Rendition.sha256 == sha256, Rendition.recipe == recipe)
    found: str | None = db.session.scalar(query.where(Rendition.page.in_(pages)).limit(1))
    end_reading()
    return found


def has_other(sha256: str, recipe: str, page: int) -> bool:
    query = select(Rendition.id).where(Rendition.sha256 == sha256, Rendition.recipe == recipe, Rendition.page != page)
    found = db.session.scalar(query.limit(1)) is not None
    end_reading()
    return found


def claim(storage: str, key: str) -> bool:
    """Whether this caller is the one to make what will lie under the key: nobody is at it, and nobody has done it since
    the caller looked."""
    with suppress(IntegrityError, AlreadyMade), transaction() as session:
        journal.enter(storage, [key])
        if session.scalar(select(Rendition.id).where(Rendition.key == key)) is not None:
            raise AlreadyMade
        return True
    return False


def is_being_made(key: str) -> bool:
    query = select(StorageJournal.lease_until).where(StorageJournal.key == key, StorageJournal.action == "attach")
    lease = db.session.scalar(query)
    end_reading()
    return lease is not None and lease > now() + LEASE - AT_WORK


def keep(row: Rendition) -> None:
    """Make the row name its claimed key; NotFound when the last document with this hash went meanwhile."""
    with transaction() as session:
        _must_be_wanted(row.sha256)
        session.add(row)
        session.flush()
        journal.settle([str(row.key)])


def remember(row: Rendition) -> None:
    """A row without an object. When somebody else was faster, theirs stays."""
    with suppress(NotFound), transaction() as session:
        _must_be_wanted(row.sha256)
        with suppress(IntegrityError), session.begin_nested():
            session.add(row)


def lose(row: Rendition) -> None:
    """Its object is gone, as after a restored backup: it can be made again."""
    with transaction() as session:
        session.execute(delete(Rendition).where(Rendition.id == row.id))


def release(hashes: Collection[str]) -> Sequence[str]:
    """In the transaction that deletes documents with these hashes: drop what was derived from those that are the last
    of theirs; the keys whose objects have to go once it is committed."""
    db.session.flush()
    return _drop(select(Rendition).where(Rendition.sha256.in_(hashes), ~_wanted()))


def clear(storages: Storages, *, failed: bool = False) -> Swept:
    """Remove everything that was derived, or forget what could not be made."""
    query = select(Rendition).where(Rendition.failure.is_not(None)) if failed else select(Rendition)
    return _clear(storages, query)


def clear_elsewhere(storages: Storages) -> Swept:
    """Remove what is not where new ones are kept; it is made anew when it is looked at."""
    return _clear(storages, select(Rendition).where(Rendition.storage != storages.default.name))


def clear_unwanted(storages: Storages) -> Swept:
    """Remove what belongs to no document any more, as when the last two of one hash are purged at the same time."""
    return _clear(storages, select(Rendition).where(~_wanted()))


def _clear(storages: Storages, query: Select[Rendition]) -> Swept:
    removed = failed = 0
    while True:
        with transaction() as session:
            ids = session.scalars(query.with_only_columns(Rendition.id).order_by(Rendition.id).limit(BATCH)).all()
            keys = _drop(select(Rendition).where(Rendition.id.in_(ids)))
        if not ids:
            return Swept(removed, failed)
        swept = journal.remove(storages, keys)
        removed, failed = removed + len(ids), failed + swept.failed


def _drop(query: Select[Rendition]) -> Sequence[str]:
    keys = []
    for row in db.session.scalars(query.with_for_update()).all():
        if row.key and row.storage:
            journal.release(row.storage, [row.key])
            keys.append(row.key)
        db.session.delete(row)
    return keys


def _wanted() -> Exists:
    return exists().where(EntityFile.sha256 == Rendition.sha256)


def _must_be_wanted(sha256: str) -> None:
    """Locks one such document, so that it cannot be purged before what is derived from it is named."""
    query = select(EntityFile.id).where(EntityFile.sha256 == sha256).limit(1)
    if db.session.scalar(query.with_for_update()) is None:
        raise NotFound()
