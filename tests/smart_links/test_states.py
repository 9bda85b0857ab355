"""Generated states of links, people and documents: what SMART Health Links answer in each."""

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import MedfilesError
from medfiles.links import rules
from medfiles.models import Patient, ShareLink, SmartLink
from medfiles.smart_links.rules import KINDS
from tests.links.test_states import ENDS, LEAVES, OTTO, PASSCODE
from tests.smart_links.doubles import told as told
from tests.support.factories import Smart, World, run_at_once

STATES = 300


def expire(world: World, smart: Smart) -> None:
    with transaction() as session:
        session.get_one(SmartLink, smart.id).expires_at = now() - timedelta(seconds=1)


def end(world: World, smart: Smart) -> None:
    with transaction() as session:
        session.get_one(SmartLink, smart.id).ended_at = now()


OWN_ENDS: dict[str, Callable[[World, Smart], None]] = {"expired": expire, "ended": end}


def answers(world: World, smart: Smart, passcode: str | None) -> list[Any]:
    """What the addresses of a link answer: the file and its manifest, or the location in that."""
    app = world.app.test_client()
    direct = app.get(f"{smart.path}?recipient=App", buffered=True)
    body = {"recipient": "App", "passcode": passcode}
    manifest = app.post(f"{smart.path}/manifest", json=body, buffered=True)
    if manifest.status_code != 200:
        return [direct, manifest]
    return [direct, manifest, app.get((manifest.json or {})["files"][0]["location"], buffered=True)]


@pytest.mark.parametrize("seed", range(STATES))
def test_every_address_answers_as_the_state_demands(world: World, seed: int) -> None:
    world.app.config["MEDFILES_PUBLIC_URL"] = "http://localhost"
    chance = random.Random(seed)
    patient = world.patient()
    files = [world.attach(world.record(patient=patient)) for _ in range(2)]
    world.share(db.session.get_one(Patient, patient.id), OTTO, "edit")
    passcode = PASSCODE if chance.random() < 0.5 else None
    link = world.link(*files, email=OTTO, passcode=passcode, allow_download=True).link
    kind = chance.choice(list(KINDS))
    smart = world.smart(link, kind, OTTO)
    direct, before = kind in ("desk", "paper"), answers(world, smart, passcode)
    location = before[-1].request.path if not direct else f"{smart.path}?recipient=App"
    happened: list[str] = []
    if chance.random() < 0.4:
        happened.append(chance.choice(list(LEAVES)))
        LEAVES[happened[-1]](world, files[1])
    if chance.random() < 0.2:
        happened.append("paused")
        world.links(OTTO).pause(link.id)
    if chance.random() < 0.2:
        happened.append(chance.choice(list(OWN_ENDS)))
        OWN_ENDS[happened[-1]](world, smart)
    for name in chance.sample(list(ENDS), chance.choice((0, 0, 0, 1, 2))):
        with suppress(MedfilesError):  # an earlier end may rule this one out; the link has ended all the same
            ENDS[name](world, db.session.get_one(ShareLink, link.id))
        happened.append(name)
    found = answers(world, smart, passcode)
    if happened:
        again = world.app.test_client().get(location, buffered=True)
        unknown = world.app.test_client().get("/shl/made-up?recipient=App")
        assert {(one.status_code, one.data) for one in (*found, again)} == {(404, unknown.data)}, happened
    else:
        assert [one.status_code for one in found] == ([200, 404] if direct else [404, 200, 200])


def guessed(world: World, token: str, smart: Smart, passcode: str) -> list[int]:
    """The statuses of 25 parallel requests to the page and 25 to the manifest."""
    statuses: list[int] = []

    def page() -> None:
        answer = world.app.test_client().post(f"/s/{token}/open", data={"passcode": passcode})
        statuses.append(answer.status_code)

    def manifest() -> None:
        body = {"recipient": "App", "passcode": passcode}
        statuses.append(world.app.test_client().post(f"{smart.path}/manifest", json=body).status_code)

    run_at_once([page, manifest] * 25)
    return statuses


def test_parallel_wrong_passcodes_of_page_and_manifest_are_checked_five_times_in_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = world.link(world.attach(world.record()), passcode=PASSCODE, allow_download=True)
    smart, checked = world.smart(made.link, "app"), list[str]()

    def is_passcode(passcode: str, _: str) -> bool:
        checked.append(passcode)
        return False

    monkeypatch.setattr(rules, "is_passcode", is_passcode)
    statuses = guessed(world, str(made.token), smart, "000000")
    assert 1 <= len(checked) <= rules.MOST_TRIES
    assert set(statuses) <= {401, 404, 429}


def test_parallel_right_passcodes_leave_the_counter_at_zero(world: World) -> None:
    made = world.link(world.attach(world.record()), passcode=PASSCODE, allow_download=True)
    smart = world.smart(made.link, "app")
    statuses = guessed(world, str(made.token), smart, PASSCODE)
    assert set(statuses) <= {200, 303, 429}
    assert {200, 303} <= set(statuses)
    db.session.rollback()
    link = db.session.get_one(ShareLink, made.link.id, populate_existing=True)
    assert (link.wrong_passcodes, link.passcodes_in_check) == (0, 0)
