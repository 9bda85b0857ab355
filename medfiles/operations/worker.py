"""Run recurring and queued jobs, in server processes or in `flask medfiles worker`."""

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
from medfiles.documents import lifecycle
from medfiles.errors import MedfilesError, error_code
from medfiles.jobs import queue as jobs
from medfiles.jobs.queue import ERASE, MOVE, PURGE_PATIENT, SCAN, SEARCH, SMART, TEXT, WARM, Claim
from medfiles.operations import clock_jumps, erasure, housekeeping, integrity, reading, scanning
from medfiles.previews import cache as preview_cache
from medfiles.search import checking, merging
from medfiles.services import Services
from medfiles.texts import store as texts

log = structlog.get_logger("medfiles.operations.worker")
RETRY_AFTER, HOUR = timedelta(seconds=10), timedelta(hours=1)
POLL = 1.0  # seconds between polls for a due job
PAUSE = 10.0  # seconds to wait after a failed poll
WORKER = "worker"  # value of MEDFILES_JOBS with which server processes run no jobs
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class JobHandler:
    """How to run a job. Failed jobs are retried after RETRY_AFTER, which doubles up to `jobs.LONGEST_WAIT`."""

    run: Callable[[Services, int], Facts]
    every: timedelta | None = None  # None: the job runs only when enqueued
    tries: int | None = None  # number of failures after which it is given up; None: never
    delay_others: bool = False  # a failure affects all jobs with this name: all wait, without backoff


def _check_clock(services: Services, _: int) -> Facts:
    clock_jumps.check(services.sealer.anchor)
    with transaction():
        for name, handler in HANDLERS.items():
            if handler.every:
                jobs.limit_wait(name, handler.every)
    return {}


def _sweep(services: Services, _: int) -> Facts:
    housekeeping.end_smart_links()
    swept = housekeeping.sweep(services.storages)
    preview_cache.clear_orphans(services.storages)
    texts.clear_orphans()
    return vars(swept)


def _purge(services: Services, _: int) -> Facts:
    return vars(housekeeping.purge_expired(services.registry, services.storages, timedelta(days=services.trash_days)))


def _forget(services: Services, _: int) -> Facts:
    housekeeping.forget_cancelled(now() - housekeeping.STAGED_FOR)
    readers = housekeeping.forget_readers(now() - timedelta(days=services.reader_days))
    return {"sessions": accounts.clear_sessions(services.idle, services.longest), "readers": readers}


def _verify(services: Services, _: int) -> Facts:
    integrity.keep_checking(services.storages, services.verify_days)
    return {}


def _warm(services: Services, file_id: int) -> Facts:
    return {"made": housekeeping.warm_one(services.renderer, file_id)}


def _erase(services: Services, _: int) -> Facts:
    erasure.erase(services.registry)
    return {}


def _move(services: Services, patient_id: int) -> Facts:
    return {"moved": lifecycle.move_pending(services.storages, services.registry, patient_id)}


def _purge_patient(services: Services, patient_id: int) -> Facts:
    return vars(housekeeping.purge_patient(services.registry, services.storages, patient_id))


def _build_smart_link(services: Services, smart_id: int) -> Facts:
    return services.smart_link_builder.build(smart_id)


def _rebuild_search(services: Services, _: int) -> Facts:
    return {"entries": checking.rebuild(services.registry)}


def _merge_search(services: Services, _: int) -> Facts:
    return {"transactions": merging.merge()}


HANDLERS = {
    "clock": JobHandler(_check_clock, clock_jumps.EVERY),
    ERASE: JobHandler(_erase),
    SCAN: JobHandler(scanning.scan_new, delay_others=True),
    WARM: JobHandler(_warm, tries=5),
    TEXT: JobHandler(reading.read_one, tries=5),
    SMART: JobHandler(_build_smart_link, tries=5),
    MOVE: JobHandler(_move),
    PURGE_PATIENT: JobHandler(_purge_patient),
    SEARCH: JobHandler(_rebuild_search),
    "merge": JobHandler(_merge_search, HOUR),
    "sweep": JobHandler(_sweep, HOUR),
    "purge": JobHandler(_purge, HOUR),
    "forget": JobHandler(_forget, HOUR),
    "verify": JobHandler(_verify, HOUR),
    "texts": JobHandler(reading.enqueue_unread, HOUR),
    "rescan": JobHandler(scanning.scan_due, scanning.RETRY_AFTER),
}


