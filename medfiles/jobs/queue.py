"""The job queue: jobs are enqueued in a transaction, claimed with a lease, and run at least once.

A worker renews the lease on its job while running it. If the worker dies, the lease expires and another worker takes
over, so every job must tolerate being run twice.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, delete, func, not_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from medfiles.clock import SKEW, is_ahead, now
from medfiles.database.session import count, db, read, transaction
from medfiles.models import Job

WARM, SCAN = "warm", "scan"  # for one document each: create its thumbnail, scan it for malware
TEXT = "text"  # for one document: read its text and suggest its date
SMART = "smart"  # for one SMART Health Link: encrypt its documents
MOVE = "move"  # for one patient: move the bytes of documents whose rows were trashed or restored without them
PURGE_PATIENT = "purge-patient"  # for one patient in the trash: delete the patient and everything below permanently
SEARCH = "search"  # rebuild the search index
ERASE = "erase"  # erase permanently deleted content from the database files
LEASE = timedelta(seconds=60)
LONGEST_WAIT = timedelta(hours=1)  # longest time until a job is due: its interval, or the delay after a failure
ERASE_AFTER = timedelta(hours=12)  # the one longer delay: one job covers many deletions, and retries fit within a day
RECENT = timedelta(minutes=1)  # do not repeat what another process, started at the same time, has just run
INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
RELEASED = {"holder": None, "lease_until": None}


@dataclass(frozen=True)
class Claim:
    """A job held by this process until its lease expires."""

    id: int
    name: str
    subject: int
    tries: int  # earlier attempts that failed or were lost
    holder: str
    due_at: datetime


@dataclass(frozen=True)
class QueueStatus:
    """Figures for the status page; `oldest` is when the oldest due job became due."""

    due: int
    oldest: datetime | None
    held: int
    given_up: int


def enqueue(kind: str, subject: int = 0, after: timedelta = timedelta(0)) -> None:
    """Enqueue one job in the open transaction. A job that is already waiting is not duplicated.

    Of two due times, the earlier wins. A job that failed or was given up starts over.
    """
    enqueue_each([kind], subject, after)


def enqueue_each(kinds: Sequence[str], subject: int, after: timedelta = timedelta(0)) -> None:
    """Enqueue jobs of several kinds for the same subject, in one statement."""
    values = [{"kind": kind, "subject": subject, "due_at": now() + after, "created_at": now()} for kind in kinds]
    db.session.connection().execute(_enqueue_statement(db.engine.dialect.name), values)


@cache
def _enqueue_statement(dialect: str) -> Any:
    """Build the upsert. Cached per dialect, because every upload runs it."""
    names = ("kind", "subject", "due_at", "created_at")
    statement: Any = INSERT[dialect](Job.__table__).values({name: bindparam(name) for name in names} | {"tries": 0})
    due = statement.excluded.due_at
    later = or_(Job.due_at.is_(None), Job.due_at > due, Job.lease_until.is_not(None))
    changed = {"due_at": case((later, due), else_=Job.due_at), "tries": 0, "failure": None}
    return statement.on_conflict_do_update(index_elements=["kind", "subject"], set_=changed)


def make_due(kind: str, every: timedelta) -> None:
    """Make a recurring job due now, in the open transaction, for example at startup."""
    statement: Any = INSERT[db.engine.dialect.name](Job).values(kind=kind, due_at=now())
    db.session.execute(statement.on_conflict_do_nothing(index_elements=["kind", "subject"]))
    waits = (Job.lease_until.is_(None), Job.due_at > now(), Job.due_at < now() + every - RECENT)
    db.session.execute(update(Job).where(Job.kind == kind, *waits).values(due_at=now()))
    limit_wait(kind, every)


def limit_wait(kind: str, every: timedelta) -> None:
    """In the open transaction, make a recurring job due now if its due time is further ahead than its interval.

    In that case, the clock was ahead when the job last ran. Failed jobs are left alone, since they may wait up to
    LONGEST_WAIT.
    """
    too_far = (Job.kind == kind, Job.failure.is_(None), Job.due_at > now() + every + SKEW)
    db.session.execute(update(Job).where(*too_far).values(due_at=now()))


def retry_given_up() -> int:
    """Retry all jobs that were given up; return how many there were."""
    with transaction() as session:
        jobs = session.execute(update(Job).where(Job.due_at.is_(None)).values(due_at=now(), tries=0, failure=None))
        return int(jobs.rowcount)


def claim(kinds: Collection[str]) -> Claim | None:
    """Claim one due job of one of these kinds for LEASE. Return None if no job is due."""
    free = select(Job).where(Job.kind.in_(kinds), _is_available()).order_by(Job.due_at, Job.id).limit(1)
    if not read(free.with_only_columns(Job.id)):
        return None
    with transaction() as session:
        job = session.scalar(free.with_for_update(skip_locked=True).execution_options(populate_existing=True))
        if job is None:
            return None
        claimed = Claim(job.id, job.kind, job.subject, job.tries, secrets.token_hex(16), job.due_at)
        job.holder, job.lease_until, job.tries = claimed.holder, now() + LEASE, job.tries + 1
        return claimed


def renew(claim: Claim) -> bool:
    """Extend the lease to LEASE from now. Return False if the claim was lost."""
    with transaction() as session:
        held = session.execute(update(Job).where(*_held(claim)).values(lease_until=now() + LEASE))
        return bool(held.rowcount)


def complete(claim: Claim, repeat_after: timedelta | None = None) -> None:
    """Complete the job: remove it, or make it due again after `repeat_after`.

    A job that was enqueued again while it ran stays due.
    """
    with transaction() as session:
        unchanged = (*_held(claim), Job.due_at == claim.due_at)
        if repeat_after is None:
            session.execute(delete(Job).where(*unchanged))
        else:
            session.execute(update(Job).where(*unchanged).values(due_at=now() + repeat_after))
        session.execute(update(Job).where(*_held(claim)).values(tries=0, failure=None, **RELEASED))


def fail(claim: Claim, code: str, retry_after: timedelta | None, *, delay_others: bool = False) -> None:
    """Record a failure. The job is retried after `retry_after`, or given up if that is None.

    With `delay_others`, the cause affects all jobs of this kind, so they wait just as long.
    """
    due = None if retry_after is None else now() + retry_after
    with transaction() as session:
        session.execute(update(Job).where(*_held(claim)).values(due_at=due, failure=code[:50], **RELEASED))
        if delay_others:
            others = (Job.kind == claim.name, Job.lease_until.is_(None), Job.due_at < due)
            session.execute(update(Job).where(*others).values(due_at=due))


def status() -> QueueStatus:
    overdue = (_is_available(), Job.due_at < now())
    held, given_up = is_ahead(Job.lease_until, LEASE), Job.due_at.is_(None)
    due, oldest = db.session.execute(select(func.count(Job.id), func.min(Job.due_at)).where(*overdue)).one()
    return QueueStatus(due, oldest, count(Job.id, held), count(Job.id, given_up))


def _is_available() -> ColumnElement[bool]:
    free = or_(Job.lease_until.is_(None), not_(is_ahead(Job.lease_until, LEASE)))
    waits = is_ahead(Job.due_at, LONGEST_WAIT) | ((Job.kind == ERASE) & is_ahead(Job.due_at, ERASE_AFTER))
    return not_(waits) & free


def _held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return Job.id == claim.id, Job.holder == claim.holder
