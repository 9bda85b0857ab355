"""The inbox: documents to be filed, with suggestions that can be changed, filed several at once."""

import uuid
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from medfiles.documents.transfers import Moved
from medfiles.errors import MedfilesError, Rejected
from medfiles.http import parameters, views
from medfiles.http.current import documents, inbox, records, services
from medfiles.http.htmx import fragment, is_htmx, trigger
from medfiles.http.rate_limits import BULK, rate_limited
from medfiles.i18n import gettext, ngettext
from medfiles.inbox.service import Choice, Filing, Inbox, read_cursor
from medfiles.web import home, inbox_form, inbox_rows, notices
from medfiles.web.inbox_form import Form, Place

blueprint = Blueprint("inbox", __name__)
ROWS = 50  # documents per page
MOST_PEOPLE = 200  # to choose from in a list


@blueprint.get("/inbox")
def all_inboxes() -> ResponseReturnValue:
    return _answer(None)


@blueprint.get("/patients/<int:patient_id>/inbox")
def of_patient(patient_id: int) -> ResponseReturnValue:
    return _answer(patient_id)


@blueprint.get("/inbox/why")
def why() -> ResponseReturnValue:
    """Show the first page of a document, and why it is suggested where it is."""
    file_id = parameters.read_id(request.args.get("at")) or 0
    file = documents().get(file_id)
    found = inbox().page(file.patient_id, None, ROWS)
    row = next((row for row in inbox_rows.rows(found) if row.file.id == file_id), None)
    return fragment("inbox/_why.html", row=row)


@blueprint.post("/inbox/file")
@rate_limited(BULK)
def file() -> ResponseReturnValue:
    """File the selected documents, or change what is chosen for them."""
    form = inbox_form.read(request.form)
    action, _, about = form.action.partition(":")
    actions = {
        "file": _file, "into": _into, "new": _into_new, "trash": _trash, "keep": _keep, "hand-over": _hand_over,
        "undo": _undo,
    }  # fmt: skip
    if action in actions:
        return actions[action](form, about)
    return _answer(form.scope, form=inbox_form.changed(form, action, about))


def _file(form: Form, _: str) -> ResponseReturnValue:
    if not form.picked:
        raise Rejected(gettext("Select the documents to file first."))
    if unclear := [row for row in form.picked if not row.is_clear]:
        message = ngettext(
            "%(num)s document needs a look: choose its record.",
            "%(num)s documents need a look: choose their records.",
            len(unclear),
            num=len(unclear),
        )
        return _answer(form.scope, 422, form=form, error=message)
    registry = services().registry
    filings = []
    for row in form.picked:
        assert row.place is not None  # as is_clear says
        kind = registry[row.place.type]
        filings.append(Filing(row.file_id, kind, row.place.id, row.details(kind.categories)))
    return _filed(form, inbox().file_many(filings))


def _into(form: Form, _: str) -> ResponseReturnValue:
    """File all selected documents under one record."""
    if form.into is None or not form.picked:
        raise Rejected(gettext("Select documents and a record first."))
    return _filed(form, inbox().file_many(_all_into(form, form.into)))


def _into_new(form: Form, _: str) -> ResponseReturnValue:
    """Create a record from the selected documents and file them under it."""
    patients = {row.patient_id for row in form.picked}
    if len(patients) != 1:
        raise Rejected(gettext("Select documents of one person first."))
    kind = next((kind for kind in services().registry if kind.name == form.new_type), None)
    if kind is None:
        raise Rejected(gettext("Select what to add: a visit, a lab result, a procedure or an insurance."))
    values: dict[str, Any] = {kind.title_field: form.new_title}
    if form.new_date:
        values[kind.date_fields[0]] = form.new_date
    [patient_id] = patients
    record = records().create(patient_id, kind, values, form.key)
    return _filed(form, inbox().file_many(_all_into(form, Place(patient_id, kind.name, record.id))))


def _all_into(form: Form, place: Place) -> list[Filing]:
    """Return the filings under one record, with the categories that are suggested for it."""
    kind = services().registry[place.type]
    choices = {row.file_id: Choice(place.patient_id, (place.type, place.id)) for row in form.picked}
    found = inbox().page(form.scope, None, ROWS, choices)
    suggested = {item.file.id: item.suggestion.category for item in found.items}
    filings = []
    for row in form.picked:
        details = row.details(kind.categories)
        details["category"] = details.get("category") or suggested.get(row.file_id)
        filings.append(Filing(row.file_id, kind, place.id, details))
    return filings


