"""People at the real server: each asks again until there is an answer, and remembers what was acknowledged."""

import hashlib
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from medfiles.accounts import api_tokens
from medfiles.database.session import db
from tests.support.api_client import HOME, RAW, disposition
from tests.support.factories import World

SECONDS, PATIENCE = 60, 300
AGAIN = {500, 502, 503, 504}


@dataclass
class Kept:
    """A document that was acknowledged."""

    id: int
    sha256: str
    size: int
    trashed: bool | None = False  # None: moving it was not answered


@dataclass
class Person:
    """Works on records of one patient of their own, in one thread."""

    address: str
    token: str
    patient: int
    chance: random.Random
    busy: Callable[[], bool]
    persists: bool = True
    kept: dict[int, Kept] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)
    record: int = 0
    room: int = 0
    _line: HTTPConnection | None = None

    def upload(self) -> None:
        if self.room == 0:
            self._new_record()
        content = f"{uuid.uuid4()} slept well.\n".encode() * self.chance.randrange(1, 400)
        headers = {"Content-Disposition": disposition("Diary.txt"), "Idempotency-Key": uuid.uuid4().hex}
        status, told = self.ask("POST", f"/visits/{self.record}/files", content, {"Content-Type": RAW, **headers})
        if status in (200, 201):
            self.room -= 1
            self.kept[told["id"]] = Kept(told["id"], hashlib.sha256(content).hexdigest(), len(content))

    def trash(self) -> None:
        if live := [one for one in self.kept.values() if one.trashed is False]:
            self._move(self.chance.choice(live), "DELETE", "", True)

    def restore(self) -> None:
        here = [one for one in self.kept.values() if one.trashed]
        if here:
            self._move(self.chance.choice(here), "POST", "/restore", False)

    def download(self) -> None:
        """All of a document or a part of it, and it must be what was sent."""
        live = [one for one in self.kept.values() if one.trashed is False]
        if not live:
            return
        one = self.chance.choice(live)
        part = self.chance.random() < 0.5
        start = self.chance.randrange(one.size) if part else 0
        status, told = self.ask("GET", f"/files/{one.id}/download", None, {"Range": f"bytes={start}-"} if part else {})
        whole = hashlib.sha256(told).hexdigest() == one.sha256 if status == 200 else True
        if status in (200, 206) and not (whole and len(told) == one.size - start):
            self.answers[-1] += 1

    def browse(self) -> None:
        what = self.chance.choice(("/patients", f"/visits/{self.record}/files", f"/patients/{self.patient}/visits"))
        self.ask("GET", what if self.record else "/patients")

    def edit(self) -> None:
        live = [one for one in self.kept.values() if one.trashed is False]
        if live:
            said = json.dumps({"description": f"Read {self.chance.random()}"}).encode()
            path = f"/files/{self.chance.choice(live).id}/metadata"
            self.ask("PUT", path, said, {"Content-Type": "application/json"})

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """The answer, after as many tries as it takes; 0 when there is none after a long time."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                status, told = self._asked(method, path, body, headers or {})
            except (HTTPException, OSError):
                self.leave()
                status, told = 0, None
            self.answers[status] += 1
            if not self.persists or (status != 0 and status not in AGAIN):
                return status, told
            if time.monotonic() > end:
                return 0, None

    def leave(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _asked(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, Any]:
        if self._line is None:
            self._line = HTTPConnection(str(urlsplit(self.address).netloc), timeout=SECONDS)
        self._line.request(method, HOME + path, body, {"Authorization": f"Bearer {self.token}", **headers})
        answer = self._line.getresponse()
        told = answer.read()
        return answer.status, json.loads(told) if "json" in answer.headers.get("Content-Type", "") else told

    def _new_record(self) -> None:
        said = json.dumps({"reason": "Check-up", "date": "2026-05-12"}).encode()
        path = f"/patients/{self.patient}/visits"
        status, told = self.ask("POST", path, said, {"Content-Type": "application/json"})
        if status != 201:
            raise RuntimeError(f"no record could be made: {status} {told}")
        self.record, self.room = told["id"], 8

    def _move(self, one: Kept, method: str, rest: str, trashed: bool) -> None:
        """A second try may find that the first, whose answer was lost, had done it."""
        one.trashed = None
        status, _ = self.ask(method, f"/files/{one.id}{rest}")
        if status in (200, 409):
            one.trashed = trashed


def people(world: World, address: str, many: int, seed: int, busy: Callable[[], bool], **options: Any) -> list[Person]:
    found = []
    for number in range(many):
        email = f"person-{number}@sample.example"
        db.session.rollback()  # what was read before is older than what the server has written
        patient = world.patient(email, f"Person {number}")
        _, token = api_tokens.create(world.actor(email), "Script", api_tokens.WRITE, None, None)
        found.append(Person(address, token, patient.id, random.Random(f"{seed} {number}"), busy, **options))
    return found


def all_at_work(crowd: list[Person], *verbs: str, weights: tuple[int, ...] = ()) -> None:
    """Each in a thread of its own for as long as they are busy."""

    def work(person: Person) -> None:
        while person.busy():
            [verb] = person.chance.choices(verbs, weights or None)
            getattr(person, verb)()
        person.leave()

    threads = [threading.Thread(target=work, args=(person,)) for person in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
