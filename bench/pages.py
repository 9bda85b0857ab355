"""Lists, searches, counts, a page of cards, thumbnails."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from bench.client import Client, seconds_each
from bench.ground import OURS, Bench
from bench.rounds import Contest, Round, contest
from bench.servers import request
from medfiles.database import cursors
from medfiles.database.session import db
from medfiles.records import timeline
from tests.support import large_lists, samples

LENGTHS = (10, 100, 1_000, 10_000)
CARDS = 50
TIMELINE = 50_000  # id of the patient with 10,000 visits, and of the first of them
HTMX = {"HX-Request": "true"}


def pages(bench: Bench) -> Iterator[Contest]:
    world = bench.site.world
    owner, first = world.user().id, 5000
    large_lists.patients(owner, first, 2)
    large_lists.visits(first, first, 600, 600)
    for place, length in enumerate(LENGTHS):
        large_lists.documents(
            first, first + place, length * 20 // 19 + 1, length * 20 // 19 + 1, offset=first + place * 20_000
        )
    large_lists.documents(first, first + 10, 590 * 8, 8, 600, offset=first + 100_000)
    large_lists.visits(first + 1, 9000, CARDS, CARDS)
    large_lists.documents(first + 1, 9000, CARDS * 6, 6, CARDS, offset=first + 200_000)
    large_lists.patients(owner, TIMELINE, 1)
    large_lists.visits(TIMELINE, TIMELINE, 10_000, 10_000)
    large_lists.documents(TIMELINE, TIMELINE, 20_000, 2, 10_000, offset=first + 300_000)
    large_lists.analyse()
    cookie = {"Cookie": f"medfiles={signed_in(bench)}"}
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
    middle = cursors.write(timeline.SCOPE, "2026-05-12 visit", TIMELINE + 5_000)
    ways = {
        "first page": _slowest(bench, request("GET", f"/patients/{TIMELINE}", cookie)),
        "next page": _slowest(bench, request("GET", f"/patients/{TIMELINE}?cursor={middle}", cookie | HTMX)),
    }
    yield contest("Timeline of 10,000 records, 95 % of answers", "ms", ways, bench.rounds)


def _answers(bench: Bench, asked: bytes, body: bytes = b"", times: int = 30) -> Round:
    def work(client: Client, _: int) -> None:
        answer = client.ask(asked, body)
        assert answer.status == 200, answer

    def once() -> float:
        return float(sorted(seconds_each(bench.site.address, work, bench.numbers, times))[times // 2] * 1000)

    return once


def _slowest(bench: Bench, asked: bytes, times: int = 100) -> Round:
    """Measure the time that 95 of 100 answers do not exceed."""

    def work(client: Client, _: int) -> None:
        answer = client.ask(asked)
        assert answer.status == 200, answer

    def once() -> float:
        return float(sorted(seconds_each(bench.site.address, work, bench.numbers, times))[times * 95 // 100 - 1] * 1000)

    return once


def signed_in(bench: Bench) -> str:
    """Return the cookie of a new session."""
    client = bench.site.world.client()
    client.get("/account")
    cookie = client.get_cookie("medfiles")
    assert cookie is not None
    return cookie.value


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
