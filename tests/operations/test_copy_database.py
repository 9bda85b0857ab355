"""An installation that grows: everything SQLite holds is in PostgreSQL afterwards, row by row, and goes on there."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask_migrate import upgrade
from sqlalchemy import Engine, create_engine, func, select, text, update

from medfiles.accounts import service as accounts
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict, IntegrityFailed
from medfiles.models import AuditEvent, EntityFile
from medfiles.operations import copy_database
from medfiles.sandbox.pool import Sandbox
from tests.support.factories import World, install, make_app
from tests.support.shared_installation import environ_in

pytestmark = pytest.mark.only_postgres


@pytest.fixture
def target(new_database: Callable[[Path], str], tmp_path: Path) -> str:
    """An empty database without tables."""
    url = new_database(tmp_path)
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return url


@pytest.fixture
def tables(new_database: Callable[[Path], str], tmp_path: Path) -> Iterator[Engine]:
    """An empty database with the tables of this version."""
    engine = copy_database.target_engine(new_database(tmp_path))
    yield engine
    engine.dispose()


@pytest.fixture
def small(tmp_path: Path, sandbox: Sandbox, renderers: Sandbox) -> Any:
    """A family on SQLite, with things in every state."""
    environ = environ_in(tmp_path, f"sqlite:///{tmp_path / 'small.db'}")
    app = make_app(environ, sandbox, renderers)
    with app.app_context():
        upgrade()
    with install(environ, sandbox, renderers=renderers) as world:
        patient = world.patient()
        visit = world.record("visit", patient, reason="Größe, naïve – 日本語 🩺")
        files = [world.attach(visit, name) for name in ("letter.pdf", "growth.png", "note.txt", "gone.txt")]
        world.documents().trash(files[1].id)
        world.documents().trash(files[3].id)
        world.documents().purge(files[3].id)
        world.share(patient, "helper@sample.example", "edit")
        accounts.set_password(world.user().email, "a long enough password")
        yield world


def command(world: World, url: str, *options: str) -> Any:
    return world.app.test_cli_runner().invoke(args=["medfiles", "db", "copy", url, *options])


def facts(world: World) -> dict[int, Any]:
    return {file.id: (file.file_name, file.sha256, file.uploaded_at, file.deleted_at) for file in world.files()}


def test_copy_is_complete(small: World, target: str, tmp_path: Path, sandbox: Sandbox, renderers: Sandbox) -> None:
    last = max(file.id for file in small.files()) + 1  # was given to what is deleted for ever
    rows = facts(small)
    done = command(small, target, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["rows"]["entity_files"] == 3
    assert told["count"] == sum(told["rows"].values())
    with install(environ_in(tmp_path, target), sandbox, renderers=renderers) as large:
        large._users.update(small._users)
        assert facts(large) == rows
        record: Any = large.records().get(large.kind("visit"), large.files()[0].entity_id)
        assert record.reason == "Größe, naïve – 日本語 🩺"
        assert large.attach(record, "new.txt").id > last
        assert b"".join(large.documents().open(large.files()[0].id).read())


def test_copied_log_verifies(small: World, target: str, tmp_path: Path, sandbox: Sandbox, renderers: Sandbox) -> None:
    assert small.app.test_cli_runner().invoke(args=["medfiles", "audit", "seal"]).exit_code == 0
    events = db.session.scalar(select(func.count(AuditEvent.id)))
    assert command(small, target).exit_code == 0
    with install(environ_in(tmp_path, target), sandbox, renderers=renderers) as large:
        assert db.session.scalar(select(func.count(AuditEvent.id))) == events
        done = large.app.test_cli_runner().invoke(args=["medfiles", "audit", "verify"])
        assert done.exit_code == 0, done.output


def test_a_database_with_rows_is_refused_and_stays(small: World, target: str) -> None:
    assert command(small, target).exit_code == 0
    done = command(small, target)
    assert done.exit_code == 1
    assert "not empty" in done.output


@pytest.mark.parametrize("url", ["sqlite:///other.db", "nonsense", "postgresql+psycopg://nobody@127.0.0.1:1/none"])
def test_an_address_that_cannot_be_copied_to_is_refused_in_words(small: World, target: str, url: str) -> None:
    done = command(small, url)
    assert done.exit_code == 1
    assert "Traceback" not in done.output
    assert "PostgreSQL" in done.output or "is unavailable" in done.output


def test_a_row_that_differs_afterwards_undoes_everything(small: World, tables: Engine) -> None:
    with tables.begin() as connection:
        connection.execute(
            text(
                "CREATE FUNCTION spoil() RETURNS trigger AS $$ BEGIN NEW.description := 'other'; RETURN NEW; END $$"
                " LANGUAGE plpgsql; CREATE TRIGGER spoil BEFORE INSERT ON entity_files FOR EACH ROW"
                " EXECUTE FUNCTION spoil()"
            )
        )
    with pytest.raises(IntegrityFailed, match="entity_files"):
        copy_database.copy_to(tables)
    copy_database.check_is_empty(tables)


def test_a_text_that_postgresql_does_not_take_undoes_everything(small: World, tables: Engine) -> None:
    with transaction() as session:
        session.execute(update(EntityFile).values(description="cut \0 off"))
    with pytest.raises(IntegrityFailed, match="NUL"):
        copy_database.copy_to(tables)
    copy_database.check_is_empty(tables)


def test_a_text_longer_than_its_column_is_named_with_its_row(small: World, tables: Engine) -> None:
    number = small.files()[1].id
    with transaction() as session:
        session.execute(update(EntityFile).where(EntityFile.id == number).values(category="ä" * 101))
    words = f"entity_files, row with id {number}: “category” is longer than 100 characters"
    with pytest.raises(IntegrityFailed, match=words):
        copy_database.copy_to(tables)
    copy_database.check_is_empty(tables)
    with transaction() as session:
        session.execute(update(EntityFile).where(EntityFile.id == number).values(category="ä" * 100))
    assert copy_database.copy_to(tables).rows["entity_files"] == len(small.files())


def test_nobody_writes_here_meanwhile(small: World, tables: Engine) -> None:
    refused: list[str] = []

    def write(table: str, rows: int) -> None:
        with closing(sqlite3.connect(str(db.engine.url.database), timeout=0)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("DELETE FROM entity_files")
            refused.append(table)

    assert copy_database.copy_to(tables, write).rows["entity_files"] == 3
    assert "entity_files" in refused


def test_an_installation_on_postgresql_is_told_what_does_it(world: World, tables: Engine) -> None:
    with pytest.raises(Conflict, match="pg_dump"):
        copy_database.copy_to(tables)
