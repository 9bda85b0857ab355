"""The document widget: its fragments and forms."""

from dataclasses import replace
from typing import Any

import structlog
from flask import Blueprint, Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from medfiles.documents.rules import UploadMetadata, UploadPermit
from medfiles.errors import BadName, BlobMissing, EditConflict, MedfilesError, NotFound, Rejected, SignedOut
from medfiles.http import parameters, request_body, views
from medfiles.http.current import documents, services
from medfiles.http.current import previews as document_previews
from medfiles.http.current import texts as document_texts
from medfiles.http.errors import RETRY_SECONDS, explained, status_of
from medfiles.http.htmx import fragment, is_htmx, trigger
from medfiles.http.rate_limits import BULK, UPLOADS, rate_limited
from medfiles.http.request_body import ReceivedFile
from medfiles.http.responses import send_document, send_picture
from medfiles.http.security import csrf_outside_body
from medfiles.http.sessions import background
from medfiles.http.views import Notice, Outcome
from medfiles.i18n import N_, gettext
from medfiles.previews.service import NoPreview, PreviewTimedOut
from medfiles.record_types.declared import RecordType
from medfiles.record_types.document_fields import DOCUMENT_FIELDS
from medfiles.sandbox.pool import Busy
from medfiles.sandbox.render import spec
from medfiles.web import bulk as web_bulk
from medfiles.web import edits, forms, pages, previews, printing, texts
from medfiles.web import records as record_pages
from medfiles.web.errors import answer_error
from medfiles.web.filters import day, ngettext

blueprint = Blueprint("documents", __name__, url_prefix="/documents")
log = structlog.get_logger("medfiles.pictures")
REVALIDATED = "private, max-age=300, must-revalidate"  # sign-out clears the browser's cache
DETAILS = tuple(field.name for field in DOCUMENT_FIELDS)
VARIANTS, SIZES, MAX_BADGES = ("badge", "text", "icon"), ("xs", "sm", "md", "lg"), 500


@blueprint.get("/<kind:type>/<int:id>")
def manager(type: RecordType, id: int) -> ResponseReturnValue:
    mode = pages.mode()
    if mode == "edit" and not is_htmx() and type is not services().registry.patient:
        return record_pages.record_edit(type, id)
    return pages.answer_manager(type, id, mode=mode)


@blueprint.get("/<record_kind:type>/new")
def manager_new(type: RecordType) -> ResponseReturnValue:
    patient_id = parameters.read_id(request.args.get("patient"))
    if patient_id is None:
        raise Rejected(gettext("patient must be the ID of the new record’s patient."))
    if not is_htmx():
        return record_pages.record_new(patient_id, type)
    patient = record_pages.editable_patient(patient_id, type)
    return fragment("documents/_manager.html", panel=views.empty_panel(type, patient))


@blueprint.get("/<kind:type>/<int:id>/upload-zone")
def upload_zone(type: RecordType, id: int) -> ResponseReturnValue:
    if not is_htmx():
        return pages.answer_manager(type, id)
    record, view = pages.record_page(type, id)
    return fragment("documents/_zone_part.html", panel=pages.panel(type, record, view, mode=pages.mode()))


@blueprint.get("/<kind:type>/<int:id>/list")
def file_list(type: RecordType, id: int) -> ResponseReturnValue:
    if not is_htmx():
        return pages.answer_manager(type, id)
    if "row" in request.args or "edit" in request.args:  # one row, or its edit form
        state, name = ("edit", "edit") if "edit" in request.args else ("kept", "row")
        file = documents().get(pages.document_id(name))
        if (file.entity_type, file.entity_id) != (type.name, id):
            raise NotFound()
        return pages.answer_row(pages.file_view(file), state, figures=False)
    if "cursor" in request.args or request.args.get("part") == "results":
        return _results(type, id, trashed=False)
    return pages.answer_body(type, id, mode=pages.mode())


@blueprint.get("/<kind:type>/<int:id>/trash")
def trash_list(type: RecordType, id: int) -> ResponseReturnValue:
    list_query = pages.requested_list(type, trashed=True)
    if not is_htmx():
        return pages.answer_manager(type, id, list_query=list_query)
    if "cursor" in request.args or request.args.get("part") == "results":
        return _results(type, id, trashed=True)
    return pages.answer_body(type, id, list_query=list_query)


@blueprint.get("/<kind:type>/<int:id>/badge")
@background
def badge(type: RecordType, id: int) -> ResponseReturnValue:
    found = documents().badges(type, [id])
    if id not in found:
        raise NotFound()
    title, count = found[id]
    context = {"type_name": type.name, "id": id, "count": count, "title": title, **_badge_style()}
    return fragment("documents/_one_badge.html" if is_htmx() else "documents/badge.html", **context)


@blueprint.get("/<kind:type>/badges")
@background
def badges(type: RecordType) -> ResponseReturnValue:
    ids = parameters.read_id_lists(request.args.getlist("ids"))
    if ids is None or len(ids) > MAX_BADGES:
        raise Rejected(gettext("ids must be up to %(most)s numbers, separated by commas.", most=MAX_BADGES))
    found = documents().badges(type, ids)
    shown = [(type.name, record_id, count, title) for record_id, (title, count) in found.items()]
    return fragment("documents/_badges.html", badges=shown, **_badge_style())


