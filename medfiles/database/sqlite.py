"""Configure SQLite for durable commits, and give writers fair turns."""

import os
import sqlite3
import threading
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

WRITES = "medfiles_writes"  # execution option for write transactions: when the commit becomes durable
SYNCHRONOUS, ASYNCHRONOUS = "at-once", "soon"  # with its own fsync, or with the next commit that waits for fsync
BUSY_SECONDS, PAUSE = 15, 0.001
TRUNCATE_SECONDS = 2  # writers may have to wait this long
PRAGMAS = {
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "secure_delete": "ON",  # overwrite deleted content
    "busy_timeout": BUSY_SECONDS * 1000,
}


def configure(engine: Engine) -> None:
    """Enforce durable commits and foreign keys on an engine, and take the write lock when a write transaction begins.

    Connecting raises RuntimeError if this build of SQLite cannot guarantee durable commits and foreign keys.
    """
    write_lock = threading.Lock()
    file = DatabaseFile(engine.url.database)

    @event.listens_for(engine, "do_connect")
    def require_file(*_: Any) -> None:
        file.check()

    @event.listens_for(engine, "engine_disposed")
    def forget(_: Engine) -> None:
        file.known = None  # the file may be replaced once all connections are disposed of

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun by `begin` below, not by the driver
        for name, value in PRAGMAS.items():
            connection.execute(f"PRAGMA {name}={value}")
        if [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "foreign_keys")] != [2, 1]:
            raise RuntimeError("This SQLite does not guarantee durable commits and foreign keys")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        try:
            file.check()
        except sqlite3.OperationalError as error:
            raise OperationalError("BEGIN", None, error) from error
        commit = connection.get_execution_options().get(WRITES)
        _set_synchronous(connection, "NORMAL" if commit == ASYNCHRONOUS else "FULL")
        if commit is None:
            connection.exec_driver_sql("BEGIN")
            return
        deadline = time.monotonic() + BUSY_SECONDS
        connection.info["write_lock"] = write_lock.acquire(timeout=BUSY_SECONDS)
        if not _acquire_lock(connection, deadline):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "checkin")
    def checkin(_: Any, record: ConnectionPoolEntry) -> None:
        if record.info.pop("write_lock", False):
            write_lock.release()


class DatabaseFile:
    """The database file, which must not be deleted or replaced while it is in use.

    Otherwise, SQLite would create a missing file or keep writing to a deleted one, and confirmed changes would be lost.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path  # None or "": in memory
        self.known: tuple[int, int] | None = None

    def check(self) -> None:
        if not self.path:
            return
        try:
            found = os.stat(self.path)
        except OSError:
            raise sqlite3.OperationalError(f"the database {self.path} is missing") from None
        if self.known not in (None, (found.st_dev, found.st_ino)):
            raise sqlite3.OperationalError(f"the database {self.path} was replaced: restart the server")
        self.known = found.st_dev, found.st_ino


def create_file(engine: Engine) -> None:
    """Create the file for a new database, readable only by its owner."""
    if engine.url.database:
        with suppress(FileExistsError):
            os.close(os.open(engine.url.database, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def truncate_log(connection: Any) -> bool:
    """Write the write-ahead log back into the database file and truncate it.

    Return False if readers or writers kept the log busy.
    """
    connection.execute(f"PRAGMA busy_timeout={TRUNCATE_SECONDS * 1000}")
    try:
        return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def _set_synchronous(connection: Connection, level: str) -> None:
    if connection.info.get("synchronous", "FULL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.info["synchronous"] = level


def _acquire_lock(connection: Connection, deadline: float) -> bool:
    """Poll for the write lock until `deadline`, because SQLite's own backoff lets newer writers overtake.

    Return whether the lock was acquired.
    """
    raw: Any = connection.connection.dbapi_connection
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return True
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    return False
            time.sleep(PAUSE)
    finally:
        raw.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")