# A person waits for a SMART Health Link; reading texts can take hours, and nothing waits for it.
URGENT = tuple(name for name in HANDLERS if name not in (SMART, TEXT))


def schedule_recurring() -> None:
    """Make recurring jobs due immediately at startup, since settings may have changed."""
    with transaction():
        for name, handler in HANDLERS.items():
            if handler.every:
                jobs.make_due(name, handler.every)


def run_next(app: Any) -> bool | None:
    """Run one due job; return whether it succeeded, or None if none is due."""
    with app.app_context():
        claim = jobs.claim([SMART]) or jobs.claim(URGENT) or jobs.claim([TEXT])
        return _run(app, claim) if claim else None


def run_until(app: Any, stop: threading.Event) -> None:
    """Run jobs until `stop` is set."""
    begun = False
    while not stop.is_set():
        try:
            if not begun:
                with app.app_context():
                    clock_jumps.check(app.extensions["medfiles"].sealer.anchor)
                    schedule_recurring()
                begun = True
            if run_next(app) is None:
                stop.wait(POLL)
        except (MedfilesError, SQLAlchemyError, OSError) as error:  # the outage may be short
            log.error("no work", code=error_code(error))
            stop.wait(PAUSE)


def start_worker(app: Any, stop: threading.Event | None = None) -> threading.Thread | None:
    """Start a worker thread. Return None if only `flask medfiles worker` runs jobs."""
    if app.config["MEDFILES_JOBS"] == WORKER:
        return None
    thread = threading.Thread(target=run_until, args=(app, stop or threading.Event()), name="work", daemon=True)
    thread.start()
    return thread


def _run(app: Any, claim: Claim) -> bool:
    handler, begun = HANDLERS[claim.name], time.monotonic()
    if handler.tries and claim.tries >= handler.tries:  # the last worker died while running it
        jobs.fail(claim, "lost", None)
        log.error("given up", job=claim.name, subject=claim.subject, code="lost")
        return False
    try:
        with _renewed(app, claim):
            facts = handler.run(app.extensions["medfiles"], claim.subject)
    except Exception as error:  # noqa: BLE001 - one failed job must not stop the others
        db.session.rollback()
        last = handler.tries is not None and claim.tries + 1 >= handler.tries
        growth, code = 1 if handler.delay_others else 2 ** min(claim.tries, 10), error_code(error)
        retry_after = None if last else min(RETRY_AFTER * growth, jobs.LONGEST_WAIT)
        jobs.fail(claim, code, retry_after, delay_others=handler.delay_others)
        expected = isinstance(error, MedfilesError | SQLAlchemyError | OSError)
        write_log = log.error if expected else log.exception
        write_log("given up" if last else "failed", job=claim.name, subject=claim.subject, code=code)
        return False
    jobs.complete(claim, handler.every)
    seconds = round(time.monotonic() - begun, 2)
    # Thousands of thumbnails are not worth an info line each.
    write_log = log.info if handler.every and any(facts.values()) else log.debug
    write_log("done", job=claim.name, subject=claim.subject, seconds=seconds, **facts)
    return True


@contextmanager
def _renewed(app: Any, claim: Claim) -> Iterator[None]:
    finished = threading.Event()

    def renew_lease() -> None:
        while not finished.wait(jobs.LEASE.total_seconds() / 3):
            with app.app_context():
                try:
                    jobs.renew(claim)
                except (MedfilesError, SQLAlchemyError) as error:
                    log.error("lease not renewed", job=claim.name, code=error_code(error))

    thread = threading.Thread(target=renew_lease, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
