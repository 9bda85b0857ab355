"""SMART Health Links of 15 MiB: preparing the encrypted copy, and fetching it beside a plain download."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping

import psutil
from PIL import Image
from sqlalchemy import select

from bench.client import Client
from bench.ground import OURS, Bench, timed
from bench.rounds import Contest, Figure, Round, contest
from bench.servers import MIB, Paper, Site, request
from medfiles.database.session import read
from medfiles.models import EntityFile, SmartLink
from medfiles.smart_links.rules import MOST_BYTES
from tests.support import samples

PLAIN = "plain download"
SCANS, SCAN = 4, 3 * MIB
PHOTO = (2000, 1500)  # pixels, of noise: nearly 3 MiB as JPEG
TIMES = 3  # per round


def smart(bench: Bench) -> Iterator[Contest]:
    world, files = bench.site.world, _documents(bench.site)
    link = world.link(*files, allow_download=True).link
    seconds, growth = [], []
    for _ in range(bench.rounds):
        taken, grown = _watched(lambda: world.smart(link, "paper"))
        seconds.append(taken * 1000)
        growth.append(grown / MIB)
    yield Contest("Preparing a SMART Health Link of 15 MiB", "ms", {OURS: Figure.of(seconds)})
    yield Contest("Memory for a SMART Health Link of 15 MiB", "MiB", {OURS: Figure.of(growth)})
    made, largest = world.smart(link, "paper"), max(files, key=lambda file: file.file_size)
    plain, plain_size = f"/api/v1/files/{largest.id}/download", largest.file_size
    [(size,)] = read(select(SmartLink.size).where(SmartLink.id == made.id))
    ways = {
        OURS: _fetched(bench, f"{made.path}?recipient=Bench", {}, size),
        PLAIN: _fetched(bench, plain, {"Authorization": f"Bearer {bench.site.token}"}, plain_size),
    }
    yield contest("Fetching a SMART Health Link of 15 MiB", "MiB/s", ways, bench.rounds)


def _documents(site: Site) -> list[EntityFile]:
    """Scans and a photo, as large together as a SMART Health Link can hold."""
    record, paper = site.world.record(), Paper(SCAN)
    noise = samples.encoded(Image.effect_noise(PHOTO, 80), "JPEG", quality=95)
    contents = {f"Scan {number}.pdf": paper.another() for number in range(SCANS)} | {"Photo.jpg": noise}
    files = [site.world.attach(record, name, content=content) for name, content in contents.items()]
    assert 0.9 * MOST_BYTES < sum(file.file_size for file in files) <= MOST_BYTES
    return files


def _fetched(bench: Bench, path: str, headers: Mapping[str, str], size: int) -> Round:
    """Return what measures how many MiB of an answer of that size come in a second."""
    asked = request("GET", path, headers)

    def work(client: Client, _: int) -> None:
        answer = client.ask(asked)
        assert (answer.status, answer.size) == (200, size), answer

    return lambda: size * TIMES / MIB / timed(bench.site.address, work, bench, TIMES, 1)


def _watched(work: Callable[[], object]) -> tuple[float, int]:
    """Return how many seconds something takes, and by how many bytes this process grows at most."""
    process, ended = psutil.Process(), threading.Event()
    before = process.memory_info().rss
    sizes = [before]

    def sample() -> None:
        while not ended.wait(0.002):
            sizes.append(process.memory_info().rss)

    sampling = threading.Thread(target=sample)
    sampling.start()
    begun = time.perf_counter()
    try:
        work()
    finally:
        taken = time.perf_counter() - begun
        ended.set()
        sampling.join()
    return taken, max(sizes) - before
