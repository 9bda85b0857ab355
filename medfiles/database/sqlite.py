"""SQLite: durable commits on every connection, and fair turns for writers."""

import sqlite3
import threading
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import ConnectionPoolEntry

WRITES = "medfiles_writes"  # execution option of write transactions: when their commit is durable
SYNCHRONOUS, ASYNCHRONOUS = "at-once", "soon"  # with its own fsync, or with the next commit that waits for fsync
BUSY_SECONDS, PAUSE = 15, 0.001
PRAGMAS = {"journal_mode": "WAL", "synchronous": "FULL", "foreign_keys": "ON", "busy_timeout": BUSY_SECONDS * 1000}


def configure(engine: Engine) -> None:
    """Enforce durable commits and foreign keys (else RuntimeError) on an engine.

    A write transaction takes the lock when it begins.
    """
    write_lock = threading.Lock()

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # the driver begins no transactions: `begin` below does
        for name, value in PRAGMAS.items():
            connection.execute(f"PRAGMA {name}={value}")
        if [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "foreign_keys")] != [2, 1]:
            raise RuntimeError("This SQLite does not guarantee durable commits and foreign keys")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
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


def _set_synchronous(connection: Connection, level: str) -> None:
    if connection.info.get("synchronous", "FULL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.info["synchronous"] = level


def _acquire_lock(connection: Connection, deadline: float) -> bool:
    """Poll for the lock until `deadline`: SQLite's own backoff lets newcomers pass."""
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
