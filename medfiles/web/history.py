"""The history of a record or patient: each change to a field, with the former value to restore."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from medfiles.audit import activity, history
from medfiles.errors import EditConflict
from medfiles.http import parameters
from medfiles.http.current import actor, documents, records, services
from medfiles.i18n import gettext
from medfiles.record_types.declared import RecordType
from medfiles.record_types.document_fields import DOCUMENT_FIELDS
from medfiles.record_types.fields import PATIENT_FIELDS, checked
from medfiles.web import edits, pages
from medfiles.web import records as record_pages
from medfiles.web.edits import EditForm, value_words

blueprint = Blueprint("history", __name__)
MOST_EDITS = 100  # per page


@dataclass(frozen=True)
class Change:
    """A change to one field, as part of an edit."""

    edit: int  # id of the audit event
    at: datetime
    who: str
    document: str | None  # its name at the time
    name: str
    label: str
    before: str
    after: str
    is_kept: bool  # whether the former value is known


@blueprint.get("/<kind:type>/<int:id>/history")
def record(type: RecordType, id: int) -> ResponseReturnValue:
    before = _number("before")
    _, view = pages.record_page(type, id)
    context = _page(records().history(type, id, before), url_for(".record", type=type.name, id=id))
    return render_template("records/record_history.html", record=view, **context)


@blueprint.get("/patients/<int:patient_id>/history")
def patient(patient_id: int) -> ResponseReturnValue:
    before = _number("before")
    _, context = pages.patient_page(patient_id, "history")
    context |= _page(records().patient_history(patient_id, before), url_for(".patient", patient_id=patient_id))
    return render_template("records/patient_history.html", **context)


@blueprint.post("/<kind:type>/<int:id>/history/<int:change>/restore")
def restore_in_record(type: RecordType, id: int, change: int) -> ResponseReturnValue:
    found = records().editable(type, id)
    name, at = request.form.get("field", ""), (type.name, id)
    file_id, value = records().former_value(found.patient_id, change, name, at)
    is_overtaken = _is_overtaken(name, edits.last_changes(found.patient_id, at, file_id))
    if file_id is not None:
        return _restore_document(file_id, name, value, is_overtaken)
    current = {field.name: getattr(found, field.name) for field in type.fields}
    try:
        _refuse_if(is_overtaken, name, value)
        records().edit(type, id, {name: value}, before={name: current[name]})
    except EditConflict as conflict:
        stored, view = pages.record_page(type, id)
        edit = EditForm(type.fields, view.values)
        former = checked(type.fields, {name: value}, partial=True)
        edit.show_conflict(former, conflict, lambda: edits.last_changes(found.patient_id, at))
        panel = pages.panel(type, stored, view, mode="edit")
        return record_pages.record_form(edit.form, type, view.patient, view, panel, seen=edit.seen)
    return _restored(name, type.fields, url_for(".record", type=type.name, id=id))


@blueprint.post("/patients/<int:patient_id>/history/<int:change>/restore")
def restore_in_patient(patient_id: int, change: int) -> ResponseReturnValue:
    name = request.form.get("field", "")
    _, value = records().former_value(patient_id, change, name)
    view, context = pages.patient_page(patient_id, "overview")
    current = {field.name: getattr(view, field.name) for field in PATIENT_FIELDS}
    try:
        _refuse_if(_is_overtaken(name, edits.last_changes(patient_id)), name, value)
        records().edit_patient(patient_id, {name: value}, before={name: current[name]})
    except EditConflict as conflict:
        edit = EditForm(PATIENT_FIELDS, current)
        former = checked(PATIENT_FIELDS, {name: value}, partial=True)
        edit.show_conflict(former, conflict, lambda: edits.last_changes(patient_id))
        return record_pages.patient_form(edit, context)
    return _restored(name, PATIENT_FIELDS, url_for(".patient", patient_id=patient_id))


def _restore_document(file_id: int, name: str, value: Any, is_overtaken: bool) -> ResponseReturnValue:
    file = documents().editable(file_id)
    try:
        _refuse_if(is_overtaken, name, value)
        documents().edit(file_id, {name: value}, before={name: getattr(file, name)})
    except EditConflict as conflict:
        return edits.answer_document(file_id, {name: value}, {}, conflict)
    here = url_for(".record", type=file.entity_type, id=file.entity_id)
    return _restored(name, DOCUMENT_FIELDS, here)


def _refuse_if(is_overtaken: bool, name: str, value: Any) -> None:
    """Raise EditConflict if the field was changed after the page with the button was shown."""
    if is_overtaken:
        raise EditConflict({name: (value, None)})


def _is_overtaken(name: str, last: edits.LastChanges) -> bool:
    event, _ = last.get(name, (None, None))
    return event is not None and event.id > (parameters.id_or_unknown(request.form.get("as_of")) or 0)


def _restored(name: str, fields: Sequence[Any], here: str) -> ResponseReturnValue:
    label = next((field.label for field in fields if field.name == name), name)
    flash(gettext("Previous value of “%(label)s” restored.", label=label), "ok")
    return redirect(here, 303)


def _number(name: str) -> int | None:
    return parameters.id_or_unknown(request.args.get(name))


def _page(found: Sequence[tuple[Any, str | None]], here: str) -> dict[str, Any]:
    as_of = _number("as_of") or (found[0][0].id if found else 0)
    older = f"{here}?before={found[-1][0].id}&as_of={as_of}" if len(found) == MOST_EDITS else None
    changes = [change for event, email in found for change in _changes(event, email)]
    return {"changes": changes, "older": older, "as_of": as_of, "here": here}


def _changes(event: Any, email: str | None) -> Iterator[Change]:
    registry = services().registry
    kept: Mapping[str, Sequence[Any]] = event.personal.get("changes") or {}
    is_document = event.file_id is not None
    record_type = registry[event.entity_type] if is_document else None
    document = event.personal.get("name", gettext("a document")) if is_document else None
    who = activity.who(event, email, actor())
    for field in history.changed_fields(event, registry):
        before, after = (value_words(field, value, record_type) for value in kept.get(field.name, (None, None)))
        is_kept = field.name in kept
        yield Change(event.id, event.at, who, document, field.name, field.label, before, after, is_kept)
