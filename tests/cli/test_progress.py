"""What long commands say of their progress."""

import sys
import time

import pytest

from medfiles.cli.progress import Progress


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    at = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: at[0])
    return at


def test_a_terminal_shows_one_line_with_a_bar(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    step = Progress("rows").step("Moving", 2_000)
    for clock[0], done in ((100.1, 10), (102.0, 500), (104.0, 2_000)):
        step(done)
    lines = capsys.readouterr().err.replace("\x1b[K", "").split("\r")
    assert lines[1:] == [
        "Moving …",
        "Moving: [#####...............] 500 of 2,000 rows (250 per second, 6 s left)",
        "Moving: [####################] 2,000 of 2,000 rows (500 per second, 0 s left)\n",
    ]


def test_a_log_gets_a_line_every_few_seconds(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    step = Progress().step("Moving", 400)
    for clock[0], done in ((101.0, 10), (105.0, 100), (109.0, 200), (110.0, 400)):
        step(done)
    assert capsys.readouterr().err.splitlines() == [
        "Moving …",
        "Moving: 100 of 400 files (20 per second, 15 s left)",
        "Moving: 400 of 400 files (40 per second, 0 s left)",
    ]