@blueprint.post("/<kind:type>/<int:id>/files")
@rate_limited(UPLOADS)
@csrf_outside_body
def upload(type: RecordType, id: int) -> ResponseReturnValue:
    raw = request_body.is_raw(request)
    retry_of = request_body.idempotency_key(request)
    permit = documents().authorize_upload(type, id, request_body.content_length(request), 1 if raw else None, retry_of)
    request.max_content_length = (request.content_length or 0) + 1  # the record type's limit has just been checked
    received, metadata = request_body.receive(request, documents(), permit)
    if raw and is_htmx():
        return _answer_queue(permit, received[0], metadata)
    results = [_store(permit, file, metadata, alone=len(received) == 1) for file in received]
    return _answer_upload(type, id, results, to_file=metadata.to_file)


@blueprint.post("/<kind:type>/<int:id>/bulk")
@rate_limited(BULK)
def bulk(type: RecordType, id: int) -> ResponseReturnValue:
    return web_bulk.answer(type, id)


@blueprint.get("/files/<int:file_id>/download")
def download(file_id: int) -> ResponseReturnValue:
    return send_document(documents().open_listed(file_id))


@blueprint.get("/files/<int:file_id>/preview")
def preview(file_id: int) -> ResponseReturnValue:
    return previews.answer(file_id)


@blueprint.get("/files/<int:file_id>/pictures/<sha256>-<recipe>/<int:page>.webp")
def picture(file_id: int, sha256: str, recipe: str, page: int) -> ResponseReturnValue:
    """Return a page as an image.

    If there is no thumbnail, respond with 204: lists then show an icon, and browsers log no error.
    """
    try:
        retry = parameters.flag(request.args, "retry")
        found = document_previews().picture(file_id, sha256, recipe, page, retry=retry)
    except (NoPreview, PreviewTimedOut, Busy, BlobMissing) as error:
        if not spec.parse_recipe(recipe).is_thumbnail:
            raise
        if isinstance(error, BlobMissing):
            log.error("document without its content", file_id=file_id)
        return Response(status=204, headers={"Retry-After": RETRY_SECONDS} if isinstance(error, Busy) else {})
    return send_picture(found, **{"Cache-Control": REVALIDATED})


@blueprint.get("/files/<int:file_id>/text")
def text(file_id: int) -> ResponseReturnValue:
    return texts.answer_words(file_id) if request.args.get("part") == "words" else texts.answer(file_id)


@blueprint.post("/files/<int:file_id>/read")
def read(file_id: int) -> ResponseReturnValue:
    """Have the text read again. The page then shows what has been read so far."""
    document_texts().read_again(file_id)
    if is_htmx():
        return texts.answer(file_id)
    return redirect(url_for("documents.text", file_id=file_id), 303)


@blueprint.get("/files/<int:file_id>/print", endpoint="print")
def print_one(file_id: int) -> ResponseReturnValue:
    file = documents().get(file_id)
    return printing.answer(services().registry[file.entity_type], file.entity_id, [file_id])


@blueprint.post("/files/<int:file_id>/edit")
def edit(file_id: int) -> ResponseReturnValue:
    values, before = forms.submitted(DETAILS), forms.submitted(DETAILS, edits.WAS)
    try:
        file = documents().edit(file_id, edits.resolved(values, before), before)
    except EditConflict as conflict:
        return edits.answer_document(file_id, values, before, conflict)
    if pages.is_in_preview():
        details = previews.answer_details(pages.file_view(file), saved=True)
        return pages.announce(details, services().registry[file.entity_type], file.entity_id)
    return pages.answer_change(pages.file_view(file), "kept", gettext("“%(name)s” saved.", name=file.file_name))


@blueprint.post("/files/<int:file_id>/delete")
def delete(file_id: int) -> ResponseReturnValue:
    file = pages.file_view(documents().trash(file_id))
    return pages.answer_change(file, "gone", gettext("“%(name)s” moved to trash.", name=file.file_name), undo=True)


@blueprint.post("/files/<int:file_id>/restore")
def restore(file_id: int) -> ResponseReturnValue:
    file = pages.file_view(documents().restore(file_id))
    state = "gone" if request.form.get("view") == "trash" else "kept"
    return pages.answer_change(file, state, gettext("“%(name)s” restored.", name=file.file_name))


@blueprint.post("/files/<int:file_id>/purge")
def purge(file_id: int) -> ResponseReturnValue:
    file = pages.file_view(documents().get(file_id))
    documents().purge(file_id)
    return pages.answer_change(file, "gone", gettext("“%(name)s” deleted permanently.", name=file.file_name))


