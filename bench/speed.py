"""How fast medfiles is beside what does less: `make bench`; with `--write` docs/performance.md is made of it.

`--rounds 2 --only upload` for a first look.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psutil

from bench import report
from bench.client import Client, seconds_each, seconds_together
from bench.rounds import Contest, Figure, Round, contest
from bench.servers import (
    ACCEL,
    KIB,
    MIB,
    Paper,
    Site,
    bare,
    folder,
    front,
    medfiles,
    object_store,
    request,
    settings_in,
)
from medfiles.db import db
from medfiles.models import EntityFile
from tests import many, samples
from tests.faults.serving import workers
from tests.server import environment, serve

OURS, BARE, PLAIN, NGINX, HANDED_ON = "medfiles", "bare Flask", "plain Python", "nginx", "medfiles + nginx"
SIZES = {"100 KiB": (100 * KIB, 160), "1 MiB": (MIB, 60), "10 MiB": (10 * MIB, 12), "20 MiB": (20 * MIB - 4096, 8)}
TO_EACH = 40  # documents of one visit
LENGTHS = (10, 100, 1_000, 10_000)
CARDS = 50
BOUNDARY = "medfiles-bench"
AIMS: Mapping[str, tuple[str, Callable[[Mapping[str, Figure]], bool]]] = {
    "Upload 100 KiB, 1 client": (
        "≥ 0.45 × bare Flask",
        lambda of: of[OURS].median >= 0.45 * of[BARE].median,
    ),
    "Upload 10 MiB, 1 client": ("faster than bare Flask", lambda of: of[OURS].median < of[BARE].median),
    "Upload 1 MiB, 4 clients": ("≥ bare Flask", lambda of: of[OURS].median >= of[BARE].median),
    "Download 100 KiB, 1 client": ("≥ 0.5 × bare Flask", lambda of: of[OURS].median >= 0.5 * of[BARE].median),
    "Download 10 MiB, 1 client": ("≥ 0.9 × bare Flask", lambda of: of[OURS].median >= 0.9 * of[BARE].median),
    "Download 10 MiB by nginx": ("within 10 % of nginx", lambda of: of[HANDED_ON].median >= 0.9 * of[NGINX].median),
    "List of 10 documents": ("≤ 8 ms", lambda of: of["API"].median <= 8),
    "List of 10,000 documents": ("≤ 8 ms", lambda of: of["API"].median <= 8),
    "Counts of 500 records": ("≤ 10 ms", lambda of: of[OURS].median <= 10),
    "Page with 50 cards": ("≤ 40 ms", lambda of: of[OURS].median <= 40),
    "Start to first answer": ("≤ 1,500 ms", lambda of: of[OURS].median <= 1500),
    "Memory of a worker, 4 × 20 MiB to disk": ("≤ 16 MiB", lambda of: of[OURS].most <= 16),
    "Memory of a worker, 4 × 20 MiB to an object store": ("≤ 64 MiB", lambda of: of[OURS].most <= 64),
}


@dataclass
class Bench:
    """What all contests use; `numbers` never come twice, `documents` were uploaded by them, of each size."""

    place: Path
    site: Site
    bare: str
    rounds: int
    visits: Sequence[int]
    documents: dict[int, list[tuple[int, str]]]
    numbers: Iterator[int]

    def visit(self, number: int) -> int:
        return self.visits[number // TO_EACH % len(self.visits)]


# --- uploads ----------------------------------------------------------------------------------------------------------


def uploads(bench: Bench) -> Iterator[Contest]:
    for words, (size, times) in SIZES.items():
        paper = Paper(size)
        for clients in (1, 4):
            done = times if clients == 1 else times * 2
            ways: dict[str, Round] = {
                PLAIN: partial(_plainly, bench.place / "plain", paper, done, clients),
                BARE: partial(_to_bare, bench, paper, done, clients),
                OURS: partial(_to_us, bench, paper, done, clients),
            }
            yield contest(
                f"Upload {words}, {clients} client{'s' * (clients > 1)}", _unit(size, clients), ways, bench.rounds
            )


def _unit(size: int, clients: int) -> str:
    return "ms" if size >= 10 * MIB and clients == 1 else "/s"


def _rate(size: int, times: int, clients: int, seconds: float) -> float:
    return seconds / times * 1000 if _unit(size, clients) == "ms" else times / seconds


def _plainly(place: Path, paper: Paper, times: int, clients: int) -> float:
    """Written, hashed and made durable, by one process: what cannot be left out."""
    place.mkdir(exist_ok=True)
    contents = [paper.another() for _ in range(times)] if paper.size <= MIB else [paper.another()] * times
    begun = time.perf_counter()
    if clients == 1:
        for content in contents:
            _write(place, content)
    else:
        _in_threads(clients, [partial(_write, place, content) for content in contents])
    seconds = time.perf_counter() - begun
    _empty(place)
    return _rate(paper.size, times, clients, seconds)


def _write(place: Path, content: bytes) -> None:
    with (place / uuid.uuid4().hex).open("xb") as file:
        found = hashlib.sha256()
        for start in range(0, len(content), 256 * KIB):
            piece = content[start : start + 256 * KIB]
            found.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    found.hexdigest()


def _to_bare(bench: Bench, paper: Paper, times: int, clients: int) -> float:
    start = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="scan.pdf"\r\n\r\n'.encode()
    end = f"\r\n--{BOUNDARY}--\r\n".encode()
    made = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}

    def work(client: Client, _: int) -> None:
        body = start + paper.another() + end
        answer = client.ask(request("POST", "/files", {**made, "Content-Length": str(len(body))}), body)
        assert answer.status == 200, answer

    seconds = _timed(bench.bare, work, bench, times, clients)
    _empty(bench.place / "bare", keep=64)
    return _rate(paper.size, times, clients, seconds)


def _to_us(bench: Bench, paper: Paper, times: int, clients: int) -> float:
    """As the queue of the widget sends them: the bytes as they are, the name in a header."""
    kept = bench.documents.setdefault(paper.size, [])

    def work(client: Client, number: int) -> None:
        body = paper.another()
        named = {"Content_Type": "application/octet-stream", "Idempotency_Key": f"bench-{number}"}
        named["Content_Disposition"] = f"attachment; filename=scan-{number}.pdf"
        answer = client.ask(bench.site.post(f"/api/v1/visit/{bench.visit(number)}/files", len(body), **named), body)
        assert answer.status == 201, answer
        kept.append((int(answer.body.split(b'"id":')[1].split(b",")[0]), ""))

    return _rate(paper.size, times, clients, _timed(bench.site.address, work, bench, times, clients))


def _timed(address: str, work: Any, bench: Bench, times: int, clients: int) -> float:
    if clients == 1:
        return sum(seconds_each(address, work, bench.numbers, times))
    return seconds_together(address, work, bench.numbers, times, clients)


def _in_threads(clients: int, work: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result()


def _empty(place: Path, keep: int = 0) -> None:
    for path in [*place.iterdir()][keep:]:
        path.unlink()


# --- downloads --------------------------------------------------------------------------------------------------------


def downloads(bench: Bench) -> Iterator[Contest]:
    """Of many documents in turn, so that each one is an event of the trail."""
    with ExitStack() as stack:
        settings = settings_in(bench.place, ACCEL=ACCEL, PROXIES="1")
        handing = stack.enter_context(serve(settings))
        nginx = stack.enter_context(front(bench.place / "front", handing, bench.place / "instance/uploads"))
        for words, times in (("100 KiB", 200), ("10 MiB", 24)):
            kept = _kept(bench, SIZES[words][0])
            for clients in (1, 4):
                title = f"Download {words}, {clients} client{'s' * (clients > 1)}"
                yield contest(title, "/s", _ways(bench, nginx, kept, times, clients), bench.rounds)
        kept = _kept(bench, SIZES["10 MiB"][0])
        part = {"Range": "bytes=1048576-1114111"}
        yield contest("Download 64 KiB of 10 MiB (Range)", "/s", _ways(bench, nginx, kept, 200, 1, part), bench.rounds)
        many_times = {
            HANDED_ON: partial(_get, bench, nginx, [_ours(bench, number) for number, _ in kept], 60, 4),
            NGINX: partial(_get, bench, nginx, [request("GET", f"/{key}", {}) for _, key in kept], 60, 4),
        }
        yield contest("Download 10 MiB by nginx", "/s", many_times, bench.rounds)


def _kept(bench: Bench, size: int) -> list[tuple[int, str]]:
    """Numbers and keys of documents of that size, and as many files for bare Flask."""
    db.session.rollback()
    found = db.session.query(EntityFile.id, EntityFile.file_path).filter_by(file_size=_size_of(size)).limit(2000).all()
    db.session.rollback()
    if not found:
        paper = Paper(size)
        _to_us(bench, paper, 240 if size < MIB else 24, 1)
        return _kept(bench, size)
    content = Paper(size).another()
    for _, key in found[:64]:
        (bench.place / "bare" / Path(key).name).write_bytes(content)
    return [(int(number), str(key)) for number, key in found]


def _size_of(size: int) -> int:
    return len(Paper(size).another())


def _ours(bench: Bench, number: int, **headers: str) -> bytes:
    return bench.site.get(f"/api/v1/files/{number}/download", **headers)


def _ways(
    bench: Bench, nginx: str, kept: list[tuple[int, str]], times: int, clients: int, headers: Mapping[str, str] = {}
) -> dict[str, Round]:
    ours = [_ours(bench, number, **headers) for number, _ in kept]
    names = [request("GET", f"/files/{Path(key).name}", headers) for _, key in kept[:64]]
    files = [request("GET", f"/{key}", headers) for _, key in kept]
    return {
        BARE: partial(_get, bench, bench.bare, names, times, clients),
        OURS: partial(_get, bench, bench.site.address, ours, times, clients),
        HANDED_ON: partial(_get, bench, nginx, ours, times, clients),
        NGINX: partial(_get, bench, nginx, files, times, clients),
    }


def _get(bench: Bench, address: str, requests: Sequence[bytes], times: int, clients: int) -> float:
    def work(client: Client, number: int) -> None:
        answer = client.ask(requests[number % len(requests)])
        assert answer.status in (200, 206), answer

    return times / _timed(address, work, bench, times, clients)


# --- pages ------------------------------------------------------------------------------------------------------------


def pages(bench: Bench) -> Iterator[Contest]:
    world = bench.site.world
    owner, first = world.user().id, 5000
    many.patients(owner, first, 2)
    many.visits(first, first, 600, 600)
    for place, length in enumerate(LENGTHS):
        many.documents(
            first, first + place, length * 20 // 19 + 1, length * 20 // 19 + 1, offset=first + place * 20_000
        )
    many.documents(first, first + 10, 590 * 8, 8, 600, offset=first + 100_000)
    many.visits(first + 1, 9000, CARDS, CARDS)
    many.documents(first + 1, 9000, CARDS * 6, 6, CARDS, offset=first + 200_000)
    many.analyse()
    cookie = _signed_in(bench)
    for place, length in enumerate(LENGTHS):
        path = f"visit/{first + place}"
        ways = {
            "API": _answers(bench, bench.site.get(f"/api/v1/{path}/files")),
            "panel": _answers(bench, request("GET", f"/documents/{path}", cookie)),
        }
        yield contest(f"List of {length:,} documents", "ms", ways, bench.rounds)
    search = bench.site.get(f"/api/v1/visit/{first + 3}/files?q=knee")
    yield contest("Search in 10,000 documents", "ms", {"API": _answers(bench, search)}, bench.rounds)
    for records in (20, 100, 500):
        body = f'{{"entity_type": "visit", "entity_ids": {[*range(first, first + records)]}}}'.encode()
        asked = bench.site.post("/api/v1/files/batch-counts", len(body), Content_Type="application/json")
        yield contest(f"Counts of {records} records", "ms", {OURS: _answers(bench, asked, body)}, bench.rounds)
    cards = request("GET", f"/patients/{first + 1}/visits", cookie)
    yield contest("Page with 50 cards", "ms", {OURS: _answers(bench, cards)}, bench.rounds)


def _answers(bench: Bench, asked: bytes, body: bytes = b"", times: int = 30) -> Round:
    def work(client: Client, _: int) -> None:
        answer = client.ask(asked, body)
        assert answer.status == 200, answer

    def once() -> float:
        return float(sorted(seconds_each(bench.site.address, work, bench.numbers, times))[times // 2] * 1000)

    return once


def _signed_in(bench: Bench) -> dict[str, str]:
    client = bench.site.world.client()
    client.get("/patients")
    cookie = client.get_cookie("medfiles")
    assert cookie is not None
    return {"Cookie": f"medfiles={cookie.value}"}


def pictures(bench: Bench) -> Iterator[Contest]:
    world = bench.site.world
    record = world.record()
    contents: dict[str, Callable[[], bytes]] = {
        "PDF": lambda: samples.pdf(text=uuid.uuid4().hex),
        "photo of 12 megapixels": partial(_photo, 4000, 3000),
    }
    for words, make in contents.items():
        name = "scan.pdf" if words == "PDF" else "photo.jpg"
        made = iter([world.attach(record, name, make()).id for _ in range(6 * (bench.rounds + 1))])
        seen: list[int] = []
        db.session.rollback()

        def first(made: Iterator[int] = made, seen: list[int] = seen) -> float:
            seen[:] = [next(made) for _ in range(6)]
            return _thumbnails(bench, seen)

        def again(seen: list[int] = seen) -> float:
            return _thumbnails(bench, seen) if seen else 0.0

        yield contest(f"Thumbnail of a {words}", "ms", {"first": first, "kept": again}, bench.rounds)


def _thumbnails(bench: Bench, numbers: Sequence[int]) -> float:
    left = iter(numbers)

    def work(client: Client, _: int) -> None:
        answer = client.ask(bench.site.get(f"/api/v1/files/{next(left)}/thumbnail"))
        assert answer.status == 200, answer

    return sum(seconds_each(bench.site.address, work, bench.numbers, len(numbers))) / len(numbers) * 1000


def _photo(width: int, height: int) -> bytes:
    image = samples.picture(width, height)
    return samples.encoded(image, "JPEG", comment=uuid.uuid4().bytes)


# --- the process itself -----------------------------------------------------------------------------------------------


def starts(bench: Bench) -> Iterator[Contest]:
    def start() -> float:
        begun = time.perf_counter()
        settings = settings_in(bench.place / "start", WORKERS="2")
        with serve(settings) as address:
            seconds = time.perf_counter() - begun
            assert address
        return seconds * 1000

    (bench.place / "start" / "instance").mkdir(parents=True)
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", "upgrade"]
    subprocess.run(command, env=environment(settings_in(bench.place / "start")), check=True, stderr=subprocess.DEVNULL)
    yield contest("Start to first answer", "ms", {OURS: start}, bench.rounds)


def memory(bench: Bench) -> Iterator[Contest]:
    yield _memory(bench, "disk")
    with object_store() as address, medfiles(bench.place / "objects", STORAGE_URL=address) as site:
        visits = [site.world.record().id for _ in range(4)]
        db.session.rollback()
        yield _memory(replace(bench, site=site, visits=visits, documents={}), "an object store")


def _memory(bench: Bench, where: str) -> Contest:
    """How much more a server process takes at most while four clients send 20 MiB each, than before."""
    paper, small = Paper(20 * MIB - 4096), Paper(100 * KIB)
    _to_us(bench, small, 40, 4)
    there = [psutil.Process(one) for one in workers(bench.site.place / "instance")]
    before = [process.memory_info().rss for process in there]
    values = []
    for _ in range(bench.rounds):
        most = before[:]
        with ThreadPoolExecutor(1) as beside:
            sending = beside.submit(_to_us, bench, paper, 8, 4)
            while not sending.done():
                most = [max(old, process.memory_info().rss) for old, process in zip(most, there, strict=True)]
            sending.result()
        values.append(max(new - old for old, new in zip(before, most, strict=True)) / MIB)
    return Contest(f"Memory of a worker, 4 × 20 MiB to {where}", "MiB", {OURS: Figure.of(values)})


PARTS = {
    "upload": uploads,
    "download": downloads,
    "page": pages,
    "picture": pictures,
    "start": starts,
    "memory": memory,
}


def run(rounds: int, only: Sequence[str]) -> Iterator[Contest]:
    with ExitStack() as stack:
        place = folder(stack)
        site = stack.enter_context(medfiles(place))
        patient = site.world.patient()
        visits = [site.world.record(patient=patient).id for _ in range(200)]
        db.session.rollback()
        address = stack.enter_context(bare(place / "bare"))
        bench = Bench(place, site, address, rounds, visits, {}, count())
        for name, part in PARTS.items():
            if not only or name in only:
                for found in part(bench):
                    yield judged(found)


def judged(found: Contest) -> Contest:
    if found.name not in AIMS:
        return found
    words, reached = AIMS[found.name]
    return replace(found, aim=words, reached=reached(found.figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=[])
    parser.add_argument("--write", action="store_true", help="Make docs/performance.md of it.")
    options = parser.parse_args()
    found = []
    for one in run(options.rounds, options.only):
        print(report.line(one), flush=True)
        found.append(one)
    if options.write:
        report.write(found, options.rounds)


if __name__ == "__main__":
    main()
