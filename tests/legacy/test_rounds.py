"""Invariants over random sequences of moves, rollbacks and changes."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from medfiles.database.session import db
from medfiles.models import EntityFile, Patient, User
from tests.legacy import installation
from tests.legacy.commands import migrate, roll_back, url_of
from tests.legacy.installation import Older, Planted
from tests.support.extent import Extent
from tests.support.factories import World

pytestmark = pytest.mark.database

MakeWorld = Callable[[], AbstractContextManager[World]]
STEPS = st.lists(st.sampled_from(["migrate", "roll back", "edit", "trash", "restore", "purge"]), max_size=6)


def test_rounds_lose_nothing(usual_world: MakeWorld, extent: Extent) -> None:
    @settings(
        max_examples=extent.of(50, 3), deadline=None, suppress_health_check=[*HealthCheck], phases=[Phase.generate]
    )
    @given(files=st.integers(20, 40), seed=st.integers(0, 10_000), batch=st.integers(1, 15), steps=STEPS)
    def rounds(**chosen: Any) -> None:
        assert_rounds_lose_nothing(usual_world, **chosen)

    rounds()


def assert_rounds_lose_nothing(usual_world: MakeWorld, files: int, seed: int, batch: int, steps: list[str]) -> None:
    with usual_world() as world:
        older = installation.plant(url_of(world), world.uploads, users=2, patients=3, results=6, files=files, seed=seed)
        before, purged, chance = installation.state(older), set[int](), random.Random(seed)
        for step in ["migrate", *steps, "migrate"]:
            _do(step, world, older, batch, purged, chance)
        assert_nothing_lost(world, older, purged)
        world.assert_settled()
        roll_back(world)
        assert_only_purged_are_gone(older, before, purged)
        migrate(world, "--batch", str(batch))
        assert_nothing_lost(world, older, purged)


def _do(step: str, world: World, older: Older, batch: int, purged: set[int], chance: random.Random) -> None:
    if step == "migrate":
        migrate(world, "--batch", str(batch))
    elif step == "roll back":
        assert roll_back(world).exit_code == 0
    else:
        _do_to_one(step, world, purged, chance)


def _do_to_one(step: str, world: World, purged: set[int], chance: random.Random) -> None:
    """To one of the documents that were moved, as its owner."""
    gone = EntityFile.deleted_at.is_not(None) if step in ("restore", "purge") else EntityFile.deleted_at.is_(None)
    files = db.session.scalars(select(EntityFile).where(gone).order_by(EntityFile.id)).all()
    if not files:
        return
    file = chance.choice(files)
    owner = db.session.get_one(User, db.session.get_one(Patient, file.patient_id).user_id)
    world._users[owner.email] = owner.id
    service, number = world.documents(owner.email), file.legacy_id
    if step == "edit":
        service.edit(file.id, {"description": f"Seen {chance.random()}"})
    else:
        getattr(service, step)(file.id)
    if step == "purge" and number is not None:
        purged.add(number)


def assert_nothing_lost(world: World, older: Older, purged: set[int]) -> None:
    found = installation.moved(url_of(world), world.uploads)
    left = {file.id: file for file in older.movable if file.id not in purged}
    assert found.keys() == left.keys()
    for number, [document] in found.items():
        file = left[number]
        assert document.bytes_sha256 == document.sha256 == file.sha256
        assert (document.record, document.patient) == (file.result, file.patient)
        assert document.owner == older.emails[file.user or 0]


def assert_only_purged_are_gone(older: Older, before: dict[str, Any], purged: set[int]) -> None:
    now = installation.state(older)
    assert now["rows"] == [row for row in before["rows"] if row[0] not in purged]
    gone = before["files"].keys() - now["files"].keys()
    assert now["files"].items() <= before["files"].items()
    assert gone == set(_paths_only_of(purged, older.files))


def _paths_only_of(purged: set[int], files: list[Planted]) -> Iterator[str]:
    """Paths of purged files that no other row names; as their one spelling from the upload folder."""
    shared = {_tail(file) for file in files if file.id not in purged}
    yield from {f"lab_result_files/{_tail(file)}" for file in files if file.id in purged} - {
        f"lab_result_files/{tail}" for tail in shared
    }


def _tail(file: Planted) -> str:
    return file.path.rpartition("/")[2]
