"""Say what becomes of each column of MediKeep's tables, as `mapping` and `files` treat it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from medfiles.legacy.medikeep import schema
from medfiles.legacy.medikeep.mapping import TECHNICAL
from medfiles.legacy.medikeep.schema import MediKeep
from medfiles.record_types.declared import Registry
from medfiles.record_types.fields import PATIENT_FIELDS

IS_SELF = "is_self_record"
OF_RECORDS = {"id", "patient_id", "created_at"}
OF_FILES = {"id", "file_name", "file_path", "file_type", "file_size", "description", "uploaded_at"}
KEPT: Mapping[str, Collection[str]] = {
    schema.USERS: {"id", "username", "email", "password_hash", "full_name", "role", "is_active"},
    schema.PATIENTS: {"id", "user_id", "owner_user_id", "physician_id", "created_at"},
    schema.SHARES: {"id", "patient_id", "shared_with_user_id", "permission_level", "is_active", "expires_at"},
    schema.PRACTITIONERS: {"id", "name", "practice"},
    schema.COMPONENTS: {"lab_result_id"},
    schema.OLD_FILES: OF_FILES | {"lab_result_id"},
    schema.NEW_FILES: OF_FILES | {"entity_type", "entity_id", "category", "storage_backend"},
    **dict.fromkeys(schema.RECORDS, OF_RECORDS | {"practitioner_id"}),
    **{table: {"id", "patient_id", kind.title} for table, kind in schema.LABELS.items()},
}
WITH_LINES = {schema.PATIENTS, schema.PRACTITIONERS, schema.COMPONENTS, "allergies", *schema.RECORDS}


@dataclass(frozen=True)
class Columns:
    """The columns of a table by what becomes of them. `lines`: in the notes, or within another text."""

    kept: list[str]
    as_text: list[str]
    left_out: list[str]

    def lines(self) -> Iterator[str]:
        named = {"Taken over": self.kept, "As lines of text": self.as_text, "Not brought along": self.left_out}
        yield from (f"{label}: {', '.join(names)}" for label, names in named.items() if names)


def of(registry: Registry, medikeep: MediKeep, table: str) -> Columns:
    """Return what becomes of the columns of a table that is read."""
    names, fields = sorted(medikeep.columns[table]), _fields(registry, table)
    kept = [name for name in names if name in KEPT[table] or name in fields]
    rest = [name for name in names if name not in kept]
    as_text = [name for name in rest if table in WITH_LINES and not _is_technical(name)]
    return Columns(kept, as_text, [name for name in rest if name not in as_text])


def _is_technical(name: str) -> bool:
    return name in TECHNICAL or name.endswith("_id") or name == IS_SELF


def _fields(registry: Registry, table: str) -> set[str]:
    if table == schema.PATIENTS:
        return {one.name for one in PATIENT_FIELDS}
    kind = schema.RECORDS.get(table)
    return {one.name for one in registry[kind].fields} if kind else set()
