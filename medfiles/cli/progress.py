"""Progress of long commands on standard error."""

import sys
import time
from collections.abc import Callable

import click

EVERY = 5.0  # seconds between lines in a log


class Teller:
    """Report progress: one changing line on a terminal, else a line now and then."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()

    def step(self, words: str, total: int) -> Callable[[int], None]:
        begun = told = time.monotonic()

        def progress(done: int) -> None:
            nonlocal told
            at = time.monotonic()
            if done != total and at - told < (0.2 if self._on_terminal else EVERY):
                return
            told = at
            self._tell(f"{words}: {done:,} of {total:,} files{_rate(done, total, at - begun)}", done == total)

        self._tell(f"{words} …", not self._on_terminal)
        return progress

    def say(self, words: str) -> None:
        self._tell(words, True)

    def _tell(self, words: str, for_good: bool) -> None:
        if self._on_terminal:
            click.echo(f"\r\x1b[K{words}", nl=for_good, err=True)
        else:
            click.echo(words, err=True)


def _rate(done: int, total: int, seconds: float) -> str:
    if not done or seconds < 1:
        return ""
    rate = done / seconds
    return f" ({rate:,.0f} a second, {(total - done) / rate:,.0f} s left)"
