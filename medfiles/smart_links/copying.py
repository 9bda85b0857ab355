"""Copy the encrypted copies of SMART Health Links into the default storage, as photos of patients are."""

from sqlalchemy import select

from medfiles.database.session import count, db, transaction
from medfiles.documents import lifecycle, smart_copies
from medfiles.errors import Conflict
from medfiles.models import SmartLink
from medfiles.storage import Storages, journal, smart_link_key


def count_elsewhere(storages: Storages) -> int:
    return count(SmartLink.id, SmartLink.storage != storages.default.name)


def copy_elsewhere(storages: Storages) -> None:
    """Copy all that are not in the default storage there."""
    target, at = storages.default, 0
    query = select(SmartLink.id).where(SmartLink.storage != target.name).order_by(SmartLink.id).limit(1)
    while at := db.session.scalar(query.where(SmartLink.id > at)) or 0:
        smart = db.session.get_one(SmartLink, at, populate_existing=True)
        source, key, size = smart.storage, smart.key, smart.size
        db.session.rollback()
        if source is None or key is None:
            continue
        new = smart_link_key()
        with lifecycle.storing(storages, {target.name: [new]}):
            with target.staged(storages[source].open(key), size or 0) as copy:
                target.commit(copy, new)
            with transaction() as session:
                smart = session.get_one(SmartLink, at, with_for_update=True, populate_existing=True)
                if smart.key != key:
                    raise Conflict(lifecycle.CHANGED)
                smart_copies.release(smart)
                smart.key, smart.storage, smart.size = new, target.name, size
                journal.settle([new])
        journal.remove(storages, [key])
