"""A commit whose answer is lost may have happened: whoever asks again finds one document, whole."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
from sqlalchemy import make_url

from tests.proof.faults import injecting, invariants
from tests.proof.faults.forked import Forge
from tests.proof.faults.injecting import Lost, Tally
from tests.proof.faults.places import Place
from tests.proof.faults.proxy import Proxy, proxy
from tests.proof.faults.verbs import CHANGES
from tests.support.extent import also_on_postgres

pytestmark = pytest.mark.database_when_full

Report = Callable[[str, Tally], None]
COMMITS = range(1, 7)  # more than any verb needs


@dataclass
class Line:
    """The line to the database, which can be cut."""

    forge: Forge
    place: Place
    proxy: Proxy | None

    def tried(self, verb: str, points: list[tuple[str, int]]) -> Tally:
        if self.proxy is None:
            return injecting.tried(self.forge, self.place, [Lost(verb, which, when) for when, which in points])
        tally, before = Tally(), self.place.before.papers()
        after = injecting.outcome(self.forge, self.place, verb)
        port = str(make_url(self.place.database).port)
        through = {
            **self.place.environ,
            "MEDFILES_DATABASE_URL": self.place.database.replace(port, str(self.proxy.port)),
        }
        for when, which in points:
            self.place.put_back()
            self.proxy.arm(when, which)
            answer = self.forge.run(through, verb, self.place.facts)
            self.proxy.mend()
            findings = injecting.after_fault(self.forge, self.place, verb, answer, before, after)
            if answer != 200:
                tally.add((when, which), answer, findings)
        return tally


@pytest.fixture(scope="module")
def line(verbs_at_work: Forge, place: Place) -> Iterator[Line]:
    if place.database.startswith("sqlite"):
        yield Line(verbs_at_work, place, None)
        return
    url = make_url(place.database)
    with proxy(str(url.host), int(url.port or 0)) as between:
        yield Line(verbs_at_work, place, between)


@pytest.mark.parametrize("verb", also_on_postgres(CHANGES, "restore", "upload"))
def test_a_commit_that_seems_to_fail_leaves_all_or_nothing(line: Line, verb: str, report: Report) -> None:
    tally = line.tried(verb, [(when, which) for which in COMMITS for when in ("before", "after")])
    report(f"COMMIT lost: {verb}", tally)
    assert tally.tried > 1


@pytest.mark.parametrize("verb", CHANGES)
def test_while_somebody_else_writes_a_verb_waits_and_then_gives_up(
    line: Line, verb: str, verbs_at_work: Forge, place: Place, report: Report
) -> None:
    """PostgreSQL has no lock on everything: there the line goes dead, before each message in turn."""
    tally, before = Tally(), place.before.papers()
    if line.proxy is not None:
        report(f"database gone: {verb}", line.tried(verb, [("message", which) for which in range(1, 60, 6)]))
        return
    after = injecting.outcome(verbs_at_work, place, verb)
    place.put_back()
    with closing(sqlite3.connect(invariants.file_of(place.database), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        answer = verbs_at_work.run(place.environ, verb, place.facts, patience=0.01)
    assert answer == 503
    tally.add("locked", answer, injecting.after_fault(verbs_at_work, place, verb, answer, before, after))
    report(f"database locked: {verb}", tally)
