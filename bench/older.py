"""How long moving older lab results takes, and how much memory: `make bench-older SIZES="1000 10000 100000"`.

Each size is planted anew, with every fault, and moved by the command itself in a process of its own.
"""

import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from tests.legacy import installation

ROOT = Path(__file__).parents[1]
FLASK = [sys.executable, "-m", "flask", "--app", "wsgi"]
MB = 1024


def main(sizes: list[int]) -> None:
    print(f"{'files':>9} {'moved':>9} {'seconds':>9} {'a second':>9} {'largest process':>16}", flush=True)
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="medfiles-bench-") as place:
            _measure(size, Path(place))


def _measure(files: int, place: Path) -> None:
    environ = {**os.environ, "MEDFILES_INSTANCE": str(place / "instance"), "MEDFILES_LOG_FORMAT": "json"}
    run(environ, "db", "upgrade")
    elsewhere(_plant, files, place)
    begun = time.monotonic()
    status, largest = run(environ, "medfiles", "migrate-lab-results", "--json")
    seconds = time.monotonic() - begun
    assert status == 1, f"exit status {status}"  # some cannot be moved
    moved = elsewhere(_check, place)
    print(f"{files:9,} {moved:9,} {seconds:9.1f} {moved / seconds:9.1f} {largest / MB:13.0f} MB", flush=True)


def elsewhere(work: Callable[..., int], *arguments: Any) -> int:
    """In a process of its own: the largest size that is told of a command is never below that of who started it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _places(place: Path) -> tuple[str, Path]:
    return f"sqlite:///{place / 'instance' / 'medfiles.db'}", place / "instance" / "uploads"


def _plant(files: int, place: Path) -> int:
    (url, uploads), patients = _places(place), max(3, files // 50)
    older = installation.plant(url, uploads, users=patients // 3, patients=patients, results=files // 3, files=files)
    (place / "planted").write_bytes(pickle.dumps((older.files, older.emails)))
    return files


def _check(place: Path) -> int:
    url, uploads = _places(place)
    files, emails = pickle.loads((place / "planted").read_bytes())
    older = installation.Older(create_engine(url), uploads, True, files, emails=emails)
    installation.assert_all_moved(older, url, uploads)
    return len(older.movable)


def run(environ: Mapping[str, str], *words: str) -> tuple[int, int]:
    """Exit status, and the largest resident size of the command in KiB."""
    with subprocess.Popen([*FLASK, *words], cwd=ROOT, env=environ, stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, _largest(usage)


def _largest(usage: resource.struct_rusage) -> int:
    return usage.ru_maxrss


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1000, 10000])
