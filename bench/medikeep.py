"""How long importing a MediKeep takes, and how much memory: `make bench-medikeep SIZES="1000 10000"`.

Each size is planted anew: small letters and PDFs of records of all kinds. The command itself imports them in a process
of its own. Processor time is printed too, because it says more than seconds do on a machine with other work.
"""

import os
import pickle
import resource
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import create_engine, text

from bench.older import MB, elsewhere, run
from tests.legacy import medikeep

PER_PATIENT = 50  # files


def main(sizes: list[int]) -> None:
    print(f"{'files':>9} {'seconds':>9} {'a second':>9} {'processor':>12} {'largest process':>16}", flush=True)
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="medfiles-bench-") as place:
            _measure(size, Path(place))


def _measure(files: int, place: Path) -> None:
    environ = {**os.environ, "MEDFILES_INSTANCE": str(place / "instance"), "MEDFILES_LOG_FORMAT": "json"}
    run(environ, "db", "upgrade")
    elsewhere(_plant, files, place)
    command = pickle.loads((place / "planted").read_bytes())
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    status, largest = run(environ, "medfiles", *command, "--json")
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert status == 0, f"exit status {status}"
    moved = elsewhere(_count, place)
    assert moved == files, f"{moved:,} of {files:,} files moved"
    busy = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / files * 1000
    row = f"{files:9,} {seconds:9.1f} {files / seconds:9.1f} {busy:9.2f} ms {largest / MB:13.0f} MB"
    print(row, flush=True)


def _plant(files: int, place: Path) -> int:
    url, uploads = f"sqlite:///{place / 'medikeep.db'}", place / "medikeep"
    there = medikeep.plant(url, uploads, newer=True, files=files, faults=None, patients=max(3, files // PER_PATIENT))
    (place / "planted").write_bytes(pickle.dumps(there.command))
    return files


def _count(place: Path) -> int:
    engine = create_engine(f"sqlite:///{place / 'instance' / 'medfiles.db'}")
    with engine.connect() as connection:
        moved = connection.execute(text("SELECT COUNT(*) FROM entity_files")).scalar_one()
    engine.dispose()
    return int(moved)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [1000, 10000])
