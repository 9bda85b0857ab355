"""Documents sent: as they are to medfiles, as a form to bare Flask, and written by plain Python."""

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from bench.client import Client
from bench.ground import BARE, OURS, PLAIN, Bench, timed
from bench.rounds import Contest, Round, contest
from bench.servers import KIB, MIB, Paper, request

SIZES = {"100 KiB": (100 * KIB, 160), "1 MiB": (MIB, 60), "10 MiB": (10 * MIB, 12), "20 MiB": (20 * MIB - 4096, 8)}
BOUNDARY = "medfiles-bench"


def uploads(bench: Bench) -> Iterator[Contest]:
    for words, (size, times) in SIZES.items():
        paper = Paper(size)
        for clients in (1, 4):
            done = times if clients == 1 else times * 2
            ways: dict[str, Round] = {
                PLAIN: partial(_plainly, bench.place / "plain", paper, done, clients),
                BARE: partial(_to_bare, bench, paper, done, clients),
                OURS: partial(to_us, bench, paper, done, clients),
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

    seconds = timed(bench.bare, work, bench, times, clients)
    _empty(bench.place / "bare", keep=64)
    return _rate(paper.size, times, clients, seconds)


def to_us(bench: Bench, paper: Paper, times: int, clients: int) -> float:
    """As the queue of the widget sends them: the bytes as they are, the name in a header."""

    def work(client: Client, number: int) -> None:
        body = paper.another()
        named = {"Content_Type": "application/octet-stream", "Idempotency_Key": f"bench-{number}"}
        named["Content_Disposition"] = f"attachment; filename=scan-{number}.pdf"
        answer = client.ask(bench.site.post(f"/api/v1/visit/{bench.visit(number)}/files", len(body), **named), body)
        assert answer.status == 201, answer

    return _rate(paper.size, times, clients, timed(bench.site.address, work, bench, times, clients))


def _in_threads(clients: int, work: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result()


def _empty(place: Path, keep: int = 0) -> None:
    for path in [*place.iterdir()][keep:]:
        path.unlink()
