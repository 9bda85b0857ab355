"""Power cuts: database and documents on a file system that forgets what was not synced, rows and bytes cut together."""

import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.proof.faults import injecting
from tests.proof.faults.forked import KILLED, Forge
from tests.proof.faults.injecting import Tally
from tests.proof.faults.lossy import Mounted, mounted
from tests.proof.faults.places import Place


@dataclass(frozen=True)
class Cut:
    """Before change number `at` of the file system; 0: when the request has been answered. `kept`: how probable it is
    that something which was not synced is there all the same."""

    verb: str
    at: int
    kept: float
    seed: int


class Cutter:
    """Lets a verb run on the lossy file system and leaves on `place` what survives of it."""

    def __init__(self, place: Place, disk: Mounted) -> None:
        self.place, self.disk, self._cases = place, disk, count(1)
        self._here = place.home.with_name(f"{place.home.name}-here")
        self.environ = {
            **place.environ,
            "MEDFILES_INSTANCE": str(place.kept / "instance"),
            "MEDFILES_DATABASE_URL": place.database.replace(str(place.home), str(self._here)),
            "MEDFILES_STORAGE_URL": (self._here / place.store.relative_to(place.home)).as_uri(),
        }

    def run(self, forge: Forge, cut: Cut) -> tuple[int, int]:
        """The status that was answered before the cut, or KILLED, and how many changes there were."""
        name = f"case{next(self._cases)}"  # the system remembers names it has seen
        self.disk.order("load", str(self.place.kept), name)
        self._here.unlink(missing_ok=True)
        self._here.symlink_to(self.disk.folder / name)
        self.disk.order("arm", cut.at)
        answer = forge.run(self.environ, cut.verb, self.place.facts)
        shutil.rmtree(self.place.home)
        was_cut, changes = self.disk.order("fall", str(self.place.home), cut.kept, cut.seed)
        return (KILLED if was_cut else answer), changes


@contextmanager
def cutter(place: Place, folder: Path) -> Iterator[Cutter]:
    with mounted(folder) as disk:
        yield Cutter(place, disk)


def cuts(cutter: Cutter, forge: Forge, verb: str, most: int, chance: random.Random) -> Sequence[Cut]:
    """Before every change and after the answer, each with everything lost and with some of it kept; or some of these,
    among which are always those after the answer and just before it."""
    _, changes = cutter.run(forge, Cut(verb, 0, 0.0, 0))
    ends = [Cut(verb, at, kept, chance.randrange(1 << 30)) for at in (0, changes) for kept in (0.0, 0.5)]
    rest = [Cut(verb, at, kept, chance.randrange(1 << 30)) for at in range(1, changes) for kept in (0.0, 0.5, 0.9)]
    return [*ends, *chance.sample(rest, min(len(rest), max(0, most - len(ends))))][:most]


def tried(forge: Forge, cutter: Cutter, some: Sequence[Cut]) -> Tally:
    tally, place = Tally(), cutter.place
    before = place.before.papers()
    afters = {verb: injecting.outcome(forge, place, verb) for verb in {cut.verb for cut in some}}
    for cut in some:
        answer, _ = cutter.run(forge, cut)
        tally.add(cut, answer, injecting.after_fault(forge, place, cut.verb, answer, before, afters[cut.verb]))
    return tally
