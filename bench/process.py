"""The server process itself: how soon it answers, how much memory uploads cost it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psutil

from bench.ground import OURS, Bench
from bench.rounds import Contest, Figure, contest
from bench.servers import KIB, MIB, Paper, medfiles, object_store, settings_in
from bench.uploads import to_us
from medfiles.database.session import db
from tests.proof.faults.serving import workers
from tests.support.server import environment, serve


def starts(bench: Bench) -> Iterator[Contest]:
    def start() -> float:
        begun = time.perf_counter()
        settings = settings_in(bench.place / "start", WORKERS="2")
        with serve(settings) as address:
            seconds = time.perf_counter() - begun
            assert address
        return seconds * 1000

    (bench.place / "start").mkdir()
    (bench.place / "start" / "instance").mkdir(mode=0o700)
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    subprocess.run(command, env=environment(settings_in(bench.place / "start")), check=True, stderr=subprocess.DEVNULL)
    yield contest("Start to first answer", "ms", {OURS: start}, bench.rounds)


def memory(bench: Bench) -> Iterator[Contest]:
    yield _memory(bench, "disk")
    with object_store() as address, medfiles(bench.place / "objects", STORAGE_URL=address) as site:
        visits = [site.world.record().id for _ in range(4)]
        db.session.rollback()
        yield _memory(replace(bench, site=site, visits=visits), "an object store")


def _memory(bench: Bench, where: str) -> Contest:
    """How much more a server process takes at most while four clients send 20 MiB each, than before."""
    paper, small = Paper(20 * MIB - 4096), Paper(100 * KIB)
    to_us(bench, small, 40, 4)
    there = [psutil.Process(one) for one in workers(bench.site.place / "instance")]
    before = [process.memory_info().rss for process in there]
    values = []
    for _ in range(bench.rounds):
        most = before[:]
        with ThreadPoolExecutor(1) as beside:
            sending = beside.submit(to_us, bench, paper, 8, 4)
            while not sending.done():
                most = [max(old, process.memory_info().rss) for old, process in zip(most, there, strict=True)]
            sending.result()
        values.append(max(new - old for old, new in zip(before, most, strict=True)) / MIB)
    return Contest(f"Memory of a worker, 4 × 20 MiB to {where}", "MiB", {OURS: Figure.of(values)})
