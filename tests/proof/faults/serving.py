"""The real server under faults: its worker processes, killed at any time, and how much memory they take."""

import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def children(process: int) -> list[int]:
    found: list[int] = []
    with suppress(FileNotFoundError):
        for thread in Path(f"/proc/{process}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (thread / "children").read_text().split())
    return found


def workers(instance: Path) -> list[int]:
    """The worker processes of the server that this process started for the instance."""
    named = os.fsencode(f"MEDFILES_INSTANCE={instance}")
    for server in children(os.getpid()):
        with suppress(FileNotFoundError, ProcessLookupError):
            program = Path(f"/proc/{server}/cmdline").read_bytes()
            if b"gunicorn" in program and named in Path(f"/proc/{server}/environ").read_bytes().split(b"\0"):
                return children(server)
    return []


def memory(process: int) -> int:
    """Bytes of it that are in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE


@contextmanager
def all_the_time(do: Callable[[], None], every: float) -> Iterator[None]:
    """Does it again and again beside the block, so many seconds apart, and fails as it fails."""
    stop = threading.Event()

    def again() -> None:
        while not stop.wait(every):
            do()

    with ThreadPoolExecutor(1) as beside:
        doing = beside.submit(again)
        try:
            yield
        finally:
            stop.set()
        doing.result()


class Killer:
    """Kills a worker as soon as so much more was `done` since the last time; the server starts another one."""

    def __init__(self, instance: Path, chance: random.Random, done: Callable[[], int], most: int) -> None:
        self._instance, self._chance, self._done, self._most = instance, chance, done, most
        self.kills, self._next = 0, chance.randint(1, most)

    def __call__(self) -> None:
        there = workers(self._instance) if self._done() >= self._next else []
        if there:
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(there), signal.SIGKILL)
                self.kills, self._next = self.kills + 1, self._done() + self._chance.randint(1, self._most)
