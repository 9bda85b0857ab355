"""Run jobs, recurring and queued: in server processes or `flask medfiles worker`."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from medfiles.accounts import service as accounts
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import MedfilesError
from medfiles.jobs import queue as jobs
from medfiles.jobs.queue import SCAN, WARM, Claim
from medfiles.operations import housekeeping, integrity, scanning
from medfiles.previews import cache as preview_cache
from medfiles.services import Services

log = structlog.get_logger("medfiles.operations.worker")
HOUR = timedelta(hours=1)
POLL = 1.0  # seconds between looks for a due job
PAUSE = 10.0  # seconds after a failed look
WORKER = "worker"  # MEDFILES_JOBS: server processes run no jobs
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Duty:
    """How to run a job.

    It recurs `every` so often (None: only when enqueued). A failed job is retried `again` later, then after twice the
    time, up to an hour, and given up after `tries` (None: never). `all_alike`: a failure concerns all jobs with this
    name, so they all wait, without backoff.
    """

    run: Callable[[Services, int], Facts]
    every: timedelta | None = None
    again: timedelta = timedelta(seconds=10)
    tries: int | None = None
    all_alike: bool = False


def _sweep(services: Services, _: int) -> Facts:
    swept = housekeeping.sweep(services.storages)
    preview_cache.clear_unwanted(services.storages)
    return vars(swept)


def _purge(services: Services, _: int) -> Facts:
    return vars(
        housekeeping.purge_expired(services.registry, services.storages, now() - timedelta(days=services.trash_days))
    )


def _forget(services: Services, _: int) -> Facts:
    housekeeping.forget_cancelled(now() - housekeeping.STAGED_FOR)
    return {"sessions": accounts.clear_sessions(services.idle, services.longest)}


def _verify(services: Services, _: int) -> Facts:
    integrity.keep_checking(services.storages, services.verify_days)
    return {}


def _rescan(services: Services, _: int) -> Facts:
    return scanning.scan_due(services.storages, services.scanner)


def _scan(services: Services, file_id: int) -> Facts:
    return scanning.scan_new(services.storages, services.scanner, file_id)


def _warm(services: Services, file_id: int) -> Facts:
    return {"made": housekeeping.warm_one(services.renderer, file_id)}


DUTIES = {
    SCAN: Duty(_scan, all_alike=True),
    WARM: Duty(_warm, tries=5),
    "sweep": Duty(_sweep, HOUR),
    "purge": Duty(_purge, HOUR),
    "forget": Duty(_forget, HOUR),
    "verify": Duty(_verify, HOUR),
    "rescan": Duty(_rescan, scanning.AGAIN),
}


def ask_for_all() -> None:
    """Make recurring jobs due immediately at startup: settings may have changed."""
    with transaction():
        for kind, duty in DUTIES.items():
            if duty.every:
                jobs.ask_again(kind, duty.every)


def do_next(app: Any) -> bool | None:
    """Run one due job; return whether it succeeded, None when none is due."""
    with app.app_context():
        claim = jobs.claim(DUTIES)
        return None if claim is None else _do(app, claim)


def work(app: Any, stop: threading.Event) -> None:
    """Run jobs until `stop` is set."""
    begun = False
    while not stop.is_set():
        try:
            if not begun:
                with app.app_context():
                    ask_for_all()
                begun = True
            if do_next(app) is None:
                stop.wait(POLL)
        except (MedfilesError, SQLAlchemyError, OSError) as error:  # an outage may be over in a moment
            log.error("no work", code=_code(error))
            stop.wait(PAUSE)


def start_working(app: Any, stop: threading.Event | None = None) -> threading.Thread | None:
    """Start a worker thread; None when only `flask medfiles worker` runs jobs."""
    if app.config["MEDFILES_JOBS"] == WORKER:
        return None
    thread = threading.Thread(target=work, args=(app, stop or threading.Event()), name="work", daemon=True)
    thread.start()
    return thread


def _do(app: Any, claim: Claim) -> bool:
    duty, begun = DUTIES[claim.kind], time.monotonic()
    if duty.tries and claim.tries >= duty.tries:  # the last worker died while running it
        jobs.failed(claim, "lost", None)
        log.error("given up", job=claim.kind, subject=claim.subject, code="lost")
        return False
    try:
        with _renewed(app, claim):
            facts = duty.run(app.extensions["medfiles"], claim.subject)
    except Exception as error:  # noqa: BLE001 - one failed job must not stop the others
        db.session.rollback()
        _failed(claim, duty, error)
        return False
    jobs.done(claim, duty.every)
    seconds = round(time.monotonic() - begun, 2)
    tell = (
        log.info if duty.every and any(facts.values()) else log.debug
    )  # thousands of thumbnails are not worth logging
    tell("done", job=claim.kind, subject=claim.subject, seconds=seconds, **facts)
    return True


def _failed(claim: Claim, duty: Duty, error: Exception) -> None:
    last = duty.tries is not None and claim.tries + 1 >= duty.tries
    growth = 1 if duty.all_alike else 2 ** min(claim.tries, 10)
    jobs.failed(claim, _code(error), None if last else min(duty.again * growth, HOUR), all_alike=duty.all_alike)
    expected = isinstance(error, MedfilesError | SQLAlchemyError | OSError)
    tell = log.error if expected else log.exception
    tell("given up" if last else "failed", job=claim.kind, subject=claim.subject, code=_code(error))


@contextmanager
def _renewed(app: Any, claim: Claim) -> Iterator[None]:
    over = threading.Event()

    def renewing() -> None:
        while not over.wait(jobs.LEASE.total_seconds() / 3):
            with app.app_context():
                try:
                    jobs.renew(claim)
                except (MedfilesError, SQLAlchemyError) as error:
                    log.error("lease not renewed", job=claim.kind, code=_code(error))

    thread = threading.Thread(target=renewing, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _code(error: Exception) -> str:
    return error.code if isinstance(error, MedfilesError) else type(error).__name__
