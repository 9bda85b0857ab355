"""gunicorn settings.

Run with `gunicorn -c python:medfiles.http.gunicorn_config "medfiles.app:create_app()"`.
"""

import errno
import gc
import os
import resource
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from gunicorn.http.unreader import SocketUnreader

from medfiles import services
from medfiles.audit.chain import seal_waiting, start_sealing
from medfiles.config import SettingError, load, unencrypted
from medfiles.http import logging
from medfiles.http.request_body import CHUNK
from medfiles.operations import instance
from medfiles.operations.confinement import check_sandbox
from medfiles.operations.worker import start_worker
from medfiles.sandbox.pool import Sandbox

try:
    settings = load(os.environ)
except SettingError as error:
    sys.exit(f"Error: {error}")

bind = f"{settings['MEDFILES_HOST']}:{settings['MEDFILES_PORT']}"
worker_class = "medfiles.http.gunicorn_worker.Worker"
workers = settings["MEDFILES_WORKERS"]
threads = settings["MEDFILES_THREADS"]
timeout = 120
graceful_timeout = 30
keepalive = 5
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # so that heartbeats never wait for a disk
accesslog = None  # the app logs one line per request
loglevel = "warning"
control_socket_disable = True
OPEN_FILES = 4096  # a process may open: its 1,000 connections, and files that are read slowly
SocketUnreader.max_body_chunk = CHUNK  # gunicorn copies what it reads ahead of the app
forwarded_allow_ips = ""  # the app itself reads forwarded headers, as set by MEDFILES_PROXIES


def on_starting(server: Any) -> None:
    """Check the installation before workers start, so that an error prints one sentence instead of tracebacks."""
    _allow_open_files()
    try:
        instance.prepare(settings)
        _require_database()
        _require_port()
        logging.configure(settings["MEDFILES_LOG_FORMAT"])
        check_sandbox(Sandbox(), settings["MEDFILES_SANDBOX"] == "require")
        _load_app(server.app)
    except SettingError as error:
        sys.exit(f"Error: {error}")


def _allow_open_files() -> None:
    """Raise the soft limit, which many systems set to 1,024: gunicorn ends a worker that cannot accept a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _require_database() -> None:
    """Check in a child process, because the object store's client starts threads, which do not survive a fork."""
    child = os.fork()
    if child == 0:
        try:
            instance.require_database(settings, services.storages_of(settings))
        except SettingError as error:
            print(f"Error: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        except Exception:  # noqa: BLE001 - the child must exit here after any error
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(1)


def _load_app(application: Any) -> None:
    """Load the app once, so that the workers start at once and share its memory.

    It must not open a database connection, use an object store or keep a thread: none of these survives a fork.
    """
    application.wsgi()
    for thread in threading.enumerate():  # in-memory rate limits start a timer of some milliseconds
        if thread is not threading.main_thread():
            thread.join(1)
    gc.collect()
    gc.freeze()  # what was loaded stays, so the collector need not look through it


def _require_port() -> None:
    address = settings["MEDFILES_HOST"], settings["MEDFILES_PORT"]
    if not {"GUNICORN_FD", "LISTEN_FDS"}.isdisjoint(os.environ):
        return  # the process inherits a socket that is already open
    try:
        family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        used = (
            "is in use by another program" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        )
        raise SettingError(
            f"Port {address[1]} on {address[0]} {used}. Stop it, or set MEDFILES_PORT or MEDFILES_HOST."
        ) from error


def when_ready(server: Any) -> None:
    if warning := unencrypted(settings):
        server.log.warning(warning)
    public = settings["MEDFILES_PUBLIC_URL"]
    for address in [public] if public else server.LISTENERS:
        print(f"\n  medfiles    {address}\n", flush=True)
    if sys.stdin.isatty():  # stop when the terminal closes; by default, gunicorn would reload
        signal.signal(signal.SIGHUP, lambda *_: server.signal(signal.SIGINT, None))


def worker_exit(server: Any, worker: Any) -> None:
    if getattr(worker, "wsgi", None):  # the worker has started
        seal_waiting(worker.wsgi)


def post_worker_init(worker: Any) -> None:
    start_sealing(worker.wsgi)
    start_worker(worker.wsgi)
