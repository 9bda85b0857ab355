"""What all contests stand on: the ways there are to do the same, and the installation they do it to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.client import seconds_each, seconds_together
from bench.servers import Site

OURS, BARE, PLAIN, NGINX, HANDED_ON = "medfiles", "bare Flask", "plain Python", "nginx", "medfiles + nginx"
TO_EACH = 40  # documents of one visit


@dataclass
class Bench:
    """What all contests use; `numbers` never come twice."""

    place: Path
    site: Site
    bare: str
    rounds: int
    visits: Sequence[int]
    numbers: Iterator[int]

    def visit(self, number: int) -> int:
        return self.visits[number // TO_EACH % len(self.visits)]


def timed(address: str, work: Any, bench: Bench, times: int, clients: int) -> float:
    if clients == 1:
        return sum(seconds_each(address, work, bench.numbers, times))
    return seconds_together(address, work, bench.numbers, times, clients)
