"""Erase deleted content from database files, where it remains readable after its rows are deleted."""

from contextlib import closing
from typing import Any

from medfiles.database import sqlite
from medfiles.database.session import db
from medfiles.errors import DatabaseUnavailable
from medfiles.models import AuditPrivate, EntityFile, PageText, Rendition, StorageJournal, UploadKey
from medfiles.record_types.declared import Registry

TABLES: tuple[Any, ...] = (
    AuditPrivate,
    EntityFile,
    PageText,
    Rendition,
    StorageJournal,
    UploadKey,
)  # permanent deletion changes these and the tables of records


def erase(registry: Registry) -> None:
    """Erase permanently deleted content. Raises DatabaseUnavailable if the database is too busy.

    SQLite overwrites deleted rows (`secure_delete`), but its write-ahead log keeps earlier pages until it is truncated.
    PostgreSQL removes deleted rows from their pages when the table is vacuumed.
    """
    db.session.rollback()
    if db.engine.dialect.name == "sqlite":
        with closing(db.engine.raw_connection()) as connection:
            if not sqlite.truncate_log(connection.dbapi_connection):
                raise DatabaseUnavailable("The database is too busy to erase deleted content. Please try again.")
        return
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for model in (*TABLES, *(record_type.model for record_type in registry)):
            connection.exec_driver_sql(f"VACUUM {model.__tablename__}")