@blueprint.errorhandler(MedfilesError)
def show_error_in_place(error: MedfilesError) -> ResponseReturnValue:
    """Show the error inside the widget, together with the widget's current state."""
    in_place = is_htmx() and request.method == "POST" and not request_body.is_raw(request)
    where = _record_of_request() if in_place and not isinstance(error, SignedOut) else None
    if where is None:
        return answer_error(error)
    refusal = explained(error)
    try:
        trashed = request.form.get("view") == "trash"
        list_query, notice = pages.requested_list(where[0], trashed=trashed), Notice(refusal.message, tone="error")
        response = pages.answer_body(*where, refusal.status, list_query=list_query, notice=notice)
    except MedfilesError:
        return answer_error(error)
    retarget = f"#mf-{pages.place()}-{where[0].name}-{where[1]}-body"
    response.headers.update(refusal.headers | {"HX-Retarget": retarget, "HX-Reswap": "outerHTML"})
    return trigger(response, "documents:error", message=refusal.message, code=refusal.code)


def _record_of_request() -> tuple[RecordType, int] | None:
    arguments = request.view_args or {}
    if "file_id" not in arguments:
        return (arguments["type"], arguments["id"]) if "id" in arguments else None
    try:
        file = documents().get(arguments["file_id"])
    except MedfilesError:
        return None
    return services().registry[file.entity_type], file.entity_id


def _results(record_type: RecordType, record_id: int, *, trashed: bool) -> Response:
    """Respond with the matching documents; with a cursor, only with the rows of the next page."""
    record, view = pages.record_page(record_type, record_id)
    list_query = pages.requested_list(record_type, trashed=trashed)
    template = "documents/_rows.html" if list_query.cursor else "documents/_results.html"
    shown = pages.panel(record_type, record, view, list_query=list_query, mode=pages.mode(), place=pages.place())
    return fragment(template, panel=shown)


def _store(
    permit: UploadPermit, received: ReceivedFile, metadata: UploadMetadata, *, alone: bool
) -> tuple[Outcome, int]:
    """Store one file; return the outcome, and the status for a response about this file alone."""
    try:
        said = metadata if alone else replace(metadata, idempotency_key=None)
        file, new = request_body.store(documents(), permit, received, said)
    except MedfilesError as error:
        name = gettext("This file") if isinstance(error, BadName) else received.name
        return Outcome(name, False, error.message, error.code), status_of(error)
    twin = documents().duplicate_of(file) if new else None
    already = {"day": twin and day(twin.uploaded_at), "name": twin and twin.file_name}
    notes = {
        "duplicate": twin and gettext("You already added this file on %(day)s as “%(name)s”.", **already),
        "renamed": file.renamed_from
        and gettext("Renamed from “%(name)s” to match its content.", name=file.renamed_from),
    }
    code = next((code for code, note in notes.items() if note), None)
    words = " ".join(note for note in notes.values() if note) or gettext("Added.")
    return Outcome(file.file_name, True, words, code, pages.file_view(file)), 201 if new else 200


def _answer_queue(permit: UploadPermit, received: ReceivedFile, metadata: UploadMetadata) -> Response:
    """Respond to the upload queue with the new row, and with a note if the file is a duplicate."""
    file, new = request_body.store(documents(), permit, received, metadata)
    twin = documents().duplicate_of(file) if new else None
    view, before = pages.file_view(file), pages.file_view(twin) if twin else None
    response = pages.answer_row(view, "new", 201 if new else 200, within="manager", twin=before)
    return pages.announce(response, permit.record_type, permit.record_id)


def _answer_upload(
    record_type: RecordType, record_id: int, results: list[tuple[Outcome, int]], *, to_file: bool = False
) -> ResponseReturnValue:
    outcomes, statuses = [outcome for outcome, _ in results], [status for _, status in results]
    stored = sum(outcome.stored for outcome in outcomes)
    status = max(code for code in statuses if code < 300) if stored else statuses[0]
    if stored and not is_htmx():
        flash(ngettext("%(num)s document added.", "%(num)s documents added.", stored), "ok")
        for outcome in outcomes:
            if not outcome.stored or outcome.code:
                lead = gettext(N_("%(name)s was added.") if outcome.stored else outcome.lead, name=outcome.file_name)
                flash(f"{lead} {outcome.message}", "warning" if outcome.stored else "error")
        if to_file:
            return redirect(url_for("inbox.of_patient", patient_id=record_id), 303)
        return redirect(pages.next_url(record_type, record_id), 303)
    response = pages.answer_manager(record_type, record_id, status, outcomes=outcomes)
    if stored:
        pages.announce(response, record_type, record_id)
    if refused := [outcome for outcome in outcomes if not outcome.stored]:
        trigger(response, "documents:error", message=views.told(refused), code=refused[0].code)
    return response


def _badge_style() -> dict[str, Any]:
    variant, size = request.args.get("variant", "badge"), request.args.get("size", "sm")
    if variant not in VARIANTS or size not in SIZES:
        raise Rejected(
            gettext(
                "variant must be one of %(variants)s and size one of %(sizes)s.",
                variants=", ".join(VARIANTS),
                sizes=", ".join(SIZES),
            )
        )
    return {"variant": variant, "size": size, "sheet": request.args.get("sheet") == "1"}
