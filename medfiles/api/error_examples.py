"""Error examples for the OpenAPI document: one for each row in the error table, plus variants.

They contain the messages that clients actually receive. A test provokes each error and compares the messages.
"""

from typing import NamedTuple

from werkzeug.exceptions import RequestEntityTooLarge

from medfiles.accounts.api_tokens import SUSPENDED
from medfiles.documents.move_rules import INFECTED_STAYS, TRASHED
from medfiles.documents.moving import NOTHING_TO_UNDO
from medfiles.documents.service import FIRST_TO_TRASH
from medfiles.documents.uploading import ADDED_THEN_TRASHED, KEY_REUSED
from medfiles.errors import Conflict, Quarantined, Rejected, SignedOut
from medfiles.http.errors import ERRORS, Refusal, explained
from medfiles.permissions import INVALID_TOKEN
from medfiles.records.moving import INFECTED_WITHIN, NOT_MOVED
from medfiles.records.patients import FIRST_TO_TRASH as PATIENT_FIRST_TO_TRASH

FORM = "The request is not valid. See “errors”."
LIMIT = "“limit” must be a number from 1 to 1,000."
NO_FILE = "No file was selected. Select one or more files first."


class Example(NamedTuple):
    """An error and when it occurs."""

    when: str
    error: Exception

    @property
    def refusal(self) -> Refusal:
        return explained(self.error)


def _conflict(when: str, message: str) -> Example:
    return Example(when, Conflict(message))


EXAMPLES: dict[str, Example] = {row.name: Example(row.when, row.example) for row in ERRORS if row.when} | {
    "wrong-token": Example("The token is invalid, expired or revoked.", SignedOut(INVALID_TOKEN)),
    "suspended-token": Example(
        "A backup was restored, and the token's owner has not confirmed it.", SignedOut(SUSPENDED)
    ),
    "record-in-trash": _conflict("The record is in the trash.", "This visit is in the trash. Restore it first."),
    "record-trashed": _conflict(
        "The record to change is in the trash.", "This visit is in the trash. Restore it before you change it."
    ),
    "record-already-in-trash": _conflict("The record is already in the trash.", "This visit is already in the trash."),
    "record-not-in-trash": _conflict("The record is not in the trash.", "This visit is not in the trash."),
    "patient-already-in-trash": _conflict(
        "The patient is already in the trash.", "This patient is already in the trash."
    ),
    "patient-not-in-trash": _conflict("The patient is not in the trash.", "This patient is not in the trash."),
    "patient-not-yet-in-trash": _conflict("The patient is not in the trash.", PATIENT_FIRST_TO_TRASH),
    "patient-already-archived": _conflict("The patient is already archived.", "This patient is already archived."),
    "patient-not-archived": _conflict("The patient is not archived.", "This patient is not archived."),
    "no-photo": _conflict("The patient has no photo.", "This patient has no photo."),
    "document-in-trash": _conflict(
        "The document to change is in the trash.", "This document is in the trash. Restore it before you change it."
    ),
    "document-already-in-trash": _conflict(
        "The document is already in the trash.", "This document is already in the trash."
    ),
    "document-not-in-trash": _conflict("The document is not in the trash.", "This document is not in the trash."),
    "document-not-yet-in-trash": _conflict("The document is not in the trash.", FIRST_TO_TRASH),
    "document-to-move-in-trash": _conflict("The document is in the trash.", TRASHED),
    "quarantined-stays": Example("Malware was found in the document.", Quarantined(INFECTED_STAYS)),
    "quarantined-within": Example("Malware was found in a document of the record.", Quarantined(INFECTED_WITHIN)),
    "record-not-moved": _conflict("The record was not moved in the last 30 days.", NOT_MOVED),
    "nothing-to-undo": _conflict("The document was not moved in the last 30 days.", NOTHING_TO_UNDO),
    "added-then-trashed": _conflict(
        "An earlier attempt succeeded, and its document is now in the trash.", ADDED_THEN_TRASHED
    ),
    "too-large-json": Example("The body is too large for an operation without a file.", RequestEntityTooLarge()),
    "rejected": Example("A field is missing, unknown or invalid.", Rejected(FORM, {"first_name": "Field required"})),
    "rejected-query": Example("A query parameter is invalid.", Rejected.about("limit", LIMIT)),
    "rejected-upload": Example("The file is missing, or the description or category is invalid.", Rejected(NO_FILE)),
    "key-used": Example("The Idempotency-Key belongs to another document.", Rejected(KEY_REUSED)),
}
