"""When the power fails, what was answered is there, and of everything else either all or nothing."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from tests.proof.faults import cutting
from tests.proof.faults.cutting import Cut, Cutter
from tests.proof.faults.forked import Forge
from tests.proof.faults.injecting import Tally
from tests.proof.faults.places import Place
from tests.proof.faults.verbs import CHANGES
from tests.support.extent import Extent


@pytest.fixture(scope="module")
def cutter(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cutter]:
    with cutting.cutter(place, tmp_path_factory.mktemp("disk")) as cutter:
        yield cutter


@pytest.mark.parametrize("verb", CHANGES)
def test_cut_off_from_power_at_any_change_a_verb_is_done_or_not(
    verbs_at_work: Forge, cutter: Cutter, verb: str, extent: Extent, report: Callable[[str, Tally], None]
) -> None:
    some = cutting.cuts(cutter, verbs_at_work, verb, extent.of(1000, 6), extent.chance("cut", verb))
    report(f"power cut: {verb}", cutting.tried(verbs_at_work, cutter, some))


def test_download_stays_in_the_audit_log_once_sealed(verbs_at_work: Forge, cutter: Cutter, place: Place) -> None:
    answer, _ = cutter.run(verbs_at_work, Cut("open_and_seal", 0, 0.0, 0))
    assert answer == 200
    with closing(sqlite3.connect(place.database.removeprefix("sqlite:///"))) as rows:
        read = rows.execute(
            "SELECT file_id FROM audit_events WHERE action = 'download' AND outcome = 'done'"
        ).fetchall()
    place.put_back()
    assert read == [(place.facts["live"],)]
