"""The faults find the mistakes they are there to find: each turns one of them red, where the product stays green."""

import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.proof.faults import cutting, injecting, invariants
from tests.proof.faults.cutting import Cutter
from tests.proof.faults.forked import ROOT, Forge, forge
from tests.proof.faults.injecting import Lost, Point, Tally
from tests.proof.faults.places import Place
from tests.support.extent import Extent

PATCHES = Path(__file__).parent / "mutants"
BESIDE = ("migrations", "static", "templates", "tests")
Try = Callable[[Forge, Cutter], Tally]
STRAY = (
    "INSERT INTO storage_journal (key, storage, action, lease_until)"
    " SELECT file_path, storage, 'remove', '2026-01-01 00:00:00.000000' FROM entity_files"
)


@pytest.fixture(scope="module")
def cutter(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cutter]:
    with cutting.cutter(place, tmp_path_factory.mktemp("disk")) as cutter:
        yield cutter


@pytest.fixture(scope="module")
def mutants_at_work() -> Iterator[Forge]:
    with forge() as running:
        yield running


def mutant(name: str, folder: Path) -> Path:
    """Return the folder of a product with one mistake; a patch that no longer fits is an error."""
    shutil.copytree(ROOT / "medfiles", folder / "medfiles", symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for other in BESIDE:
        (folder / other).symlink_to(ROOT / other)
    alone = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    done = subprocess.run(
        ["git", "apply", str(PATCHES / f"{name}.patch")], cwd=folder, env=alone, stderr=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"mutants/{name}.patch no longer fits the product: {done.stderr}")
    return folder


def killed(verb: str, call: str, *which: int) -> Try:
    points = [Point(verb, call, when, "signal=SIGKILL") for when in which]
    return lambda forge, cutter: injecting.tried(forge, cutter.place, points)


def lost(verb: str, *which: int) -> Try:
    points = [Lost(verb, one, "after") for one in which]
    return lambda forge, cutter: injecting.tried(forge, cutter.place, points)


def cut(verb: str) -> Try:
    """Just before the last change, and when all was answered."""

    def at_the_end(forge: Forge, cutter: Cutter) -> Tally:
        return cutting.tried(forge, cutter, cutting.cuts(cutter, forge, verb, 4, random.Random(1)))

    return at_the_end


def misled(forge: Forge, cutter: Cutter) -> Tally:
    """The journal says of every document that it has to go, as after a database was put back from an older copy."""
    tally, place = Tally(), cutter.place
    place.put_back()
    with closing(sqlite3.connect(invariants.file_of(place.database))) as connection, connection:
        connection.execute(STRAY)
    tally.add("misled", forge.run(place.environ, "reconcile", place.facts), place.look().always())
    return tally


def crowded(forge: Forge, cutter: Cutter) -> Tally:
    """More uploads than there is room for, all let in before the first of them is stored."""
    tally, place = Tally(), cutter.place
    place.put_back()
    answer = forge.run(place.environ, "crowd", place.facts)
    live = sum(not one.trashed for one in place.look().documents)
    tally.add("crowd", answer, injecting.too_many(live, place.facts["room"]))
    return tally


MISTAKES: dict[str, tuple[str, Try]] = {
    "row-before-bytes": ("lost", killed("upload", "link", 1)),
    "row-before-fsync": ("lost", cut("upload")),
    "no-folder-fsync": ("lost", cut("upload")),
    "synchronous-normal": ("lost", cut("edit")),
    "unlink-after-commit": ("lost", lost("upload", 1, 2, 3, 4)),
    "unlink-before-journal": ("lost", killed("trash", "fsync", 1, 2, 3)),
    "sweep-without-second-look": ("lost", misled),
    "check-then-insert-limit": ("half", crowded),
}


QUICK = ("no-folder-fsync", "sweep-without-second-look", "unlink-before-journal")


def test_every_patch_has_a_fault_that_finds_it() -> None:
    assert {path.stem for path in PATCHES.glob("*.patch")} == MISTAKES.keys()


@pytest.mark.parametrize("name", MISTAKES)
def test_every_patch_fits_the_product(name: str, tmp_path: Path) -> None:
    assert mutant(name, tmp_path).is_dir()


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.only_full) for name in MISTAKES]
)
def test_a_mistake_is_found_and_the_product_does_not_make_it(
    name: str, verbs_at_work: Forge, mutants_at_work: Forge, cutter: Cutter, tmp_path: Path, extent: Extent
) -> None:
    what, attempt = MISTAKES[name]
    if extent.full:  # else the other tests say so
        assert attempt(verbs_at_work, cutter).found == []
    with mutants_at_work.serving(mutant(name, tmp_path)):
        found = attempt(mutants_at_work, cutter)
    assert found.count(what) > 0, found
