"""Bulk actions on documents of one record: selected ones, or all that match."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response, flash, redirect, request
from flask.typing import ResponseReturnValue

from medfiles.documents.bulk import Result
from medfiles.documents.listing import ListQuery
from medfiles.errors import Rejected
from medfiles.http import parameters
from medfiles.http.current import bulk
from medfiles.http.errors import status_of
from medfiles.http.htmx import fragment, is_htmx, trigger
from medfiles.http.responses import send_archive
from medfiles.http.views import MOST_LISTED, Notice, Outcome, told
from medfiles.record_types.declared import RecordType
from medfiles.record_types.document_fields import FILTER_FIELDS
from medfiles.web import notices, pages, printing
from medfiles.web.words import plural

MAX_KEY = 255  # characters
MAX_SELECTED = 1000
NOTHING = "Select one or more documents first."


def answer(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    action = request.form.get("action", "")
    if action not in ACTIONS:
        raise Rejected(f"action must be one of {', '.join(ACTIONS)}.")
    return ACTIONS[action](record_type, record_id)


def trash(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    results = bulk().trash_many(record_type, record_id, _selected(record_type, record_id))
    undo = tuple(result.file_id for result in results if result.error is None)
    return _answer(record_type, record_id, results, "{} moved to trash.", "was not moved to trash.", undo)


def restore(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    results = bulk().restore_many(record_type, record_id, _selected(record_type, record_id))
    return _answer(record_type, record_id, results, "{} restored.", "was not restored.")


def purge(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    results = bulk().purge_many(record_type, record_id, _selected(record_type, record_id))
    return _answer(record_type, record_id, results, "{} deleted permanently.", "was not deleted.")


def categorise(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    category = request.form.get("category")
    if category is None:
        raise Rejected("Select a category first.")
    results = bulk().categorise(record_type, record_id, _selected(record_type, record_id), category or None)
    return _answer(record_type, record_id, results, "Category of {} saved.", "was not changed.")


def download(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    return send_archive(bulk().open_many(record_type, record_id, _selected(record_type, record_id)))


def print_selected(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    return printing.answer(record_type, record_id, _selected(record_type, record_id))


def cancel(record_type: RecordType, record_id: int) -> ResponseReturnValue:
    """Remove what an upload that was cancelled has stored."""
    key = request.form.get("idempotency_key", "")
    if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise Rejected("idempotency_key must be 1 to 255 printable ASCII characters.")
    bulk().cancel(record_type, record_id, key)
    record, view = pages.record_page(record_type, record_id)
    response = fragment("documents/_figures_part.html", panel=pages.panel(record_type, record, view))
    return pages.announce(response, record_type, record_id)


ACTIONS: Mapping[str, Callable[[RecordType, int], ResponseReturnValue]] = {
    "delete": trash,
    "restore": restore,
    "purge": purge,
    "category": categorise,
    "download": download,
    "print": print_selected,
    "cancel": cancel,
}


def _trashed() -> bool:
    return request.form.get("view") == "trash"


def _list_query(record_type: RecordType) -> ListQuery:
    """Return the list filters; `in_category` filters, `category` is a new value."""
    details = {field.name: request.form.get(f"in_{field.name}", "") for field in FILTER_FIELDS}
    filters = {**request.form, **details, "cursor": ""}
    return parameters.list_query(filters, record_type, trashed=_trashed())


def _selected(record_type: RecordType, record_id: int) -> Sequence[int]:
    list_query = _list_query(record_type)  # reject invalid filters before anything is changed
    if request.form.get("all") == "1":
        ids = bulk().matching(record_type, record_id, list_query)
    else:
        found = parameters.read_id_lists(request.form.getlist("file_ids"))
        if found is None:
            raise Rejected("file_ids must be numbers.")
        if len(found) > MAX_SELECTED:
            raise Rejected(f"Select up to {MAX_SELECTED:,} documents at once, or all of them.")
        ids = found
    if not ids:
        raise Rejected(NOTHING)
    return ids


def _answer(
    record_type: RecordType,
    record_id: int,
    results: Sequence[Result],
    done: str,
    failed: str,
    undo: tuple[int, ...] = (),
) -> ResponseReturnValue:
    """Summarize the results: one sentence for successes, one line per failure."""
    refused = [
        Outcome(result.file_name or "A document", False, result.error.message, result.error.code, lead=failed)
        for result in results
        if result.error
    ]
    count = len(results) - len(refused)
    message = done.format(plural(count, "document")) if count else ""
    if not is_htmx():
        again = notices.undo_documents(record_type, record_id, undo) if undo else None
        return _redirected(record_type, record_id, message, refused, again)
    status = 200 if count else next(status_of(result.error) for result in results if result.error)
    notice = Notice(message, undo=undo) if message else None
    said: dict[str, Any] = {"list_query": _list_query(record_type), "notice": notice, "outcomes": refused}
    response = pages.announce(pages.answer_body(record_type, record_id, status, **said), record_type, record_id)
    if refused:
        trigger(response, "documents:error", message=told(refused), code=refused[0].code)
    return response


def _redirected(
    record_type: RecordType, record_id: int, message: str, refused: Sequence[Outcome], undo: notices.Undo | None
) -> Response:
    if message:
        notices.say(message, undo)
    for outcome in refused[:MOST_LISTED]:
        flash(f"{outcome.file_name} {outcome.lead} {outcome.message}", "error")
    if left := refused[MOST_LISTED:]:
        flash(f"{plural(len(left), 'more document')} failed.", "error")
    return redirect(pages.next_url(record_type, record_id), 303)  # type: ignore[return-value]
