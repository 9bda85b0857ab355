"""Forms for rows that others may have changed in the meantime: initial values, and conflicts to resolve."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from flask import request
from flask.typing import ResponseReturnValue

from medfiles.errors import EditConflict
from medfiles.http.current import actor, documents, records, services
from medfiles.http.errors import status_of
from medfiles.http.htmx import is_htmx, trigger
from medfiles.i18n import gettext
from medfiles.record_types.declared import RecordType
from medfiles.record_types.document_fields import DOCUMENT_FIELDS
from medfiles.record_types.fields import Field
from medfiles.web import forms, pages, previews
from medfiles.web.filters import day
from medfiles.web.forms import ServiceForm

WAS, KEEP = "was_", "keep_"  # form field prefixes: initial value, chosen side of a conflict
MINE, THEIRS = "mine", "theirs"
LastChanges = Mapping[str, tuple[Any, str | None]]  # by field: the audit event and the account's address


@dataclass(frozen=True)
class Clash:
    """A field that two people changed to different values, as shown in the form."""

    name: str
    id: str  # id prefix for its controls
    theirs: str
    who: str | None  # "you" or an address; None if unknown
    at: datetime | None
    keep: str  # the side chosen so far
    undecided: bool = False  # the form was submitted without a choice


@dataclass(frozen=True)
class Draft:
    """Document details that could not be saved because of a conflict."""

    file_id: int
    values: Mapping[str, Any]
    clashes: Mapping[str, Clash]


@dataclass
class EditForm:
    """A form for an existing row, which remembers the values it was filled with."""

    fields: Sequence[Field]
    current: Mapping[str, Any]
    before: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.form = forms.form_for(self.fields, self.current)
        self.seen: ServiceForm | None = forms.form_for(self.fields, self.current, WAS)
        if request.method != "POST":
            self.before = {}
            return
        sent = {name.removeprefix(WAS).partition("-")[0] for name in request.form if name.startswith(WAS)}
        self.before = {name: value for name, value in forms.values_of(self.seen, self.fields).items() if name in sent}
        if not sent:
            self.seen = None

    def save(self, save: Callable[[Mapping[str, Any], Mapping[str, Any]], Any], last: Callable[[], LastChanges]) -> Any:
        """Save the form and return the saved row; None if the form was not submitted, is invalid or has a conflict."""
        submitted = self.form

        def merge() -> Any:
            values = forms.values_of(submitted, self.fields, None if self.before else self.current)
            try:
                return save(resolved(values, self.before), self.before)
            except EditConflict as conflict:
                return self.show_conflict(values, conflict, last)

        saved = submitted.submit(merge)
        if self.form is submitted and not saved:
            self._mark(clashing(), last)
        return saved

    def show_conflict(self, values: Mapping[str, Any], conflict: EditConflict, last: Callable[[], LastChanges]) -> None:
        """Refill the form with the current values, overlaid with the editor's changes, and mark the conflicts."""
        shown = dict(self.current) | drafted(values, self.before)
        self.form = forms.form_for(self.fields, shown, bound=False)
        self.seen = forms.form_for(self.fields, self.current, WAS, bound=False)
        self._mark(conflict.conflicts, last)
        self.form.error_status = status_of(conflict)

    def _mark(self, names: Any, last: Callable[[], LastChanges]) -> None:
        if not names:
            return
        changes, declared = last(), {field.name: field for field in self.fields}
        for name in names:
            if name in declared:
                theirs = value_words(declared[name], self.current[name])
                self.form[name].clash = clash(name, name, theirs, changes)


def clashes_of(form: ServiceForm) -> list[Any]:
    """Return the fields of a form that are in conflict."""
    return [control for control in form if hasattr(control, "clash")]


def clashing() -> list[str]:
    """Return the names of the fields that the submitted form showed as conflicting."""
    return request.form.getlist("conflict")


def chosen(name: str) -> str:
    """Return which side of a conflict was chosen, or "" if none was."""
    keep = request.form.get(KEEP + name, "")
    return keep if keep in (MINE, THEIRS) else ""


def resolved(values: Mapping[str, Any], before: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values to save, given the choices made. Raises EditConflict if a choice is missing."""
    open_ones = [name for name in clashing() if name in values and not chosen(name)]
    if open_ones:
        raise EditConflict({name: (values[name], None) for name in open_ones})
    theirs = {name for name in clashing() if chosen(name) == THEIRS}
    return {name: before[name] if name in theirs and name in before else value for name, value in values.items()}


def drafted(values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that the editor changed."""
    return {name: value for name, value in values.items() if name not in before or value != before[name]}


def clash(name: str, id: str, theirs: str, last: LastChanges) -> Clash:
    event, email = last.get(name, (None, None))
    who = "you" if event and event.actor_id == actor().user_id else email
    at, undecided = event.at if event else None, name in clashing() and not chosen(name)
    return Clash(name, id, theirs, who, at, chosen(name), undecided)


def answer_document(
    file_id: int, values: Mapping[str, Any], before: Mapping[str, Any], conflict: EditConflict
) -> ResponseReturnValue:
    """Respond with the document's form, showing both values of each conflicting field."""
    view = pages.file_view(documents().get(file_id))
    record_type, record_id = services().registry[view.entity_type], view.entity_id
    record, _ = pages.record_page(record_type, record_id)
    last = last_changes(record.patient_id, (record_type.name, record_id), file_id)
    clashes = {
        field.name: clash(
            field.name,
            f"{field.name}-{file_id}",
            value_words(field, view.details[field.name], record_type),
            last,
        )
        for field in DOCUMENT_FIELDS
        if field.name in conflict.conflicts
    }
    draft = Draft(file_id, {**view.details, **drafted(values, before)}, clashes)
    status = status_of(conflict)
    if pages.is_in_preview():
        response = previews.answer_details(view, status, draft=draft)
        return trigger(response, "documents:error", message=conflict.message, code="edit-conflict")
    if not is_htmx():
        return pages.answer_manager(record_type, record_id, status, draft=draft)
    response = pages.answer_row(view, "edit", status, figures=False, draft=draft)
    row = f"#mf-{pages.place()}-{record_type.name}-{record_id}-doc-{file_id}"
    response.headers.update({"HX-Retarget": row, "HX-Reswap": "outerHTML"})
    return trigger(response, "documents:error", message=conflict.message, code="edit-conflict")


def last_changes(patient_id: int, record: tuple[str, int] | None = None, file_id: int | None = None) -> LastChanges:
    return records().last_changes(patient_id, record, file_id)


def value_words(declared: Field, value: Any, record_type: RecordType | None = None) -> str:
    """Format a value, stored or from the audit log, as readable text; "" if it is empty."""
    if value in (None, "", {}, False):
        return ""
    if declared.kind == "date":
        return day(value if isinstance(value, date) else date.fromisoformat(value))
    if declared.kind == "object":
        labels = dict(declared.parts)
        return "\n".join(f"{gettext(labels.get(name, name.capitalize()))}: {part}" for name, part in value.items())
    if declared.kind == "choice":
        return gettext(dict(declared.options).get(value, str(value)))
    if declared.kind == "category" and record_type:
        return record_type.category_label(value)
    return gettext("Yes") if value is True else str(value)
