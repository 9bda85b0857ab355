"""Report the progress of long commands on standard error."""

import sys
import time
from collections.abc import Callable

import click

EVERY = 5.0  # seconds between lines in a log


class Progress:
    """Report progress: on a terminal, update one line; otherwise, write a new line every few seconds."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()

    def step(self, text: str, total: int, what: str = "files") -> Callable[[int], None]:
        begun = reported = time.monotonic()

        def progress(done: int) -> None:
            nonlocal reported
            at = time.monotonic()
            if done != total and at - reported < (0.2 if self._on_terminal else EVERY):
                return
            reported = at
            self._write(f"{text}: {done:,} of {total:,} {what}{_rate(done, total, at - begun)}", done == total)

        self._write(f"{text} …", not self._on_terminal)
        return progress

    def say(self, text: str) -> None:
        self._write(text, True)

    def _write(self, text: str, newline: bool) -> None:
        if self._on_terminal:
            click.echo(f"\r\x1b[K{text}", nl=newline, err=True)
        else:
            click.echo(text, err=True)


def _rate(done: int, total: int, seconds: float) -> str:
    if not done or seconds < 1:
        return ""
    rate = done / seconds
    return f" ({rate:,.0f} per second, {(total - done) / rate:,.0f} s left)"
