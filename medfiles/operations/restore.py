"""Restore a backup into an empty installation, and verify it before the installation can be used."""

import shutil
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, delete, func, inspect, select, text, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import Conflict, IntegrityFailed, KeyTaken, StorageError
from medfiles.models import ApiToken, Patient, PatientShare, SearchEntry, ShareLink, User
from medfiles.models.search import WORDS_TABLE
from medfiles.operations import backup
from medfiles.operations.backup import DATABASE, SECRET, SOURCE, Entry, Report, entries, manifest, object_path
from medfiles.operations.database_dump import load
from medfiles.search.index import DOCUMENT
from medfiles.storage import AttachedFolder, Storage, Storages, digest
from medfiles.storage.base import CHUNK, make_folder
from medfiles.storage.durable import check_space, publish, sha256_of, write_private

MOST = 20  # problems listed in an error message
# Tables emptied after a restore: pending objects, cached previews, SMART Health Links and sessions of the original
# installation.
LEFT_BEHIND = (
    *("storage_journal", "renditions", "smart_link_documents", "smart_links", "sessions", "fixity_findings"),
    "last_runs",
)


@dataclass(frozen=True)
class Tokens:
    """Numbers of API tokens in the backup, none of which works right after the restore.

    Tokens are `suspended` until confirmed, or `revoked` if the backup's version of medfiles could not suspend them.
    """

    suspended: int = 0
    revoked: int = 0


@dataclass(frozen=True)
class Restored:
    """The result of a restore. If `outdated`, run `flask db upgrade` next."""

    name: str
    documents: int
    bytes: int
    outdated: bool
    secret: str = field(repr=False)
    key_differs: bool
    tokens: Tokens


@dataclass(frozen=True)
class Target:
    """The installation to restore a backup into."""

    instance: Path
    secret: str
    secret_is_set: bool  # by a setting
    revisions: Sequence[str]  # known to this version of medfiles, newest first


def restore(
    storages: Storages, target: Target, folder: Path, name: str | None = None, report: Report = lambda done: None
) -> Restored:
    """Restore a backup. Can be repeated after an interruption.

    Raises Conflict if the installation is in use, or StorageError, before any change, if the backup is damaged.
    """
    name = name or backup.newest(folder)
    facts, dialect = manifest(folder, name), db.engine.dialect.name
    if facts["dialect"] != dialect:
        raise Conflict(f"This backup is from a {facts['dialect']} database, but this installation uses {dialect}.")
    if facts["revision"] not in target.revisions:
        raise Conflict("This backup is from a newer version of medfiles. Update medfiles here, then restore again.")
    if damage := list(islice(backup.check(folder, name, report), MOST)):
        raise IntegrityFailed(f"The backup {name} is damaged. Nothing was changed:\n" + "\n".join(damage))
    listed = [entry for entry in entries(folder, name) if entry.place != SOURCE]
    check_is_empty(storages, {entry.key for entry in listed})
    needed = {target.instance: (folder / name / DATABASE).stat().st_size}
    for entry in listed:
        if root := (storages.attached.get(entry.place) or storages.default).root:
            needed[root] = needed.get(root, 0) + entry.size
    check_space(needed)
    try:
        for done, entry in enumerate(listed, 1):
            source = object_path(folder, entry.sha256)
            if attached := storages.attached.get(entry.place):
                _bring_file(source, attached, entry)
            else:
                _bring_object(source, storages.default, entry)
            report(done)
        secret = (folder / name / SECRET).read_text()
        differs = _bring_secret(target, secret)
        tokens = _bring_database(
            folder / name / DATABASE, facts["purged"], storages.default.name
        )  # last: from now on, the installation is in use
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        raise StorageError(f"The restore is incomplete: {error}. Restore again.") from error
    outdated = facts["revision"] != target.revisions[0]
    return Restored(name, facts["documents"], facts["bytes"], outdated, secret, differs, tokens)


def check_is_empty(storages: Storages, expected: Collection[str] = ()) -> None:
    """Raise Conflict unless the installation is empty, except for objects under the `expected` keys."""
    tables = [name for name in inspect(db.engine).get_table_names() if not name.startswith(WORDS_TABLE)]
    if strange := sorted({*tables} - {*db.metadata.tables, "alembic_version"}):
        raise Conflict(
            f"The database contains other tables: {', '.join(strange[:MOST])}. Restore into another database."
        )
    for model in (User, Patient):
        if model.__tablename__ in tables and db.session.scalar(select(func.count(model.id))):
            raise Conflict("This installation is in use. Restore into an empty one with another MEDFILES_INSTANCE.")
    db.session.rollback()
    if any(listed.key not in expected for storage in storages for listed in storage.keys()):
        raise Conflict("The document store is not empty. Restore into an empty one.")


