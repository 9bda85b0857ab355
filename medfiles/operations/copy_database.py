"""Copy the SQLite database into an empty PostgreSQL database and compare every row."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, String, Table, create_engine, delete, func, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from medfiles.database import sqlite
from medfiles.database.session import db
from medfiles.errors import Conflict, DatabaseUnavailable, IntegrityFailed, Rejected
from medfiles.models import HousekeepingRound
from medfiles.models.search import WORDS_TABLE

BATCH = 1000  # rows
VERSION = "alembic_version"
SEEDED = HousekeepingRound.__tablename__  # a migration inserts its first row, which the copy replaces
EXPECTED_URL = "Enter the URL of a PostgreSQL database: postgresql+psycopg://user:password@host/database."


@dataclass
class CopyResult:
    """The result of a copy: row counts by table. `others` lists tables unknown to medfiles, which are not copied."""

    rows: dict[str, int]
    others: list[str]


def target_engine(url: str) -> Engine:
    """Connect to the target. Raises Rejected if the URL is invalid, or DatabaseUnavailable if it is down."""
    try:
        engine = create_engine(make_url(url), hide_parameters=True, poolclass=NullPool)
    except (ArgumentError, ImportError) as error:
        raise Rejected(EXPECTED_URL) from error
    if engine.dialect.name != "postgresql":
        raise Rejected(EXPECTED_URL)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        raise DatabaseUnavailable("The target database is unavailable.") from error
    return engine


def check_is_empty(target: Engine) -> None:
    """Raise Conflict unless all tables are empty, except for rows that migrations insert."""
    with target.connect() as connection:
        found = MetaData()
        found.reflect(connection)
        for table in found.sorted_tables:
            if table.name not in (VERSION, SEEDED) and connection.scalar(select(func.count()).select_from(table)):
                raise Conflict(f"The target database is not empty: {table.name} has rows.")


def copy_to(target: Engine, report: Callable[[str, int], None] = lambda table, rows: None) -> CopyResult:
    """Copy all rows and sequences in one transaction while the source is locked against writes.

    `target` must have this version's tables, all empty. Raises IntegrityFailed, and changes nothing, if a row differs,
    or Conflict if the source is not SQLite or the versions differ.
    """
    if db.engine.dialect.name != "sqlite":
        raise Conflict("This installation already uses PostgreSQL. Copy its database with pg_dump and pg_restore.")
    tables = db.metadata.sorted_tables
    locked = {sqlite.WRITES: sqlite.SYNCHRONOUS}  # hold the write lock, so that the source does not change
    with db.engine.connect().execution_options(**locked) as here, here.begin(), target.begin() as there:
        versions = [one.execute(text(f"SELECT version_num FROM {VERSION}")).all() for one in (here, there)]
        if versions[0] != versions[1]:
            raise Conflict("The two databases have different versions. Update this one with `flask db upgrade`.")
        for table in tables:
            _check_lengths(table, here)
        there.execute(delete(HousekeepingRound))
        try:
            rows = {table.name: _copy(table, here, there, report) for table in tables}
        except (DataError, IntegrityError) as error:
            raise IntegrityFailed(f"PostgreSQL rejected a row: {error.orig}") from error
        for table in tables:
            with _rows(table, here) as ours, _rows(table, there) as theirs:
                if any(tuple(one) != tuple(other) for one, other in zip_longest(ours, theirs, fillvalue=())):
                    raise IntegrityFailed(f"A copied row of {table.name} differs from its source. Nothing was copied.")
            _advance_sequence(table, here, there)
        others = {*inspect(here).get_table_names()} - {table.name for table in tables} - {VERSION}
    return CopyResult(rows, sorted(name for name in others if not name.startswith(WORDS_TABLE)))


def _check_lengths(table: Table, here: Connection) -> None:
    """Raise IntegrityFailed if a text is longer than its column, which SQLite allows and PostgreSQL does not."""
    key = list(table.primary_key.columns)
    for column in table.columns:
        limit = getattr(column.type, "length", None)
        if not isinstance(column.type, String) or limit is None:
            continue
        row = here.execute(select(*key).where(func.length(column) > limit).limit(1)).first()
        if row is not None:
            which = ", ".join(f"{one.name} {value}" for one, value in zip(key, row, strict=True))
            reason = f"“{column.name}” is longer than {limit} characters. Shorten it and try again."
            raise IntegrityFailed(f"{table.name}, row with {which}: {reason} Nothing was copied.")


def _copy(table: Table, here: Connection, there: Connection, report: Callable[[str, int], None]) -> int:
    count = 0
    with _rows(table, here) as found:
        for rows in found.mappings().partitions(BATCH):
            there.execute(table.insert(), [dict(row) for row in rows])
            count += len(rows)
            report(table.name, count)
    return count


def _rows(table: Table, connection: Connection) -> Any:
    order: list[Any] = list(table.primary_key.columns)
    if connection.dialect.name == "postgresql":  # sort by bytes, as SQLite does
        order = [column.collate("C") if isinstance(column.type, String) else column for column in order]
    return connection.execute(select(table).order_by(*order), execution_options={"yield_per": BATCH})


def _advance_sequence(table: Table, here: Connection, there: Connection) -> None:
    """Advance the table's sequence, so that ids of deleted rows are never reused."""
    [first, *more] = table.primary_key.columns
    query = text("SELECT pg_get_serial_sequence(:table, :column)").bindparams(table=table.name, column=first.name)
    if more or not (sequence := there.scalar(query)):
        return
    last = there.scalar(select(func.max(first))) or 0
    if here.scalar(text("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")):  # the last ids assigned
        given = text("SELECT seq FROM sqlite_sequence WHERE name = :table").bindparams(table=table.name)
        last = max(last, here.scalar(given) or 0)
    if last:
        there.execute(text("SELECT setval(CAST(:counter AS regclass), :last)"), {"counter": sequence, "last": last})
