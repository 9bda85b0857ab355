"""The document widget: its parts as HTML fragments, and what its forms do."""

from typing import Any

from flask import Blueprint, Response, flash, request
from flask.typing import ResponseReturnValue

from medfiles import uploads
from medfiles.entities import EntityType
from medfiles.errors import BadName, EmptyFile, MedfilesError, NotFound, Rejected
from medfiles.htmx import fragment, is_htmx, trigger
from medfiles.http import documents, explained, parts, records, send_document, status_of
from medfiles.intake import Intake, Paper
from medfiles.present import Notice, Outcome
from medfiles.sessions import background
from medfiles.uploads import Received
from medfiles.web.errors import answer_error
from medfiles.web.gate import by_header_or_query
from medfiles.web.pages import announce, answer_change, answer_manager, file_views, panel, record_page
from medfiles.web.words import plural

blueprint = Blueprint("documents", __name__, url_prefix="/documents")
VARIANTS, SIZES, MOST_BADGES = ("badge", "text", "icon"), ("xs", "sm", "md", "lg"), 500


@blueprint.get("/<kind:type>/<int:id>")
def manager(type: EntityType, id: int) -> ResponseReturnValue:
    return answer_manager(type, id)


@blueprint.get("/<kind:type>/<int:id>/upload-zone")
def upload_zone(type: EntityType, id: int) -> ResponseReturnValue:
    return _part(type, id, "documents/_upload_zone.html")


@blueprint.get("/<kind:type>/<int:id>/list")
def file_list(type: EntityType, id: int) -> ResponseReturnValue:
    return _part(type, id, "documents/_list.html")


@blueprint.get("/<kind:type>/<int:id>/trash")
def trash_list(type: EntityType, id: int) -> ResponseReturnValue:
    return answer_manager(type, id, show_trash=True)


@blueprint.get("/<kind:type>/<int:id>/badge")
@background
def badge(type: EntityType, id: int) -> ResponseReturnValue:
    counts, titles = documents().count(type, [id]), records().titles_of(type, [id])
    if id not in counts:
        raise NotFound()
    context = {"type_name": type.name, "id": id, "count": counts[id], "title": titles[id], **_look()}
    return fragment("documents/_one_badge.html" if is_htmx() else "documents/badge.html", **context)


@blueprint.get("/<kind:type>/badges")
@background
def badges(type: EntityType) -> ResponseReturnValue:
    counts = documents().count(type, _ids())
    titles = records().titles_of(type, counts)
    shown = [(type.name, record_id, count, titles[record_id]) for record_id, count in counts.items()]
    return fragment("documents/_badges.html", badges=shown, **_look())


@blueprint.post("/<kind:type>/<int:id>/files")
@by_header_or_query
def upload(type: EntityType, id: int) -> ResponseReturnValue:
    raw = uploads.is_raw(request)
    retry_of = uploads.idempotency_key(request)
    intake = documents().receive(type, id, uploads.announced_length(request), 1 if raw else None, retry_of)
    request.max_content_length = (request.content_length or 0) + 1  # the kind's own limit, just checked, holds instead
    received, paper = uploads.receive(request, documents(), intake)
    outcomes = [_stored(intake, file, paper, alone=len(received) == 1) for file in received]
    return _answer_upload(type, id, outcomes)


@blueprint.get("/files/<int:file_id>/download")
def download(file_id: int) -> ResponseReturnValue:
    return send_document(documents().open(file_id))


@blueprint.post("/files/<int:file_id>/edit")
def edit(file_id: int) -> ResponseReturnValue:
    fields = ("file_name", "description", "category")
    file = documents().edit(file_id, {name: request.form[name] for name in fields if name in request.form})
    return answer_change(parts().registry[file.entity_type], file.entity_id, Notice(f"Saved “{file.file_name}”."))


@blueprint.post("/files/<int:file_id>/delete")
def delete(file_id: int) -> ResponseReturnValue:
    [file] = file_views([documents().trash(file_id)])
    notice = Notice(f"Moved “{file.file_name}” to the trash.", undo=file)
    return answer_change(parts().registry[file.entity_type], file.entity_id, notice)


