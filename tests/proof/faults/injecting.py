"""Faults at system calls: which calls a verb makes, a fault at one of them, and what is to be said of it afterwards."""

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.proof.faults.forked import KILLED, RAISED, Forge
from tests.proof.faults.invariants import Findings, Paper
from tests.proof.faults.places import Place

CALL = re.compile(r"^(?:\d+ +)?(\w+)\(", re.MULTILINE)
TELLING = (  # those that others may notice
    "write", "pwrite64", "writev", "fsync", "fdatasync", "rename", "openat", "mkdir", "unlink", "link", "ftruncate",
    "fcntl", "close", "sendto", "flock", "fallocate",
)  # fmt: skip
FAILING = ("write", "pwrite64", "fsync", "fdatasync", "rename", "openat", "mkdir", "unlink", "link", "ftruncate")
AS_FULL = ("write", "pwrite64", "openat", "mkdir", "link", "rename", "ftruncate")


@dataclass(frozen=True)
class Point:
    """The fault comes at call number `when` of this name."""

    verb: str
    call: str
    when: int
    fault: str

    def how(self) -> Mapping[str, Any]:
        inject = f"inject={self.call}:{self.fault}:when={self.when}"
        return {"trace": ("-o", "/dev/null", "-e", f"trace={self.call}", "-e", inject)}

    def reached(self, answer: int) -> bool:
        """Now and then a verb makes a call less than at first."""
        return "SIGKILL" not in self.fault or answer == KILLED


@dataclass(frozen=True)
class Short:
    """Writes beyond so many bytes of a file end short, and then fail, as on a full disk."""

    verb: str
    largest: int

    def how(self) -> Mapping[str, Any]:
        return {"largest": self.largest}

    def reached(self, answer: int) -> bool:
        return True


@dataclass(frozen=True)
class Lost:
    """A commit is reported as failed, before or after it took effect."""

    verb: str
    which: int
    when: str

    def how(self) -> Mapping[str, Any]:
        return {"lose": (self.which, self.when)}

    def reached(self, answer: int) -> bool:
        return answer != 200


class Fault(Protocol):
    @property
    def verb(self) -> str: ...

    def how(self) -> Mapping[str, Any]:
        """What the program that runs the verbs is told."""

    def reached(self, answer: int) -> bool:
        """Whether it happened at all."""


@dataclass
class Tally:
    """What was tried and what was found; `tried` counts points that were reached."""

    tried: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    found: list[tuple[str, Findings]] = field(default_factory=list)

    def add(self, point: object, answer: int, findings: Findings) -> None:
        self.tried += 1
        self.answers[answer] += 1
        if findings:
            self.found.append((str(point), findings))

    def count(self, what: str) -> int:
        return sum(bool(getattr(findings, what)) for _, findings in self.found)


def calls_of(forge: Forge, place: Place, verb: str, log: Path) -> Mapping[str, int]:
    """How often the verb makes each system call when all goes well."""
    place.put_back()
    answer = forge.run(place.environ, verb, place.facts, trace=("-o", str(log)))
    if answer != 200:
        raise RuntimeError(f"{verb} was answered {answer} without any fault")
    return Counter(CALL.findall(log.read_text()))


def outcome(forge: Forge, place: Place, verb: str) -> frozenset[Paper]:
    """The documents there are once the verb has done its work."""
    place.put_back()
    if (answer := forge.run(place.environ, verb, place.facts)) != 200:
        raise RuntimeError(f"{verb} was answered {answer} without any fault")
    return place.look().papers()


def kill_points(calls: Mapping[str, int], verb: str) -> Iterator[Point]:
    """Before every single one of them."""
    for call, count in calls.items():
        for when in range(1, count + 1):
            yield Point(verb, call, when, "signal=SIGKILL")


def error_points(calls: Mapping[str, int], verb: str) -> Iterator[Point]:
    for errors, names in (("EIO", FAILING), ("ENOSPC", AS_FULL)):
        for call in names:
            for when in range(1, calls.get(call, 0) + 1):
                yield Point(verb, call, when, f"error={errors}")


def chosen(points: Sequence[Point], most: int, chance: random.Random) -> Sequence[Point]:
    """All that others may notice first, then as many of the rest as are wanted, in any order."""
    shuffled = chance.sample(points, len(points))
    return sorted(shuffled, key=lambda point: point.call not in TELLING)[:most]


def after_fault(
    forge: Forge, place: Place, verb: str, answer: int, before: frozenset[Paper], after: frozenset[Paper]
) -> Findings:
    """Looks, reconciles and looks again; a client without an answer to its upload sends it anew."""
    found = place.look().always()
    if forge.run(place.environ, "reconcile", place.facts) != 200:
        found += Findings(half=("reconciling a second time changed something",))
    settled = place.look()
    found += settled.settled() + judged(answer, settled.papers(), before, after)
    if verb == "upload" and answer != 200:
        if (again := forge.run(place.environ, verb, place.facts)) != 200:
            found += Findings(half=(f"the same upload sent again was answered {again}",))
        found += judged(200, place.look().papers(), before, after)
    return found


def judged(answer: int, papers: frozenset[Paper], before: frozenset[Paper], after: frozenset[Paper]) -> Findings:
    if answer == 200 and papers != after:
        return Findings(lost=("what was answered 2xx is not there",))
    if papers not in (before, after):
        return Findings(half=("what was not answered is neither there nor gone",))
    if answer in (500, RAISED):
        return Findings(half=(f"the request was answered {answer}, which says nothing",))
    return Findings()


def tried(forge: Forge, place: Place, points: Sequence[Fault]) -> Tally:
    """Every point from the same beginning."""
    tally, before = Tally(), place.before.papers()
    afters = {verb: outcome(forge, place, verb) for verb in {point.verb for point in points}}
    for point in points:
        place.put_back()
        answer = forge.run(place.environ, point.verb, place.facts, **point.how())
        if point.reached(answer):
            findings = after_fault(forge, place, point.verb, answer, before, afters[point.verb])
            tally.add(point, answer, findings)
    return tally


def too_many(live: int, room: int) -> Findings:
    return Findings(half=(f"{live} documents where {room} have room",) if live > room else ())
