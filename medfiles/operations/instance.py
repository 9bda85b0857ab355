"""Startup checks: the instance folder's owner and permissions, and that no data is missing.

Each error is one sentence that names the folder, setting or driver and says what to do. Missing data is reported, never
replaced with an empty database or a new key.
"""

import os
import pwd
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.pool import NullPool

from medfiles.config import SettingError
from medfiles.errors import StorageError
from medfiles.storage import Storages

AS_OWNER = "--as-owner"
COPYING = "copying"  # `flask db upgrade -x copying`: the documents' rows are copied next
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OWN_TABLE = "entity_files"  # exists only in medfiles databases
TABLES_WITH_DATA = ("users", "patients", OWN_TABLE)
DRIVERS = "Install it: pip install --require-hashes -r requirements/server.txt"
RESTORE = "Restore a backup (docs/operate/backup.md)"


def prepare(settings: Mapping[str, Any]) -> None:
    """Create or check the instance folder, and keep new files private. Raises SettingError if a check fails."""
    os.umask(0o077)
    folder: Path = settings["MEDFILES_INSTANCE"]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise SettingError(f"The instance folder {folder} cannot be used: {error.strerror}.") from error
    _require_owner(folder, found.st_uid, found.st_gid)
    if stat.S_IMODE(found.st_mode) & OTHERS:
        raise SettingError(
            f"The instance folder {folder} is open to other accounts on this machine. Run: chmod 700 {folder}"
        )
    _require_driver(settings["MEDFILES_DATABASE_URL"])
    if not settings["MEDFILES_SECRET_KEY"] and not (folder / "secret-key").exists() and _has_rows(settings):
        raise SettingError(
            f"The secret key {folder / 'secret-key'} is missing, but this installation has data. {RESTORE}, copy the "
            "key back, or set MEDFILES_SECRET_KEY to a new one. With a new key, everyone must sign in again and set up "
            "two-step verification again, and the audit log no longer verifies."
        )


def require_database(settings: Mapping[str, Any], storages: Storages) -> None:
    """Raise SettingError if the database is missing or empty although there are documents.

    An installation with neither data nor documents is new.
    """
    url = make_url(settings["MEDFILES_DATABASE_URL"])
    is_missing = _is_missing_file(url)
    if not is_missing and _has_rows(settings):
        return
    try:
        document = next((listed.key for storage in storages for listed in storage.keys("files/")), None)
    except StorageError:
        return  # nothing to compare with; uploads and /readyz report the storage failure
    if document is None:
        return
    name = url.database if url.get_backend_name() == "sqlite" else url.render_as_string()
    raise SettingError(
        f"The database {name} is {'missing' if is_missing else 'empty'}, but there are documents, such as {document}. "
        f"{RESTORE}. To start with an empty installation, move the documents away first."
    )


def _require_owner(folder: Path, owner: int, group: int) -> None:
    if os.geteuid() == owner:
        return
    if os.geteuid() == 0 and AS_OWNER in sys.argv:
        os.setgroups([group])
        os.setgid(group)
        os.setuid(owner)
        return
    name = _account(owner)
    hint = f", or add {AS_OWNER}: flask medfiles {AS_OWNER} …" if os.geteuid() == 0 else ""
    raise SettingError(
        f"The instance folder {folder} belongs to the account {name}, but this command runs as "
        f"{_account(os.geteuid())}. The service could not read what it creates. Run it as {name}: "
        f"runuser -u {name} -- …{hint}"
    )


def _account(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _require_driver(database_url: str) -> None:
    try:
        make_url(database_url).get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingError(f"MEDFILES_DATABASE_URL cannot be used: {error}.") from error
    except ImportError as error:
        raise SettingError(f"MEDFILES_DATABASE_URL needs the driver {error.name}. {DRIVERS}") from error


def _is_missing_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite" and bool(url.database) and not Path(str(url.database)).exists()


def _has_rows(settings: Mapping[str, Any]) -> bool:
    """Return whether the database has accounts, patients or documents.

    Raises SettingError if the database is unavailable, since it may contain data.
    """
    url = make_url(settings["MEDFILES_DATABASE_URL"])
    if _is_missing_file(url):
        return False
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    try:
        return _any_row(engine)
    except OperationalError as error:
        reason = str(error.orig).splitlines()[0]
        raise SettingError(f"The database {url.render_as_string()} is unavailable: {reason}.") from error
    finally:
        engine.dispose()


def _any_row(engine: Engine) -> bool:
    with engine.connect() as connection:
        tables = set(inspect(connection).get_table_names())
        return OWN_TABLE in tables and any(
            connection.execute(text(f"SELECT 1 FROM {table} LIMIT 1")).first() is not None
            for table in TABLES_WITH_DATA
            if table in tables
        )
