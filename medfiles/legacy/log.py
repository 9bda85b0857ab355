"""The state of a migration between runs: its source, completed steps, and mappings from older ids to new ones."""

import fcntl
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import delete, func, select, update

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict
from medfiles.legacy.source import OWN, Source
from medfiles.models import EntityFile, LabResultFile, LegacyId, LegacySource

AT_WORK = "Another move or rollback is running. Wait until it has finished, then run this again."


@contextmanager
def locked(instance: Path) -> Iterator[None]:
    """Hold this installation's migration lock. Raises Conflict if another process holds it."""
    with (instance / "legacy.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(AT_WORK) from None
        yield


def current() -> LegacySource | None:
    """Return this installation's source, or None if none has been chosen."""
    found: LegacySource | None = db.session.scalar(select(LegacySource).where(LegacySource.current == 1))
    return _detached(found) if found else None


def check(source: Source) -> None:
    """Raise Conflict if this installation already has another source."""
    known = current()
    if known is not None and known.place != source.place:
        raise Conflict(
            f"This installation is already moving old files from {_words(known.place)}. It can have only one source."
        )
    if not source.is_own and db.session.scalar(select(func.count(LabResultFile.id))):
        raise Conflict("This installation has its own old files and can have only one source.")
    db.session.rollback()


def begin(source: Source, timezone: str) -> LegacySource:
    """Set this installation's source and the time zone of its timestamps; return the row.

    Can be repeated with the same source. Raises Conflict for a different source, or for a different time zone once
    files have been moved.
    """
    check(source)
    with transaction() as session:
        known: LegacySource | None = session.scalar(select(LegacySource).where(LegacySource.place == source.place))
        if known is None:
            session.add(known := LegacySource(place=source.place, timezone=timezone))
        elif known.current is None:
            known.timezone, known.begun_at, known.backed_up_at = timezone, now(), None
        elif known.timezone != timezone and _has_moved(known):
            raise Conflict(
                f"Earlier files were moved with the time zone {known.timezone}. Use the same one, or roll back first."
            )
        known.timezone, known.current = timezone, 1
    return _detached(known)


def note(known: LegacySource, **values: object) -> None:
    """Record the migration's progress and commit it."""
    with transaction() as session:
        session.execute(update(LegacySource).where(LegacySource.id == known.id).values(**values))
    for name, value in values.items():
        setattr(known, name, value)


def ids(known: LegacySource, kind: str, old_ids: Collection[int]) -> Mapping[int, int | None]:
    """Map these older ids to new ones, leaving out unknown ids. Permanently deleted rows map to None."""
    query = select(LegacyId.old_id, LegacyId.new_id).where(
        LegacyId.source_id == known.id, LegacyId.kind == kind, LegacyId.old_id.in_(old_ids)
    )
    return dict(db.session.execute(query).all())


def new_ids(known: LegacySource, kind: str, old_ids: Iterable[int | None]) -> Mapping[int | None, int | None]:
    """Map the older ids of users, patients or lab results to their ids in this installation.

    The ids are the same if the source is this installation's own tables.
    """
    wanted = {number for number in old_ids if number is not None}
    found: Mapping[int, int | None] = {number: number for number in wanted}
    return dict((found if known.place == OWN else ids(known, kind, wanted)).items())


def enter(known: LegacySource, kind: str, old_id: int, new_id: int, *, brought: bool = True) -> None:
    """Record the new id for an older one in the open transaction."""
    db.session.add(LegacyId(source_id=known.id, kind=kind, old_id=old_id, new_id=new_id, brought=brought))


def moved_count(known: LegacySource) -> int:
    query = select(func.count()).where(LegacyId.source_id == known.id, LegacyId.kind == "file")
    return db.session.scalar(query.where(LegacyId.new_id.is_not(None))) or 0


def number_of(file: EntityFile) -> int:
    """Return the older id of a document that was moved."""
    assert file.legacy_id is not None
    return file.legacy_id


def end(known: LegacySource) -> None:
    """Release the source after a rollback, so that another can be used. Keeps entries for permanently deleted files."""
    with transaction() as session:
        session.execute(delete(LegacyId).where(LegacyId.source_id == known.id, LegacyId.new_id.is_not(None)))
        kept = session.scalar(select(func.count()).where(LegacyId.source_id == known.id))
        same = LegacySource.id == known.id
        cleared = update(LegacySource).values(current=None, verified_at=None, backed_up_at=None)
        session.execute((cleared if kept else delete(LegacySource)).where(same))


def _detached(known: LegacySource) -> LegacySource:
    """Detach the row, so that later commits do not expire it."""
    db.session.expunge(known)
    db.session.rollback()
    return known


def _has_moved(known: LegacySource) -> bool:
    moved = select(LegacyId.old_id).where(LegacyId.source_id == known.id, LegacyId.kind == "file").limit(1)
    return db.session.scalar(moved) is not None


def _words(place: str) -> str:
    return "its own table" if place == OWN else place