def _trash(form: Form, _: str) -> ResponseReturnValue:
    results = documents().across([row.file_id for row in form.picked], documents().trash_many)
    done = [result.file_id for result in results if result.error is None]
    message = ngettext("%(num)s document moved to trash.", "%(num)s documents moved to trash.", len(done))
    error = next((result.error for result in results if result.error), None)
    return _done(form, message if done else "", None, error)


def _keep(form: Form, about: str) -> ResponseReturnValue:
    inbox().keep(parameters.id_or_unknown(about) or 0)
    if form.next:
        return redirect(form.next, 303)
    return _answer(form.scope, form=form)


def _hand_over(form: Form, about: str) -> ResponseReturnValue:
    """Move a document that names another patient to that patient's inbox."""
    file_id, _, patient_id = about.partition("-")
    to = parameters.id_or_unknown(patient_id) or 0
    [moved] = inbox().hand_over([parameters.id_or_unknown(file_id) or 0], to)
    if moved.error is not None:
        raise moved.error
    name = records().patient(to).patient.first_name
    message = gettext("“%(file)s” moved to the inbox of %(name)s.", file=moved.file_name, name=name)
    notices.say(message, notices.undo_filing([moved.file_id]))
    return redirect(form.next or url_for(".of_patient", patient_id=to), 303)


def _undo(form: Form, about: str) -> ResponseReturnValue:
    ids = parameters.read_id_lists([about]) or []
    results = documents().take_back_many(ids)
    if (error := next((result.error for result in results if result.error), None)) is not None:
        raise error
    notices.say(ngettext("%(num)s document put back.", "%(num)s documents put back.", len(results)))
    return redirect(form.next or url_for(".all_inboxes"), 303)


def _filed(form: Form, results: Sequence[Moved]) -> ResponseReturnValue:
    done = [result.file_id for result in results if result.error is None]
    error = next((result.error for result in results if result.error), None)
    message = ngettext("%(num)s document filed.", "%(num)s documents filed.", len(done))
    return _done(form, message if done else "", notices.undo_filing(done) if done else None, error)


def _done(form: Form, message: str, undo: notices.Undo | None, error: MedfilesError | None) -> ResponseReturnValue:
    if not message and error is not None:
        raise error
    if is_htmx():
        said = notices.notice(message, undo) | {"next": _url(form.scope)}
        response = _answer(form.scope, said=said, error=error.message if error else None)
        return trigger(response, "documents:changed", type="patient", id=form.scope or 0, count=0)
    notices.say(message, undo)
    return redirect(_url(form.scope), 303)


def _answer(
    patient_id: int | None,
    status: int = 200,
    *,
    form: Form | None = None,
    said: dict[str, object] | None = None,
    error: str | None = None,
) -> Response:
    token = request.args.get("cursor")
    cursor = read_cursor(token) if token else None
    found = inbox().page(patient_id, cursor, ROWS, form.choices if form else None)
    listed = inbox_rows.rows(found, form)
    need = form is None and parameters.flag(request.args, "need")
    shown = [row for row in listed if row.level == 1] if need else listed
    at = parameters.read_id(request.args.get("at"))
    people = _choosable(found)
    chosen = patient_id or parameters.read_id(request.args.get("to"))
    to = next((one for one in people if one.id == chosen), None) or home.last_used(people)
    here: dict[str, Any] = {"patient_id": patient_id} if patient_id else {}
    endpoint = ".of_patient" if patient_id else ".all_inboxes"
    context = {
        "rows": shown, "total": found.total, "people": people, "scope": patient_id, "to": to, "said": said,
        "error": error, "need": need,
        "need_count": sum(row.level == 1 for row in listed), "new_date": _first_date(shown),
        "at": next((row for row in shown if row.file.id == at), next(iter(shown), None)), "key": uuid.uuid4().hex,
        "more": url_for(endpoint, **here, cursor=found.next) if found.next else None, "here": url_for(endpoint, **here),
        "panel": inbox_rows.upload_panel(to) if to else None, "record_types": tuple(services().registry),
        "groups": inbox_rows.all_groups(shown),
    }  # fmt: skip
    return fragment("inbox/_body.html" if is_htmx() else "inbox/page.html", status, **context)


def _choosable(found: Inbox) -> list[views.PatientView]:
    """Return the people whose documents the account can file, those used last first if they are many."""
    everyone, _ = home.shown_people(MOST_PEOPLE)
    return [person for person in everyone if person.can_edit]


def _first_date(shown: Sequence[inbox_rows.Row]) -> str:
    """Return the first date among the selected documents."""
    return min((row.document_date for row in shown if row.picked and row.document_date), default="")


def _url(patient_id: int | None) -> str:
    return url_for(".of_patient", patient_id=patient_id) if patient_id else url_for(".all_inboxes")
