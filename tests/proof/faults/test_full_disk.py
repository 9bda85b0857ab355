"""On a disk that is really full, a verb is done or not, and the next one is done as soon as there is room."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medfiles.sandbox.pool import Sandbox
from tests.proof.faults import injecting
from tests.proof.faults.forked import Forge
from tests.proof.faults.injecting import Tally
from tests.proof.faults.places import Place
from tests.proof.faults.verbs import CHANGES, CONTENT
from tests.support import tools
from tests.support.extent import Extent

SIZE, ROOM = "12m", 600_000  # of the disk; and what is more than any verb needs


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small file system in memory, which only root may mount."""
    if not tools.IS_ROOT:  # a real file system is the only disk that is really full
        pytest.skip("a full disk needs root, to mount a small one")
    folder = tmp_path_factory.mktemp("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "medfiles-tests", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def place(
    disk: Path, new_database: Callable[[Path], str], sandbox: Sandbox, renderers: Sandbox, verbs_at_work: Forge
) -> Place:
    home = disk / "home"
    home.mkdir()
    place = Place.made(home, new_database(home), sandbox, renderers)
    place.warm_up(verbs_at_work)
    return place


def fill(disk: Path, left: int) -> Path:
    """Take all room but so many bytes."""
    ballast, about = disk / "ballast", os.statvfs(disk)
    ballast.write_bytes(b"\0" * max(0, about.f_bavail * about.f_frsize - left))
    return ballast


@pytest.mark.parametrize("verb", CHANGES)
def test_on_a_full_disk_a_verb_is_done_or_not(
    verbs_at_work: Forge, place: Place, disk: Path, verb: str, extent: Extent, report: Callable[[str, Tally], None]
) -> None:
    tally, chance = Tally(), extent.chance("full", verb)
    before, after = place.before.papers(), injecting.outcome(verbs_at_work, place, verb)
    rooms = [0, *(chance.choice((4096, 65_536, len(CONTENT), ROOM)) for _ in range(extent.of(40, 1)))]
    for most in rooms:
        place.put_back()
        left = chance.randint(0, most)
        ballast = fill(disk, left)
        answer = verbs_at_work.run(place.environ, verb, place.facts)
        ballast.unlink()
        tally.add(left, answer, injecting.after_fault(verbs_at_work, place, verb, answer, before, after))
    report(f"a full disk: {verb}", tally)
