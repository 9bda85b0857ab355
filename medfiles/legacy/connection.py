"""Read-only connections to another installation's database, and the values read from it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Select, create_engine, inspect
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from medfiles.errors import Rejected
from medfiles.operations.database_dump import public_url


def connect(url: str) -> tuple[str, Engine]:
    """Return the URL as it is shown, and an engine that only reads. Raises Rejected if the URL cannot be used."""
    address = _address(url)
    try:
        engine = create_engine(_read_only(address), connect_args=_arguments(address), hide_parameters=True)
    except ImportError as error:
        raise Rejected(f"The database {shown(address)} cannot be read: {first_line(error)}") from error
    return shown(address), engine


def read(engine: Engine, query: Select[Any]) -> Sequence[Any]:
    with engine.connect() as connection:
        return connection.execute(query).all()


def columns_of(engine: Engine) -> Mapping[str, set[str]]:
    """Return the names of all tables with those of their columns."""
    with engine.connect() as connection:
        found = inspect(connection)
        return {name: {entry["name"] for entry in found.get_columns(name)} for name in found.get_table_names()}


def shown(address: URL) -> str:
    """Return the database URL without its password and options. The path of an SQLite file is made absolute."""
    if address.get_backend_name() == "sqlite":
        return f"sqlite:///{Path(address.database or '').resolve()}"
    return public_url(address).render_as_string()


def moment(value: Any) -> datetime | None:
    """Parse a time from a database value, which SQLite may return as text. Return None if it is not a time."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    return value if isinstance(value, datetime) else None


def day(value: Any) -> date | None:
    found = moment(value)
    return found.date() if found else value if isinstance(value, date) else None


def text(value: Any) -> str | None:
    """Return a value as text, without the characters that databases reject."""
    if value is None:
        return None
    decoded = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return decoded.replace("\0", "").encode(errors="replace").decode()


def first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0]


def _address(url: str) -> URL:
    try:
        address = make_url(url)
        backend = address.get_backend_name()
        address.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise Rejected("--source-url must be an SQLAlchemy URL such as sqlite:////folder/app.db.") from error
    if backend not in ("sqlite", "postgresql"):
        raise Rejected("Only SQLite and PostgreSQL databases are supported.")
    if backend == "sqlite" and not Path(address.database or "").is_file():
        raise Rejected(f"There is no database {address.database}.")
    return address.set(drivername="postgresql+psycopg") if address.drivername == "postgresql" else address


def _read_only(address: URL) -> URL:
    if address.get_backend_name() != "sqlite":
        return address
    return address.set(database=f"file:{Path(address.database or '').resolve()}", query={"mode": "ro", "uri": "true"})


def _arguments(address: URL) -> dict[str, Any]:
    if address.get_backend_name() == "sqlite":
        return {}
    return {"options": "-c default_transaction_read_only=on"}
