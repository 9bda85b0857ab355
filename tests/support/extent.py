"""How much is tried of what has no end: a part in the suite, all of it with --full."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from zlib import crc32

import pytest

Case = TypeVar("Case")


def also_on_postgres(cases: Iterable[str], *chosen: str) -> list[Any]:
    """Return the cases, with the chosen ones marked to run on PostgreSQL too."""
    return [pytest.param(case, marks=pytest.mark.database) if case in chosen else case for case in cases]


@dataclass(frozen=True)
class Extent:
    """`full`: everything is tried; `seed`: from which the choice follows otherwise."""

    full: bool
    seed: int

    def of(self, full: int, part: int) -> int:
        return full if self.full else part

    def chance(self, *what: str) -> random.Random:
        return random.Random(f"{self.seed} {' '.join(what)}")


@dataclass(frozen=True)
class Part:
    """Of each test's cases one in `of` is tried; `together`: of all tests of a module the same ones."""

    of: int
    together: bool = False

    def chosen(self, cases: Sequence[Case], test: Callable[[Case], str], seed: int) -> list[Case]:
        """Which ones follows from the seed and the test's name; of each test there is one at least."""
        groups: dict[str, list[Case]] = defaultdict(list)
        for case in cases:
            groups[test(case)].append(case)
        kept: list[Case] = []
        for name, group in groups.items():
            first = seed + crc32(b"" if self.together else name.encode())
            kept += group[first % min(self.of, len(group)) :: self.of]
        return kept
