"""Dump and load a whole database while it is in use."""

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine

from medfiles.errors import StorageError
from medfiles.storage.durable import publish

MISSING = (
    "{}, needed to copy PostgreSQL databases, was not found. Install the client programs of your server's version "
    "(on Debian and Ubuntu: the package postgresql-client)."
)


def database_size(engine: Engine) -> int:
    """Return the database's size in bytes, or 0 if the database does not report it."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
        pages, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("page_count", "page_size"))
        return int(pages or 0) * int(size or 0)


def copy_database(engine: Engine, target: Path, snapshot: str | None = None) -> None:
    """Write a consistent copy of the database: an SQLite file or a pg_dump, of `snapshot` if given."""
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)
    if engine.dialect.name == "postgresql":
        seen = [f"--snapshot={snapshot}"] if snapshot else []
        _run(engine, "pg_dump", "--format=custom", f"--file={part}", *seen)
    else:
        try:
            with engine.connect() as connection, closing(sqlite3.connect(part)) as copy:
                raw: Any = connection.connection.dbapi_connection
                raw.backup(copy)
        except sqlite3.Error as error:
            raise StorageError(f"The database cannot be copied to {part.parent}: {error}.") from error
    publish(part, target)


def load(engine: Engine, source: Path) -> None:
    """Restore a dump in one transaction, replacing the existing tables."""
    _run(engine, "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", str(source))


def _run(engine: Engine, name: str, *options: str) -> None:
    """Run a PostgreSQL client program. The password is passed through the environment."""
    if (program := shutil.which(name)) is None:
        raise StorageError(MISSING.format(name))
    command = [program, "--no-password", f"--dbname={public_url(engine.url).render_as_string()}", *options]
    environment = {**os.environ, "PGPASSWORD": engine.url.password or os.environ.get("PGPASSWORD", "")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StorageError(f"{name} did not copy the database. {done.stderr.strip()[-300:]}")


def public_url(address: URL) -> URL:
    """Return the database URL without its password and driver options."""
    return URL.create("postgresql", address.username, None, address.host, address.port, address.database)
