"""A move, rollback or finish killed anywhere and run again ends as if it had not been interrupted."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from medfiles.database.session import db
from tests.legacy import installation, killed
from tests.legacy.commands import planted, url_of
from tests.legacy.killed import Runner
from tests.support.extent import Extent
from tests.support.factories import World

KILLED = -9
SMALL = {"users": 3, "patients": 5, "results": 20, "files": 60}
MIGRATE, BACK, FINISH = ("migrate-lab-results", "--batch", "7"), ("rollback-lab-results",), (
    "migrate-lab-results", "--finish",
)  # fmt: skip
LEGACY = "medfiles.legacy."
STEPS = [
    (LEGACY + "migration", "Migration.analyse"),
    (LEGACY + "log", "begin"),
    ("medfiles.operations.backup", "copy_database"),
    ("medfiles.operations.backup", "_copied"),
    ("medfiles.operations.backup", "write_private"),
    (LEGACY + "migration", "Migration.back_up"),
    (LEGACY + "people", "bring_along"),
    ("medfiles.storage.journal", "expect"),
    ("medfiles.storage", "DiskStorage._publish"),
    (LEGACY + "moving", "Mover._insert"),
    ("medfiles.storage.journal", "settle"),
    (LEGACY + "migration", "Migration.move"),
    (LEGACY + "migration", "Migration.verify"),
]
ON_POSTGRES = [step for step in STEPS if step[0].endswith(("journal", "moving")) or step[1] == "copy_database"]
BACK_STEPS = [(LEGACY + "rollback", "_give_back"), ("medfiles.storage.journal", "remove"), (LEGACY + "log", "end")]
FINISH_STEPS = [
    (LEGACY + "finishing", "_remove"),
    (LEGACY + "unmigrated", "drop"),
    ("medfiles.storage.journal", "remove"),
]


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with killed.runner() as runner:
        yield runner


@pytest.fixture
def environ(world: World) -> Iterator[Mapping[str, str]]:
    """With which another process works on the same installation."""
    yield settings_of(world.app)
    db.session.remove()


def settings_of(app: Flask) -> Mapping[str, str]:
    return {"MEDFILES_INSTANCE": app.instance_path, "MEDFILES_DATABASE_URL": app.config["MEDFILES_DATABASE_URL"]}


def assert_as_uninterrupted(older: installation.Older, world: World, before: Mapping[str, Any]) -> None:
    installation.assert_all_moved(older, url_of(world), world.uploads)
    assert installation.state(older) == before
    for staged in (world.uploads / "staged").glob("*"):
        staged.unlink()  # housekeeping clears them by age
    world.sweep(at=installation.LATER)
    world.assert_settled()
    assert len(world.events(action="migrate")) == len(older.movable)


@pytest.mark.parametrize(
    ("module", "name"),
    [pytest.param(*step, marks=pytest.mark.database) if step in ON_POSTGRES else step for step in STEPS],
)
def test_killed_run_is_continued(
    world: World, environ: Mapping[str, str], runner: Runner, module: str, name: str
) -> None:
    older = planted(world, **SMALL)
    before = installation.state(older)
    for when, call in (("before", 1), ("after", 1), ("before", 4), ("after", 3)):
        assert runner.run(environ, *MIGRATE, at=(module, name, when, call)) == KILLED or call > 1
    assert runner.run(environ, *MIGRATE) == 1  # some cannot be moved
    assert_as_uninterrupted(older, world, before)


@pytest.mark.database
def test_run_killed_often_is_completed(
    world: World, environ: Mapping[str, str], runner: Runner, extent: Extent
) -> None:
    older, chance = planted(world, **(SMALL | {"files": 120})), random.Random(50)
    before, kills = installation.state(older), 0
    while kills < extent.of(50, 10):
        status = runner.run(environ, *MIGRATE, after=chance.uniform(0.02, 0.7))
        kills += status == KILLED
        if status != KILLED:
            runner.run(environ, *BACK, after=chance.uniform(0.02, 0.3))
    runner.run(environ, *MIGRATE)
    installation.assert_all_moved(older, url_of(world), world.uploads)
    assert installation.state(older) == before


@pytest.mark.database
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("module", "name"), BACK_STEPS)
def test_killed_during_rollback_the_next_run_completes_it(
    world: World, environ: Mapping[str, str], runner: Runner, module: str, name: str, when: str
) -> None:
    older = planted(world, **SMALL)
    before = installation.state(older)
    runner.run(environ, *MIGRATE)
    assert runner.run(environ, *BACK, at=(module, name, when, 1)) == KILLED
    assert runner.run(environ, *BACK) == 0
    world.sweep(at=installation.LATER)
    world.assert_settled()
    assert (world.files(), installation.state(older)) == ([], before)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("module", "name"), FINISH_STEPS)
def test_killed_while_finishing_the_next_run_completes_it(
    world: World, environ: Mapping[str, str], runner: Runner, module: str, name: str, when: str
) -> None:
    older = planted(world, **SMALL)
    runner.run(environ, *MIGRATE)
    finish = (*FINISH, "--leave", str(len(older.files) - len(older.movable)))
    assert runner.run(environ, *finish, at=(module, name, when, 1)) == KILLED
    assert runner.run(environ, *finish) == 0
    world.sweep(at=installation.LATER)
    world.assert_settled()
    installation.assert_all_moved(older, url_of(world), world.uploads)
    left = {row[0] for row in installation.state(older)["rows"]}
    assert left == {file.id for file in older.files if file.stays}
    kept = [file for file in older.files if file.stays and file.sha256]
    assert all(Path(older.uploads, file.path).exists() for file in kept if file.path.startswith("lab_result_files"))
