"""Housekeeping rounds: a count of days that a wrong clock cannot speed up.

A round begins at least 20 hours after the previous one. Each item in the trash stores the number of the round in which
it was trashed, and is permanently deleted only once enough rounds have begun since.
"""

import math
from datetime import timedelta

from sqlalchemy import func, select

from medfiles.clock import is_past, is_within, now
from medfiles.database.session import db, transaction
from medfiles.jobs import last_runs
from medfiles.models import HousekeepingRound

LOCK = "round"  # row of `last_runs`, locked so that only one process begins a round
INTERVAL = timedelta(hours=20)
LEAST = 2  # minimum for any retention, because a clock that is wrong once can begin a round


CURRENT = select(func.coalesce(func.max(HousekeepingRound.id), 0)).scalar_subquery()  # for statements that store it


def current() -> int:
    """Return the number of the current round, or 0 before the first."""
    return db.session.scalar(select(CURRENT)) or 0


def begin() -> int:
    """Begin a round if the last one began long enough ago; return the number of the current round.

    If the last round is dated in the future, the clock was ahead, so its time is set to now.
    """
    with transaction() as session:
        last_runs.lock_row(LOCK)
        newest = select(HousekeepingRound).order_by(HousekeepingRound.id.desc()).limit(1)
        last: HousekeepingRound | None = session.scalar(newest)
        if last is not None and not is_past(last.at):
            last.at = now()
        elif last is None or not is_within(last.at, INTERVAL):
            last = HousekeepingRound()
            session.add(last)
            session.flush()
        return last.id


def needed(retention: timedelta) -> int:
    """Return how many rounds must begin during a retention period: half its number of days, at least LEAST."""
    return max(LEAST, math.ceil(retention / timedelta(days=2))) if retention else 0
