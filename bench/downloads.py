"""Documents sent back: by medfiles, by nginx for medfiles, by bare Flask, and by nginx alone."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.client import Client
from bench.ground import BARE, HANDED_ON, NGINX, OURS, Bench, timed
from bench.rounds import Contest, Round, contest
from bench.servers import ACCEL, MIB, Paper, front, request, settings_in
from bench.uploads import SIZES, to_us
from medfiles.database.session import db
from medfiles.models import EntityFile
from tests.support.server import serve


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
        to_us(bench, paper, 240 if size < MIB else 24, 1)
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

    return times / timed(address, work, bench, times, clients)
