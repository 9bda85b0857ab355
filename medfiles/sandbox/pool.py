"""Run parsers and renderers in worker processes, because they may crash, hang or use too much memory."""

import contextlib
import json
import logging
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from medfiles.errors import MedfilesError, Rejected, StorageError
from medfiles.sandbox.output import Output

log = logging.getLogger(__name__)
START = "start"
SPARE_AT = 20  # jobs left when a worker's replacement is started early, so that no caller waits for it
INSPECTION = ("medfiles.sandbox.inspect.inspection",)
PACKAGE = Path(__file__).resolve().parents[1]
KILLED = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT, -signal.SIGQUIT}
STARVED = 0.25  # share of the elapsed time: a job with less processor time than that was held up by others
Layers = Mapping[str, str]  # confinement layer -> "" if active, otherwise why it is missing
BOOT = """
import os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one thread per processor would exhaust the address space
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from medfiles.sandbox.worker import main
main()
"""


class NotChecked(Rejected):
    """The content could not be checked safely, so it is not stored."""

    code = "not-checked"

    def __init__(
        self,
        message: str = "This file could not be checked safely, so it was not stored. "
        "Save it again from the program that created it, then upload it again.",
    ) -> None:
        super().__init__(message)


class WorkerDied(NotChecked):
    """The worker crashed, ran out of memory or made a forbidden system call."""


class TimedOut(NotChecked):
    """The worker exceeded its limit of CPU time or wall-clock time."""

    def __init__(
        self,
        message: str = "This file took too long to check safely, so it was not stored. "
        "Save it again from the program that created it, then upload it again.",
    ) -> None:
        super().__init__(message)


class Busy(StorageError):
    """No worker became free in time; the file itself is not at fault."""

    code = "busy"

    def __init__(self, message: str = "Too many files are being checked. Please try again in a minute.") -> None:
        super().__init__(message)


class WorkerUnavailable(Busy):
    """A worker did not start, got no processor time or was killed from outside; the file itself is not at fault."""

    def __init__(self) -> None:
        super().__init__("Files cannot be opened right now. Please try again in a minute.")


@dataclass(frozen=True)
class Limits:
    """Limits for a worker, in bytes and seconds.

    `cpu`, `wall` and `answer` apply to each job; `memory` and `handles` apply to the worker, which is replaced after
    `jobs` jobs. `start` limits how long a worker takes to start, and `queue` how long a caller waits for a free one.
    `nice` is 0 to 19. `without` names optional modules that libraries must not load, because no task needs them. With
    `require_confinement`, no job is run in a worker that lacks a layer. `landlock` is the version to use instead of the
    one that the kernel reports.
    """

    memory: int = 2 * 1024**3
    cpu: int = 10
    wall: float = 20.0
    handles: int = 64
    jobs: int = 1000
    answer: int = 32 * 1024**2
    start: float = 30.0
    queue: float = 30.0
    nice: int = 0
    without: tuple[str, ...] = ()
    require_confinement: bool = False
    landlock: int | None = None


INSPECTION_LIMITS = Limits(without=("gdcm", "numpy", "requests"))  # optional for pydicom, half of a worker's start time


