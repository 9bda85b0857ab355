"""Many documents over JSON: counted, changed and downloaded at once, whatever records they belong to."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from flask import Response, request

from medfiles.api.schemas import MOST_IDS, ArchiveQuery, Bulk, Counts, FileOutcome, Outcomes, WhichCounts
from medfiles.api.toolkit import blueprint, operation, reply, sent
from medfiles.documents.bulk import BulkService, Result
from medfiles.errors import Rejected
from medfiles.http import parameters
from medfiles.http.current import bulk, documents, services
from medfiles.http.errors import status_of
from medfiles.http.rate_limits import BULK, rate_limited
from medfiles.http.responses import send_archive
from medfiles.http.security import read_only
from medfiles.record_types.declared import RecordType

Verb = Callable[[RecordType, int, Sequence[int]], Sequence[Result]]


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
    """Trash, restore, purge or categorise many documents."""
    asked = sent(Bulk)
    if asked.action == "category" and "category" not in asked.model_fields_set:
        raise Rejected("Send a category.", {"category": "This action requires a category; null clears it."})
    results = bulk().across(asked.file_ids, VERBS[asked.action](bulk(), asked))
    return reply(Outcomes([_outcome(result) for result in results]))


@blueprint.get("/files/archive")
@rate_limited(BULK)
@operation(
    None,
    media="application/zip",
    query=ArchiveQuery,
    errors=("forbidden", "not-found", "blob-missing", "integrity"),
)
def archive() -> Response:
    """Download many documents as a ZIP."""
    return send_archive(bulk().open_across(_ids()))


VERBS: Mapping[str, Callable[[BulkService, Bulk], Verb]] = {
    "delete": lambda service, asked: service.trash_many,
    "restore": lambda service, asked: service.restore_many,
    "purge": lambda service, asked: service.purge_many,
    "category": lambda service, asked: partial(_categorise, service, asked.category),
}


def _categorise(
    service: BulkService, category: str | None, record_type: RecordType, record_id: int, ids: Sequence[int]
) -> Sequence[Result]:
    return service.categorise(record_type, record_id, ids, category)


def _outcome(result: Result) -> FileOutcome:
    if result.error is None:
        return FileOutcome(id=result.file_id, status=200, code="done", detail="Done.")
    status = status_of(result.error)
    return FileOutcome(id=result.file_id, status=status, code=result.error.code, detail=result.error.message)


def _ids() -> list[int]:
    """`ids=1,2,3`."""
    ids = parameters.read_id_lists([request.args.get("ids", "")])
    if not ids or len(ids) > MOST_IDS:
        raise parameters.refused("ids", f"must be 1 to {MOST_IDS} document IDs, separated by commas.")
    return list(dict.fromkeys(ids))
