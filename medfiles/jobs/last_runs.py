"""Record when long operations last ran, so that only one of several processes runs each."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, not_, or_, select, update
from sqlalchemy.exc import IntegrityError

from medfiles.clock import is_past, is_within, now
from medfiles.database.session import db, transaction
from medfiles.models import LastRun


@dataclass(frozen=True)
class Run:
    """The last completed run of an operation, and its figures."""

    ended_at: datetime
    facts: dict[str, Any]


def claim(name: str, every: timedelta) -> bool:
    """Claim a run for this process. Return False if a run was already started within `every`."""
    with transaction() as session:
        lock_row(name)
        is_due = or_(LastRun.begun_at.is_(None), not_(is_within(LastRun.begun_at, every)))
        took = session.execute(update(LastRun).where(LastRun.name == name, is_due).values(begun_at=now()))
        return bool(took.rowcount)


def lock_row(name: str) -> LastRun:
    """Return the operation's row, locked until the open transaction ends."""
    if found := db.session.get(LastRun, name, with_for_update=True):
        return found
    with suppress(IntegrityError), db.session.begin_nested():  # another process may insert it first
        db.session.add(LastRun(name=name))
    return db.session.get_one(LastRun, name, with_for_update=True, populate_existing=True)


def record(name: str, **facts: Any) -> None:
    """Record that a run completed. It may have been started manually, without a claim."""
    with transaction():
        run = lock_row(name)
        run.ended_at, run.facts = now(), facts


def newest(without: str) -> datetime | None:
    """Return when any operation other than `without` last began or ended, or None if none has."""
    times = select(func.max(LastRun.begun_at), func.max(LastRun.ended_at)).where(LastRun.name != without)
    return max((at for at in db.session.execute(times).one() if at), default=None)


def correct_future() -> None:
    """In the open transaction, correct future times that were stored while the clock was ahead.

    A future end time becomes now; a future start time becomes unknown.
    """
    db.session.execute(update(LastRun).where(not_(is_past(LastRun.ended_at))).values(ended_at=now()))
    db.session.execute(update(LastRun).where(not_(is_past(LastRun.begun_at))).values(begun_at=None))


def last(name: str) -> Run | None:
    """Return the last completed run, or None if there is none."""
    run = db.session.get(LastRun, name, populate_existing=True)
    return Run(run.ended_at, run.facts or {}) if run and run.ended_at else None
