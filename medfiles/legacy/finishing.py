"""Finish a migration: delete the older rows and files of moved documents. This cannot be undone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from medfiles.clock import now
from medfiles.content import opened
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict
from medfiles.legacy import log, unmigrated
from medfiles.legacy.folder import folder_of
from medfiles.legacy.verification import hash_of
from medfiles.models import EntityFile, LabResultFile, LegacySource
from medfiles.services import Services
from medfiles.storage import journal

BATCH = 100
FIRST_VERIFY = "The last verification failed or never ran. Run migrate-lab-results without --finish first."


@dataclass(frozen=True)
class Finished:
    """The result of finishing a migration.

    `kept` lists the older ids of documents whose content is altered or unreadable; their older files are kept.
    """

    removed: int
    kept: Sequence[int]
    failed: int


def finish(services: Services, known: LegacySource, report: Callable[[int], None] = lambda done: None) -> Finished:
    """Delete the older rows and files of moved documents. Raises Conflict unless the last verification passed.

    Every document is read once more before its older file is deleted. Files of another installation are never deleted.
    """
    if known.verified_at is None:
        raise Conflict(FIRST_VERIFY)
    if known.finishing_at is None:
        log.note(known, finishing_at=now())
    removed, failed, kept, after = 0, 0, list[int](), 0
    while files := _moved(after):
        good = [file for file in files if hash_of(opened(file, services.storages)) == file.sha256]
        kept += [log.number_of(file) for file in files if file not in good]
        failed += _remove(services, good)
        removed += len(good)
        after = log.number_of(files[-1])
        report(removed)
    if not kept and not failed:
        log.note(known, finished_at=now())
    return Finished(removed, kept, failed)


def _moved(after: int) -> Sequence[EntityFile]:
    """Return the next batch of moved documents whose older row still exists."""
    query = select(EntityFile).join(LabResultFile, LabResultFile.id == EntityFile.legacy_id)
    found = db.session.scalars(query.where(EntityFile.legacy_id > after).order_by(EntityFile.legacy_id).limit(BATCH))
    files = found.all()
    db.session.expunge_all()
    db.session.rollback()
    return files


def _remove(services: Services, files: Sequence[EntityFile]) -> int:
    with transaction():
        keys = unmigrated.drop(folder_of(services.storages), [log.number_of(file) for file in files])
    return journal.remove(services.storages, keys).failed
