"""Generated states of links, people and documents: what every public address answers in each."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from medfiles.database.session import db
from medfiles.errors import MedfilesError
from medfiles.models import EntityFile, Patient, ShareLink
from tests.links import happenings
from tests.support.factories import World

OTTO, PASSCODE = "otto@sample.example", "482107"
STATES = 300
ENDS: dict[str, Callable[[World, ShareLink], None]] = {
    "revoked": happenings.revoke,
    "expired": happenings.expire,
    "used up": happenings.use_up,
    "share revoked": happenings.unshare,
    "share lowered": happenings.lower,
    "creator disabled": happenings.disable,
    "patient archived": happenings.archive,
    "patient deleted": happenings.delete,
}
LEAVES: dict[str, Callable[[World, EntityFile], None]] = {
    "trashed": happenings.trash,
    "moved": happenings.move,
    "purged": happenings.purge,
    "record trashed": happenings.trash_record,
    "malware": happenings.find_malware,
}


@dataclass
class Drawn:
    """A link to two documents, and what happened since it was opened."""

    token: str
    ids: list[int]
    ends: list[str] = field(default_factory=list)
    gone: str | None = None
    paused: bool = False
    download: bool = False

    @property
    def expected(self) -> dict[str, int]:
        """The status of each address for a reader who has opened the link."""
        if self.ends:
            return dict.fromkeys(self.addresses, 404)
        if self.paused:
            return dict.fromkeys(self.addresses, 403)
        found = {"": 200, "/download": 200 if self.download else 403}
        for number, lost in zip(self.ids, (False, self.gone is not None), strict=True):
            for part in ("", "/thumbnail", "/pages/1"):
                found[f"/documents/{number}{part}"] = 404 if lost else 200
            found[f"/documents/{number}/download"] = 404 if lost and self.download else found["/download"]
        return found

    @property
    def addresses(self) -> list[str]:
        parts = ("", "/thumbnail", "/pages/1", "/download")
        return ["", "/download", *(f"/documents/{number}{part}" for number in self.ids for part in parts)]


def draw(world: World, seed: int) -> tuple[Drawn, Any]:
    """Make a link, open it, and let things happen; return it and the browser that opened it."""
    chance = random.Random(seed)
    patient = world.patient()
    files = [world.attach(world.record(patient=patient)) for _ in range(2)]
    world.share(db.session.get_one(Patient, patient.id), OTTO, "edit")
    download, passcode = chance.random() < 0.5, PASSCODE if chance.random() < 0.7 else None
    made = world.link(*files, email=OTTO, passcode=passcode, allow_download=download)
    drawn = Drawn(str(made.token), [file.id for file in files], download=download)
    reader = world.app.test_client()
    opened = reader.post(f"/s/{made.token}/open", data={"passcode": passcode or ""})
    assert opened.status_code == 303
    if chance.random() < 0.6:
        drawn.gone = chance.choice(list(LEAVES))
        LEAVES[drawn.gone](world, files[1])
    if chance.random() < 0.25:
        world.links(OTTO).pause(made.link.id)
        drawn.paused = True
    for name in chance.sample(list(ENDS), chance.choice((0, 0, 1, 1, 2))):
        if name == "used up" and passcode is None:
            continue
        with suppress(MedfilesError):  # an earlier end may rule this one out; the link has ended all the same
            ENDS[name](world, made.link)
        drawn.ends.append(name)
    db.session.rollback()
    return drawn, reader


@pytest.mark.parametrize("seed", range(STATES))
def test_every_address_answers_as_the_state_demands(world: World, seed: int) -> None:
    drawn, reader = draw(world, seed)
    answers = {path: reader.get(f"/s/{drawn.token}{path}", buffered=True) for path in drawn.addresses}
    assert {path: answer.status_code for path, answer in answers.items()} == drawn.expected, drawn
    if drawn.ends:
        unknown = {path: reader.get(f"/s/made-up{path}").data for path in ("", "/documents/1")}
        assert {answer.data for answer in answers.values()} == set(unknown.values())
