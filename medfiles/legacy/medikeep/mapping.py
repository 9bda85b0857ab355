"""Say what becomes of each row of MediKeep: the values of the row here, and lines in notes for what has no place."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from medfiles.clock import now
from medfiles.legacy.connection import day, moment, text
from medfiles.record_types.declared import RecordType
from medfiles.record_types.fields import PATIENT_FIELDS, Field
from medfiles.text import clean_text

Row = Mapping[str, Any]
UNKNOWN, UNKNOWN_DAY = "Unknown", date(1900, 1, 1)
EARLIEST, LATEST = 1850, 2200  # years of dates that a form accepts
NO_LIMIT = 2**31
NAME_LIMIT = 255  # characters of an account's names
TECHNICAL = {
    "id",
    "patient_id",
    "user_id",
    "owner_user_id",
    "practitioner_id",
    "physician_id",
    "created_at",
    "updated_at",
}
INCHES, POUNDS = 2.54, 0.45359237
COMPONENT = ("test_name", "abbreviation", "test_code", "value", "unit", "ref_range_text", "status", "notes")


@dataclass
class Mapped:
    """A row here, as far as the source says: values by column, lines for notes, and findings as (kind, sentence)."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    findings: list[tuple[str, str]] = field(default_factory=list)

    def line(self, label: str, value: Any) -> None:
        if words := in_words(value):
            self.lines.append(f"{label}: {words}")

    def finish(self, row: Row) -> None:
        """Append the lines to the notes, and take over the times of the row."""
        notes = [clean(row.get("notes"), many_lines=True) or "", "\n".join(self.lines)]
        self.values["notes"] = "\n\n".join(filter(None, notes)) or None
        made = in_utc(row.get("created_at")) or now()
        self.values |= {"created_at": made, "updated_at": made}


def patient(row: Row, physician: Row | None, allergies: Sequence[Row]) -> Mapped:
    """Return a patient. Fields without a place here become lines in the notes."""
    found = Mapped()
    _fill(found, row, [one for one in PATIENT_FIELDS if one.name not in ("allergies", "hue")])
    with_unit = {"height": ("in", INCHES, "cm"), "weight": ("lb", POUNDS, "kg")}
    for name in _rest(row, PATIENT_FIELDS):
        if name in with_unit and isinstance(row[name], int | float) and row[name]:
            unit, factor, metric = with_unit[name]
            found.line(_label(name), f"{row[name]:g} {unit} ({row[name] * factor:.0f} {metric})")
        elif name != "is_self_record":
            found.line(_label(name), row[name])
    if physician:
        found.line("Physician", _practitioner(physician))
    [limit] = [one.limit for one in PATIENT_FIELDS if one.name == "allergies"]
    found.values["allergies"] = _fitted(found, "Allergies", "; ".join(map(_allergy, allergies)) or None, limit)
    found.finish(row)
    return found


def record(record_type: RecordType, row: Row, practitioner: Row | None, components: Sequence[Row]) -> Mapped:
    """Return a record of one of the four types. Columns without a place here become lines in the notes."""
    found, fields = Mapped(), [one for one in record_type.fields if one.name != "practitioner"]
    _fill(found, row, fields)
    if any(one.name == "practitioner" for one in record_type.fields):
        words = _practitioner(practitioner) if practitioner else clean(row.get("practitioner"))
        found.values["practitioner"] = _fitted(found, "Practitioner", words, 255)
        if practitioner:
            found.line("Practitioner details", _details(practitioner, {"name", "practice"}))
    for name in _rest(row, record_type.fields):
        found.line(_label(name), row[name])
    for component in components:
        found.line("Component", _component(component))
    found.finish(row)
    return found


def account(row: Row) -> Mapped:
    """Return an account's name, user name, state, role and password hash, if it can be used."""
    found = Mapped()
    active, hashed = row.get("is_active"), text(row.get("password_hash")) or ""
    found.values = {
        "username": _cut(found, "User name", row.get("username")),
        "full_name": _cut(found, "Full name", row.get("full_name")),
        "active": active is None or bool(active),
        "admin": (text(row.get("role")) or "").lower() == "admin",
        "password": hashed if hashed.startswith("$2") else None,
    }
    if found.values["password"] is None:
        found.findings.append(("no-password", "it signed in elsewhere (SSO), so it needs a password here"))
    if not found.values["active"]:
        found.findings.append(("disabled", "it is disabled and stays so"))
    return found


