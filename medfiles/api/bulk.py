"""Endpoints to count, change and download many documents at once, across records."""

from collections.abc import Callable, Sequence
from functools import partial

from flask import Response, request

from medfiles.api.schemas import MOST_IDS, ArchiveQuery, Bulk, Counts, FileOutcome, Outcomes, WhichCounts
from medfiles.api.toolkit import blueprint, operation, reply, sent
from medfiles.documents.bulk import Result
from medfiles.documents.transfers import Moved
from medfiles.errors import Rejected
from medfiles.http import parameters
from medfiles.http.capacity import admit_archive
from medfiles.http.current import documents, services
from medfiles.http.errors import status_of
from medfiles.http.rate_limits import BULK, rate_limited
from medfiles.http.responses import send_archive
from medfiles.http.security import read_only
from medfiles.i18n import N_
from medfiles.record_types.declared import RecordType

IDS = N_("“%(name)s” must be 1 to %(most)s document IDs, separated by commas.")


@blueprint.post("/files/batch-counts")
@rate_limited(BULK)
@operation(Counts, body=WhichCounts)
@read_only
def batch_counts() -> Response:
    """Count the documents of many records."""
    asked = sent(WhichCounts)
    if asked.entity_type not in services().registry:
        raise Rejected("There is no such record type.", {"entity_type": "There is no such record type."})
    found = documents().count(services().registry[asked.entity_type], asked.entity_ids)
    return reply(Counts(counts={str(record_id): count for record_id, count in found.items()}))


@blueprint.post("/files/bulk")
@rate_limited(BULK)
@operation(Outcomes, body=Bulk)
def change_many() -> Response:
    """Trash, restore, purge, categorise, date or move many documents."""
    asked = sent(Bulk)
    if asked.action == "move":
        return reply(Outcomes([outcome(result) for result in _move(asked)]))
    if asked.action == "take-back":
        return reply(Outcomes([outcome(result) for result in documents().take_back_many(asked.file_ids)]))
    if asked.action == "category" and "category" not in asked.model_fields_set:
        raise Rejected("Send a category.", {"category": "This action requires a category; null clears it."})
    if asked.action == "document_date" and "document_date" not in asked.model_fields_set:
        raise Rejected("Send a document_date.", {"document_date": "This action requires a date; null clears it."})
    service = documents()
    operations: dict[str, Callable[[RecordType, int, Sequence[int]], Sequence[Result]]] = {
        "delete": service.trash_many,
        "restore": service.restore_many,
        "purge": service.purge_many,
        "category": partial(service.categorise, category=asked.category),
        "document_date": partial(service.date_many, document_date=asked.document_date),
    }
    return reply(Outcomes([outcome(result) for result in service.across(asked.file_ids, operations[asked.action])]))


@blueprint.get("/files/archive")
@rate_limited(BULK)
@operation(
    None,
    media="application/zip",
    query=ArchiveQuery,
    errors=("forbidden", "not-found", "blob-missing", "integrity", "busy"),
)
def archive() -> Response:
    """Download many documents as a ZIP."""
    ids = parameters.read_id_lists(request.args.getlist("ids"))
    if not ids or len(ids) > MOST_IDS:
        raise parameters.refused("ids", IDS, most=MOST_IDS)
    admit_archive()
    return send_archive(documents().open_across(list(dict.fromkeys(ids))))


def _move(asked: Bulk) -> Sequence[Result]:
    if asked.to_type is None or asked.to_type not in services().registry:
        raise Rejected("Send a to_type.", {"to_type": "This action requires a record type."})
    if asked.to_id is None:
        raise Rejected("Send a to_id.", {"to_id": "This action requires the ID of a record or patient."})
    return documents().move_many(asked.file_ids, services().registry[asked.to_type], asked.to_id)


def outcome(result: Result) -> FileOutcome:
    if result.error is None:
        detail = "Done."
        if isinstance(result, Moved) and result.category:
            detail = f"Done. The record has no category “{result.category}”, so it was cleared."
        return FileOutcome(id=result.file_id, status=200, code="done", detail=detail)
    status = status_of(result.error)
    return FileOutcome(id=result.file_id, status=status, code=result.error.code, detail=result.error.message)
