"""How well texts and dates are read: `python -m bench.texts`, on letters in four languages from a seed.

Reports the share of words read right on printed pages and on photos of them, the processor time for a page, how far the
boxes cover the words, and how many dates are right. `--pages 4` for a first look; `--dates` skips the pictures.
"""

import argparse
import statistics
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from bench.letters import Letter, as_pdf, as_photo, letters
from medfiles.previews import renderer
from medfiles.sandbox.pool import Sandbox
from medfiles.sandbox.render.scan import page_image
from medfiles.texts import dates, reading, recognition
from medfiles.texts.layout import Word, in_reading_order

LETTERS, SEED, TODAY = 100, 25, date(2026, 11, 30)
PDF, JPEG = "application/pdf", "image/jpeg"


def share_right(letter: Letter, text: str) -> float:
    """Return the share of the letter's words that are in the text exactly as they are, as often as they are."""
    wanted, found = (Counter(unicodedata.normalize("NFKC", part).split()) for part in (" ".join(letter.words), text))
    return sum((wanted & found).values()) / sum(wanted.values())


def overlap(first: Word, second: Word) -> float:
    """Return the area that both boxes cover, as a share of the area that either covers."""
    across = min(first.x + first.width, second.x + second.width) - max(first.x, second.x)
    down = min(first.y + first.height, second.y + second.height) - max(first.y, second.y)
    common = max(0.0, across) * max(0.0, down)
    return common / (first.width * first.height + second.width * second.height - common)


def boxes_right(true: Sequence[Word], found: Sequence[Word]) -> list[bool]:
    """Return, for each word that was read right, whether its box overlaps the true one by half or more."""
    return [
        max(overlap(word, other) for other in found if other.text == word.text) >= 0.5
        for word in true
        if any(other.text == word.text for other in found)
    ]


@contextmanager
def workers(nice: int) -> Iterator[tuple[Sandbox, recognition.RapidOcr]]:
    reader = Sandbox(1, reading.TASKS, renderer.LIMITS)
    engine = recognition.RapidOcr(Sandbox(1, recognition.TASKS, replace(recognition.LIMITS, nice=nice)))
    try:
        yield reader, engine
    finally:
        reader.close()
        engine.close()


def processor_time() -> float:
    children = psutil.Process().children(recursive=True)
    return sum(sum(child.cpu_times()[:2]) for child in children)


def read_pictures(count: int, nice: int) -> None:
    printed, photographed, boxes, seconds = list[float](), list[float](), list[bool](), list[float]()
    with TemporaryDirectory() as folder, workers(nice) as (reader, engine):
        path = Path(folder, "page")
        for number, letter in enumerate(letters(count, SEED + 1)):
            path.write_bytes(as_pdf(letter))
            answer = reader.run("text", file=path, media_type=PDF, first=1)
            true = [Word(*word) for word in answer["texts"][0]["words"]]
            picture = page_image(BytesIO(as_pdf(letter)), PDF, 1)
            for is_photo in (False, True):
                target = BytesIO()
                picture.save(target, "JPEG", quality=92)
                path.write_bytes(as_photo(picture, number) if is_photo else target.getvalue())
                before = processor_time()
                text, words = in_reading_order(engine.recognize(path, JPEG, 1))
                seconds.append(processor_time() - before)
                (photographed if is_photo else printed).append(share_right(letter, text))
                boxes += [] if is_photo else boxes_right(true, words)
    print(f"words right, printed      {statistics.mean(printed):.1%}  (aim: 97 %)")
    print(f"words right, photographed {statistics.mean(photographed):.1%}  (aim: 93 %)")
    print(f"boxes right               {statistics.mean(boxes):.1%}  (aim: 95 %)")
    print(f"processor time for a page {statistics.median(seconds[1:] or seconds):.1f} s  (aim: 10 s)")


def read_dates(count: int) -> None:
    right = births = guesses = clear = 0
    began = time.process_time()
    for letter in letters(count, SEED):
        found = dates.in_text(["\n".join(letter.lines)], None, TODAY, ())
        suggested = found[0] if len(found) == 1 else None
        births += suggested == letter.born
        guesses += letter.unclear and suggested is not None
        clear += not letter.unclear
        right += not letter.unclear and suggested == letter.dated
    print(f"dates right               {right} of {clear}  (aim: 95 %)")
    print(f"birth dates, guesses      {births}, {guesses}  (aim: none)")
    print(f"time for a letter's date  {(time.process_time() - began) / count * 1000:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=20, help="letters to recognize, each printed and photographed")
    parser.add_argument("--nice", type=int, default=0, help="priority of the worker, 0 to 19")
    parser.add_argument("--dates", action="store_true", help="only dates")
    options = parser.parse_args()
    read_dates(LETTERS)
    if not options.dates:
        read_pictures(options.pages, options.nice)


if __name__ == "__main__":
    main()
