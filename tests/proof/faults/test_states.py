"""Any order of verbs, crashes and sweeps, beside a model in which a verb is done or not."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import Conflict
from medfiles.storage import MemoryStorage, digest, journal
from tests.proof.faults import invariants
from tests.proof.faults.injecting import Tally
from tests.proof.faults.invariants import Findings, Objects, Seen
from tests.proof.faults.verbs import LATER
from tests.support.extent import Extent, also_on_postgres
from tests.support.factories import World

pytestmark = pytest.mark.database_when_full

STEPS = ("expect", "settle", "release", "remove", "abandon", "commit", "copy", "delete", "COMMIT")
CRASHES = st.none() | st.tuples(st.sampled_from(STEPS), st.sampled_from(("before", "after")), st.integers(1, 2))
WHICH = st.integers(0, 7)


class Crash(BaseException):
    """The process dies here: no handler of ours runs any more."""


@dataclass(frozen=True)
class Paper:
    """What the model knows of a document; its name is nobody else's."""

    sha256: str
    trashed: bool = False
    description: str = ""
    away: bool = False  # moved from the visit to another patient


Papers = dict[str, Paper]


class Machine(RuleBasedStateMachine):
    """Its subclasses have a world."""

    world: World
    tally: Tally

    def __init__(self) -> None:
        super().__init__()
        self.papers: Papers = {}
        self.made = 0
        self.unsure: tuple[str, bytes, str] | None = None  # an upload without an answer

    @initialize()
    def begin(self) -> None:
        record, other = self.world.record(), self.world.patient()
        self.visit, self.other = record.id, other.id
        self.room = self.world.kind("visit").max_files

    @rule(crash=CRASHES)
    def attach(self, crash: Any) -> None:
        self.made += 1
        self._attach(
            f"Paper {self.made}.txt", f"Slept well {self.made} times.".encode(), f"key {id(self)} {self.made}", crash
        )

    @precondition(lambda self: self.unsure)
    @rule(crash=CRASHES)
    def attach_again(self, crash: Any) -> None:
        """Whoever got no answer asks once more, with the same key."""
        assert self.unsure is not None
        self._attach(*self.unsure, crash)

    @precondition(lambda self: self.has(trashed=False))
    @rule(which=WHICH, text=st.sampled_from(("", "Read", "Read twice")), crash=CRASHES)
    def edit(self, which: int, text: str, crash: Any) -> None:
        name, number = self._pick(which, trashed=False)
        after = self.papers | {name: replace(self.papers[name], description=text)}
        self._do(lambda: self.world.documents().edit(number, {"description": text}), after, crash)

    @precondition(lambda self: self.has(trashed=False))
    @rule(which=WHICH, crash=CRASHES)
    def trash(self, which: int, crash: Any) -> None:
        name, number = self._pick(which, trashed=False)
        after = self.papers | {name: replace(self.papers[name], trashed=True)}
        self._do(lambda: self.world.documents().trash(number), after, crash)

    @precondition(lambda self: self.has(trashed=False))
    @rule(which=WHICH, crash=CRASHES)
    def move(self, which: int, crash: Any) -> None:
        """To another patient, or from there back to the visit if it has room."""
        name, number = self._pick(which, trashed=False)
        away = not self.papers[name].away
        if not away and not self.has_room():
            return
        after = self.papers | {name: replace(self.papers[name], away=away)}
        to = ("patient", self.other) if away else ("visit", self.visit)
        self._do(lambda: self.world.moving().move(number, self.world.kind(to[0]), to[1]), after, crash)

    @precondition(lambda self: self.has(trashed=True) and self.has_room())
    @rule(which=WHICH, crash=CRASHES)
    def restore(self, which: int, crash: Any) -> None:
        name, number = self._pick(which, trashed=True)
        after = self.papers | {name: replace(self.papers[name], trashed=False)}
        self._do(lambda: self.world.documents().restore(number), after, crash)

    @precondition(lambda self: self.has(trashed=True))
    @rule(which=WHICH, crash=CRASHES)
    def purge(self, which: int, crash: Any) -> None:
        name, number = self._pick(which, trashed=True)
        after = {other: paper for other, paper in self.papers.items() if other != name}
        self._do(lambda: self.world.documents().purge(number), after, crash)

    @rule(crash=CRASHES)
    def sweep_now(self, crash: Any) -> None:
        self._do(self.world.sweep, self.papers, crash)

    @rule()
    def sweep_when_all_leases_are_over(self) -> None:
        self.world.sweep(now() + LATER)
        assert self.world.sweep(now() + LATER) == journal.Swept(0, 0)
        assert self._look().settled() == Findings()

    @invariant()
    def nothing_is_lost_or_unknown(self) -> None:
        self.tally.tried += 1
        seen = self._look()
        assert seen.always() == Findings()
        assert self._papers_in(seen) == self.papers

    def teardown(self) -> None:
        """The next one begins with nothing."""
        self.world.sweep(now() + LATER)
        for file in self.world.files():
            if file.deleted_at is None:
                self.world.documents().trash(file.id)
            self.world.documents().purge(file.id)

    def _attach(self, name: str, content: bytes, key: str, crash: Any) -> None:
        self.unsure = (name, content, key)
        if not self.has_room() and name not in self.papers:
            with pytest.raises(Conflict):
                self._upload(name, content, key)
            return
        after = {name: Paper(sha256(content).hexdigest())} | self.papers
        if self._do(lambda: self._upload(name, content, key), after, crash):
            self.unsure = None

    def _upload(self, name: str, content: bytes, key: str) -> None:
        visit = db.session.get_one(self.world.kind("visit").model, self.visit)
        self.world.attach(visit, name, content, idempotency_key=key)

    def _do(self, verb: Callable[[], Any], after: Papers, crash: Any) -> bool:
        """Whether it was answered; when not, the model learns which of the two it became."""
        try:
            with self._armed(crash):
                verb()
        except Crash:
            self.tally.answers[0] += 1
            db.session.remove()
            found = self._papers_in(self._look())
            assert found in (self.papers, after)
            self.papers = found
            return False
        self.tally.answers[200] += 1
        self.papers = after
        return True

    @contextmanager
    def _armed(self, crash: Any) -> Iterator[None]:
        with ExitStack() as stack:
            if crash is not None:
                step, when, which = crash
                stack.enter_context(crashing(*self._place_of(step), when, which))
            yield

    def _place_of(self, step: str) -> tuple[Any, str]:
        if step == "COMMIT":
            return db.session(), "commit"
        return (self.world.parts.storages.default, step) if step in ("commit", "copy", "delete") else (journal, step)

    def has(self, *, trashed: bool) -> bool:
        return any(paper.trashed == trashed for paper in self.papers.values())

    def has_room(self) -> bool:
        return sum(not (paper.trashed or paper.away) for paper in self.papers.values()) < self.room

    def _pick(self, which: int, *, trashed: bool) -> tuple[str, int]:
        there = sorted((one.name, one.id) for one in self._look().documents if one.trashed == trashed)
        return there[which % len(there)]

    def _papers_in(self, seen: Seen) -> Papers:
        return {
            one.name: Paper(one.sha256, one.trashed, one.description, one.patient == self.other)
            for one in seen.documents
        }

    def _look(self) -> Seen:
        db.session.rollback()
        storage = self.world.parts.storages.default
        store: Any = self.world.uploads
        if isinstance(storage, MemoryStorage):
            store = Objects({listed.key: digest(storage.open(listed.key)) for listed in storage.keys()})
        return invariants.look(self.world.app.config["MEDFILES_DATABASE_URL"], store)


@contextmanager
def crashing(owner: Any, name: str, when: str, which: int) -> Iterator[None]:
    real, calls = getattr(owner, name), 0

    def armed(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == which and when == "before":
            raise Crash
        result = real(*arguments, **options)
        if calls == which:
            raise Crash
        return result

    with mock.patch.object(owner, name, armed):
        yield


@pytest.mark.parametrize("backend", also_on_postgres(("disk", "memory"), "disk"))
def test_in_any_order_verbs_are_done_or_not(
    make_world: Callable[..., World], backend: str, extent: Extent, report: Callable[[str, Tally], None]
) -> None:
    world, tally = make_world(**({"STORAGE_URL": "memory://"} if backend == "memory" else {})), Tally()
    machine = type("Run", (Machine,), {"world": world, "tally": tally})
    extents = settings(
        max_examples=extent.of(500, 6), stateful_step_count=extent.of(50, 20), phases=[Phase.generate],
        suppress_health_check=[*HealthCheck], deadline=None, database=None,
    )  # fmt: skip
    run_state_machine_as_test(seed(extent.seed)(machine), settings=extents)
    report(f"state machine: {backend}", tally)
