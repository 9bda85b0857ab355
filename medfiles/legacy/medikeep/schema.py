"""MediKeep's tables and upload folder, as its versions have them. They are only read."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import column, func, select, table
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.expression import TableClause

from medfiles.errors import Rejected
from medfiles.legacy.connection import columns_of, connect, first_line, read
from medfiles.legacy.folder import FILES, LegacyFolder

BATCH = 500
USERS, PATIENTS, SHARES, PRACTITIONERS = "users", "patients", "patient_shares", "practitioners"
COMPONENTS = "lab_test_components"
OLD_FILES, NEW_FILES = "lab_result_files", "entity_files"
NEEDED: Mapping[str, tuple[str, ...]] = {
    USERS: ("id", "email"),
    PATIENTS: ("id", "user_id", "first_name", "last_name"),
    "lab_results": ("id", "patient_id"),
}
NEEDED_OF_FILES: Mapping[str, tuple[str, ...]] = {
    OLD_FILES: ("id", "lab_result_id", "file_name", "file_path"),
    NEW_FILES: ("id", "entity_type", "entity_id", "file_name", "file_path"),
}
RECORDS: Mapping[str, str] = {  # tables with the record types here
    "lab_results": "lab-result",
    "insurances": "insurance",
    "encounters": "visit",
    "procedures": "procedure",
}


@dataclass(frozen=True)
class OtherKind:
    """A kind of record that exists only in MediKeep; its files become documents of the patient."""

    table: str
    label: str
    title: str  # column


OTHERS: Mapping[str, OtherKind] = {
    "medication": OtherKind("medications", "Medication", "medication_name"),
    "immunization": OtherKind("immunizations", "Immunization", "vaccine_name"),
    "allergy": OtherKind("allergies", "Allergy", "allergen"),
    "condition": OtherKind("conditions", "Condition", "condition_name"),
    "treatment": OtherKind("treatments", "Treatment", "treatment_name"),
    "symptom": OtherKind("symptoms", "Symptom", "symptom_name"),
    "injury": OtherKind("injuries", "Injury", "injury_name"),
}
TABLE_OF: Mapping[str, str] = {  # tables by the entity types that files name; one table has two
    "lab-result": "lab_results",
    "insurance": "insurances",
    "visit": "encounters",
    "encounter": "encounters",
    "procedure": "procedures",
    **{name: kind.table for name, kind in OTHERS.items()},
}
LABELS = {kind.table: kind for kind in OTHERS.values()}
READ = {USERS, PATIENTS, SHARES, PRACTITIONERS, COMPONENTS, OLD_FILES, NEW_FILES, *RECORDS, *LABELS}
WORDS = {  # what is not brought along, for the report
    "patient_photos": "patient photos",
    "vitals": "vital signs",
    "activity_logs": "activity log entries",
    "user_tags": "tags",
}
TECHNICAL = {"alembic_version"}


class MediKeepFolder(LegacyFolder):
    """MediKeep's upload folder: the older feature's, and since then one folder per kind of record."""

    tops = (FILES, "files")


@dataclass(frozen=True)
class MediKeep:
    """A MediKeep installation. `place` is its database URL without the password."""

    place: str
    engine: Engine
    folder: MediKeepFolder
    columns: Mapping[str, set[str]]  # of all tables
    is_own = False

    @contextmanager
    def at_hand(self) -> Iterator["MediKeep"]:
        """Close the connections to the database on exit."""
        try:
            yield self
        finally:
            self.engine.dispose()

    def has(self, name: str, column_name: str | None = None) -> bool:
        """Return whether there is a table, with this column if given."""
        return name in self.columns and (column_name is None or column_name in self.columns[name])

    @property
    def version(self) -> str:
        if not self.has(NEW_FILES):
            return "older, with files of lab results only"
        return "newer, with files of all records" if not self.has(OLD_FILES) else "newer, upgraded from an older one"

    @property
    def owner(self) -> str:
        """The column that decides who has access to a patient."""
        return "owner_user_id" if self.has(PATIENTS, "owner_user_id") else "user_id"

    def count(self, name: str) -> int:
        if not self.has(name):
            return 0
        [(number,)] = read(self.engine, select(func.count()).select_from(table(name)))
        return int(number)

    def others(self) -> Mapping[str, int]:
        """Count the rows of tables that this import does not know, except empty ones."""
        names = sorted(set(self.columns) - READ - TECHNICAL)
        return {name: count for name in names if (count := self.count(name))}

    def rows(self, name: str, ids: Collection[int] | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield all rows of a table with all columns, or those with these ids, ordered by id."""
        if not self.has(name, "id"):
            return
        rows, after = self._table(name), None
        query = select(*rows.c).order_by(rows.c.id).limit(BATCH)
        if ids is not None:
            query = query.where(rows.c.id.in_(ids))
        while found := read(self.engine, query if after is None else query.where(rows.c.id > after)):
            yield from (dict(row._mapping) for row in found)
            after = found[-1].id

    def of(self, name: str, column_name: str, ids: Collection[int]) -> Iterator[Mapping[str, Any]]:
        """Yield the rows whose column has one of these values, ordered by id."""
        if ids and self.has(name, column_name) and self.has(name, "id"):
            rows = self._table(name)
            query = select(*rows.c).where(rows.c[column_name].in_(ids)).order_by(rows.c.id)
            yield from (dict(row._mapping) for row in read(self.engine, query))

    def _table(self, name: str) -> TableClause:
        return table(name, *(column(one) for one in sorted(self.columns[name])))


def open_source(url: str, uploads: Path) -> MediKeep:
    """Open an installation for reading. Raises Rejected if it is not one of MediKeep."""
    place, engine = connect(url)
    root = next((one for one in (uploads, uploads / "uploads") if _is_upload_folder(one)), None)
    if root is None:
        raise Rejected(f"{uploads} is not an upload folder of MediKeep: it has neither {FILES}/ nor files/.")
    try:
        columns = columns_of(engine)
    except SQLAlchemyError as error:
        raise Rejected(f"The database {place} cannot be read: {first_line(error)}") from error
    finally:
        engine.dispose()
    _check(columns)
    return MediKeep(f"medikeep {place}", engine, MediKeepFolder(root.resolve()), columns)


def _is_upload_folder(place: Path) -> bool:
    return any((place / top).is_dir() for top in MediKeepFolder.tops)


def _check(columns: Mapping[str, set[str]]) -> None:
    wanted = dict(NEEDED)
    wanted |= {name: needed for name, needed in NEEDED_OF_FILES.items() if name in columns}
    for name, needed in wanted.items():
        if missing := [one for one in needed if one not in columns.get(name, ())]:
            raise Rejected(f"The table {name} has no {', '.join(missing)}, so this is not a database of MediKeep.")
    if "fs_uniquifier" in columns[USERS]:
        raise Rejected("This is a database of medfiles, not of MediKeep.")
    if not set(NEEDED_OF_FILES) & set(columns):
        raise Rejected("This database has no table of files, so it is not one of MediKeep.")
