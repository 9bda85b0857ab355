"""Where faults are done, and a table that says what was tried."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from medfiles.sandbox.pool import Sandbox
from tests.proof.faults.forked import KILLED, RAISED, Forge, forge
from tests.proof.faults.injecting import Tally
from tests.proof.faults.places import Place
from tests.support.extent import Extent

COLUMNS = {"lost": "lost", "unknown": "unknown", "half": "half-done"}
NAMES = {KILLED: "killed", RAISED: "no answer"}
TRIED = "tried"


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    reports = [one for every in terminalreporter.stats.values() for one in every if getattr(one, "when", "") == "call"]
    lines = [line for one in reports for name, line in one.user_properties if name == TRIED]
    if lines:
        terminalreporter.section(f"faults, seed {config.getoption('seed')}")
        terminalreporter.write_line("\n".join(sorted(lines)))


def _line(what: str, tally: Tally) -> str:
    answers = ", ".join(f"{count} × {NAMES.get(said, said)}" for said, count in sorted(tally.answers.items()))
    figures = " ".join(f"{tally.count(name):>5} {title}" for name, title in COLUMNS.items())
    return f"{what:<58} {tally.tried:>6} tried {figures}   {answers}"


@pytest.fixture(scope="session")
def verbs_at_work() -> Iterator[Forge]:
    with forge() as running, running.serving():
        yield running


@pytest.fixture(scope="session")
def place(
    tmp_path_factory: pytest.TempPathFactory,
    new_database: Callable[[Path], str],
    sandbox: Sandbox,
    renderers: Sandbox,
    verbs_at_work: Forge,
) -> Place:
    """Whoever takes it puts it back first."""
    home = tmp_path_factory.mktemp("place")
    place = Place.made(home, new_database(home), sandbox, renderers)
    place.warm_up(verbs_at_work)
    return place


@pytest.fixture
def report(request: pytest.FixtureRequest, extent: Extent) -> Callable[[str, Tally], None]:
    """Add a line to the table; fail when no fault was reached or something was found."""

    def tell(what: str, tally: Tally) -> None:
        request.node.user_properties.append((TRIED, _line(what, tally)))
        assert tally.tried, "no fault was reached"
        assert [(point, findings) for point, findings in tally.found] == [], f"seed {extent.seed}"

    return tell


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "strace.log"
