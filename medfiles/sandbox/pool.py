"""Run a parser or renderer in a limited worker process: untrusted bytes may crash, hang or bloat that
process, never ours."""

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from medfiles.errors import Rejected, StorageError

log = logging.getLogger(__name__)
AHEAD = 20  # jobs before a worker is worn out: the next one is started then, so that nobody waits for it
INSPECTION = ("medfiles.sandbox.inspect.inspection",)
NO_PIXELS = ("gdcm", "numpy", "requests")  # pydicom's, half of the time a worker needs to start
PACKAGE = Path(__file__).resolve().parents[1]
BOOT = """
import os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a thread for each processor would use up the address space
sys.path.insert(0, os.path.dirname(sys.argv[1]))
from medfiles.sandbox.worker import main
main()
"""


class NotChecked(Rejected):
    """The content could not be checked safely, so it is not kept."""

    code = "not-checked"

    def __init__(
        self,
        message: str = "This file could not be checked safely, so it was not stored. "
        "Save it again from the program that created it, or upload it as a PDF.",
    ) -> None:
        super().__init__(message)


class WorkerDied(NotChecked):
    """The worker crashed, ran out of memory or did what it must not."""


class TimedOut(NotChecked):
    """The worker used up its processor time or the time on the wall clock."""

    def __init__(
        self,
        message: str = "This file took too long to check safely, so it was not stored. "
        "Save it again from the program that created it, or upload it as a PDF.",
    ) -> None:
        super().__init__(message)


class Busy(StorageError):
    """Every worker was taken for as long as a caller may wait: nothing is wrong with the file."""

    code = "busy"

    def __init__(self, message: str = "Too many files are being checked. Please try again in a minute.") -> None:
        super().__init__(message)


@dataclass(frozen=True)
class Limits:
    """Bytes and seconds. `cpu`, `wall` and `answer` hold for one job, `memory` and `handles` for a worker. `nice`, 0 to
    19, is how far it stands back when processors are short. `without`: modules that libraries would load when they are
    there, and that none of its tasks needs."""

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


