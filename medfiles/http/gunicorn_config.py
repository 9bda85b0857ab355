"""gunicorn settings.

Run with `gunicorn -c python:medfiles.http.gunicorn_config "medfiles.app:create_app()"`.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from gunicorn.http.unreader import SocketUnreader

from medfiles.audit.chain import start_sealing
from medfiles.config import load
from medfiles.http import logging
from medfiles.http.request_body import CHUNK
from medfiles.operations.confinement import NotConfined, check_sandbox
from medfiles.operations.worker import start_worker
from medfiles.sandbox.pool import Sandbox

settings = load(os.environ)

bind = f"{settings['MEDFILES_HOST']}:{settings['MEDFILES_PORT']}"
worker_class = "gthread"
workers = settings["MEDFILES_WORKERS"]
threads = settings["MEDFILES_THREADS"]
timeout = 120
graceful_timeout = 30
keepalive = 5
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # heartbeats never wait for a disk
accesslog = None  # the app logs one line per request
loglevel = "warning"
control_socket_disable = True
SocketUnreader.max_body_chunk = CHUNK  # gunicorn copies what it reads ahead of the app
forwarded_allow_ips = ""  # the app reads forwarded headers, as MEDFILES_PROXIES says


def on_starting(server: Any) -> None:
    """Check the sandbox once, before any process serves."""
    logging.configure(settings["MEDFILES_LOG_FORMAT"])
    try:
        check_sandbox(Sandbox(), settings["MEDFILES_SANDBOX"] == "require")
    except NotConfined as error:
        sys.exit(error.message)


def when_ready(server: Any) -> None:
    for listener in server.LISTENERS:
        print(f"\n  medfiles    {listener}\n", flush=True)
    if sys.stdin.isatty():  # stop when the terminal closes; by default gunicorn reloads
        signal.signal(signal.SIGHUP, lambda *_: server.signal(signal.SIGINT, None))


def post_worker_init(worker: Any) -> None:
    start_sealing(worker.wsgi)
    start_worker(worker.wsgi)
