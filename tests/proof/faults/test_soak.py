"""Real people at the real server, whose workers are killed under them: whatever was acknowledged is there."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from medfiles.clock import now
from medfiles.errors import DatabaseUnavailable
from medfiles.sandbox.pool import Sandbox
from medfiles.storage.journal import LEASE
from tests.proof.faults import crowd, invariants, serving
from tests.proof.faults.crowd import Person
from tests.proof.faults.injecting import Tally
from tests.proof.faults.invariants import Findings
from tests.proof.faults.verbs import LATER
from tests.support.extent import Extent
from tests.support.factories import World, install
from tests.support.server import serve

pytestmark = pytest.mark.database_when_full

Report = Callable[[str, Tally], None]


@dataclass
class Site:
    address: str
    instance: Path
    world: World

    def sweep(self, impatient: bool) -> None:
        """`impatient`: as if uploads had two seconds from journal to row, so that some of them are too late."""
        at = now() + LEASE - timedelta(seconds=2) if impatient else now()
        with self.world.app.app_context(), suppress(DatabaseUnavailable):  # then the next one will do it
            self.world.sweep(at)

    def settled(self) -> invariants.Seen:
        with self.world.app.app_context():
            self.world.sweep(now() + LATER)
        return invariants.look(self.world.app.config["MEDFILES_DATABASE_URL"], self.instance / "uploads")


@pytest.fixture
def site(tmp_path: Path, new_database: Callable[[Path], str], sandbox: Sandbox, renderers: Sandbox) -> Iterator[Site]:
    settings = {"MEDFILES_INSTANCE": str(tmp_path), "MEDFILES_DATABASE_URL": new_database(tmp_path)}
    with install(settings, sandbox, renderers=renderers) as world, serve(settings) as address:
        yield Site(address, tmp_path, world)


def missing(people: list[Person], seen: invariants.Seen) -> Findings:
    """What somebody was told is there and is not, or not as they were told."""
    there = {one.id: one for one in seen.documents}
    lost, half = [], []
    for kept in (one for person in people for one in person.kept.values()):
        found = there.get(kept.id)
        if found is None or found.sha256 != kept.sha256:
            lost.append(f"document {kept.id} was acknowledged and is not there")
        elif kept.trashed not in (None, found.trashed):
            half.append(f"document {kept.id} should be {'in the trash' if kept.trashed else 'live'}")
    return Findings(lost=(*lost,), half=(*half,))


def told(people: list[Person], findings: Findings) -> Tally:
    """Tried is what was acknowledged."""
    tally = Tally(sum(len(person.kept) for person in people))
    for person in people:
        tally.answers += person.answers
    if findings:
        tally.found.append(("in the end", findings))
    return tally


def test_uploads_outlive_the_workers_that_are_killed_under_them(site: Site, extent: Extent, report: Report) -> None:
    people: list[Person] = []
    chance, end = extent.chance("soak"), time.monotonic() + extent.of(600, 0)

    def acknowledged() -> int:
        return sum(len(person.kept) for person in people)

    kill = serving.Killer(site.instance, chance, acknowledged, extent.of(200, 12))

    def busy() -> bool:
        return time.monotonic() < end or acknowledged() < extent.of(10_000, 30) or kill.kills < extent.of(50, 2)

    people += crowd.people(site.world, site.address, 8, extent.seed, busy)
    with (
        serving.all_the_time(lambda: site.sweep(chance.random() < 0.5), every=0.1),
        serving.all_the_time(kill, every=0.05),
    ):
        crowd.all_at_work(people, "upload", "trash", "restore", weights=(20, 1, 1))
    seen = site.settled()
    report(f"soak: {kill.kills} workers killed", told(people, missing(people, seen) + seen.settled()))


@pytest.mark.only_full
def test_load_causes_no_errors_and_no_memory_growth(site: Site, extent: Extent, report: Report) -> None:
    end = time.monotonic() + 300
    people = crowd.people(site.world, site.address, 64, extent.seed, lambda: time.monotonic() < end, persists=False)
    first: Counter[int] = Counter()

    def look() -> None:
        for worker in serving.workers(site.instance):
            first.setdefault(worker, serving.memory(worker))

    with serving.all_the_time(look, every=60):  # once everything they need is loaded
        crowd.all_at_work(
            people, "upload", "download", "browse", "edit", "trash", "restore", weights=(8, 8, 1, 1, 1, 1)
        )
    last = {worker: serving.memory(worker) for worker in first if Path(f"/proc/{worker}").exists()}
    seen = site.settled()
    tally = told(people, missing(people, seen) + seen.settled())
    growth = ", ".join(f"{first[worker] >> 20} → {size >> 20} MiB" for worker, size in last.items())
    report(f"load: 64 people, 300 s, workers {growth}", tally)
    wrong = {status: count for status, count in tally.answers.items() if not 200 <= status < 300 and status != 429}
    assert wrong == {}
    assert last.keys() == first.keys()
    assert all(size < first[worker] * 1.25 for worker, size in last.items())