def _bring_object(source: Path, storage: Storage, entry: Entry) -> None:
    with (
        suppress(KeyTaken),  # from an interrupted restore: compared below
        source.open("rb") as file,
        storage.staged(iter(lambda: file.read(CHUNK), b""), entry.size) as staged,
    ):
        storage.commit(staged, entry.key)
    if digest(storage.open(entry.key)) != (entry.sha256, entry.size):
        raise IntegrityFailed(f"{entry.key} differs from the backup. Nothing was deleted.")


def _bring_file(source: Path, attached: AttachedFolder, entry: Entry) -> None:
    target = attached.place(entry.key)
    if target.exists():  # from an interrupted restore, or from elsewhere
        if sha256_of(target) != entry.sha256:
            raise IntegrityFailed(f"{target} differs from the backup. Nothing was deleted.")
        return
    make_folder(target.parent)
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, part)
    if sha256_of(part) != entry.sha256:
        raise IntegrityFailed(f"{part} differs from the backup. Check the disk.")
    publish(part, target)


def _bring_database(source: Path, purged: Sequence[int], storage: str) -> Tokens:
    db.session.remove()
    db.engine.dispose()
    if db.engine.dialect.name == "postgresql":
        tables = MetaData()
        tables.reflect(db.engine)
        tables.drop_all(db.engine)  # pg_restore would keep tables of a newer version
        load(db.engine, source)
        return _settle(db.engine, purged, storage)
    target = Path(str(db.engine.url.database))
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, part)
    copy = create_engine(URL.create("sqlite", database=str(part)), poolclass=NullPool)
    with copy.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
    tokens = _settle(copy, purged, storage)
    _make_way(target)
    publish(part, target)
    return tokens


def _settle(engine: Engine, purged: Sequence[int], storage: str) -> Tokens:
    """Delete rows that must not be restored or were purged, set the documents' storage, and suspend API tokens.

    Invitations are deleted and share links end, since some may have been revoked after the backup was made.
    """
    with engine.begin() as connection:
        tables = {*inspect(connection).get_table_names()}
        for name in {*LEFT_BEHIND} & tables:
            connection.execute(text(f"DELETE FROM {name}"))
        for number in purged:
            connection.execute(text("DELETE FROM entity_files WHERE id = :id"), {"id": number})
            if SearchEntry.__tablename__ in tables:
                which = (SearchEntry.kind == DOCUMENT, SearchEntry.subject_id == number)
                connection.execute(delete(SearchEntry).where(*which))
        connection.execute(text("UPDATE entity_files SET storage = :name"), {"name": storage})
        if _has_column(connection, PatientShare.__tablename__, "accepted_at"):
            connection.execute(delete(PatientShare).where(PatientShare.accepted_at.is_(None)))
        if ShareLink.__tablename__ in tables:
            connection.execute(update(ShareLink).where(ShareLink.revoked_at.is_(None)).values(revoked_at=now()))
        return _suspend_tokens(connection)


def _has_column(connection: Connection, table: str, name: str) -> bool:
    """Return whether the backup's version of medfiles had this column."""
    found = inspect(connection)
    return found.has_table(table) and any(column["name"] == name for column in found.get_columns(table))


def _suspend_tokens(connection: Connection) -> Tokens:
    """Suspend all API tokens, since some may have been revoked after the backup was made.

    Tokens that cannot be suspended are deleted.
    """
    if not inspect(connection).has_table(ApiToken.__tablename__):
        return Tokens()
    if _has_column(connection, ApiToken.__tablename__, "suspended_at"):
        return Tokens(suspended=connection.execute(update(ApiToken).values(suspended_at=now())).rowcount)
    return Tokens(revoked=connection.execute(text(f"DELETE FROM {ApiToken.__tablename__}")).rowcount)


def _make_way(target: Path) -> None:
    """Make sure that the database can be replaced. Raises Conflict if a server has it open."""
    if not target.exists():
        make_folder(target.parent)
        return
    try:
        with closing(sqlite3.connect(target, isolation_level=None, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")  # needs exclusive access, and removes the WAL
    except sqlite3.OperationalError as error:
        raise Conflict("The database is in use. Stop the server, then restore again.") from error


def _bring_secret(target: Target, secret: str) -> bool:
    """Restore the secret key; return whether a setting overrides it with a different key.

    If so, two-step verification that was set up with the backup's key does not work.
    """
    if target.secret_is_set:
        return secret != target.secret
    write_private(target.instance / "secret-key", secret)
    return False
