"""Work that nobody waits for: asked for with what makes it necessary, done by one, taken over when that one dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from medfiles.antivirus.clamd import Clamd
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import StorageError
from medfiles.jobs import queue as jobs
from medfiles.jobs import rounds
from medfiles.jobs.queue import SCAN, TEXT, WARM
from medfiles.models import EntityFile, Job, Rendition
from medfiles.operations import housekeeping, scanning, status
from medfiles.operations import worker as operation_worker
from tests.support import samples
from tests.support.clamav import AWAY, scanned_by
from tests.support.factories import World, run_at_once
from tests.support.server import environment

pytestmark = pytest.mark.database

ROOT = Path(__file__).parents[2]
MINUTE = timedelta(minutes=1)


def rows(**which: Any) -> list[Job]:
    db.session.rollback()
    query = select(Job).filter_by(**which).order_by(Job.id).execution_options(populate_existing=True)
    return list(db.session.scalars(query))


def told() -> list[tuple[str, int]]:
    return [(job.kind, job.subject) for job in rows()]


def given_up() -> list[tuple[str, int, str | None]]:
    return [(job.kind, job.subject, job.failure) for job in rows(due_at=None)]


def ask(kind: str, subject: int = 0, after: timedelta = timedelta(0)) -> None:
    with transaction():
        jobs.enqueue(kind, subject, after)


def make_due() -> None:
    with transaction() as session:
        for job in session.scalars(select(Job).where(Job.due_at.is_not(None))):
            job.due_at = now() - MINUTE


def die() -> None:
    """Whoever holds something has not been heard of for long."""
    with transaction() as session:
        for job in session.scalars(select(Job).where(Job.lease_until.is_not(None))):
            job.lease_until = now() - MINUTE


def handler(monkeypatch: pytest.MonkeyPatch, kind: str, **changes: Any) -> None:
    monkeypatch.setitem(operation_worker.HANDLERS, kind, replace(operation_worker.HANDLERS[kind], **changes))


def thumbnails() -> int:
    db.session.rollback()
    return len(db.session.scalars(select(Rendition.id).where(Rendition.key.is_not(None))).all())


# --- asked for ------------------------------------------------------------------------------------------------------


def test_a_document_that_can_be_drawn_is_to_get_its_thumbnail_and_to_be_read(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    assert told() == [(WARM, file.id), (TEXT, file.id)]


def test_a_text_is_only_to_be_read(world: World) -> None:
    file = world.attach(world.record(), "note.txt", b"Take one in the morning.")
    assert told() == [(TEXT, file.id)]


def test_reading_texts_waits_for_all_other_jobs(world: World) -> None:
    ask(TEXT, 7, -MINUTE)
    ask(WARM, 7)
    assert operation_worker.run_next(world.app) is True
    assert told() == [(TEXT, 7)]


def test_a_document_that_could_not_be_scanned_is_to_be_scanned_and_then_drawn(world: World, scanner: Clamd) -> None:
    file = scanned_by(world, AWAY).attach(world.record())
    assert told() == [(SCAN, file.id)]
    make_due()
    assert operation_worker.run_next(scanned_by(world, scanner).app) is True
    assert told() == [(WARM, file.id), (TEXT, file.id)]
    assert db.session.get_one(EntityFile, file.id, populate_existing=True).scan == "clean"


def test_what_is_not_committed_is_not_asked_for(world: World) -> None:
    def fails() -> None:
        with transaction():
            jobs.enqueue(WARM, 7)
            raise StorageError

    pytest.raises(StorageError, fails)
    assert told() == []


def test_what_is_asked_for_twice_is_done_once_at_the_earlier_time(world: World) -> None:
    ask(WARM, 7, MINUTE)
    ask(WARM, 7)
    ask(WARM, 7, MINUTE)
    [job] = rows()
    assert job.due_at is not None
    assert job.due_at <= now()


# --- claimed --------------------------------------------------------------------------------------------------------


def test_nobody_else_gets_what_is_claimed(world: World) -> None:
    ask(WARM, 7)
    first = jobs.claim([WARM])
    assert (first and first.subject, jobs.claim([WARM])) == (7, None)


def test_what_is_not_due_yet_is_not_given_out(world: World) -> None:
    ask(WARM, 7, MINUTE)
    assert jobs.claim([WARM]) is None


@pytest.mark.parametrize(("kind", "longest"), [(WARM, jobs.LONGEST_WAIT), (jobs.ERASE, jobs.ERASE_AFTER)])
def test_job_waits_until_it_is_due_unless_it_is_due_later_than_it_can_be(
    world: World, kind: str, longest: timedelta
) -> None:
    ask(kind, 7, longest)
    assert jobs.claim([kind]) is None
    ask(kind, 8, longest + 6 * MINUTE)  # set while a clock was ahead
    claimed = jobs.claim([kind])
    assert (claimed and claimed.subject) == 8


def test_the_longest_due_comes_first(world: World) -> None:
    ask(WARM, 7)
    ask(WARM, 8, -MINUTE)
    claims = [jobs.claim([WARM]) for _ in range(2)]
    assert [claim and claim.subject for claim in claims] == [8, 7]


def test_what_a_dead_one_held_is_taken_over(world: World) -> None:
    ask(WARM, 7)
    jobs.claim([WARM])
    die()
    again = jobs.claim([WARM])
    assert again is not None
    assert (again.subject, again.tries) == (7, 1)


def test_who_renews_its_lease_keeps_it(world: World) -> None:
    ask(WARM, 7)
    claim = jobs.claim([WARM])
    assert claim is not None
    die()
    assert jobs.renew(claim)
    assert jobs.claim([WARM]) is None


def test_who_was_thought_dead_ends_nothing_that_another_one_does(world: World) -> None:
    ask(WARM, 7)
    late = jobs.claim([WARM])
    die()
    other = jobs.claim([WARM])
    assert late is not None
    assert other is not None
    assert not jobs.renew(late)
    jobs.complete(late)
    jobs.fail(late, "late", None)
    assert [(job.holder, job.failure) for job in rows()] == [(other.holder, None)]


def test_what_is_asked_for_while_it_is_done_is_done_again(world: World) -> None:
    ask(WARM, 7)
    claim = jobs.claim([WARM])
    assert claim is not None
    ask(WARM, 7)
    jobs.complete(claim)
    again = jobs.claim([WARM])
    assert again is not None
    jobs.complete(again)
    assert told() == []


def test_many_at_once_do_each_job_once(world: World) -> None:
    with transaction():
        for number in range(40):
            jobs.enqueue(WARM, number + 1)
    taken: list[int] = []

    def take() -> None:
        with world.app.app_context():
            while claim := jobs.claim([WARM]):
                taken.append(claim.subject)
                jobs.complete(claim)

    run_at_once([take] * 4)
    assert (sorted(taken), told()) == ([*range(1, 41)], [])


# --- done -----------------------------------------------------------------------------------------------------------


def test_the_thumbnail_is_there_before_anybody_looks(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    make_due()
    assert operation_worker.run_next(world.app) is True
    assert (thumbnails(), told()) == (1, [(TEXT, file.id)])
    world.assert_settled()


@pytest.mark.parametrize("how", ["trashed", "purged"])
def test_of_a_document_that_is_gone_none_is_made(world: World, how: str) -> None:
    file = world.attach(world.record(), "photo.png")
    world.documents().trash(file.id)
    if how == "purged":
        world.documents().purge(file.id)
    make_due()
    assert operation_worker.run_next(world.app) is True
    assert (thumbnails(), rows(kind=WARM)) == (0, [])


def test_done_twice_it_is_the_same(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    for _ in range(2):
        ask(WARM, file.id)
        assert operation_worker.run_next(world.app) is True
    assert thumbnails() == 1
    world.assert_settled()


def test_what_is_done_every_so_often_is_due_again(world: World) -> None:
    operation_worker.schedule_recurring()
    while operation_worker.run_next(world.app):
        pass
    often = {kind: handler.every for kind, handler in operation_worker.HANDLERS.items() if handler.every}
    left = {job.kind: round(((job.due_at or now()) - now()) / MINUTE) for job in rows()}
    assert left == {kind: round(every / MINUTE) for kind, every in often.items()}
    assert {job.tries for job in rows()} == {0}


def test_a_start_has_it_done_now_unless_that_was_just_done(world: World) -> None:
    operation_worker.schedule_recurring()
    while operation_worker.run_next(world.app):
        pass
    operation_worker.schedule_recurring()
    assert operation_worker.run_next(world.app) is None
    with transaction() as session:
        session.scalars(select(Job).where(Job.kind == "purge")).one().due_at = now() + timedelta(minutes=30)
    operation_worker.schedule_recurring()
    assert [job.kind for job in rows() if (job.due_at or now()) <= now()] == ["purge"]


def test_what_is_due_in_the_trash_goes_for_ever(world: World) -> None:
    file = world.attach(world.record())
    world.documents().trash(file.id)
    with transaction() as session:
        row = session.get_one(EntityFile, file.id)
        row.uploaded_at = row.deleted_at = now() - timedelta(days=90)
        row.deleted_round = rounds.current() - 15
    ask("purge")
    make_due()
    while operation_worker.run_next(world.app):
        pass
    assert world.files() == []


# --- failed ---------------------------------------------------------------------------------------------------------


def test_failed_job_is_retried_with_backoff_and_then_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> Any:
        raise StorageError

    handler(monkeypatch, WARM, run=fails, tries=3)
    ask(WARM, 7)
    waits: list[int | None] = []
    for _ in range(3):
        begun = now()
        assert operation_worker.run_next(world.app) is False
        [job] = rows()
        waits.append(round((job.due_at - begun).total_seconds()) if job.due_at else None)
        make_due()
    assert (waits, given_up()) == ([10, 20, None], [(WARM, 7, "storage")])
    assert operation_worker.run_next(world.app) is None


def test_what_always_costs_the_life_of_who_does_it_is_given_up(world: World) -> None:
    ask(WARM, 7)
    for _ in range(5):
        jobs.claim([WARM])
        die()
    assert operation_worker.run_next(world.app) is False
    assert given_up() == [(WARM, 7, "lost")]


def test_failed_job_leaves_others(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    handler(monkeypatch, "sweep", run=lambda *_: 1 // 0)
    ask("sweep", after=-MINUTE)
    ask("forget")
    assert [operation_worker.run_next(world.app) for _ in range(3)] == [False, True, None]
    assert [job.failure for job in rows(kind="sweep")] == ["ZeroDivisionError"]


def test_while_the_scanner_is_away_all_that_wait_for_it_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [scanned_by(world, AWAY).attach(world.record()) for _ in range(3)]
    make_due()
    asked: list[int] = []
    scan = operation_worker.HANDLERS[SCAN].run

    def counted(parts: Any, subject: int) -> Any:
        asked.append(subject)
        return scan(parts, subject)

    handler(monkeypatch, SCAN, run=counted)
    assert [operation_worker.run_next(world.app) for _ in range(2)] == [False, None]
    assert (asked, {job.failure for job in rows()}) == ([files[0].id], {None, "ScannerUnreachable"})


def test_what_was_given_up_is_tried_anew_when_asked_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(WARM, 7)
    claim = jobs.claim([WARM])
    assert claim is not None
    jobs.fail(claim, "storage", None)
    assert status.measure(world.parts).jobs == jobs.QueueStatus(0, None, 0, 1)
    done = world.app.test_cli_runner().invoke(args=["medfiles", "worker", "--once", "--again"])
    assert (done.exit_code, done.stdout, told()) == (0, "1 jobs done, 0 failed.\n", [])


# --- in a server, in a process of its own ---------------------------------------------------------------------------


def at_work(world: World, stop: threading.Event, until: Any) -> bool:
    thread = operation_worker.start_worker(world.app, stop)
    assert thread is not None
    deadline = time.monotonic() + 20
    while not until() and time.monotonic() < deadline:
        stop.wait(0.02)
    stop.set()
    thread.join(20)
    return bool(until())


def test_a_server_process_does_what_is_due(world: World) -> None:
    world.attach(world.record(), "photo.png")
    make_due()
    assert at_work(world, threading.Event(), lambda: thumbnails() == 1)


def test_it_outlives_a_database_or_disk_that_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    errors: list[Exception] = [OperationalError("SELECT 1", {}, Exception()), OSError(5, "gone"), StorageError()]
    claim, left = jobs.claim, iter(errors)

    def failing(kinds: Any) -> Any:
        if error := next(left, None):
            raise error
        return claim(kinds)

    monkeypatch.setattr(jobs, "claim", failing)
    monkeypatch.setattr(operation_worker, "PAUSE", 0.01)
    world.attach(world.record(), "photo.png")
    make_due()
    assert at_work(world, threading.Event(), lambda: thumbnails() == 1)


def test_a_server_leaves_it_to_the_worker_when_told_so(world: World) -> None:
    world.app.config["MEDFILES_JOBS"] = "worker"
    assert operation_worker.start_worker(world.app) is None


def test_a_long_job_is_held_as_long_as_it_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LEASE", timedelta(seconds=0.3))
    held: list[datetime] = []

    def long(*_: Any) -> Any:
        deadline = time.monotonic() + 20
        while len(set(held)) < 3 and time.monotonic() < deadline:
            db.session.rollback()
            held.append(db.session.scalars(select(Job.lease_until)).one() or now())
        return {}

    handler(monkeypatch, WARM, run=long)
    ask(WARM, 7)
    assert operation_worker.run_next(world.app) is True
    assert len(set(held)) == 3


@pytest.fixture
def environ(world: World) -> dict[str, str]:
    own = {name: str(world.app.config[name]) for name in ("MEDFILES_INSTANCE", "MEDFILES_DATABASE_URL")}
    return environment({**own, "MEDFILES_JOBS": "worker", "MEDFILES_LOG_FORMAT": "json"})


@contextmanager
def worker(environ: dict[str, str], *options: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "medfiles", "worker", *options]
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=-1, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(process: "subprocess.Popen[str]", true: Callable[[], bool]) -> None:
    """Give the process up to five minutes: the machine may be busy."""
    end = time.monotonic() + 300
    while not true() and time.monotonic() < end:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            return


def test_a_worker_does_what_is_due_until_it_is_told_to_end(world: World, environ: dict[str, str]) -> None:
    file = world.attach(world.record(), "photo.png")
    make_due()
    with worker(environ) as process:
        wait_until(process, lambda: not rows(kind=WARM, subject=file.id))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert (process.returncode, thumbnails()) == (0, 1)
    assert rows(kind=WARM) == []
    assert rows(kind="sweep") != []


def test_the_job_of_a_worker_that_is_killed_is_done_by_the_next(world: World, environ: dict[str, str]) -> None:
    file = world.attach(world.record(), "photo.png")
    (world.uploads / file.file_path).unlink()
    os.mkfifo(world.uploads / file.file_path)  # whoever reads it waits
    make_due()
    with worker(environ) as process:
        wait_until(process, lambda: any(job.lease_until for job in rows(kind=WARM)))
        process.kill()
        process.communicate()
    assert [job.tries for job in rows(kind=WARM)] == [1]
    (world.uploads / file.file_path).unlink()
    (world.uploads / file.file_path).write_bytes(samples.png())
    die()
    world.sweep(now() + timedelta(hours=1))  # the picture that it had begun is nobody's by then
    with worker(environ, "--once") as process:
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, thumbnails(), rows(kind=WARM)) == (0, 1, [])


def test_the_status_page_says_when_nobody_does_what_is_due(world: World) -> None:
    ask(WARM, 7, timedelta(minutes=-10))
    found = status.measure(world.parts)
    assert (found.jobs.due, found.jobs_late >= 600) == (1, True)


def test_older_documents_are_scanned_now_and_again(world: World, scanner: Clamd) -> None:
    file = world.attach(world.record())
    scanned_by(world, scanner)
    ask("rescan")
    while operation_worker.run_next(world.app):
        pass
    assert db.session.get_one(EntityFile, file.id, populate_existing=True).scan == "clean"


def test_without_a_scanner_there_is_nothing_to_scan(world: World) -> None:
    assert scanning.scan_due(replace(world.parts, scanner=None)) == {}


def test_while_the_scanner_is_away_older_documents_wait(world: World) -> None:
    world.attach(world.record())
    with pytest.raises(scanning.ScannerUnreachable):
        scanning.scan_due(replace(world.parts, scanner=AWAY))


def test_a_thumbnail_that_somebody_has_made_meanwhile_is_left(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    world.previews().thumbnail(file.id)
    assert housekeeping.warm_one(world.parts.renderer, file.id) is False
