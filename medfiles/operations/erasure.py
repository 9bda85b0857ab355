"""Erase deleted content from database files, where it remains readable after its rows are deleted."""

from contextlib import closing
from typing import Any

from sqlalchemy import text

from medfiles.database import sqlite
from medfiles.database.session import db, transaction
from medfiles.errors import DatabaseUnavailable
from medfiles.models import (
    ApiToken,
    AuditPrivate,
    EntityFile,
    PageText,
    Patient,
    PatientShare,
    Rendition,
    SearchEntry,
    ShareLink,
    SmartLink,
    SmartLinkDocument,
    StorageJournal,
    UploadKey,
)
from medfiles.models.search import WORDS_TABLE
from medfiles.record_types.declared import Registry

TABLES: tuple[Any, ...] = (
    ApiToken,
    AuditPrivate,
    EntityFile,
    PageText,
    Patient,
    PatientShare,
    Rendition,
    SearchEntry,
    ShareLink,
    SmartLink,
    SmartLinkDocument,
    StorageJournal,
    UploadKey,
)  # permanent deletion changes these and the tables of records


def erase(registry: Registry) -> None:
    """Erase permanently deleted content. Raises DatabaseUnavailable if the database is too busy.

    SQLite overwrites deleted rows (`secure_delete`), but its write-ahead log keeps earlier pages until it is truncated.
    Its search index only marks words as deleted, until it is merged. PostgreSQL removes deleted rows from their pages,
    and their words from indexes, when the table is vacuumed.
    """
    db.session.rollback()
    if db.engine.dialect.name == "sqlite":
        with transaction() as session:
            session.execute(text(f"INSERT INTO {WORDS_TABLE} ({WORDS_TABLE}) VALUES ('optimize')"))
        with closing(db.engine.raw_connection()) as connection:
            if not sqlite.truncate_log(connection.dbapi_connection):
                raise DatabaseUnavailable("The database is too busy to erase deleted content. Please try again.")
        return
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for model in (*TABLES, *(record_type.model for record_type in registry)):
            connection.exec_driver_sql(f"VACUUM {model.__tablename__}")
