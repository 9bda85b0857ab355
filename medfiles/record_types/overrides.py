"""Override record type limits and operations with values from an installation's TOML file."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medfiles.config import SettingError
from medfiles.record_types.declared import ALL_OPERATIONS, MB, PATIENT, RecordType, Registry
from medfiles.record_types.media_types import BY_EXTENSION


def _words(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(word, str) and word for word in value)


OVERRIDES: Mapping[str, Callable[[Any], bool]] = {
    "max_size_mb": lambda value: isinstance(value, int | float) and value > 0,
    "max_files": lambda value: isinstance(value, int) and value > 0,
    "accepts": lambda value: _words(value) and set(value) <= set(BY_EXTENSION),
    "categories": lambda value: _words(value) and all(len(word) <= 100 for word in value),
    "operations": lambda value: _words(value) and set(value) <= ALL_OPERATIONS,
}


def with_overrides(types: Iterable[RecordType], path: str) -> Registry:
    """Return a registry with the overrides in the TOML file at `path`, if any. Raises SettingError if it is invalid."""
    if not path:
        return Registry(types)
    try:
        tables = tomllib.loads(Path(path).read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"MEDFILES_ENTITIES={path!r} cannot be read: {error}.") from error
    by_name = {record_type.name: record_type for record_type in (*types, PATIENT)}
    if unknown := set(tables) - set(by_name):
        raise SettingError(f"{path}: there is no record type named {', '.join(sorted(unknown))}.")
    by_name |= {name: _overridden(by_name[name], table) for name, table in tables.items()}
    return Registry(patient=by_name.pop(PATIENT.name), types=by_name.values())


def _overridden(record_type: RecordType, table: Any) -> RecordType:
    if not isinstance(table, dict):
        raise SettingError(f"{record_type.name} must be a table: write [{record_type.name}] with its limits below.")
    if unknown := set(table) - set(OVERRIDES):
        known = ", ".join(sorted(OVERRIDES))
        raise SettingError(f"[{record_type.name}] has no setting {', '.join(sorted(unknown))}. Available: {known}.")
    for name, value in table.items():
        if not OVERRIDES[name](value):
            raise SettingError(f"[{record_type.name}] {name} = {value!r} cannot be used.")
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in table.items()}
    if "operations" in values:
        values["operations"] = frozenset(values["operations"])
    if "max_size_mb" in values:
        values["max_size"] = int(values.pop("max_size_mb") * MB)
    return replace(record_type, **values)
