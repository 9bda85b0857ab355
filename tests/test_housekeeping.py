"""Housekeeping goes on: what fails in one round is done in another."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from medfiles import maintenance
from medfiles.errors import StorageError
from tests.factories import World

FAILURES = (OperationalError("SELECT 1", {}, Exception("gone")), OSError("broken"), StorageError())


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_after_a_round_that_failed_there_is_another(
    world: World, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    stop, again, failures = threading.Event(), threading.Event(), iter([failure])

    def keep_house(_: Any) -> None:
        for error in failures:
            raise error
        again.set()

    monkeypatch.setattr(maintenance, "keep_house", keep_house)
    monkeypatch.setattr(maintenance, "EVERY", timedelta(0))
    thread = maintenance.start_housekeeping(world.app, stop)
    assert again.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
