"""View models shared by pages, common responses, and redirects."""

from collections.abc import Mapping
from typing import Any

from flask import Response, g, redirect, request

from medfiles.documents.listing import DOCUMENT_DATE, ListQuery, Page
from medfiles.errors import Forbidden, Rejected
from medfiles.http import parameters, views
from medfiles.http.current import documents, records, services
from medfiles.http.htmx import fragment, is_htmx, trigger
from medfiles.http.views import FileView, PanelView, PatientView, RecordView, file_views
from medfiles.i18n import gettext
from medfiles.record_types.declared import RecordType
from medfiles.web import notices

ROWS = 50  # documents per page of a list
MODES = ("view", "edit")


def file_view(file: Any) -> FileView:
    return file_views([file])[0]


def patient_page(patient_id: int, tab: str) -> tuple[PatientView, dict[str, Any]]:
    """Return the patient and the context shared by all of the patient's pages."""
    summary = records().patient(patient_id)
    patient = views.patient_view(summary.patient, summary.level)
    return patient, {"patient": patient, "tab": tab, "tabs": tabs(patient_id)}


def tabs(patient_id: int) -> tuple[Any, ...]:
    counts = records().counts(patient_id)
    return tuple((record_type, counts[record_type.name]) for record_type in services().registry)


def record_page(record_type: RecordType, record_id: int) -> tuple[Any, RecordView]:
    """Return the record, both as stored and as shown."""
    record = records().get(record_type, record_id)
    return record, record_view(record_type, record)


def record_view(record_type: RecordType, record: Any, count: int | None = None) -> RecordView:
    summary = records().patient(record.patient_id)
    g.patient = views.patient_view(summary.patient, summary.level)
    return views.record_view(record_type, record, g.patient, count)


def requested_list(record_type: RecordType, *, trashed: bool = False) -> ListQuery:
    """Return the list's search, filters and sort order from the query string."""
    if request.method != "GET":
        return usual_list(trashed)
    return list_query(request.args, record_type, trashed=trashed)


def list_query(query: Mapping[str, str], listed: parameters.Categorized, *, trashed: bool = False) -> ListQuery:
    """Return the list that a page's query string or form asks for, in the order that is usual on pages."""
    return parameters.list_query(query, listed, trashed=trashed, usual=usual_list(trashed).sort)


def usual_list(trashed: bool = False) -> ListQuery:
    """Return the list of a page that asks for nothing: by document date, or the trash by the time of deletion."""
    usual = ListQuery.usual if trashed else DOCUMENT_DATE
    return ListQuery(sort=usual, usual=usual, trashed=trashed)


def mode() -> str:
    wanted = request.values.get("mode", "view")
    if wanted not in MODES:
        raise Rejected(gettext("mode must be view or edit."))
    return wanted


def panel(
    record_type: RecordType, record: Any, view: RecordView, *, list_query: ListQuery | None = None, **context: Any
) -> PanelView:
    """Return the widget for one record, with a page of its documents."""
    list_query = list_query or requested_list(record_type)
    limit = None if context.get("marked") else ROWS  # show all, so that marks on other pages are not lost
    page = documents().list(record_type, record.id, list_query, limit)
    totals = documents().record_totals(record_type, record.id)  # read last, so as not to be older than the rows
    files, draft = file_views(page.files), context.get("draft")
    without_script = view.can_edit and not is_htmx()
    editing = draft.file_id if draft else (document_id("edit") if without_script else None)
    if editing and editing not in [file.id for file in files]:
        file, here = file_view(documents().get(editing)), (record_type.name, record.id, list_query.trashed)
        files[:0] = [file] if (file.entity_type, file.entity_id, file.deleted_at is not None) == here else []
    context["editing"] = editing
    return views.panel_view(record_type, view, page, files, totals, list_query=list_query, **context)


def document_id(name: str) -> int:
    """Return the id in `?edit=ID` or `?row=ID`; 0, which matches no document, if it is invalid."""
    return parameters.id_or_unknown(request.args.get(name)) or 0


def answer_manager(record_type: RecordType, record_id: int, status: int = 200, **context: Any) -> Response:
    """Respond with the widget, either as a fragment or on a page of its own."""
    record, view = record_page(record_type, record_id)
    template = "documents/_manager.html" if is_htmx() else "documents/page.html"
    return fragment(template, status, panel=panel(record_type, record, view, **context), patient=g.patient)


def answer_body(record_type: RecordType, record_id: int, status: int = 200, **context: Any) -> Response:
    """Respond with the part of the widget below the upload zone."""
    record, view = record_page(record_type, record_id)
    context.setdefault("place", place())
    return fragment("documents/_list_part.html", status, panel=panel(record_type, record, view, **context))


def answer_row(
    file: FileView,
    state: str,
    status: int = 200,
    *,
    figures: bool = True,
    within: str | None = None,
    draft: Any = None,
    **said: Any,
) -> Response:
    """Respond with one document's row after a change, and with updated figures."""
    record_type = services().registry[file.entity_type]
    record, view = record_page(record_type, file.entity_id)
    nothing, totals = Page((), None, None), documents().record_totals(record_type, record.id)
    seen = usual_list(request.form.get("view") == "trash")
    where = within or place()
    around = views.panel_view(record_type, view, nothing, (), totals, list_query=seen, place=where, draft=draft)
    if state == "edit" and not around.can_edit:
        raise Forbidden()
    said |= {"file": file, "state": state, "figures": figures and around.place == "manager"}
    return fragment("documents/_row_part.html", status, panel=around, **said)


def answer_change(file: FileView, state: str, message: str, **said: Any) -> Response:
    """Respond to a change: to htmx with the row, otherwise with a redirect to the form's page.

    If `undo` is set, offer to restore the document.
    """
    record_type = services().registry[file.entity_type]
    if not is_htmx():
        notices.say(message, notices.undo_document(file.id, file.file_name) if said.get("undo") else None)
        return redirect(next_url(record_type, file.entity_id), 303)  # type: ignore[return-value]
    return announce(answer_row(file, state, message=message, **said), record_type, file.entity_id)


def announce(response: Response, record_type: RecordType, record_id: int) -> Response:
    """Tell the page that documents changed, so that it reloads badges and lists."""
    count = documents().count(record_type, [record_id]).get(record_id, 0)
    return trigger(response, "documents:changed", type=record_type.name, id=record_id, count=count)


def place() -> str:
    """Return "manager" if the request comes from the whole widget, or "list" if it comes from a standalone list."""
    return "manager" if request.values.get("within") == "manager" else "list"


def is_in_preview() -> bool:
    """Return whether the form is the one beside a preview."""
    return is_htmx() and request.form.get("within") == "preview"


def next_url(record_type: RecordType, record_id: int) -> str:
    """Return the form's `next` if it is a path of this app, otherwise the widget's page."""
    wanted = request.form.get("next", "")
    if wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted and wanted.isprintable():
        return wanted
    suffix = "/trash" if request.form.get("view") == "trash" else ""
    return f"/documents/{record_type.name}/{record_id}{suffix}"
