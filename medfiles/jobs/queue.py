"""Work that nobody waits for: asked for in the transaction that makes it necessary, done by whoever claims it first.

A claim is a lease. Whoever holds it renews it while it works; when it dies, the next one takes the job over. So each is
done at least once, and what does it must bear being done twice.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.models import Job

WARM, SCAN = "warm", "scan"  # about one document each: make its thumbnail, show it to the malware scanner
LEASE = timedelta(seconds=60)
SETTLED = timedelta(minutes=1)  # several processes start together: what one of them has just done the others leave
INSERT = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


@dataclass(frozen=True)
class Claim:
    """A job that is ours until its lease ends; `tries` that others, or we before, did not bring to a good end."""

    id: int
    kind: str
    subject: int
    tries: int
    holder: str
    due_at: datetime


@dataclass(frozen=True)
class Condition:
    """For the status page. `due`: what nobody has begun yet though its time has come, since `oldest`."""

    due: int
    oldest: datetime | None
    held: int
    given_up: int


def ask(kind: str, subject: int = 0, after: timedelta = timedelta(0)) -> None:
    """In the open transaction: have it done then, once, however often it is asked for until it is begun."""
    asked = {"kind": kind, "subject": subject, "due_at": now() + after, "created_at": now()}
    db.session.connection().execute(_asking(db.engine.dialect.name), asked)


@cache
def _asking(dialect: str) -> Any:
    """Of every upload, so it is built once."""
    names = ("kind", "subject", "due_at", "created_at")
    statement: Any = INSERT[dialect](Job.__table__).values({name: bindparam(name) for name in names} | {"tries": 0})
    due = statement.excluded.due_at
    later = or_(Job.due_at.is_(None), Job.due_at > due, Job.lease_until.is_not(None))
    changed = {"due_at": case((later, due), else_=Job.due_at), "tries": 0, "failure": None}
    return statement.on_conflict_do_update(index_elements=["kind", "subject"], set_=changed)


def ask_again(kind: str, every: timedelta) -> None:
    """In the open transaction: at a start, have that which is done again and again be done now."""
    statement: Any = INSERT[db.engine.dialect.name](Job).values(kind=kind, due_at=now())
    db.session.execute(statement.on_conflict_do_nothing(index_elements=["kind", "subject"]))
    waits = (Job.lease_until.is_(None), Job.due_at > now(), Job.due_at < now() + every - SETTLED)
    db.session.execute(update(Job).where(Job.kind == kind, *waits).values(due_at=now()))


def ask_for_given_up() -> int:
    """Have what was given up be tried anew; how many jobs."""
    with transaction() as session:
        done = session.execute(update(Job).where(Job.due_at.is_(None)).values(due_at=now(), tries=0, failure=None))
        return int(done.rowcount)


def claim(kinds: Collection[str]) -> Claim | None:
    """One of these kinds that is due and nobody's, for LEASE; None when there is none."""
    free = select(Job).where(Job.kind.in_(kinds), _is_free()).order_by(Job.due_at, Job.id).limit(1)
    found = db.session.scalar(free.with_only_columns(Job.id))
    db.session.rollback()
    if found is None:
        return None
    with transaction() as session:
        job = session.scalar(free.with_for_update(skip_locked=True).execution_options(populate_existing=True))
        if job is None:
            return None
        claimed = Claim(job.id, job.kind, job.subject, job.tries, secrets.token_hex(16), job.due_at)
        job.holder, job.lease_until, job.tries = claimed.holder, now() + LEASE, job.tries + 1
        return claimed


def renew(claim: Claim) -> bool:
    """Hold it for LEASE from now; False when it is ours no more."""
    with transaction() as session:
        held = session.execute(update(Job).where(*_held(claim)).values(lease_until=now() + LEASE))
        return bool(held.rowcount)


def done(claim: Claim, again: timedelta | None = None) -> None:
    """It came to its end: not to be done any more, or `again` after that time. Asked for meanwhile it stays due."""
    with transaction() as session:
        as_it_was = (*_held(claim), Job.due_at == claim.due_at)
        if again is None:
            session.execute(delete(Job).where(*as_it_was))
        else:
            session.execute(update(Job).where(*as_it_was).values(due_at=now() + again))
        session.execute(update(Job).where(*_held(claim)).values(tries=0, failure=None, **_let_go()))


def failed(claim: Claim, code: str, again: timedelta | None, *, all_alike: bool = False) -> None:
    """It did not come to a good end: to be tried `again` after that time, or given up.

    `all_alike`: others of its kind would fail for the same reason, so they wait as long.
    """
    due = None if again is None else now() + again
    with transaction() as session:
        session.execute(update(Job).where(*_held(claim)).values(due_at=due, failure=code[:50], **_let_go()))
        if all_alike:
            others = (Job.kind == claim.kind, Job.lease_until.is_(None), Job.due_at < due)
            session.execute(update(Job).where(*others).values(due_at=due))


def condition() -> Condition:
    overdue = (_is_free(), Job.due_at < now())
    held, given_up = Job.lease_until >= now(), Job.due_at.is_(None)
    count, oldest = db.session.execute(select(func.count(Job.id), func.min(Job.due_at)).where(*overdue)).one()
    return Condition(count, oldest, _count(held), _count(given_up))


def _is_free() -> ColumnElement[bool]:
    return (Job.due_at <= now()) & or_(Job.lease_until.is_(None), Job.lease_until < now())


def _held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    return Job.id == claim.id, Job.holder == claim.holder


def _let_go() -> dict[str, Any]:
    return {"holder": None, "lease_until": None}


def _count(where: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count(Job.id)).where(where)) or 0
