"""Killed at any system call, or refused by the system at any, a verb is wholly done or not done at all."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proof.faults import injecting
from tests.proof.faults.forked import Forge
from tests.proof.faults.injecting import Short, Tally
from tests.proof.faults.places import Place
from tests.proof.faults.verbs import CHANGES
from tests.support.extent import Extent, also_on_postgres

pytestmark = pytest.mark.database_when_full

Report = Callable[[str, Tally], None]


@pytest.mark.parametrize("verb", also_on_postgres(CHANGES, "trash", "upload", "move"))
def test_killed_at_any_system_call_a_verb_is_done_or_not(
    verbs_at_work: Forge, place: Place, verb: str, log: Path, extent: Extent, report: Report
) -> None:
    points = [*injecting.kill_points(injecting.calls_of(verbs_at_work, place, verb, log), verb)]
    some = injecting.chosen(points, extent.of(1000, 6), extent.chance("kill", verb))
    report(f"kill -9 at a system call: {verb}", injecting.tried(verbs_at_work, place, some))


@pytest.mark.parametrize("verb", CHANGES)
def test_refused_by_the_system_at_any_call_a_verb_never_lies(
    verbs_at_work: Forge, place: Place, verb: str, log: Path, extent: Extent, report: Report
) -> None:
    points = [*injecting.error_points(injecting.calls_of(verbs_at_work, place, verb, log), verb)]
    some = injecting.chosen(points, extent.of(1000, 6), extent.chance("error", verb))
    report(f"EIO or ENOSPC at a system call: {verb}", injecting.tried(verbs_at_work, place, some))


@pytest.mark.parametrize("verb", CHANGES)
def test_written_only_in_part_a_verb_is_done_or_not(
    verbs_at_work: Forge, place: Place, verb: str, extent: Extent, report: Report
) -> None:
    chance = extent.chance("short", verb)
    limits = [chance.randrange(chance.choice((30_000, 150_000, 600_000))) for _ in range(extent.of(40, 1))]
    shorts = [Short(verb, limit) for limit in limits]
    report(f"short writes: {verb}", injecting.tried(verbs_at_work, place, shorts))
