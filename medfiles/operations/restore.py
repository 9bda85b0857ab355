"""Restore a backup into an empty installation, verified before it is usable."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData, func, inspect, select, text
from sqlalchemy.engine import Engine

from medfiles.database.session import db
from medfiles.errors import Conflict, IntegrityFailed, KeyTaken, StorageError
from medfiles.models import Patient, User
from medfiles.operations import backup
from medfiles.operations.backup import DATABASE, SECRET, SOURCE, Entry, entries, manifest, object_path
from medfiles.operations.database_dump import load
from medfiles.storage import AttachedFolder, Storage, Storages, digest
from medfiles.storage.base import CHUNK, make_folder
from medfiles.storage.durable import check_space, publish, sha256_of

MOST = 20  # sentences about a damaged backup
# State of the installation that was backed up: pending objects, cached previews, sessions.
LEFT_BEHIND = ("storage_journal", "renditions", "sessions", "fixity_findings", "last_runs")

Report = Callable[[int], None]


@dataclass(frozen=True)
class Restored:
    """The result; `outdated`: run `flask db upgrade` next."""

    name: str
    documents: int
    bytes: int
    outdated: bool
    secret: str = field(repr=False)
    key_differs: bool


@dataclass(frozen=True)
class Target:
    """The installation to restore into.

    `secret_is_set`: a setting gives the secret key. `revisions`: known database revisions, newest first.
    """

    instance: Path
    secret: str
    secret_is_set: bool
    revisions: Sequence[str]


def restore(
    storages: Storages, target: Target, folder: Path, name: str | None = None, report: Report = lambda done: None
) -> Restored:
    """Restore a backup; it can be repeated after an interruption.

    Conflict when the installation is in use; StorageError, before any change, when the backup is damaged.
    """
    name = name or backup.newest(folder)
    facts = manifest(folder, name)
    _check_fits(facts, target)
    if damage := list(islice(backup.check(folder, name, report), MOST)):
        raise IntegrityFailed(f"The backup {name} is damaged. Nothing was changed:\n" + "\n".join(damage))
    listed = [entry for entry in entries(folder, name) if entry.place != SOURCE]
    check_is_empty(storages, {entry.key for entry in listed})
    check_space(_needed(storages, target, folder / name / DATABASE, listed))
    try:
        for done, entry in enumerate(listed, 1):
            _bring(storages, folder, entry)
            report(done)
        secret = (folder / name / SECRET).read_text()
        differs = _bring_secret(target, secret)
        _bring_database(folder / name / DATABASE, facts["purged"], storages.default.name)  # last: then it is in use
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"The restore is incomplete: {error}. Restore again.") from error
    outdated = facts["revision"] != target.revisions[0]
    return Restored(name, facts["documents"], facts["bytes"], outdated, secret, differs)


def _check_fits(facts: dict[str, Any], target: Target) -> None:
    if facts["dialect"] != db.engine.dialect.name:
        raise Conflict(
            f"This backup is from a {facts['dialect']} database, but this installation uses {db.engine.dialect.name}."
        )
    if facts["revision"] not in target.revisions:
        raise Conflict("This backup is from a newer version of medfiles. Update medfiles here, then restore again.")


def _needed(storages: Storages, target: Target, database: Path, listed: Sequence[Entry]) -> dict[Path, int]:
    """Return the bytes to be written, by folder."""
    needed = {target.instance: database.stat().st_size}
    for entry in listed:
        if root := (storages.attached.get(entry.place) or storages.default).root:
            needed[root] = needed.get(root, 0) + entry.size
    return needed


def check_is_empty(storages: Storages, expected: Collection[str] = ()) -> None:
    """Raise Conflict unless the installation is empty.

    Documents of an interrupted restore (`expected`) are allowed; tables of other programs would be lost, so they are
    not.
    """
    tables = inspect(db.engine).get_table_names()
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


def _bring(storages: Storages, folder: Path, entry: Entry) -> None:
    source = object_path(folder, entry.sha256)
    if attached := storages.attached.get(entry.place):
        _bring_file(source, attached, entry)
    else:
        _bring_object(source, storages.default, entry)


def _bring_object(source: Path, storage: Storage, entry: Entry) -> None:
    staged = storage.stage(entry.size)
    try:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK):
                staged.write(chunk)
        storage.commit(staged, entry.key)
    except KeyTaken:
        pass  # from an interrupted restore: compared below
    finally:
        staged.discard()
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


def _bring_database(source: Path, purged: Sequence[int], storage: str) -> None:
    db.session.remove()
    db.engine.dispose()
    if db.engine.dialect.name == "postgresql":
        _drop_empty_tables(db.engine)  # pg_restore would keep tables of a newer version
        load(db.engine, source)
        with db.engine.begin() as connection:
            _settle_in(connection, purged, storage)
        return
    target = Path(str(db.engine.url.database))
    part = target.with_name(f"{target.name}.part")
    shutil.copyfile(source, part)
    _settle_copy(part, purged, storage)
    _make_way(target)
    publish(part, target)


def _drop_empty_tables(engine: Engine) -> None:
    tables = MetaData()
    tables.reflect(engine)
    tables.drop_all(engine)


def _settle_copy(part: Path, purged: Sequence[int], storage: str) -> None:
    with closing(sqlite3.connect(part, isolation_level=None)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("BEGIN")
        for statement, values in _statements(tables, purged, storage):
            connection.execute(statement.replace(":value", "?"), values)
        connection.execute("COMMIT")


def _settle_in(connection: Connection, purged: Sequence[int], storage: str) -> None:
    for statement, values in _statements(set(inspect(connection).get_table_names()), purged, storage):
        connection.execute(text(statement), {"value": values[0]} if values else {})


def _statements(tables: Collection[str], purged: Sequence[int], storage: str) -> list[tuple[str, tuple[Any, ...]]]:
    """What was deleted for ever while the backup was made does not come back."""
    found: list[tuple[str, tuple[Any, ...]]] = [(f"DELETE FROM {name}", ()) for name in LEFT_BEHIND if name in tables]
    found += [("DELETE FROM entity_files WHERE id = :value", (number,)) for number in purged]
    return [*found, ("UPDATE entity_files SET storage = :value", (storage,))]


def _make_way(target: Path) -> None:
    """Allow an empty database, but not one that a server has open."""
    if not target.exists():
        make_folder(target.parent)
        return
    try:
        with closing(sqlite3.connect(target, isolation_level=None, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")  # needs exclusive access, and removes the WAL
    except sqlite3.OperationalError as error:
        raise Conflict("The database is in use. Stop the server, then restore again.") from error


def _bring_secret(target: Target, secret: str) -> bool:
    """Restore the secret key; return whether a setting overrides it with another.

    Two-step verification set up under the old key does not work then.
    """
    if target.secret_is_set:
        return secret != target.secret
    part = target.instance / "secret-key.part"
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret)
    publish(part, target.instance / "secret-key")
    return False
