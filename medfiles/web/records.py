"""Pages for patients and records. Records are also served as fragments for the side sheet."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from medfiles.audit import activity
from medfiles.audit.event_log import KINDS, ActivityFilter
from medfiles.errors import Archived, Forbidden, Rejected
from medfiles.http import parameters, views
from medfiles.http.current import actor, documents, records, services
from medfiles.http.htmx import fragment, is_htmx, trigger
from medfiles.http.views import file_views
from medfiles.i18n import gettext
from medfiles.record_types.declared import RecordType
from medfiles.record_types.fields import PATIENT_FIELDS
from medfiles.records.listing import SORTS as RECORD_SORTS
from medfiles.records.service import require_editable
from medfiles.records.timeline import TimelineQuery
from medfiles.web import edits, forms, moving, notices, pages, people
from medfiles.web.edits import EditForm
from medfiles.web.filters import ngettext

blueprint = Blueprint("records", __name__)
MOST_EVENTS = 100  # per page of the activity list
MOST_ENTRIES = 50  # per page of the timeline
MOST_PAGES = 20  # of the timeline, when all that are loaded are refreshed


@blueprint.route("/patients/new", methods=["GET", "POST"])
def patient_new() -> ResponseReturnValue:
    form = forms.form_for(PATIENT_FIELDS, {"hue": records().unused_hue()})
    if patient := form.submit(lambda: records().create_patient(forms.values_of(form, PATIENT_FIELDS))):
        flash(
            gettext("%(name)s added.", name=f"{patient.first_name} {patient.last_name}"),
            "ok",
        )
        return redirect(url_for(".patient", patient_id=patient.id), 303)
    return _form_page("records/patient_form.html", form, patient=None)


@blueprint.get("/patients/<int:patient_id>")
def patient(patient_id: int) -> ResponseReturnValue:
    query = parameters.timeline_query(request.args, services().registry)
    if query.cursor and is_htmx():
        summary = records().patient(patient_id)
        return fragment(
            "records/_timeline.html", **_timeline(views.patient_view(summary.patient, summary.level), query)
        )
    view, context = pages.patient_page(patient_id, "overview")
    pages_loaded = min(max(request.args.get("pages", 1, type=int), 1), MOST_PAGES)
    context |= _timeline(view, query, pages_loaded)
    context["years"] = records().timeline_totals(patient_id).of_years(query.types)
    context |= {"counts": documents().totals(patient_id), "own_share": people.own_share(view)}
    held = file_views(documents().quarantined(patient_id), titled=True)
    return render_template("records/patient.html", held=held, **context)


def _timeline(patient: views.PatientView, query: TimelineQuery, loaded: int = 1) -> dict[str, Any]:
    """Return pages of the timeline: years, each with its records, and the addresses of the next page and of these."""
    page = records().timeline(patient.id, query, MOST_ENTRIES * loaded)
    entries = views.entry_views(page.entries, patient)
    by_year = [(year, list(of_year)) for year, of_year in groupby(entries, lambda entry: entry.day.year)]
    here: dict[str, Any] = {"patient_id": patient.id, **query.query()}
    older = page.next and url_for(".patient", **here, cursor=page.next)
    again = url_for(".patient", **here, pages=loaded if loaded > 1 else None)
    return {"timeline": by_year, "timeline_query": query, "older": older, "refreshed_from": again}


@blueprint.get("/patients/<int:patient_id>/documents")
def patient_documents(patient_id: int) -> ResponseReturnValue:
    registry = services().registry
    list_query = pages.list_query(request.args, registry)
    _, context = pages.patient_page(patient_id, "documents")
    page = documents().of_patient(patient_id, list_query, pages.ROWS)
    here: dict[str, Any] = {"patient_id": patient_id, **list_query.query()}
    older = page.next and url_for(".patient_documents", **here, cursor=page.next)
    context |= {"files": file_views(page.files, titled=True), "hits": page.hits, "older": older}
    context["counts"] = documents().totals(patient_id)
    template = "records/_documents.html" if list_query.cursor and is_htmx() else "records/patient_documents.html"
    return fragment(template, list_query=list_query, **context)


@blueprint.get("/patients/<int:patient_id>/profile")
def patient_profile(patient_id: int) -> ResponseReturnValue:
    _, context = pages.patient_page(patient_id, "profile")
    return render_template("records/patient_profile.html", counts=documents().totals(patient_id), **context)


@blueprint.route("/patient/<int:patient_id>", methods=["GET", "POST"], defaults={"part": ""})
@blueprint.route("/patient/<int:patient_id>/<path:part>", methods=["GET", "POST"])
def patient_as_record(patient_id: int, part: str) -> ResponseReturnValue:
    """Redirect from the URLs that a patient would have as a record, if the reader can see the patient."""
    records().level(patient_id)
    query = request.query_string.decode("latin-1")
    path = f"/{quote(part)}" if part else ""
    return redirect(url_for(".patient", patient_id=patient_id) + path + (f"?{query}" if query else ""), 308)


@blueprint.route("/patients/<int:patient_id>/edit", methods=["GET", "POST"])
def patient_edit(patient_id: int) -> ResponseReturnValue:
    view, context = pages.patient_page(patient_id, "overview")
    _require_edit(view)
    edit = EditForm(PATIENT_FIELDS, {field.name: getattr(view, field.name) for field in PATIENT_FIELDS})
    if edit.save(
        lambda values, before: records().edit_patient(patient_id, values, before=before),
        lambda: edits.last_changes(patient_id),
    ):
        flash(gettext("Saved."), "ok")
        return redirect(url_for(".patient", patient_id=patient_id), 303)
    return patient_form(edit, context)


@blueprint.get("/patients/<int:patient_id>/trash")
def patient_trash(patient_id: int) -> ResponseReturnValue:
    list_query = parameters.list_query(request.args, services().registry, trashed=True)
    view, context = pages.patient_page(patient_id, "trash")
    page = documents().trashed(patient_id, list_query, pages.ROWS)
    deleted = () if list_query.cursor else records().trashed(patient_id)
    context["records"] = [views.record_view(kind, record, view, count) for kind, record, count in deleted]
    away = () if list_query.cursor else moving.moved_away(patient_id)
    context |= {"files": file_views(page.files, titled=True), "older": None, "away": away}
    if page.next:
        here: dict[str, Any] = {"patient_id": patient_id, **list_query.query()}
        context["older"] = url_for(".patient_trash", **here, cursor=page.next)
    template = "records/_trash.html" if list_query.cursor and is_htmx() else "records/patient_trash.html"
    return fragment(template, **context)


@blueprint.get("/patients/<int:patient_id>/activity")
def patient_activity(patient_id: int) -> ResponseReturnValue:
    kind, document, who = (request.args.get(name, "") for name in ("kind", "document", "who"))
    if kind not in ("", *KINDS):
        raise Rejected(gettext("kind must be one of %(kinds)s.", kinds=", ".join(KINDS)))
    wanted = ActivityFilter(parameters.id_or_unknown(document), parameters.id_or_unknown(who), kind)
    _, context = pages.patient_page(patient_id, "activity")
    found = records().trail(patient_id, parameters.id_or_unknown(request.args.get("before")), wanted)
    lines = [activity.line(event, email, actor(), services().registry, found.hidden) for event, email in found.events]
    asked = {name: value for name, value in vars(wanted).items() if value}
    older = found.events[-1][0].id if len(found.events) == MOST_EVENTS else None
    return render_template("records/activity.html", trail=lines, older=older, found=found, asked=asked, **context)


@blueprint.get("/patients/<int:patient_id>/<plural:plural>", endpoint="records")
def records_of_kind(patient_id: int, plural: RecordType) -> ResponseReturnValue:
    query = parameters.record_list_query(request.args)
    view, context = pages.patient_page(patient_id, plural.name)
    loaded = min(max(request.args.get("pages", 1, type=int), 1), MOST_PAGES)
    page = records().page(patient_id, plural, query, MOST_ENTRIES * loaded)
    counts = documents().count(plural, [row.id for row in page.records])
    context["records"] = [views.record_view(plural, row, view, counts.get(row.id, 0)) for row in page.records]
    here: dict[str, Any] = {"patient_id": patient_id, "plural": plural, **query.query()}
    context["older"] = page.next and url_for(".records", **here, cursor=page.next)
    context["here"] = url_for(".records", **here, pages=loaded if loaded > 1 else None)
    years = records().timeline_totals(patient_id).of_years((plural.name,))
    context |= {"list_query": query, "hits": page.hits, "years": years, "sorts": RECORD_SORTS, "type": plural}
    whole = "records/_cards.html" if is_htmx() else "records/records.html"
    return fragment("records/_more_cards.html" if query.cursor and is_htmx() else whole, **context)


@blueprint.route("/patients/<int:patient_id>/<plural:plural>/new", methods=["GET", "POST"])
def record_new(patient_id: int, plural: RecordType) -> ResponseReturnValue:
    view = editable_patient(patient_id, plural)
    form, key = forms.form_for(plural.fields), forms.creation_key()

    def create() -> Any:
        return records().create(patient_id, plural, forms.values_of(form, plural.fields), key)

    if record := form.submit(create):
        return _answer_record(plural, record.id, gettext("%(record)s saved.", record=plural.title), created=True)
    return record_form(form, plural, view, None, views.empty_panel(plural, view), creation_key=key)


@blueprint.get("/<record_kind:type>/<int:id>")
def record(type: RecordType, id: int) -> ResponseReturnValue:
    return _record(type, id)


@blueprint.route("/<record_kind:type>/<int:id>/edit", methods=["GET", "POST"])
def record_edit(type: RecordType, id: int) -> ResponseReturnValue:
    record, view = pages.record_page(type, id)
    _require_edit(view)
    require_editable(type, record)
    edit, marked = EditForm(type.fields, view.values), forms.marked_for_trash()
    if edit.save(
        lambda values, before: records().edit(type, id, values, marked, before=before),
        lambda: edits.last_changes(view.patient.id, (type.name, id)),
    ):
        if not marked:
            return _answer_record(type, id, gettext("Saved."))
        message = ngettext("%(num)s document moved to trash.", "%(num)s documents moved to trash.", len(marked))
        notice, undo = views.Notice(message, undo=tuple(marked)), notices.undo_documents(type, id, marked)
        response = _answer_record(type, id, gettext("Saved. %(more)s", more=message), undo=undo, notice=notice)
        return pages.announce(response, type, id)
    panel = pages.panel(type, record, view, mode="edit", marked=marked)
    return record_form(edit.form, type, view.patient, view, panel, seen=edit.seen)


@blueprint.post("/<record_kind:type>/<int:id>/delete")
def record_delete(type: RecordType, id: int) -> ResponseReturnValue:
    record, count = records().delete(type, id)
    view = pages.record_view(type, record, count)
    message, undo = gettext("“%(name)s” moved to trash.", name=view.title), notices.undo_record(type, id, view.title)
    if count:
        message = ngettext(
            "“%(name)s” and its document moved to trash.",
            "“%(name)s” and its %(num)s documents moved to trash.",
            count,
            name=view.title,
        )
    listing = url_for(".records", patient_id=record.patient_id, plural=type)
    if is_htmx():
        said = notices.notice(message, undo) | {"next": listing}
        return _changed(fragment("_notices.html", said=said), type, id)
    notices.say(message, undo)
    return redirect(listing, 303)


@blueprint.post("/<record_kind:type>/<int:id>/restore")
def record_restore(type: RecordType, id: int) -> ResponseReturnValue:
    record, _ = records().restore(type, id)
    message = gettext("%(record)s restored with its documents.", record=type.title)
    if is_htmx() and request.form.get("within") == "notices":
        here = url_for(".record", type=type, id=id)
        said = notices.notice(message) | {"open": here, "title": type.title_of(record)}
        return _changed(fragment("_notices.html", said=said), type, id)
    return _answer_record(type, id, message)


def editable_patient(patient_id: int, record_type: RecordType) -> views.PatientView:
    """Return the patient. Raises Forbidden unless the user has edit access."""
    view, _ = pages.patient_page(patient_id, record_type.name)
    _require_edit(view)
    return view


def _record(record_type: RecordType, record_id: int, **context: Any) -> Response:
    record, view = pages.record_page(record_type, record_id)
    template = "records/_record.html" if is_htmx() else "records/record.html"
    if record.deleted_at is not None:
        panel, count = None, documents().record_totals(record_type, record_id).trashed
        view = pages.record_view(record_type, record, count)
    else:
        panel = pages.panel(record_type, record, view, **context)
    return fragment(template, record=view, panel=panel, **_page_context(view.patient, record_type))


def _page_context(patient: views.PatientView, record_type: RecordType) -> dict[str, Any]:
    on_page = not is_htmx() or request.values.get("on_page") == "1"
    return {"patient": patient, "tab": record_type.name, "on_page": on_page}


def _answer_record(
    record_type: RecordType,
    record_id: int,
    message: str,
    *,
    created: bool = False,
    undo: notices.Undo | None = None,
    **context: Any,
) -> Response:
    if is_htmx():
        response = _changed(_record(record_type, record_id, **context), record_type, record_id)
        return trigger(response, "records:created", type=record_type.name, id=record_id) if created else response
    notices.say(message, undo)
    wanted = request.form.get("next") and pages.next_url(record_type, record_id)
    return redirect(wanted or url_for(".record", type=record_type, id=record_id), 303)  # type: ignore[return-value]


def _changed(response: Response, record_type: RecordType, record_id: int) -> Response:
    return trigger(response, "records:changed", type=record_type.name, id=record_id)


def patient_form(edit: EditForm, context: Mapping[str, Any]) -> Response:
    return _form_page("records/patient_form.html", edit.form, seen=edit.seen, **context)


def record_form(
    form: Any, record_type: RecordType, patient: views.PatientView, record: Any, panel: views.PanelView, **context: Any
) -> Response:
    listing = url_for("records.records", patient_id=patient.id, plural=record_type)
    new = url_for("records.record_new", patient_id=patient.id, plural=record_type)
    at = url_for("records.record", type=record_type, id=record.id) if record else None
    context |= {"action": f"{at}/edit" if at else new, "cancel": at or listing, "record": record, "panel": panel}
    template = "records/_record_form.html" if is_htmx() else "records/record_form.html"
    context |= {"type": record_type, "choices": _choices(record_type.fields)}
    return _form_page(template, form, **(_page_context(patient, record_type) | context))


def _form_page(template: str, form: Any, **context: Any) -> Response:
    context = {"choices": _choices(PATIENT_FIELDS), "seen": None, **context}
    return fragment(template, form.http_status, form=form, clashes=edits.clashes_of(form), **context)


def _choices(fields: Any) -> dict[str, tuple[str, ...]]:
    return {field.name: tuple(map(gettext, field.choices)) for field in fields if field.choices}


def _require_edit(view: views.PatientView | views.RecordView) -> None:
    patient = view.patient if isinstance(view, views.RecordView) else view
    if not patient.is_editor:
        raise Forbidden()
    if not view.can_edit:
        raise Archived()