def in_utc(value: Any) -> datetime | None:
    """Return a time of the source, which stores UTC without a zone."""
    at = moment(value)
    return None if at is None else (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def clean(value: Any, *, many_lines: bool = False) -> str | None:
    words = clean_text(text(value), NO_LIMIT, "")
    return words if many_lines or not words else " ".join(words.split("\n"))


def in_words(value: Any) -> str:
    """Return a value of any column as text; "" if it is empty."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        with suppress(ValueError):
            value = json.loads(value)
    if value is None or value == [] or value == {}:
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, Mapping):
        return "; ".join(f"{_label(str(name))}: {words}" for name, part in value.items() if (words := in_words(part)))
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(in_words, value)))
    return clean(value.isoformat() if isinstance(value, date) else value, many_lines=True) or ""


def _fill(found: Mapped, row: Row, fields: Sequence[Field]) -> None:
    for one in fields:
        if one.name == "notes" or (one.name not in row and not one.required):
            continue
        value = row.get(one.name)
        if one.kind == "date":
            found.values[one.name] = _day(found, one, value, row)
        elif one.kind == "boolean":
            found.values[one.name] = bool(value)
        elif one.kind == "object":
            found.values[one.name] = _object(found, one, value)
        elif one.kind == "text":
            found.values[one.name] = clean(value, many_lines=True)
        else:
            words = _fitted(found, one.label, clean(value), one.limit)
            if one.required and not words:
                words = _filled(found, one.label, UNKNOWN)
            found.values[one.name] = words


def _fitted(found: Mapped, label: str, words: str | None, limit: int) -> str | None:
    """Return the text, shortened if it is longer than the column; the whole text then becomes a line."""
    if words is None or len(words) <= limit:
        return words
    found.lines.append(f"{label}: {words}")
    reason = f"“{label}” is longer than {limit} characters: it was shortened, and the whole text is in the notes"
    found.findings.append(("shortened", reason))
    return words[: limit - 1].rstrip() + "…"


def _cut(found: Mapped, label: str, value: Any) -> str | None:
    """Return an account's text, shortened to its column. An account has no notes, so the rest is only reported."""
    words = clean(value) or ""
    if len(words) > NAME_LIMIT:
        found.findings.append(("shortened", f"“{label}” is longer than {NAME_LIMIT} characters: it was shortened"))
    return words[:NAME_LIMIT] or None


def _filled(found: Mapped, label: str, value: Any) -> Any:
    found.findings.append(("filled", f"“{label}” is empty, so it is {value}"))
    return value


def _day(found: Mapped, one: Field, value: Any, row: Row) -> date | None:
    at = day(value)
    if at is not None and not EARLIEST <= at.year <= LATEST:
        found.line(one.label, at)
        found.findings.append(
            ("date", f"“{one.label}” is not a date between {EARLIEST} and {LATEST}: it is in the notes")
        )
        at = None
    elif at is None:
        found.line(one.label, value)
    if at is None and one.required:
        made = in_utc(row.get("created_at"))
        return _filled(found, one.label, UNKNOWN_DAY if one.past or made is None else made.date())  # type: ignore[no-any-return]
    return at


def _object(found: Mapped, one: Field, value: Any) -> dict[str, str] | None:
    if isinstance(value, str):
        with suppress(ValueError):
            value = json.loads(value)
    if not isinstance(value, Mapping):
        found.line(one.label, value)
        return None
    parts = {str(name)[:100]: in_words(part) for name, part in value.items()}
    labels = dict(one.parts)
    fitted = {name: _fitted(found, labels.get(name, _label(name)), words, one.limit) for name, words in parts.items()}
    return {name: words for name, words in fitted.items() if words} or None


def _rest(row: Row, fields: Sequence[Field]) -> Iterator[str]:
    """Yield the columns that have no place here. Numbers of other rows say nothing here."""
    known = {one.name for one in fields} | TECHNICAL
    for name, value in row.items():
        if name not in known and not (name.endswith("_id") and isinstance(value, int)):
            yield name


def _practitioner(row: Row) -> str:
    return ", ".join(filter(None, (clean(row.get("name")), clean(row.get("practice")))))


def _details(row: Row, said: set[str]) -> str:
    rest = {name: row[name] for name in _rest(row, ()) if name not in said and not isinstance(row[name], bool)}
    return "; ".join(f"{_label(name)}: {words}" for name, value in rest.items() if (words := in_words(value)))


def _component(row: Row) -> str:
    name = clean(row.get("test_name")) or clean(row.get("name")) or UNKNOWN
    value = " ".join(filter(None, (in_words(row.get("value")), in_words(row.get("unit")))))
    return "; ".join(filter(None, (f"{name} {value}".strip(), _details(row, {"test_name", "name", "value", "unit"}))))


def _allergy(row: Row) -> str:
    more = _details(row, {"allergen"})
    return f"{clean(row.get('allergen')) or UNKNOWN}{f' ({more})' if more else ''}"


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()
