"""The older feature's tables and files: this installation's own or, read-only, another installation's."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Select, column, create_engine, func, inspect, null, select, table
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.sql.expression import TableClause

from medfiles.database.session import db
from medfiles.errors import Rejected
from medfiles.legacy.folder import FILES, LegacyFolder
from medfiles.operations.database_dump import public_url

OWN = "own"
BATCH = 500
NEEDED: Mapping[str, tuple[str, ...]] = {
    "users": ("id", "email"),
    "patients": ("id", "user_id", "first_name", "last_name", "birth_date"),
    "lab_results": ("id", "patient_id", "test_name"),
    "lab_result_files": ("id", "lab_result_id", "file_name", "file_path", "file_type"),
}
WANTED: Mapping[str, tuple[str, ...]] = {
    "users": (),
    "patients": ("gender", "notes"),
    "lab_results": (
        "test_code", "test_category", "test_type", "facility", "status", "labs_result", "ordered_date",
        "completed_date", "practitioner", "notes", "created_at",
    ),
    "lab_result_files": ("file_size", "description", "uploaded_at"),
}  # fmt: skip


@dataclass(frozen=True)
class LegacyFile:
    """A row of the older table, with the ids of its lab result, patient and user (None if missing).

    `uploaded_at` is naive. `size` is in bytes, as recorded in the table.
    """

    id: int
    lab_result: int | None
    patient: int | None
    user: int | None
    name: str
    path: str
    type: str
    size: int | None
    description: str | None
    uploaded_at: datetime | None


@dataclass(frozen=True)
class Source:
    """A source of older files. `place` identifies it: "own", or the database URL without its password."""

    place: str
    engine: Engine
    folder: LegacyFolder
    tables: Mapping[str, TableClause]

    @property
    def is_own(self) -> bool:
        return self.place == OWN

    @contextmanager
    def at_hand(self) -> Iterator["Source"]:
        """Close the connections to another installation's database on exit."""
        try:
            yield self
        finally:
            if not self.is_own:
                self.engine.dispose()

    def totals(self) -> Mapping[str, int]:
        """Count the rows of each table."""
        with self.engine.connect() as connection:
            counts = {name: select(func.count()).select_from(rows) for name, rows in self.tables.items()}
            return {name: int(connection.scalar(query) or 0) for name, query in counts.items()}

    def files(self, ids: Collection[int] | None = None) -> Iterator[LegacyFile]:
        """Return all files, or those with these ids, ordered by id."""
        if ids is not None:
            return iter(self._files(self.tables["lab_result_files"].c.id.in_(ids), None))
        return self._all_files()

    def rows(self, name: str) -> Iterator[Mapping[str, Any]]:
        """Yield all rows of a table, ordered by id and read in batches."""
        after, rows = None, self.tables[name]
        query = select(*_columns(rows, name)).order_by(rows.c.id).limit(BATCH)
        while found := self._read(query if after is None else query.where(rows.c.id > after)):
            yield from (row._mapping for row in found)
            after = found[-1].id

    def _all_files(self) -> Iterator[LegacyFile]:
        after, number = None, self.tables["lab_result_files"].c.id
        while found := self._files(None if after is None else number > after, BATCH):
            yield from found
            after = found[-1].id

    def _files(self, which: ColumnElement[bool] | None, limit: int | None) -> list[LegacyFile]:
        files, results = self.tables["lab_result_files"], self.tables["lab_results"]
        patients, users = self.tables["patients"], self.tables["users"]
        chain = (
            files.outerjoin(results, results.c.id == files.c.lab_result_id)
            .outerjoin(patients, patients.c.id == results.c.patient_id)
            .outerjoin(users, users.c.id == patients.c.user_id)
        )
        people = (results.c.id.label("result"), patients.c.id.label("patient"), users.c.id.label("owner"))
        query = select(*_columns(files, "lab_result_files"), *people).select_from(chain).order_by(files.c.id)
        rows = self._read((query if which is None else query.where(which)).limit(limit))
        return [_legacy_file(row._mapping) for row in rows]

    def _read(self, query: Select[Any]) -> Sequence[Any]:
        with self.engine.connect() as connection:
            return connection.execute(query).all()


def own(folder: LegacyFolder) -> Source:
    """Return this installation's own tables and upload folder as a source."""
    return Source(OWN, db.engine, folder, _tables(db.engine))


def other(url: str, uploads: Path) -> Source:
    """Open another installation's database and upload folder for reading.

    Raises Rejected if they cannot be used.
    """
    address = _address(url)
    if not (uploads / FILES).is_dir():
        raise Rejected(f"{uploads} is not an upload folder of the previous lab results feature: it has no {FILES}/.")
    try:
        engine = create_engine(_read_only(address), connect_args=_arguments(address), hide_parameters=True)
        return Source(shown(address), engine, LegacyFolder(uploads.resolve()), _tables(engine))
    except (SQLAlchemyError, ImportError) as error:
        raise Rejected(f"The database {shown(address)} cannot be read: {_first_line(error)}") from error


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


def _legacy_file(row: Mapping[str, Any]) -> LegacyFile:
    return LegacyFile(
        id=row["id"],
        lab_result=row["result"],
        patient=row["patient"],
        user=row["owner"],
        name=text(row["file_name"]) or "",
        path=text(row["file_path"]) or "",
        type=text(row["file_type"]) or "",
        size=row["file_size"] if isinstance(row["file_size"], int) else None,
        description=text(row["description"]),
        uploaded_at=moment(row["uploaded_at"]),
    )


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


def _tables(engine: Engine) -> Mapping[str, TableClause]:
    """Return the four tables with their columns. Columns are untyped; values are parsed when read."""
    tables, columns = {}, _columns_there(engine)
    for name in NEEDED:
        there = columns[name]
        if missing := [needed for needed in NEEDED[name] if needed not in there]:
            raise Rejected(
                f"The table {name} has no {', '.join(missing)}, so this is not a database of the "
                "previous lab results feature."
            )
        tables[name] = table(name, *(column(one) for one in (*NEEDED[name], *WANTED[name]) if one in there))
    return tables


def _columns_there(engine: Engine) -> Mapping[str, set[str]]:
    with engine.connect() as connection:
        inspector = inspect(connection)
        known = [name for name in NEEDED if inspector.has_table(name)]
        found = {name: {entry["name"] for entry in inspector.get_columns(name)} for name in known}
    if engine is not db.engine:
        engine.dispose()  # leave no connection open if this is the wrong database
    return {name: found.get(name, set()) for name in NEEDED}


def _columns(rows: TableClause, name: str) -> list[Any]:
    return [rows.c[one] if one in rows.c else null().label(one) for one in (*NEEDED[name], *WANTED[name])]


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().split("\n")[0]
