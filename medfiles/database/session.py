"""The database handle, constraint naming, UTC datetimes and transactions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    BigInteger,
    Connection,
    Date,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    event,
    func,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from medfiles.database import sqlite
from medfiles.errors import DatabaseUnavailable

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
Id = BigInteger().with_variant(Integer(), "sqlite")  # SQLite assigns ids only in INTEGER columns


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class UtcDateTime(TypeDecorator[datetime]):
    """Store timezone-aware datetimes, and return them in UTC on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
migrate = Migrate(render_as_batch=True)


def init_app(app: Flask) -> None:
    db.init_app(app)
    migrate.init_app(app, db, directory=str(app.config["MIGRATIONS"]))
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            sqlite.configure(db.engine)
        elif db.engine.dialect.name == "postgresql":
            _configure_postgresql(db.engine)


@contextmanager
def transaction(commit: str = sqlite.SYNCHRONOUS) -> Iterator[Any]:
    """Run a write transaction on the app context's session. Commit at the end, or roll back on error.

    On SQLite, the transaction takes the write lock immediately (BEGIN IMMEDIATE), so the data it reads cannot change
    before the commit. With `commit=ASYNCHRONOUS`, the commit does not wait for fsync. It survives a process crash, but
    a power failure can undo it until the next durable commit, at the latest when the audit log is sealed a few seconds
    later.

    Raises DatabaseUnavailable if the database fails.
    """
    try:
        begin_write(commit)
        yield db.session
        db.session.commit()
    except OperationalError as error:
        db.session.rollback()
        raise DatabaseUnavailable() from error
    except BaseException:
        db.session.rollback()
        raise


def begin_write(commit: str = sqlite.SYNCHRONOUS) -> None:
    """Roll back the session's transaction and begin a write transaction."""
    db.session.rollback()
    db.session.connection(execution_options={sqlite.WRITES: commit})


def end_read() -> None:
    """End a read transaction by committing it. A rollback would also expire the loaded rows."""
    db.session.commit()


def read(query: Any) -> Sequence[Any]:
    """Return all rows of a query and end the read transaction."""
    rows = db.session.execute(query).all()
    end_read()
    return rows


def count(column: Any, *where: Any) -> int:
    """Count the rows that meet the conditions."""
    return db.session.scalar(select(func.count(column)).where(*where)) or 0


def utc_day(moment: Any) -> Any:
    """Return the UTC day of a time, in SQL."""
    if db.engine.dialect.name == "postgresql":
        moment = func.timezone(literal_column("'UTC'"), moment)
    return func.date(moment, type_=Date)


def check_writable() -> None:
    """Check that a write transaction can begin and commit. Raises DatabaseUnavailable if it cannot."""
    with transaction() as session:
        session.execute(text("SELECT 1"))


def _configure_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            if cursor.fetchone()[0] == "off":
                raise RuntimeError("PostgreSQL has synchronous_commit off: acknowledged uploads could be lost")
        connection.rollback()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(sqlite.WRITES) == sqlite.ASYNCHRONOUS:
            connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
