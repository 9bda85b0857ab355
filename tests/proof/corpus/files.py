"""Files that others collected because parsers stumbled over them, and good ones cut off or with a bit turned."""

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.documents.test_detection import TEXTS
from tests.proof.corpus.contents import EITHER, REFUSED, paper
from tests.proof.corpus.desk import Input, statuses
from tests.proof.corpus.sources import papers
from tests.support.samples import SAMPLES

PLACES, BITS, OTHERS = 40, 20, 1  # cuts and turned bits of each type; other extensions for each collected file
MAY_END = {*TEXTS, ".dcm"}  # where one thing ends and the next begins nobody can tell that more was to come
ANY = statuses(201, 413, 415, 422)


def collected() -> Iterator[Input]:
    """Each under its own extension, if that is one we take, and under another."""
    for path in papers():
        chance = random.Random(path.name)
        own = [path.suffix.lower()] if path.suffix.lower() in SAMPLES else [likely(path)]
        for extension in {*own, *chance.sample(sorted(SAMPLES), OTHERS)}:
            yield paper(f"{path.parent.name}/{path.name}", extension, path.read_bytes, ANY, looked_at=True)


def likely(path: Path) -> str:
    """Where an own extension is none of ours: what comes closest."""
    if "test_files" in path.parts:
        return ".dcm"
    return {".webp": ".png", ".psd": ".tiff", ".eps": ".pdf", ".pptx": ".docx"}.get(path.suffix, ".jpg")


def damaged() -> Iterator[Input]:
    for extension, make in SAMPLES.items():
        whole, chance = make(), random.Random(extension)
        places = {0, 1, 4, 8, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(PLACES))}
        for place in sorted(places):
            right = EITHER if place and (extension in MAY_END or place > len(whole) - 64) else REFUSED
            yield paper(f"cut off at {place}", extension, partial(bytes, whole[:place]), right)
        for _ in range(BITS):
            at, bit = chance.randrange(len(whole)), chance.randrange(8)
            yield paper(f"bit {bit} of byte {at} turned", extension, partial(turned, whole, at, bit), looked_at=True)


def turned(whole: bytes, at: int, bit: int) -> bytes:
    changed = bytearray(whole)
    changed[at] ^= 1 << bit
    return bytes(changed)
