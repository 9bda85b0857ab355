"""`flask medfiles worker`: run jobs in a separate process."""

import signal
import threading
import time
from contextlib import suppress
from typing import Any

import click
from flask import current_app

from medfiles.audit.chain import start_sealing
from medfiles.cli.output import summary, with_summary
from medfiles.http.current import services
from medfiles.jobs import queue as jobs
from medfiles.operations import worker as operation_worker
from medfiles.operations.confinement import check_sandbox

STOP_SECONDS = 20.0  # seconds the current job has to finish after a stop signal


class StopRequested(Exception):
    """A signal asked the worker to stop."""


@click.command()
@click.option("--once", is_flag=True, help="Run the jobs that are due, then exit.")
@click.option("--again", is_flag=True, help="Also retry failed jobs.")
@with_summary
def worker(once: bool, again: bool, as_json: bool) -> None:
    """Run background jobs: thumbnails, malware scans, integrity checks, emptying the trash. Start any number of workers
    on any host. Ctrl-C or SIGTERM stops after the current job; an unfinished job is taken over by another worker."""
    check_sandbox(services().sandbox, current_app.config["MEDFILES_SANDBOX"] == "require")
    if again:
        click.echo(f"{jobs.retry_given_up():,} failed jobs will run again.", err=True)
    app: Any = current_app._get_current_object()  # type: ignore[attr-defined]
    if not once:
        return _run_until_stopped(app)
    done = failed = 0
    while (succeeded := operation_worker.run_next(app)) is not None:
        done, failed = done + succeeded, failed + (not succeeded)
    summary(as_json, f"{done:,} jobs done, {failed:,} failed.", ok=not failed, done=done, failed=failed)


def _run_until_stopped(app: Any) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _request_stop)
    start_sealing(app, stop)
    thread = threading.Thread(target=operation_worker.run_until, args=(app, stop), name="work", daemon=True)
    thread.start()
    click.echo("medfiles worker is running. Press Ctrl-C to stop.", err=True)
    with suppress(StopRequested):
        while thread.is_alive():
            time.sleep(1)  # short, because a signal that reaches another thread is handled when this one wakes
        raise click.ClickException("Internal error. The worker stopped. Details are in the log.")
    stop.set()
    thread.join(STOP_SECONDS)


def _request_stop(*_: Any) -> None:
    """Raise StopRequested. Setting the event here could deadlock on a lock held by the interrupted code."""
    raise StopRequested


COMMANDS = (worker,)
