"""The product as people run it: the real gunicorn with its own configuration, on a free port, until the block ends."""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
START_SECONDS, STOP_SECONDS = 90, 15
# A test run that is killed takes its server with it; where setpriv is missing, ending in order has to do.
TIED = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()


@contextmanager
def reserved_port() -> Iterator[int]:
    """A port for a server that goes away and comes back: bound and not listened on, so that nobody else is given it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # lets `serve` bind it as well
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        holders = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [holder.getsockname()[1] for holder in holders]


@contextmanager
def serve(
    settings: Mapping[str, str], port: int = 0, stop: int = signal.SIGINT, app: str = "wsgi:app"
) -> Iterator[str]:
    """Serve a migrated installation with these MEDFILES_* settings and yield its address, "http://127.0.0.1:…".

    On a free port unless one is given: a reserved one, for a server which was here before. It is stopped at once, as by
    Ctrl-C: nothing of the tests is under way any more; or with SIGTERM, as an upgrade does.
    """
    with _listener(port) as listener:
        bind = ["--bind", f"fd://{listener.fileno()}"]
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *bind, app]
        with started(command, listener, settings, stop) as address:
            yield address


@contextmanager
def started(
    command: list[str],
    listener: socket.socket,
    settings: Mapping[str, str],
    stop: int = signal.SIGINT,
    cwd: Path = ROOT,
) -> Iterator[str]:
    """Start this server, which is given the listening socket, and yield its address once it is ready."""
    log = Path(settings["MEDFILES_INSTANCE"]) / "server.log"
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with log.open("wb") as words:
        server = subprocess.Popen(
            [*TIED, *command], cwd=cwd, env=environment(settings), pass_fds=[listener.fileno()], stderr=words
        )
    listener.close()
    try:
        _wait(server, address, log)
        yield address
    finally:
        _stop(server, stop)


def _listener(port: int) -> socket.socket:
    """Gunicorn ends before the last of its workers does, which may listen a moment longer."""
    end = time.monotonic() + STOP_SECONDS
    while True:
        try:
            return socket.create_server(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise
            time.sleep(0.05)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with exactly these settings of medfiles, usually without text recognition."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("MEDFILES_")}
    return others | {"MEDFILES_OCR": "off"} | dict(settings)


def flask(settings: Mapping[str, str], *words: str, typed: str = "") -> str:
    """What `flask …` prints for an installation with these settings, given `typed` on standard input."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi", *words]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(settings), input=typed, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _wait(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=START_SECONDS):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')}")


def _stop(server: subprocess.Popen[bytes], how: int) -> None:
    """A worker that is told to quit while it hands on a request may wait for itself: it would outlive gunicorn."""
    others = psutil.Process(server.pid).children(recursive=True) if server.poll() is None else []
    server.send_signal(how)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
        for one in others:
            with suppress(psutil.NoSuchProcess):
                one.kill()