class Worker:
    """One process and our end of its socket."""

    def __init__(self, tasks: Sequence[str], limits: Limits) -> None:
        self.limits, self.owner, self.jobs = limits, os.getpid(), 0
        self.mid_job = False
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
        self._exchange("start", limits.start)

    @property
    def usable(self) -> bool:
        """Not after a fork (a child must not share its parent's workers), nor with an answer uncollected."""
        fresh = self.jobs < self.limits.jobs and not self.mid_job
        return fresh and self.owner == os.getpid() and self.process.poll() is None

    def ask(self, task: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Files go as open descriptors: the worker can read them and reach no other file."""
        self.jobs += 1
        paths = {name: value for name, value in arguments.items() if isinstance(value, Path)}
        plain = {name: value for name, value in arguments.items() if name not in paths}
        job = {"task": task, "arguments": plain, "files": list(paths)}
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(opened(path)) for path in paths.values()]
            reply = self._exchange(task, self.limits.wall, job, [file.fileno() for file in files])
        answer: dict[str, Any] = reply["answer"]
        return answer

    def stop(self) -> None:
        self.channel.close()
        if self.owner == os.getpid() and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _exchange(
        self, task: str, seconds: float, job: dict[str, Any] | None = None, handles: Sequence[int] = ()
    ) -> dict[str, Any]:
        self.mid_job = True
        try:
            if job:
                self._tell(json.dumps(job).encode() + b"\n", handles, seconds)
            reply = self._hear(seconds)
            if "died" in reply:
                raise ConnectionAbortedError(reply["died"])
            self.mid_job = False
            return reply
        except (OSError, ValueError) as error:
            raise self._fall(task, error) from error

    def _tell(self, line: bytes, handles: Sequence[int], seconds: float) -> None:
        self.channel.settimeout(seconds)
        sent = socket.send_fds(self.channel, [line], handles)
        self.channel.sendall(line[sent:])

    def _hear(self, seconds: float) -> dict[str, Any]:
        deadline, heard = time.monotonic() + seconds, bytearray()
        while not heard.endswith(b"\n"):
            self.channel.settimeout(max(deadline - time.monotonic(), 0.001))
            piece = self.channel.recv(65536)
            heard += piece
            if not piece or len(heard) > self.limits.answer:
                raise ConnectionResetError("no whole answer")
        reply: dict[str, Any] = json.loads(heard)
        return reply

    def _fall(self, task: str, error: Exception) -> NotChecked:
        if not isinstance(error, TimeoutError):
            self._settle()
        self.stop()
        status = self.process.returncode
        log.warning("sandbox worker fell: task=%s status=%s cause=%s: %s", task, status, type(error).__name__, error)
        slow = isinstance(error, TimeoutError) or status in (-signal.SIGXCPU, -signal.SIGALRM)
        return TimedOut() if slow else WorkerDied()

    def _settle(self) -> None:
        """A worker that closed its socket is about to end: wait, so that its own exit status tells why."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=1)


class Sandbox:
    """At most `workers` processes, started when first needed and shared by all threads of this process.

    `tasks` names modules, or Python files, that hold a table TASKS: name -> function(**arguments) -> dict.
    An argument that is a Path arrives there as a binary file open for reading; all else travels as JSON."""

    def __init__(
        self,
        workers: int = 2,
        tasks: Sequence[str] = INSPECTION,
        limits: Limits | None = None,
    ) -> None:
        self.tasks, self.limits = tuple(tasks), limits or Limits(without=NO_PIXELS)
        self._slots: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        self._size = workers
        self._next: queue.SimpleQueue[Worker] = queue.SimpleQueue()  # started ahead of time, for those soon worn out
        self._starting: list[threading.Thread] = []
        self._lock = threading.Lock()
        for _ in range(workers):
            self._slots.put(None)

    def run(self, task: str, **arguments: Any) -> dict[str, Any]:
        """The task's answer; `WorkerDied`, `TimedOut`, or `Busy` when no worker was free in time."""
        with self._worker() as worker:
            return worker.ask(task, arguments)

    def close(self) -> None:
        """End all workers once their present job is done. A later run starts new ones."""
        slots = [self._claim() for _ in range(self._size)]
        for slot in slots:
            if slot:
                slot.stop()
            self._slots.put(None)
        with self._lock:
            starting, self._starting = self._starting, []
        for thread in starting:
            thread.join()
        while worker := self._ahead():
            worker.stop()

    @contextlib.contextmanager
    def _worker(self) -> Iterator[Worker]:
        worker = self._claim()
        try:
            if worker is None or not worker.usable:
                worker = self._renew(worker)
            yield worker
        finally:
            self._release(worker)

    def _claim(self) -> Worker | None:
        try:
            return self._slots.get(timeout=self.limits.queue)
        except queue.Empty:
            raise Busy() from None

    def _renew(self, worn: Worker | None) -> Worker:
        if worn:
            worn.stop()
        while worker := self._ahead():
            if worker.usable:
                return worker
            worker.stop()
        return Worker(self.tasks, self.limits)

    def _ahead(self) -> Worker | None:
        try:
            return self._next.get_nowait()
        except queue.Empty:
            return None

    def _start(self, thread: threading.Thread) -> None:
        with self._lock:
            thread.start()
            self._starting = [*(one for one in self._starting if one.is_alive()), thread]

    def _start_ahead(self) -> None:
        with contextlib.suppress(NotChecked):  # whoever needs it then starts one
            self._next.put(Worker(self.tasks, self.limits))

    def _release(self, worker: Worker | None) -> None:
        if worker and worker.jobs == self.limits.jobs - AHEAD:
            self._start(threading.Thread(target=self._start_ahead, name="next worker", daemon=True))
        if worker and not worker.usable:
            worker.stop()
            worker = None
        self._slots.put(worker)


class Room:
    """At most `size` callers at once, each of whom may hold a thread of the server for long; one more is `Busy`."""

    def __init__(self, size: int = 4) -> None:
        self._places = threading.BoundedSemaphore(size)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise Busy()
        try:
            yield
        finally:
            self._places.release()


def opened(path: Path) -> IO[bytes]:
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
    }
    flags = ["-I", "-X", "utf8", "-W", "ignore"]
    return [sys.executable, *flags, "-c", BOOT, str(PACKAGE), json.dumps(settings)]
