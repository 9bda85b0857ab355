"""Endpoints for the inbox: what is to be filed, and filing."""

from datetime import date
from typing import Annotated, Any, Literal

from flask import Response, request
from pydantic import Field

from medfiles.api.bulk import outcome
from medfiles.api.files import shown
from medfiles.api.schemas import MOST_IDS, File, In, Out, Outcomes, Parameters, doc, optional
from medfiles.api.toolkit import blueprint, operation, reply, sent
from medfiles.errors import Rejected
from medfiles.http import parameters
from medfiles.http.current import actor, inbox, services
from medfiles.http.parameters import CURSOR_LIMIT, LARGEST_ID
from medfiles.http.rate_limits import BULK, rate_limited
from medfiles.http.views import file_views
from medfiles.inbox.service import Filing, Item, read_cursor

USUAL, MOST = 50, 100  # documents per page: default and maximum


class InboxQuery(Parameters):
    patient: int = optional("Only this patient", 3, ge=0, le=LARGEST_ID)
    cursor: str = optional("`next` of the previous page", max_length=CURSOR_LIMIT)
    limit: int = doc("Documents per page", USUAL, default=USUAL, ge=1, le=MOST)


class Suggested(Out):
    """Where a document may belong. Suggestions are made from its text, its name and the records of the patient."""

    to_type: str | None = doc("The record type, or `patient` for general documents; null if unknown", "visit")
    to_id: int | None = doc("The record, or the patient", 7)
    title: str | None = doc("The title of the record", "Knee pain")
    category: str | None = doc(None, "summary")
    document_date: date | None = doc(None, "2026-03-14")
    file_name: str | None = doc("A better name; null if the name is good", "Clinic letter.pdf")
    confidence: Literal["sure", "likely", "check"] = doc(None, "sure")
    reasons: dict[str, str] = doc("Why, by what is suggested", {"record": "Words of “Knee pain” are in it."})
    names_patient: int | None = doc("Another patient whom it names instead of its own", None)


def _example(model: type[Out], **changes: Any) -> dict[str, Any]:
    """Return the example of a model with changes. Without any, Pydantic would drop it as repeated."""
    return {**model.model_json_schema()["examples"][0], **changes}


class InboxItem(Out):
    """A document to be filed."""

    file: File = doc(None, _example(File, category=None, to_file=True))
    suggestion: Suggested = doc(None, _example(Suggested, confidence="likely"))


class InboxItems(Out):
    """A page of documents to be filed, the newest first."""

    items: list[InboxItem] = doc(None, [])
    total: int | None = doc("The number of documents on all pages; null on later pages", 25)
    next: str | None = doc("`cursor` of the next page", None)


class FilingItem(In):
    """A document and its place. Absent details stay as they are."""

    file_id: int = doc(None, 1000000001)
    to_type: str = doc("The record type, or `patient` for general documents", "visit")
    to_id: int = doc("The record, or the patient", 7)
    category: str | None = doc(None, "summary", default=None)
    document_date: Annotated[date, Field(strict=False)] | None = doc(None, "2026-03-14", default=None)
    file_name: str | None = doc(None, "Clinic letter.pdf", default=None)


class Filings(In):
    """Documents to file in one request."""

    items: list[FilingItem] = doc(
        None, [{"file_id": 1000000001, "to_type": "visit", "to_id": 7}], min_length=1, max_length=MOST_IDS
    )


@blueprint.get("/inbox")
@operation(InboxItems, query=InboxQuery, errors=("forbidden", "not-found"))
def documents_to_file() -> Response:
    """List the documents to be filed of all patients you can edit, each with a suggestion."""
    patient_id = parameters.id_or_unknown(request.args.get("patient"))
    token = request.args.get("cursor")
    limit = parameters.number(request.args, "limit", USUAL, 1, MOST)
    found = inbox().page(patient_id, read_cursor(token) if token else None, limit)
    views = file_views([item.file for item in found.items], you=actor().email)
    items = [
        InboxItem(file=shown(view), suggestion=_suggested(item)) for view, item in zip(views, found.items, strict=True)
    ]
    return reply(InboxItems(items=items, total=found.total, next=found.next))


@blueprint.post("/inbox/file")
@rate_limited(BULK)
@operation(Outcomes, body=Filings)
def file_documents() -> Response:
    """File many documents under their records, each with its details."""
    asked, registry = sent(Filings).items, services().registry
    for number, item in enumerate(asked):
        if item.to_type not in registry:
            raise Rejected(
                "There is no such record type.", {f"items.{number}.to_type": "There is no such record type."}
            )
    filings = [Filing(item.file_id, registry[item.to_type], item.to_id, _details(item)) for item in asked]
    return reply(Outcomes([outcome(result) for result in inbox().file_many(filings)]))


def _details(item: FilingItem) -> dict[str, Any]:
    given = item.model_dump(include={"category", "document_date", "file_name"}, exclude_unset=True)
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in given.items()}


def _suggested(item: Item) -> Suggested:
    made = item.suggestion
    return Suggested(
        to_type=made.record_type.name if made.record_type else None, to_id=made.record_id, title=made.record_title,
        category=made.category, document_date=made.document_date, file_name=made.file_name,
        confidence=made.confidence.value, reasons=dict(made.reasons),
        names_patient=item.other.id if item.other else None,
    )  # fmt: skip