class Worker:
    """A worker process and our end of its socket."""

    def __init__(self, tasks: Sequence[str], limits: Limits) -> None:
        self.limits, self.owner, self.jobs = limits, os.getpid(), 0
        self.busy = False
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                command(tasks, limits),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
            )
        self.layers: Layers = self._exchange(START, limits.start)
        if limits.require_confinement and (missing := missing_layers(self.layers)):
            raise self._fail(START, ConnectionAbortedError(f"not confined: {missing}"))

    @property
    def usable(self) -> bool:
        """Whether the worker can take a job: it is not worn out, busy, dead, or inherited through a fork."""
        fresh = self.jobs < self.limits.jobs and not self.busy
        return fresh and self.owner == os.getpid() and self.process.poll() is None

    def run(self, task: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a task. Files are passed as open descriptors, so that the worker needs no access to any other file."""
        self.jobs += 1
        paths = {name: value for name, value in arguments.items() if isinstance(value, Path)}
        outputs = {name: value for name, value in arguments.items() if isinstance(value, Output)}
        plain = {name: value for name, value in arguments.items() if name not in paths and name not in outputs}
        job = {"task": task, "arguments": plain, "files": list(paths), "outputs": list(outputs)}
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(open_file(path)) for path in paths.values()]
            files += [stack.enter_context(output.created()) for output in outputs.values()]
            return self._exchange(task, self.limits.wall, job, [file.fileno() for file in files])

    def stop(self) -> None:
        self.channel.close()
        if self.owner == os.getpid() and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _exchange(
        self, task: str, seconds: float, job: dict[str, Any] | None = None, handles: Sequence[int] = ()
    ) -> dict[str, Any]:
        self.busy, started = True, (time.monotonic(), self._processor_time()[0])
        try:
            if job:
                self._send(json.dumps(job).encode() + b"\n", handles, seconds)
            reply = self._receive(seconds)
            self.busy = False
            return reply
        except (OSError, ValueError, RecursionError) as error:
            raise self._fail(task, error, *started) from error

    def _send(self, line: bytes, handles: Sequence[int], seconds: float) -> None:
        self.channel.settimeout(seconds)
        sent = socket.send_fds(self.channel, [line], handles)
        self.channel.sendall(line[sent:])

    def _receive(self, seconds: float) -> dict[str, Any]:
        deadline, received = time.monotonic() + seconds, bytearray()
        while not received.endswith(b"\n"):
            self.channel.settimeout(max(deadline - time.monotonic(), 0.001))
            piece = self.channel.recv(65536)
            received += piece
            if not piece or len(received) > self.limits.answer:
                raise ConnectionResetError("no whole answer")
        match json.loads(received):
            case {"answer": dict(answer)}:
                return answer
            case {"died": str(cause)} if cause.isidentifier():  # safe to log
                raise ConnectionAbortedError(cause)
        raise ValueError("not an answer")

    def _fail(self, task: str, error: Exception, started: float = 0, used: float = 0) -> MedfilesError:
        starved = isinstance(error, TimeoutError) and self._is_starved(started, used)
        if not isinstance(error, TimeoutError):  # it closed its socket and is about to exit: its status says why
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=1)
        status = self.process.poll()
        self.stop()
        log.warning("sandbox worker fell: task=%s status=%s cause=%s: %s", task, status, type(error).__name__, error)
        if task == START or status in KILLED or starved:
            return WorkerUnavailable()
        slow = isinstance(error, TimeoutError) or status in (-signal.SIGXCPU, -signal.SIGALRM)
        return TimedOut() if slow else WorkerDied()

    def _is_starved(self, started: float, used: float) -> bool:
        """Return whether the worker is stopped, waits for the disk, or waits for a processor most of the time."""
        now, state = self._processor_time()
        waits = now - used < STARVED * (time.monotonic() - started)
        return state in ("T", "t", "D") or (state == "R" and waits)

    def _processor_time(self) -> tuple[float, str]:
        """Return the worker's processor time in seconds, and its state as in proc(5)."""
        try:
            state, *fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0, ""
        return (int(fields[10]) + int(fields[11])) / os.sysconf("SC_CLK_TCK"), state


class Sandbox:
    """A pool of up to `workers` processes, started on demand and shared by all threads.

    `tasks` lists modules or Python files, each with a table TASKS: name -> function(**arguments) -> dict. A Path
    argument arrives as a binary file open for reading, an `Output` as one open for writing too; all other arguments
    are sent as JSON.
    """

    def __init__(
        self,
        workers: int = 2,
        tasks: Sequence[str] = INSPECTION,
        limits: Limits = INSPECTION_LIMITS,
    ) -> None:
        self.tasks, self.limits = tuple(tasks), limits
        self._slots: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        self._size = workers
        self._spares: queue.SimpleQueue[Worker] = queue.SimpleQueue()  # replacements for worn-out workers
        self._starting: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._layers: Layers | None = None
        for _ in range(workers):
            self._slots.put(None)

    def run(self, task: str, **arguments: Any) -> dict[str, Any]:
        """Run a task and return its result.

        Raises `WorkerDied` or `TimedOut` if the file is at fault, and `Busy` or `WorkerUnavailable` if it is not.
        """
        with self._worker() as worker:
            return worker.run(task, arguments)

    def layers(self) -> Layers:
        """Return the confinement layers that a worker reports. The first call starts a worker just to ask."""
        if self._layers is None:
            try:
                probe = Worker((), replace(self.limits, require_confinement=False))
            except WorkerUnavailable:
                return {"worker": "does not start"}
            self._layers = probe.layers
            probe.stop()
        return self._layers

    def close(self) -> None:
        """Stop all workers after their current jobs. A later run starts new ones."""
        slots = [self._acquire() for _ in range(self._size)]
        for slot in slots:
            if slot:
                slot.stop()
            self._slots.put(None)
        with self._lock:
            starting, self._starting = self._starting, []
        for thread in starting:
            thread.join()
        while worker := self._take_spare():
            worker.stop()

    @contextlib.contextmanager
    def _worker(self) -> Iterator[Worker]:
        worker = self._acquire()
        try:
            if worker is None or not worker.usable:
                worker = self._replace(worker)
            yield worker
        finally:
            self._release(worker)

    def _acquire(self) -> Worker | None:
        try:
            return self._slots.get(timeout=self.limits.queue)
        except queue.Empty:
            raise Busy() from None

    def _replace(self, old: Worker | None) -> Worker:
        if old:
            old.stop()
        while worker := self._take_spare():
            if worker.usable:
                return worker
            worker.stop()
        return Worker(self.tasks, self.limits)

    def _take_spare(self) -> Worker | None:
        try:
            return self._spares.get_nowait()
        except queue.Empty:
            return None

    def _start_spare(self) -> None:
        with contextlib.suppress(WorkerUnavailable):  # the caller that needs it starts one itself
            self._spares.put(Worker(self.tasks, self.limits))

    def _release(self, worker: Worker | None) -> None:
        if worker and worker.jobs == self.limits.jobs - SPARE_AT:
            thread = threading.Thread(target=self._start_spare, name="next worker", daemon=True)
            with self._lock:
                thread.start()
                self._starting = [*(one for one in self._starting if one.is_alive()), thread]
        if worker and not worker.usable:
            worker.stop()
            worker = None
        self._slots.put(worker)


class ConcurrencyLimit:
    """A limit of `size` concurrent callers. Any further caller gets `Busy`.

    This keeps slow work from occupying every thread of the server.
    """

    def __init__(self, size: int = 4) -> None:
        self._semaphore = threading.BoundedSemaphore(size)

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        if not self._semaphore.acquire(blocking=False):
            raise Busy()
        try:
            yield
        finally:
            self._semaphore.release()


def missing_layers(layers: Layers) -> dict[str, str]:
    """Return the inactive layers, each with the reason."""
    return {name: reason for name, reason in layers.items() if reason}


def open_file(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise StorageError() from error


def command(tasks: Sequence[str], limits: Limits) -> list[str]:
    settings = {
        "tasks": list(tasks),
        "memory": limits.memory,
        "handles": limits.handles,
        "cpu": limits.cpu,
        "wall": limits.wall + 1,
        "nice": limits.nice,
        "without": limits.without,
        "landlock": limits.landlock,
    }
    flags = ["-I", "-X", "utf8", "-W", "ignore"]
    return [sys.executable, *flags, "-c", BOOT, str(PACKAGE), json.dumps(settings)]
