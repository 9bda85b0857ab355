"""When long work was last done, so that several processes do it once, and whoever looks after it sees it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, update

from medfiles.clock import now
from medfiles.db import db, transaction
from medfiles.models import LastRun


@dataclass(frozen=True)
class Run:
    """The last that came to its end, with its figures."""

    ended_at: datetime
    facts: dict[str, Any]


def claim(name: str, every: timedelta) -> bool:
    """Whether this process is to do it now: nobody began it within that time."""
    with transaction() as session:
        if session.get(LastRun, name, with_for_update=True) is None:
            session.add(LastRun(name=name))
            session.flush()
        is_due = or_(LastRun.begun_at.is_(None), LastRun.begun_at < now() - every)
        took = session.execute(update(LastRun).where(LastRun.name == name, is_due).values(begun_at=now()))
        return bool(took.rowcount)


def ended(name: str, **facts: Any) -> None:
    """To be called at its end; it may have been begun without a claim, by hand."""
    with transaction() as session:
        run = session.get(LastRun, name) or LastRun(name=name)
        run.ended_at, run.facts = now(), facts
        session.add(run)


def last(name: str) -> Run | None:
    """None when it never came to its end here."""
    run = db.session.get(LastRun, name, populate_existing=True)
    return Run(run.ended_at, run.facts or {}) if run and run.ended_at else None
