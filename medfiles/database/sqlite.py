"""What SQLite must promise on every connection, and how those who write take turns."""

import sqlite3
import threading
import time
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.pool import ConnectionPoolEntry

WRITES = "medfiles_writes"  # the execution option of a transaction that writes: when its commit is durable
AT_ONCE, SOON = "at-once", "soon"  # it waits for the disk, or the next one that waits takes it along
BUSY_SECONDS, PAUSE = 15, 0.001
PROMISED = {"journal_mode": "WAL", "synchronous": "FULL", "foreign_keys": "ON", "busy_timeout": BUSY_SECONDS * 1000}


def promise(engine: Engine) -> None:
    """Durable commits and foreign keys, or RuntimeError; a transaction that writes takes the lock when it begins."""
    turn = threading.Lock()

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself: `begin` below does
        for name, value in PROMISED.items():
            connection.execute(f"PRAGMA {name}={value}")
        if [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "foreign_keys")] != [2, 1]:
            raise RuntimeError("This SQLite does not guarantee durable commits and foreign keys")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        durable = connection.get_execution_options().get(WRITES)
        _synchronous(connection, "NORMAL" if durable == SOON else "FULL")
        if durable is None:
            connection.exec_driver_sql("BEGIN")
            return
        give_up = time.monotonic() + BUSY_SECONDS
        connection.info["turn"] = turn.acquire(timeout=BUSY_SECONDS)
        if not _began(connection, give_up):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "checkin")
    def checkin(_: Any, record: ConnectionPoolEntry) -> None:
        if record.info.pop("turn", False):
            turn.release()


def _synchronous(connection: Connection, level: str) -> None:
    if connection.info.get("synchronous", "FULL") != level:
        connection.exec_driver_sql(f"PRAGMA synchronous={level}")
        connection.info["synchronous"] = level


def _began(connection: Connection, give_up: float) -> bool:
    """Ask for the lock until then. SQLite's own waiting pauses longer each time and lets newcomers past."""
    raw: Any = connection.connection.dbapi_connection
    raw.execute("PRAGMA busy_timeout=0")
    try:
        while (held := _held(raw)) and time.monotonic() < give_up:
            time.sleep(PAUSE)
        return held is False
    finally:
        raw.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000}")


def _held(raw: sqlite3.Connection) -> bool | None:
    """Whether somebody else writes; None when SQLite has another reason, and False when the transaction began."""
    try:
        raw.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY or None
    return False
