"""How much is tried of what has no end: a part in the suite, all of it with --full."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """`full`: everything is tried; `seed`: from which the choice follows otherwise."""

    full: bool
    seed: int

    def of(self, full: int, part: int) -> int:
        return full if self.full else part

    def chance(self, *what: str) -> random.Random:
        return random.Random(f"{self.seed} {' '.join(what)}")
