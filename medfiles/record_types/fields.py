"""The fields of patients and records, and the validation of their values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from medfiles.clock import now
from medfiles.errors import Rejected
from medfiles.i18n import N_, gettext, translated
from medfiles.text import clean_text

TEXT_LIMIT = 10_000
HUES = (
    (1, N_("Terracotta")),
    (2, N_("Ochre")),
    (3, N_("Olive")),
    (4, N_("Green")),
    (5, N_("Blue")),
    (6, N_("Indigo")),
    (7, N_("Plum")),
    (8, N_("Rose")),
)  # of patients: teal is the color of actions


@translated("label", "hint")
@dataclass(frozen=True)
class Field:
    """A field of a record.

    `kind` is string (up to `limit` characters), text, date, boolean, object (named parts) or choice (a number out of
    `options`). `label` and `hint` are translated when they are read.
    """

    name: str
    label: str
    kind: str = "string"
    required: bool = False
    limit: int = 255
    hint: str = ""
    example: str = ""  # for the API documentation, which shows required fields and fields with an example
    choices: tuple[str, ...] = ()  # suggestions, not a closed list
    parts: tuple[tuple[str, str], ...] = ()  # for objects: name and label of each part
    past: bool = False  # for dates: not after today
    options: tuple[tuple[int, str], ...] = ()  # for choices: number and label of each option
    assigned: bool = False  # never empty: a service assigns a value to a new row that has none

    @property
    def missing(self) -> str:
        """The error message ("Enter the start date.") for a required field that is empty."""
        names = {"label": self.label, "within": self.label[0].lower() + self.label[1:]}
        return gettext("Choose the %(within)s.", **names) if self.options else gettext("Enter the %(within)s.", **names)


PATIENT_FIELDS = (
    Field("first_name", N_("First name"), required=True, limit=100, example="Ella"),
    Field("last_name", N_("Last name"), required=True, limit=100, example="Sample"),
    Field("birth_date", N_("Date of birth"), "date", required=True, past=True, example="2018-03-02"),
    Field("gender", N_("Gender"), limit=50, example="Female", choices=(N_("Female"), N_("Male"), N_("Non-binary"))),
    Field("allergies", N_("Allergies"), limit=500, hint=N_("Shown as an alert. For example: penicillin, peanuts")),
    Field("notes", N_("Notes"), "text", hint=N_("For example: blood group, implants")),
    Field(
        "hue", N_("Color"), "choice", options=HUES, assigned=True, hint=N_("Marks this patient’s records and documents")
    ),
)


def checked(fields: Sequence[Field], values: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """Return the values in their stored form. Raises Rejected with a message for each invalid field.

    partial  whether to leave absent fields out of the result instead of clearing them
    """
    problems: dict[str, str] = {}
    if unknown := set(values) - {field.name for field in fields}:
        raise Rejected(gettext("Unknown field: %(unknown)s.", unknown=", ".join(sorted(unknown))[:200]))
    wanted = [field for field in fields if not partial or field.name in values]
    clean: dict[str, Any] = {}
    for field in wanted:
        try:
            clean[field.name] = CHECKS[field.kind](field, values.get(field.name))
        except Rejected as error:
            problems[field.name] = error.message
        else:
            if (field.required or field.assigned) and clean[field.name] in (None, ""):
                problems[field.name] = field.missing
    if problems:
        raise Rejected(gettext("Some fields are not valid. See “errors”."), problems)
    return clean


def _string(field: Field, value: Any) -> str | None:
    if not isinstance(value, str | None):
        raise Rejected(gettext("%(label)s must be text.", label=field.label))
    if field.kind == "text":
        return clean_text(value, TEXT_LIMIT, field.label)
    return clean_text(value and " ".join(value.splitlines()), field.limit, field.label)


def _date(field: Field, value: Any) -> date | None:
    if isinstance(value, str) and value:
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise Rejected(gettext("%(label)s must be a date such as 2026-05-12.", label=field.label)) from None
    if value and not (type(value) is date and 1850 <= value.year <= 2200):
        raise Rejected(gettext("%(label)s must be a date between 1850 and 2200.", label=field.label))
    if value and field.past and value > now().date():
        raise Rejected(gettext("%(label)s cannot be in the future.", label=field.label))
    return value or None


def _boolean(field: Field, value: Any) -> bool:
    if not isinstance(value, bool | None):
        raise Rejected(gettext("%(label)s must be yes or no.", label=field.label))
    return bool(value)


def _object(field: Field, value: Any) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(part, str | None) for pair in value.items() for part in pair):
        raise Rejected(gettext("%(label)s must be an object with text values.", label=field.label))
    clean = {name: clean_text(text, field.limit, field.label) for name, text in value.items()}
    return {name: text for name, text in clean.items() if text} or None


def _choice(field: Field, value: Any) -> int | None:
    numbers = [number for number, _ in field.options]
    if value is not None and (type(value) is not int or value not in numbers):
        raise Rejected(
            gettext(
                "%(label)s must be a number from %(first)s to %(last)s.",
                label=field.label,
                first=numbers[0],
                last=numbers[-1],
            )
        )
    return value


CHECKS: Mapping[str, Callable[[Field, Any], Any]] = {
    "string": _string,
    "text": _string,
    "date": _date,
    "boolean": _boolean,
    "object": _object,
    "choice": _choice,
}
