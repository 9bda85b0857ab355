"""Sets the product's clock wrong, in this process or in one that runs a command."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from medfiles import clock

ROOT = Path(__file__).parents[2]
YEAR, RIGHT = timedelta(days=365), timedelta(0)
SetClock = Callable[[timedelta], None]
# What `fixed_by` does below, before the command line is imported.
COMMAND = """
import sys
from datetime import timedelta

import pytest

from tests.support.clocks import set_by

set_by(pytest.MonkeyPatch(), timedelta(seconds=float(sys.argv.pop(1))))

from flask.cli import main

sys.argv[0] = "flask"
main()
"""


def set_by(patch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """Let every `now()` of the product be ahead by so much, or behind if it is negative."""

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + ahead

    patch.setattr(clock, "datetime", Wrong)


def flask(environ: Mapping[str, str], ahead: timedelta, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run `flask …` in a process whose clock is ahead by so much."""
    command = [sys.executable, "-c", COMMAND, str(ahead.total_seconds()), "--app", "wsgi", *words]
    own = {name: value for name, value in os.environ.items() if not name.startswith("MEDFILES_")}
    return subprocess.run(
        command, cwd=ROOT, env={**own, **environ}, capture_output=True, text=True, timeout=300, check=True
    )
