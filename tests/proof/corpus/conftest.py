"""One installation for all hostile inputs that a process of the tests sends."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medfiles.sandbox.pool import Sandbox
from tests.proof.corpus.desk import LIMITS, UNLIMITED, Desk
from tests.support.extent import Extent
from tests.support.factories import at_work, make_app


@pytest.fixture(scope="session")
def installed(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox, renderers: Sandbox
) -> Desk:
    place = tmp_path_factory.mktemp("corpus")
    (place / "limits.toml").write_text(LIMITS)
    settings = {
        "MEDFILES_INSTANCE": str(place / "instance"),
        "MEDFILES_DATABASE_URL": new_database(place),
        "MEDFILES_ENTITIES": str(place / "limits.toml"),
        "MEDFILES_LOG_FORMAT": "json",
        **UNLIMITED,
    }
    app = make_app(settings, sandbox, renderers)
    logging.getLogger().setLevel(logging.WARNING)  # thousands of lines say nothing here
    with at_work(app) as world:
        return Desk(world)


@pytest.fixture
def desk(installed: Desk) -> Iterator[Desk]:
    """At work only for this test: between two of them a process may run others, with installations of their own."""
    with at_work(installed.world.app):
        yield installed


@pytest.fixture(scope="session")
def share(extent: Extent) -> int:
    """One in how many inputs is tried: a sample of them is a tenth of the 12,000 that are the least for all."""
    return extent.of(1, 24)
