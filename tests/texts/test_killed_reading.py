"""kill -9 while a document is read: no page is read twice in effect, and rows and index always agree."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update

from medfiles.database.session import db, transaction
from medfiles.jobs import queue as jobs
from medfiles.models import EntityFile, Job, PageText
from medfiles.operations import integrity, worker
from medfiles.search import checking
from medfiles.search.query import SearchQuery
from medfiles.texts import store
from medfiles.texts.reading import Answer, Extracted, Reader
from tests.support.extent import Extent
from tests.support.factories import World

pytestmark = pytest.mark.database
PAGES = 3
LIMIT = 200  # statements of a job that reads three pages, and more


class Recorder:
    """An engine that appends the number of each page to a file, which outlives the process."""

    name = "recorder"

    def __init__(self, record: Path) -> None:
        self.record = record

    def recognize(self, path: Path, media_type: str, page: int) -> Any:
        with self.record.open("a") as target:
            target.write(f"{page} ")
        return [[("Befund", 0.9, 0.1, 0.1, 0.2, 0.02)]]

    def close(self) -> None:
        pass

    def taken(self) -> list[int]:
        """Return the pages recognized since the last call."""
        pages = [int(page) for page in self.record.read_text().split()] if self.record.exists() else []
        self.record.write_text("")
        return pages


@pytest.fixture
def recorder(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    def extract(_: Any, path: Path, media_type: str, first: int, pages: int) -> Answer:
        return Answer(PAGES, {}, [Extracted("", [], True)] * max(0, PAGES - first + 1))

    monkeypatch.setattr(Reader, "_extract", extract)
    engine = Recorder(tmp_path / "pages")
    world.app.extensions["medfiles"] = replace(world.parts, engine=engine)
    return engine


def read(world: World) -> None:
    while (claim := jobs.claim([jobs.TEXT])) is not None:
        assert worker._run(world.app, claim)


def in_a_process(run: Callable[[], None], kill_at: int) -> bool:
    """Run this in a process that kills itself before that statement or commit. Return whether it did."""
    db.session.remove()
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL)
        return status == signal.SIGKILL
    left = iter(range(kill_at - 1, -1, -1))

    def count(*_: Any) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        db.engine.dispose(close=False)
        event.listen(db.engine, "before_cursor_execute", count)
        event.listen(db.engine, "commit", count)
        run()
        os._exit(0)
    finally:
        os._exit(1)


def pages_of(sha256: str) -> list[int]:
    return list(db.session.scalars(select(PageText.page).where(PageText.sha256 == sha256).order_by(PageText.page)))


def assert_sound(world: World) -> None:
    assert integrity.verify(world.parts.storages).findings == []
    assert checking.check(world.parts.registry).problems == []


def test_a_killed_reading_continues_with_the_page_it_was_at(world: World, recorder: Recorder, extent: Extent) -> None:
    file_id = world.attach(world.record("lab-result"), "scan.pdf").id
    sha256 = db.session.get_one(EntityFile, file_id).sha256
    with transaction():
        jobs.enqueue(jobs.TEXT, file_id)
    points, every = 0, extent.of(1, 5)
    for kill_at in range(1 + extent.chance("reading").randrange(every), LIMIT, every):
        recorder.taken()
        if not in_a_process(lambda: read(world), kill_at):
            break
        points += 1
        stored, recognized = pages_of(sha256), recorder.taken()
        assert stored == list(range(1, len(stored) + 1))
        assert recognized in (stored, [*stored, len(stored) + 1])
        assert_sound(world)
        with transaction() as session:  # the lease has expired
            session.execute(update(Job).where(Job.kind == jobs.TEXT).values(lease_until=None, due_at=Job.created_at))
        read(world)
        assert recorder.taken() == list(range(len(stored) + 1, PAGES + 1))
        assert pages_of(sha256) == list(range(1, PAGES + 1))
        assert [hit.subject_id for hit in world.searches().search(SearchQuery("befund"), 10).items] == [file_id]
        assert_sound(world)
        with transaction():
            store.forget(sha256)
            jobs.enqueue(jobs.TEXT, file_id)
    assert points * every > 5 * PAGES
    assert pages_of(sha256) == list(range(1, PAGES + 1))
    assert_sound(world)