@blueprint.post("/files/<int:file_id>/restore")
def restore(file_id: int) -> ResponseReturnValue:
    file = documents().restore(file_id)
    return answer_change(parts().registry[file.entity_type], file.entity_id, Notice(f"Restored “{file.file_name}”."))


@blueprint.post("/files/<int:file_id>/purge")
def purge(file_id: int) -> ResponseReturnValue:
    [file] = file_views([documents().get(file_id)])
    documents().purge(file_id)
    return answer_change(
        parts().registry[file.entity_type], file.entity_id, Notice(f"Deleted “{file.file_name}” for ever.")
    )


@blueprint.errorhandler(MedfilesError)
def explain_in_place(error: MedfilesError) -> ResponseReturnValue:
    """What was refused inside the widget is said inside the widget, which then shows how things are now."""
    where = _record_of_request() if is_htmx() and request.method == "POST" else None
    if where is None:
        return answer_error(error)
    status, message, headers = explained(error)
    try:
        response = answer_manager(*where, status, notice=Notice(message, tone="error"))
    except MedfilesError:
        return answer_error(error)
    response.headers.update(headers)
    return trigger(response, "documents:error", message=message)


def _record_of_request() -> tuple[EntityType, int] | None:
    arguments = request.view_args or {}
    if "file_id" not in arguments:
        return (arguments["type"], arguments["id"]) if "id" in arguments else None
    try:
        file = documents().get(arguments["file_id"])
    except MedfilesError:
        return None
    return parts().registry[file.entity_type], file.entity_id


def _part(kind: EntityType, record_id: int, template: str) -> Response:
    if not is_htmx():
        return answer_manager(kind, record_id)
    record, view = record_page(kind, record_id)
    return fragment(template, panel=panel(kind, record, view))


def _stored(intake: Intake, received: Received, paper: Paper, *, alone: bool) -> tuple[Outcome, int]:
    """What became of one file, and the status it would have on its own."""
    try:
        if received.refusal or received.staged is None:
            error = received.refusal or EmptyFile("This file is empty.")
            documents().refuse(intake, received.name, error)
            raise error
        key = paper.idempotency_key if alone else None
        said = Paper(received.name, paper.description, paper.category, key)
        file, new = documents().attach(intake, received.staged, said)
    except MedfilesError as error:
        name = "This file" if isinstance(error, BadName) else received.name
        return Outcome(name, False, error.message, error.code), status_of(error)
    return Outcome(file.file_name, True, "Added.", file=file_views([file])[0]), 201 if new else 200


def _answer_upload(kind: EntityType, record_id: int, results: list[tuple[Outcome, int]]) -> ResponseReturnValue:
    outcomes, statuses = [outcome for outcome, _ in results], [status for _, status in results]
    stored = sum(outcome.stored for outcome in outcomes)
    status = max(code for code in statuses if code < 300) if stored else statuses[0]
    if stored and not is_htmx():
        for outcome in outcomes:
            if not outcome.stored:
                flash(f"{outcome.file_name} was not added. {outcome.message}", "error")
        return answer_change(kind, record_id, Notice(f"{plural(stored, 'document')} added."))
    response = answer_manager(kind, record_id, status, outcomes=outcomes)
    if stored:
        announce(response, kind, record_id)
    if refused := [f"{outcome.file_name}: {outcome.message}" for outcome in outcomes if not outcome.stored]:
        trigger(response, "documents:error", message="\n".join(refused))
    return response


def _look() -> dict[str, Any]:
    variant, size = request.args.get("variant", "badge"), request.args.get("size", "sm")
    if variant not in VARIANTS or size not in SIZES:
        raise Rejected(f"A badge is one of {', '.join(VARIANTS)} and its size one of {', '.join(SIZES)}.")
    return {"variant": variant, "size": size, "sheet": request.args.get("sheet") == "1"}


def _ids() -> list[int]:
    """`ids=1,2,3`, at most 500 of them."""
    words = [word for word in request.args.get("ids", "").split(",") if word]
    if len(words) > MOST_BADGES or not all(word.isascii() and word.isdigit() and len(word) <= 18 for word in words):
        raise Rejected(f"ids must be up to {MOST_BADGES} numbers, separated by commas.")
    return [int(word) for word in words]
