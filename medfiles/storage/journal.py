"""The write-ahead journal, which names every object that no row names.

A key is *expected* before its object is created, *settled* by the transaction in which a row starts to name it,
and *released* by the transaction in which the row stops naming it. `sweep` removes objects whose lease has expired.
"""

from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, exists, insert, or_, select, update

from medfiles.clock import SKEW, now
from medfiles.database.session import db, read, transaction
from medfiles.errors import StorageError
from medfiles.models import EntityFile, Patient, Rendition, SmartLink, StorageJournal
from medfiles.storage import Storages

LEASE = timedelta(minutes=15)
BATCH = 100  # objects whose entries are deleted in one transaction


@dataclass(frozen=True)
class Swept:
    removed: int
    failed: int


# Built once, because every upload runs them.
_ENTER = insert(StorageJournal.__table__)
_STRIKE = delete(StorageJournal.__table__).where(
    StorageJournal.key.in_(bindparam("keys", expanding=True)), StorageJournal.action == "attach"
)
# Whether a row names the key: a last check before an object is deleted.
_IS_NAMED = or_(
    exists().where(EntityFile.file_path == StorageJournal.key),
    exists().where(Rendition.key == StorageJournal.key),
    exists().where(Patient.photo_key == StorageJournal.key),
    exists().where(SmartLink.key == StorageJournal.key),
)


def expect(storage: str, keys: Collection[str]) -> None:
    """Commit entries for objects that are about to be created under these keys."""
    with transaction():
        enter(storage, keys)


def enter(storage: str, keys: Collection[str]) -> None:
    """Add the same entries as `expect`, but in the open transaction."""
    lease = now() + LEASE
    rows = [{"key": key, "storage": storage, "action": "attach", "lease_until": lease} for key in keys]
    if rows:
        db.session.connection().execute(_ENTER, rows)


def settle(keys: Collection[str]) -> None:
    """Delete the entries for keys that rows now name. Raises StorageError if the sweep got there first."""
    struck = db.session.connection().execute(_STRIKE, {"keys": list(keys)})
    if struck.rowcount != len(keys):
        raise StorageError("This took too long. Nothing was changed. Please try again.")


def release(storage: str, keys: Collection[str]) -> None:
    """Mark the objects for removal, in the transaction in which rows stop naming their keys."""
    db.session.add_all(StorageJournal(key=key, storage=storage, action="remove", lease_until=now()) for key in keys)


def abandon(storages: Storages, keys: Collection[str]) -> None:
    """Give up expected keys that no row names, and remove their objects.

    If a failed write may still take effect, the sweep removes the object once its lease has expired.
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
    """Delete released objects, then their entries. Failures are left to the next sweep."""
    every, removed, failed = list(keys), 0, 0
    for at in range(0, len(every), BATCH):
        released = (StorageJournal.key.in_(every[at : at + BATCH]), StorageJournal.action == "remove")
        entries = read(select(StorageJournal.key, StorageJournal.storage, _IS_NAMED).where(*released))
        named = {key for key, _, is_named in entries if is_named}
        for folder in storages.attached.values():
            named |= folder.named([key for key, storage, _ in entries if storage == folder.name])
        gone = []
        for key, storage, _ in entries:
            with suppress(StorageError):
                if key not in named:
                    (storages.attached.get(storage) or storages[storage]).delete(key)
                    gone.append(key)
        if gone:
            with transaction() as session:
                struck = (StorageJournal.key.in_(gone), StorageJournal.action == "remove")
                session.execute(delete(StorageJournal).where(*struck))
        removed, failed = removed + len(gone), failed + len(entries) - len(gone)
    return Swept(removed, failed)


def sweep(storages: Storages, at: datetime | None = None, report: Callable[[str], None] = lambda key: None) -> Swept:
    """Remove every object whose lease expired before `at`. Idempotent.

    A lease that is longer than LEASE, written while the clock was ahead, is reset to `at`.
    """
    at = at or now()
    with transaction() as session:
        too_long = StorageJournal.lease_until > at + LEASE + SKEW
        session.execute(update(StorageJournal).where(too_long).values(lease_until=at))
        expired = (StorageJournal.action == "attach", StorageJournal.lease_until < at)
        session.execute(update(StorageJournal).where(*expired).values(action="remove"))
        due = select(StorageJournal.key).where(StorageJournal.action == "remove", StorageJournal.lease_until <= at)
        keys = session.scalars(due.order_by(StorageJournal.id)).all()
    for key in keys:
        report(key)
    return remove(storages, keys)
