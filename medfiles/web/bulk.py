"""Bulk actions on a record's documents: the selected ones, or all that match the filters."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from flask import Response, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from medfiles.documents.bulk import Result
from medfiles.documents.listing import ListQuery
from medfiles.errors import Rejected
from medfiles.http import parameters
from medfiles.http.capacity import admit_archive
from medfiles.http.current import documents, records
from medfiles.http.errors import status_of
from medfiles.http.htmx import fragment, is_htmx, trigger
from medfiles.http.responses import send_archive
from medfiles.http.views import MOST_LISTED, Notice, Outcome, told
from medfiles.i18n import N_, gettext, ngettext_noop
from medfiles.links.rules import MOST_DOCUMENTS
from medfiles.record_types.declared import RecordType
from medfiles.record_types.document_fields import FILTER_FIELDS
from medfiles.records.service import require_editable
from medfiles.web import moving, notices, pages, printing
from medfiles.web.filters import ngettext

MAX_SELECTED = 1000


class Words(NamedTuple):
    """What is said about the documents for which an action succeeded, and about one for which it failed."""

    done: tuple[str, str]
    failed: str


CATEGORISED = Words(
    ngettext_noop("Category saved for %(num)s document.", "Category saved for %(num)s documents."),
    N_("%(name)s was not changed."),
)
RESTORED = Words(
    ngettext_noop("%(num)s document restored.", "%(num)s documents restored."), N_("%(name)s was not restored.")
)
PURGED = Words(
    ngettext_noop("%(num)s document deleted permanently.", "%(num)s documents deleted permanently."),
    N_("%(name)s was not deleted."),
)
TRASHED = Words(
    ngettext_noop("%(num)s document moved to trash.", "%(num)s documents moved to trash."),
    N_("%(name)s was not moved to trash."),
)
DATED = Words(
    ngettext_noop("Date saved for %(num)s document.", "Date saved for %(num)s documents."),
    N_("%(name)s was not changed."),
)
ACTIONS = (
    "delete",
    "restore",
    "purge",
    "category",
    "document_date",
    "download",
    "print",
    "cancel",
    "move",
    "take-back",
    "share",
)


def answer(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    action = request.form.get("action", "")
    if action not in ACTIONS:
        raise Rejected(gettext("action must be one of %(actions)s.", actions=", ".join(ACTIONS)))
    if action == "cancel":
        return _cancel(record_type, record_id)
    if action == "category" and "category" not in request.form:
        raise Rejected(gettext("Select a category first."))
    if action == "document_date" and "document_date" not in request.form:
        raise Rejected(gettext("Enter a date first."))
    service, what = documents(), (record_type, record_id, _selected(record_type, record_id))
    if action == "move":
        return moving.answer(*what)
    if action == "share":
        return _share(*what)
    if action == "take-back":
        records().editable(record_type, record_id)
        return moving.told_back(service.take_back_many(what[2]))
    if action == "download":
        admit_archive()
        return send_archive(service.open_many(*what))
    if action == "print":
        return printing.answer(*what)
    if action == "category":
        results = service.categorise(*what, request.form["category"] or None)
        return _answer(record_type, record_id, results, CATEGORISED)
    if action == "document_date":
        results = service.date_many(*what, request.form["document_date"] or None)
        return _answer(record_type, record_id, results, DATED)
    if action == "restore":
        return _answer(record_type, record_id, service.restore_many(*what), RESTORED)
    if action == "purge":
        results = service.purge_many(*what)
        return _answer(record_type, record_id, results, PURGED)
    results = service.trash_many(*what)
    undo = tuple(result.file_id for result in results if result.error is None)
    return _answer(record_type, record_id, results, TRASHED, undo)


def _share(record_type: RecordType, record_id: int, file_ids: Sequence[int]) -> ResponseReturnValue:
    """Lead to the page that shares the selected documents by link."""
    require_editable(record_type, records().editable(record_type, record_id))
    if len(file_ids) > MOST_DOCUMENTS:
        raise Rejected(gettext("Choose 1 to %(most)s documents.", most=MOST_DOCUMENTS))
    _, view = pages.record_page(record_type, record_id)
    url = url_for("links.share", patient_id=view.patient.id, files=",".join(map(str, file_ids)))
    return Response(headers={"HX-Redirect": url}) if is_htmx() else redirect(url, 303)


def _cancel(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    """Remove the document, if any, that a canceled upload has stored."""
    key = parameters.opaque_key("idempotency_key", request.form.get("idempotency_key", ""), 255)
    documents().cancel(record_type, record_id, key)
    record, view = pages.record_page(record_type, record_id)
    response = fragment("documents/_figures_part.html", panel=pages.panel(record_type, record, view))
    return pages.announce(response, record_type, record_id)


def _list_query(record_type: RecordType) -> ListQuery:
    """Return the list's filters. `in_category` is the filter, `category` the new value."""
    details = {field.name: request.form.get(f"in_{field.name}", "") for field in FILTER_FIELDS}
    filters = {**request.form, **details, "cursor": ""}
    return pages.list_query(filters, record_type, trashed=request.form.get("view") == "trash")


def _selected(record_type: RecordType, record_id: int) -> Sequence[int]:
    list_query = _list_query(record_type)  # reject invalid filters before anything is changed
    ids: Sequence[int] | None
    if request.form.get("all") == "1":
        ids = documents().matching(record_type, record_id, list_query)
    else:
        ids = parameters.read_id_lists(request.form.getlist("file_ids"))
        if ids is None:
            raise Rejected(gettext("file_ids must be numbers."))
        if len(ids) > MAX_SELECTED:
            raise Rejected(
                gettext("Select up to %(most)s documents at once, or all of them.", most=f"{MAX_SELECTED:,}")
            )
    if not ids:
        raise Rejected(gettext("Select one or more documents first."))
    return ids


def _answer(
    record_type: RecordType,
    record_id: int,
    results: Sequence[Result],
    words: Words,
    undo: tuple[int, ...] = (),
) -> ResponseReturnValue:
    """Summarize the results: one sentence for successes, one line per failure."""
    refused = [
        Outcome(
            result.file_name or gettext("A document"), False, result.error.message, result.error.code, lead=words.failed
        )
        for result in results
        if result.error
    ]
    count = len(results) - len(refused)
    message = ngettext(*words.done, count) if count else ""
    if not is_htmx():
        if message:
            notices.say(message, notices.undo_documents(record_type, record_id, undo) if undo else None)
        for outcome in refused[:MOST_LISTED]:
            flash(f"{gettext(outcome.lead, name=outcome.file_name)} {outcome.message}", "error")
        if left := refused[MOST_LISTED:]:
            flash(ngettext("%(num)s more document failed.", "%(num)s more documents failed.", len(left)), "error")
        return redirect(pages.next_url(record_type, record_id), 303)
    status = 200 if count else next(status_of(result.error) for result in results if result.error)
    notice = Notice(message, undo=undo) if message else None
    said: dict[str, Any] = {"list_query": _list_query(record_type), "notice": notice, "outcomes": refused}
    response = pages.announce(pages.answer_body(record_type, record_id, status, **said), record_type, record_id)
    if refused:
        trigger(response, "documents:error", message=told(refused), code=refused[0].code)
    return response
