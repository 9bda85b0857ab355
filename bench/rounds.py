"""Contests between ways to do the same: in turns, so that whatever else the machine does meets all of them alike."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Round = Callable[[], float]


@dataclass(frozen=True)
class Figure:
    """Of several rounds: the median, the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: list[float]) -> "Figure":
        return cls(statistics.median(values), min(values), max(values))


@dataclass
class Contest:
    """`unit` of its figures: "/s" (more is better) or "ms". `aim`: what is wanted of medfiles, in words, and whether it
    is so."""

    name: str
    unit: str
    figures: Mapping[str, Figure] = field(default_factory=dict)
    aim: str = ""
    reached: bool | None = None


def contest(name: str, unit: str, ways: Mapping[str, Round], rounds: int) -> Contest:
    """Each way once a round, every other round in the opposite order; the first round, in which all is cold, is not
    counted."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        order = [*ways] if number % 2 else [*ways][::-1]
        for way in order:
            value = ways[way]()
            if number:
                found[way].append(value)
    return Contest(name, unit, {way: Figure.of(values) for way, values in found.items()})
