"""Writers on SQLite: one at a time, each in its turn, and told when it takes too long."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text

from medfiles.database.session import db, transaction
from medfiles.database.sqlite import ASYNCHRONOUS, SYNCHRONOUS
from medfiles.errors import DatabaseUnavailable
from medfiles.models import Patient
from tests.support.factories import World


def test_writer_fails_when_the_database_is_locked_for_too_long(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medfiles.database.sqlite.BUSY_SECONDS", 0.05)
    holder = sqlite3.connect(str(db.engine.url.database), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable), transaction():
        pass
    holder.execute("ROLLBACK")
    holder.close()
    world.patient()


def test_repeated_reads_do_not_wait_for_a_writer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medfiles.database.sqlite.BUSY_SECONDS", 0.05)
    document = world.attach(world.record()).id
    world.documents().details(document)
    holder = sqlite3.connect(str(db.engine.url.database), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert world.documents().details(document).id == document
    with pytest.raises(DatabaseUnavailable):
        world.documents().open(document)
    holder.execute("ROLLBACK")
    holder.close()


def test_only_what_may_be_durable_soon_does_not_wait_for_the_disk(world: World) -> None:
    found = []
    for durable in (SYNCHRONOUS, ASYNCHRONOUS, ASYNCHRONOUS, SYNCHRONOUS):
        with transaction(durable) as session:
            found.append(session.scalar(text("PRAGMA synchronous")))
    with transaction(ASYNCHRONOUS):
        pass
    found.append(db.session.scalar(text("PRAGMA synchronous")))  # in one that a library may write in
    assert found == [2, 1, 1, 2, 2]
    assert world.app


def test_deleted_content_is_overwritten(world: World) -> None:
    assert db.session.scalar(text("PRAGMA secure_delete")) == 1
    assert world.app


def test_a_writer_that_fails_leaves_the_turn_to_the_next(world: World) -> None:
    with pytest.raises(ZeroDivisionError), transaction():
        raise ZeroDivisionError
    world.patient()


def test_many_writers_at_once_all_get_through(world: World) -> None:
    patient = world.patient()

    def count(_: int) -> None:
        with world.app.app_context(), transaction() as session:
            found = session.get_one(Patient, patient.id)
            found.notes = str(int(found.notes or 0) + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(200)))
    db.session.rollback()
    assert db.session.scalar(select(Patient.notes)) == "200"
    assert db.session.scalar(select(func.count(Patient.id))) == 1
