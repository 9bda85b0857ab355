"""The write-ahead journal: names every object that no row names.

Before an object is created its key is *expected*; the transaction that makes a row name the key *settles* it; the
transaction that stops naming a key *releases* it. `sweep` removes objects whose lease has expired.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from sqlalchemy import bindparam, delete, exists, insert, or_, select, update

from medfiles.clock import now
from medfiles.database.session import db, end_read, transaction
from medfiles.errors import StorageError
from medfiles.models import EntityFile, Rendition, StorageJournal
from medfiles.storage import Storages

LEASE = timedelta(minutes=15)
BATCH = 100  # objects removed before their entries are deleted together


@dataclass(frozen=True)
class Swept:
    removed: int
    failed: int


# Built once: every upload runs them.
_ENTER = insert(StorageJournal.__table__)
_STRIKE = delete(StorageJournal.__table__).where(
    StorageJournal.key.in_(bindparam("keys", expanding=True)), StorageJournal.action == "attach"
)


def expect(storage: str, keys: Collection[str]) -> None:
    """Commit entries for objects about to be created under these keys."""
    with transaction():
        enter(storage, keys)


def enter(storage: str, keys: Collection[str]) -> None:
    """As `expect`, in the open transaction."""
    lease = now() + LEASE
    rows = [{"key": key, "storage": storage, "action": "attach", "lease_until": lease} for key in keys]
    if rows:
        db.session.connection().execute(_ENTER, rows)


def settle(keys: Collection[str]) -> None:
    """Delete the entries as rows name the keys; abort if the sweep was faster."""
    struck = db.session.connection().execute(_STRIKE, {"keys": list(keys)})
    if struck.rowcount != len(keys):
        _too_late()


def release(storage: str, keys: Collection[str]) -> None:
    """Enter the keys for removal in the transaction that stops naming them."""
    db.session.add_all(StorageJournal(key=key, storage=storage, action="remove", lease_until=now()) for key in keys)


def abandon(storages: Storages, keys: Collection[str]) -> None:
    """Give up expected keys that no row names, and remove their objects.

    Where a failed write may still arrive, the sweep removes them after the lease.
    """
    late = [storage.name for storage in storages if storage.late_writes]
    with transaction() as session:
        given_up = update(StorageJournal).where(StorageJournal.key.in_(keys), StorageJournal.action == "attach")
        session.execute(given_up.where(StorageJournal.storage.not_in(late)).values(action="remove", lease_until=now()))
        session.execute(
            given_up.where(StorageJournal.storage.in_(late)).values(action="remove", lease_until=now() + LEASE)
        )
        due = select(StorageJournal.key).where(StorageJournal.key.in_(keys), StorageJournal.storage.not_in(late))
        ready = session.scalars(due).all()
    remove(storages, ready)


def remove(storages: Storages, keys: Collection[str]) -> Swept:
    """Delete released objects, then their entries; leave failures to the next sweep."""
    listed = list(keys)
    swept = [_remove(storages, listed[at : at + BATCH]) for at in range(0, len(listed), BATCH)]
    return Swept(sum(one.removed for one in swept), sum(one.failed for one in swept))


def sweep(storages: Storages, at: datetime | None = None, report: Callable[[str], None] = lambda key: None) -> Swept:
    """Remove every object whose lease expired before `at`. Idempotent."""
    at = at or now()
    with transaction() as session:
        session.execute(
            update(StorageJournal)
            .where(StorageJournal.action == "attach", StorageJournal.lease_until < at)
            .values(action="remove")
        )
        due = select(StorageJournal.key).where(StorageJournal.action == "remove", StorageJournal.lease_until <= at)
        keys = session.scalars(due.order_by(StorageJournal.id)).all()
    for key in keys:
        report(key)
    return remove(storages, keys)


def _remove(storages: Storages, keys: Collection[str]) -> Swept:
    released = (StorageJournal.key.in_(keys), StorageJournal.action == "remove")
    found = db.session.execute(select(StorageJournal.key, StorageJournal.storage, _IS_NAMED).where(*released)).all()
    end_read()
    entries = [(key, storage) for key, storage, _ in found]
    named = {key for key, _, is_named in found if is_named}
    for folder in storages.attached.values():
        named |= folder.named([key for key, storage in entries if storage == folder.name])
    gone = [key for key, storage in entries if key not in named and _deleted(storages, storage, key)]
    if gone:
        with transaction() as session:
            struck = (StorageJournal.key.in_(gone), StorageJournal.action == "remove")
            session.execute(delete(StorageJournal).where(*struck))
    return Swept(len(gone), len(entries) - len(gone))


# Whether a row names the key: a last check before an object is deleted.
_IS_NAMED = or_(
    exists().where(EntityFile.file_path == StorageJournal.key), exists().where(Rendition.key == StorageJournal.key)
)


def _deleted(storages: Storages, storage: str, key: str) -> bool:
    try:
        (storages.attached.get(storage) or storages[storage]).delete(key)
    except StorageError:
        return False
    return True


def _too_late() -> NoReturn:
    raise StorageError("This took too long. Nothing was changed. Please try again.")
