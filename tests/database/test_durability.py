"""What PostgreSQL waits for when a transaction commits."""

import pytest
from sqlalchemy import text

from medfiles.database.session import transaction
from medfiles.database.sqlite import ASYNCHRONOUS, SYNCHRONOUS
from tests.support.factories import World

pytestmark = pytest.mark.only_postgres


def test_only_what_may_be_durable_soon_does_not_wait_for_the_disk(world: World) -> None:
    found = []
    for durable in (SYNCHRONOUS, ASYNCHRONOUS, SYNCHRONOUS):
        with transaction(durable) as session:
            found.append(session.scalar(text("SHOW synchronous_commit")))
    assert found == ["on", "off", "on"]
    assert world.app
