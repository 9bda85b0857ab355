"""`python -m tests.proof.hostile`: documents made to do harm, looked at by several people at once on the real server,
while somebody else goes on working. Prints what became of them, how long others waited and how much memory was used.

The documents are put into the store behind the check of uploads, which would refuse most of them.
"""

import http.client
import itertools
import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from medfiles.database.session import db, transaction
from medfiles.models import EntityFile
from medfiles.sandbox.pool import Sandbox
from medfiles.sandbox.render.spec import recipe
from tests.sandbox.render import bombs
from tests.support import samples
from tests.support.factories import World, install
from tests.support.server import flask, serve

Wait = tuple[float, float, str]  # seconds, when asked, what for

PLACES, READERS, PAUSE = 50, 6, 0.05
LOOKED_AT = ("preview", f"pictures/{{sha256}}-{recipe(160)}/1.webp", f"pictures/{{sha256}}-{recipe(960)}/1.webp")


def corpus() -> Iterator[tuple[str, str, bytes]]:
    """Name, media type and bytes."""
    for media_type in bombs.TYPES:
        for number, data in enumerate(bombs.cut_off(media_type, PLACES)):
            yield f"cut off {number}", media_type, data or b"\0"
    for name, (data, media_type) in bombs.huge_headers().items():
        yield f"claims to be huge: {name}", media_type, data
    yield "as large as is accepted", "image/png", bombs.largest_png()
    yield "entities that multiply", "application/xml", bombs.LAUGHING
    yield "entities in Word", samples.WORD, bombs.laughing_docx()
    yield "entities in a sheet", samples.SHEET, bombs.laughing_xlsx()
    yield "grows in Word", samples.WORD, bombs.growing(samples.WORD)
    yield "grows in a sheet", samples.SHEET, bombs.growing(samples.SHEET)
    yield "a cell far away", samples.SHEET, bombs.far_cell()
    for number in range(4):
        yield "draws for ever", "application/pdf", bombs.endless_drawing() + b"\n%" + str(number).encode()
    many = samples.pdf().replace(b"/Kids [4 0 R]", b"/Kids [" + b"4 0 R " * 100_000 + b"]")
    yield "100,000 pages", "application/pdf", many.replace(b"/Count 1", b"/Count 100000")


def put(world: World, record: Any, name: str, media_type: str, data: bytes) -> tuple[int, str]:
    [file_id] = world.store(record, name, file_type=media_type)
    file, storage = db.session.get_one(EntityFile, file_id), world.parts.storages.default
    storage.delete(file.file_path)
    staged = storage.stage(len(data))
    staged.write(data)
    storage.commit(staged, file.file_path)
    with transaction():
        file.sha256, file.file_size = staged.sha256, staged.size
    return file_id, staged.sha256


class Reader:
    """A connection that stays open, with a session."""

    def __init__(self, address: str, cookie: str) -> None:
        self.connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=120)
        self.headers = {"Cookie": cookie, "HX-Request": "true"}

    def get(self, path: str) -> int:
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        answer.read()
        return answer.status


def memory(marker: str) -> int:
    """Bytes resident in the largest process whose command line holds this."""
    sizes = [0]
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (place / "cmdline").read_text().replace("\0", " "):
                sizes.append(int((place / "statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE"))
        except OSError:
            continue
    return max(sizes)


def work(
    reader: Reader,
    paths: Iterator[str],
    ended: threading.Event,
    waited: list[Wait],
    peak: Counter[str],
) -> None:
    """What somebody does who looks at none of it."""
    for path in paths:
        if ended.is_set():
            return
        began = time.monotonic()
        assert reader.get(path) == 200, path
        waited.append((time.monotonic() - began, began, path))
        for name, marker in (("server", "gunicorn"), ("renderer", "medfiles.sandbox.render.tasks")):
            peak[name] = max(peak[name], memory(marker))
        ended.wait(PAUSE)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="medfiles-hostile-") as place:
        settings = {"MEDFILES_INSTANCE": place, "MEDFILES_LOG_FORMAT": "json"}
        flask(settings, "db", "upgrade")
        sandbox = Sandbox(1)
        with install(settings, sandbox) as world, serve(settings) as address:
            measure(world, address)
        sandbox.close()


def measure(world: World, address: str) -> None:
    record, calm = world.record("lab-result"), world.record("visit")
    world.attach(calm, "Letter.pdf")
    asked = [put(world, record, name, media_type, data) for name, media_type, data in corpus()]
    name = world.app.config["SESSION_COOKIE_NAME"]
    cookie = world.client().get_cookie(name)
    assert cookie is not None
    sign_in = f"{name}={cookie.value}"
    local, statuses, waited, peak, ended = (
        threading.local(),
        Counter[int](),
        list[Wait](),
        Counter[str](),
        threading.Event(),
    )

    def look(path: str) -> int:
        if not hasattr(local, "reader"):
            local.reader = Reader(address, sign_in)
        status: int = local.reader.get(path)
        return status

    paths = [f"/documents/files/{id}/{path.format(sha256=sha256)}" for id, sha256 in asked for path in LOOKED_AT]
    calmly = itertools.cycle(["/healthz", f"/documents/visit/{calm.id}", "/", f"/documents/visit/{calm.id}/badge"])
    worker = threading.Thread(target=work, args=(Reader(address, sign_in), calmly, ended, waited, peak))
    began = time.monotonic()
    worker.start()
    with ThreadPoolExecutor(READERS) as pool:
        statuses.update(pool.map(look, paths))
    ended.set()
    worker.join()
    print(f"{len(asked)} documents, {len(paths)} requests by {READERS} readers in {time.monotonic() - began:.0f} s")
    print("answers:", dict(sorted(statuses.items())))
    print(
        f"{len(waited)} other requests: median {statistics.median(wait for wait, _, _ in waited):.3f} s, the longest:"
    )
    for wait, at, path in sorted(waited, reverse=True)[:5]:
        print(f"  {wait:.3f} s for {path}, asked {at - began:.0f} s after the start")
    print("largest process:", {name: f"{size / 1024**2:.0f} MB" for name, size in peak.items()})


if __name__ == "__main__":
    main()
