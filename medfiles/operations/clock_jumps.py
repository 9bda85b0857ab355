"""Detect jumps in the system clock by comparing the current time with the newest stored times."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select

from medfiles.audit.checkpoint import Anchor
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import StorageError
from medfiles.jobs import last_runs
from medfiles.models import AuditEvent

log = structlog.get_logger("medfiles.operations.clock_jumps")
RUN = "clock"  # run that records when the clock was last checked, and its last jump
JUMP = timedelta(days=1)
STEADY = timedelta(hours=24)  # how long the clock must run without a jump before the last one is over
EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Jump:
    """A clock jump: the newest stored time, and the clock reading that followed."""

    stored: datetime
    clock: datetime

    @property
    def hint(self) -> str:
        return "" if self.clock < self.stored else "expected if medfiles was not running in between"

    @property
    def facts(self) -> dict[str, str]:
        return {"stored": self.stored.isoformat(), "clock": self.clock.isoformat()}


def check(anchor: Anchor) -> Jump | None:
    """Compare the clock with the newest stored times; return the current jump, if any.

    Also corrects last runs that ended in the future, so that a missing backup is noticed in time.
    """
    stored = _newest(anchor)
    with transaction():
        run = last_runs.lock_row(RUN)
        facts, at = run.facts or {}, now()
        if jump := _find_jump(run.ended_at, stored if stored != _time(facts, "seen") else None, at):
            facts = {**jump.facts, "steady": 0.0}
        elif run.ended_at and (jump := _jump_of(facts)):
            steady = facts["steady"] + min(at - run.ended_at, 2 * EVERY).total_seconds()
            jump, facts = (jump, {**facts, "steady": steady}) if steady < STEADY.total_seconds() else (None, {})
        run.ended_at, run.facts = at, {**facts, "seen": stored.isoformat() if stored else None}
        last_runs.correct_future()
    if jump:
        log.warning("clock jumped", **jump.facts)
    return jump


def status() -> Jump | None:
    """Return the last jump, or None once the clock has run steadily for STEADY."""
    last = last_runs.last(RUN)
    if last and last.ended_at - now() > JUMP:
        return Jump(last.ended_at, now())
    return _jump_of(last.facts) if last else None


def _newest(anchor: Anchor) -> datetime | None:
    """Return the latest time among the last audit event, the last runs of other operations, and the audit checkpoint.

    The last event is the one with the highest id, because the log keeps times written while the clock was ahead.
    """
    event = db.session.scalar(select(AuditEvent.at).order_by(AuditEvent.id.desc()).limit(1))
    run = last_runs.newest(without=RUN)
    db.session.rollback()
    try:
        head = anchor.read()
    except StorageError:
        head = None
    times = (event, run, datetime.fromisoformat(head.at) if head else None)
    return max((at for at in times if at), default=None)


def _find_jump(checked: datetime | None, stored: datetime | None, at: datetime) -> Jump | None:
    """Return the jump since the last check or, if there is none, the jump since the newest stored time.

    Once the clock is checked regularly, an old stored time is not a jump: nothing else may have been stored since.
    """
    if checked and abs(at - checked) > JUMP:
        return Jump(checked, at)
    if stored and (stored - at > JUMP or not checked and at - stored > JUMP):
        return Jump(stored, at)
    return None


def _jump_of(facts: Mapping[str, Any]) -> Jump | None:
    stored, clock = _time(facts, "stored"), _time(facts, "clock")
    return Jump(stored, clock) if stored and clock else None


def _time(facts: Mapping[str, Any], name: str) -> datetime | None:
    return datetime.fromisoformat(facts[name]) if facts.get(name) else None
