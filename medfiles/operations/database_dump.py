"""Durable copies: of a whole database while it is used, and of files, read back before they are believed."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL
from sqlalchemy.engine import Engine

from medfiles.errors import StorageError
from medfiles.storage.durable import publish

MISSING = (
    "{}, needed to copy PostgreSQL databases, was not found. Install the client programs of your server's version "
    "(on Debian and Ubuntu: the package postgresql-client)."
)


def size_of_database(engine: Engine) -> int:
    """In bytes; 0 where the database does not say."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
        pages, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "page_size"))
        return int(pages or 0) * int(size or 0)


def copy_database(engine: Engine, target: Path, snapshot: str | None = None) -> None:
    """One consistent state of it, while others write: an SQLite file, or what pg_dump writes of that snapshot."""
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    if engine.dialect.name == "postgresql":
        dump(engine, part, snapshot)
    else:
        _copy_sqlite(engine, part)
    publish(part, target)


def _copy_sqlite(engine: Engine, part: Path) -> None:
    try:
        with engine.connect() as connection, closing(sqlite3.connect(part)) as copy:
            raw: Any = connection.connection.dbapi_connection
            raw.backup(copy)
    except sqlite3.Error as error:
        raise StorageError(f"The database cannot be copied to {part.parent}: {error}.") from error


def dump(engine: Engine, part: Path, snapshot: str | None = None) -> None:
    """By pg_dump, for pg_restore to read."""
    seen = [f"--snapshot={snapshot}"] if snapshot else []
    _run(engine, "pg_dump", "--format=custom", f"--file={part}", *seen)


def load(engine: Engine, source: Path) -> None:
    """What pg_dump wrote, in one transaction, in place of the tables that are there."""
    _run(engine, "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", str(source))


def _run(engine: Engine, name: str, *options: str) -> None:
    """The password is handed over unseen."""
    if (program := shutil.which(name)) is None:
        raise StorageError(MISSING.format(name))
    command = [program, "--no-password", f"--dbname={plain(engine.url).render_as_string()}", *options]
    environment = {**os.environ, "PGPASSWORD": engine.url.password or os.environ.get("PGPASSWORD", "")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StorageError(f"{name} did not copy the database. {done.stderr.strip()[-300:]}")


def plain(address: URL) -> URL:
    """The address of a PostgreSQL database for every client, without password and options."""
    return URL.create("postgresql", address.username, None, address.host, address.port, address.database)
