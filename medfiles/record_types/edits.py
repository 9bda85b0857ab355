"""Merge an edit with changes that others made in the meantime, or report a conflict.

Only the fields that the editor changed are written.
"""

from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from medfiles.errors import EditConflict, Outdated, Rejected

Changes = Mapping[str, tuple[Any, Any]]  # (before, after) by field
Check = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Versioned(Protocol):
    @property
    def updated_at(self) -> Any: ...


def version_of(row: Versioned) -> str:
    """Return a version string that changes whenever the row does."""
    updated_at: datetime = row.updated_at
    return updated_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")


def require_version(row: Versioned, versions: Container[str] | None) -> None:
    """Raise Outdated unless the row's version is one of these; None allows any version."""
    if versions is not None and version_of(row) not in versions:
        raise Outdated()


def changes_of(row: Any, values: Mapping[str, Any], before: Mapping[str, Any], check: Check) -> Changes:
    """Return the changes to write to the row.

    values  what the editor submitted; absent fields stay unchanged
    before  what the editor started from, if known: fields equal to it were left alone and keep their current value
    check   returns values in their stored form, or raises Rejected

    Raises EditConflict if the editor and someone else changed a field to different values.
    """

    def as_stored(name: str, value: Any) -> Any:
        try:
            return check({name: value})[name]
        except Rejected:
            return value

    seen = {name: as_stored(name, value) for name, value in before.items() if name in values}
    changed = [name for name in values if name not in seen or as_stored(name, values[name]) != seen[name]]
    changes, conflicts = {}, {}
    for name, wanted in check({name: values[name] for name in changed}).items():
        current = as_stored(name, getattr(row, name))
        try:
            merged = merge(current, wanted, seen[name]) if name in seen else wanted
        except ValueError:
            conflicts[name] = (wanted, current)
            continue
        if merged != getattr(row, name):
            changes[name] = (getattr(row, name), merged)
    if conflicts:
        raise EditConflict(conflicts)
    return changes


def merge(current: Any, wanted: Any, before: Any) -> Any:
    """Merge two changes to one value. Objects are merged part by part.

    Raises ValueError if the changes contradict each other.
    """
    if wanted == before:
        return current
    if current in (before, wanted):
        return wanted
    if not all(isinstance(value, Mapping | None) for value in (current, wanted, before)):
        raise ValueError("both sides changed this value")
    parts = {**(current or {}), **(wanted or {}), **(before or {})}
    merged = {part: merge(*((value or {}).get(part) for value in (current, wanted, before))) for part in sorted(parts)}
    return {part: value for part, value in merged.items() if value is not None} or None
