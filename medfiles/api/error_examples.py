"""Every error a client may meet: when, where, and the problem that it is answered with.

The sentences are the product's own; a test provokes the errors and compares.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import (
    BadRequest,
    InternalServerError,
    LengthRequired,
    MethodNotAllowed,
    RequestedRangeNotSatisfiable,
    RequestEntityTooLarge,
    TooManyRequests,
    UnsupportedMediaType,
)

from medfiles import errors
from medfiles.api.problem_details import problem_of
from medfiles.api.toolkit import Operation
from medfiles.documents.legacy_ids import NOT_MOVED
from medfiles.documents.quota import NO_ROOM
from medfiles.documents.service import FIRST_TO_TRASH
from medfiles.http.errors import explained
from medfiles.http.security import INVALID_TOKEN
from medfiles.previews.renderer import NoPreview
from medfiles.sandbox.pool import Busy, NotChecked

Where = Callable[[str, Operation, str], bool]  # its id, what is said of it, its method
LIMIT = "“limit” must be a number from 1 to 200."
FORM = "The request is not valid. See “errors”."


@dataclass(frozen=True)
class Case:
    """`where`: which of the operations that answer its status may answer it."""

    name: str
    when: str
    error: Exception
    where: Where = lambda *_: True

    @property
    def status(self) -> int:
        return explained(self.error).status

    @property
    def problem(self) -> dict[str, Any]:
        return problem_of(self.error).model_dump(exclude_defaults=True)


def nowhere(*_: Any) -> bool:
    return False


def changing(_: str, __: Operation, method: str) -> bool:
    return method != "GET"


def uploading(_: str, operation: Operation, __: str) -> bool:
    return operation.answer == "upload"


def telling(_: str, operation: Operation, __: str) -> bool:
    return operation.body is not None


def asking(_: str, operation: Operation, __: str) -> bool:
    return bool(operation.query)


def reading_bytes(_: str, operation: Operation, __: str) -> bool:
    return operation.answer in ("bytes", "zip", "picture", "preview")


def looking(_: str, operation: Operation, __: str) -> bool:
    return operation.answer in ("picture", "preview")


def opening(_: str, operation: Operation, __: str) -> bool:
    return operation.answer in ("bytes", "picture", "preview")


def at(*ids: str) -> Where:
    return lambda id, *_: id in ids


CASES: Sequence[Case] = (
    Case("malformed", "The request is not what it says it is.", BadRequest()),
    Case(
        "truncated",
        "Less arrived than was announced.",
        errors.Truncated("The upload was cut off before it was complete. Please try again."),
        uploading,
    ),
    Case("signed-out", "There is no token.", errors.SignedOut()),
    Case("wrong-token", "The token is wrong, was revoked or is over.", errors.SignedOut(INVALID_TOKEN)),
    Case("forbidden", "You may look at it, and not do this.", errors.Forbidden()),
    Case("scope", "The token may only read.", errors.OutOfScope("This token can only read."), changing),
    Case("csrf", "There is a session, and no right `X-CSRFToken`.", CSRFError(), changing),
    Case("not-found", "It is not there, or it is not yours.", errors.NotFound()),
    Case("method", "The address is not for this method.", MethodNotAllowed(), nowhere),
    Case(
        "record-in-trash",
        "The record is in the trash.",
        errors.Conflict("This visit is in the trash. Restore it first."),
        at("upload", "restore"),
    ),
    Case(
        "record-trashed",
        "The record that is to change is in the trash.",
        errors.Conflict("This visit is in the trash. Restore it before you change it."),
        at("edit_record"),
    ),
    Case(
        "record-already-in-trash",
        "It is there already.",
        errors.Conflict("This visit is already in the trash."),
        at("delete_record"),
    ),
    Case(
        "record-not-in-trash",
        "There is nothing to bring back.",
        errors.Conflict("This visit is not in the trash."),
        at("restore_record"),
    ),
    Case(
        "document-in-trash",
        "The document that is to change is in the trash.",
        errors.Conflict("This document is in the trash. Restore it before you change it."),
        at("edit"),
    ),
    Case(
        "document-already-in-trash",
        "It is there already.",
        errors.Conflict("This document is already in the trash."),
        at("delete", "delete_older"),
    ),
    Case(
        "document-not-moved",
        "It is still where the older feature keeps it.",
        errors.Conflict(NOT_MOVED),
        at("delete_older"),
    ),
    Case(
        "being-checked",
        "The malware scan of it is not done: until then only its sender can open it.",
        errors.BeingChecked(),
        opening,
    ),
    Case(
        "quarantined",
        "A malware scan found something in it. It can be deleted, not opened.",
        errors.Quarantined(),
        opening,
    ),
    Case(
        "document-not-in-trash",
        "There is nothing to bring back.",
        errors.Conflict("This document is not in the trash."),
        at("restore"),
    ),
    Case(
        "document-not-yet-in-trash",
        "Only what is in the trash can go for ever.",
        errors.Conflict(FIRST_TO_TRASH),
        at("purge"),
    ),
    Case(
        "too-many",
        "The record holds as many documents as it takes.",
        errors.TooMany("This visit is full (8 of 8). Move a document to trash to make room."),
        at("upload", "restore"),
    ),
    Case(
        "quota",
        "The patient’s owner has no room left.",
        errors.OverQuota(NO_ROOM.format("10 GB", "10 GB")),
        uploading,
    ),
    Case("length-required", "There is no `Content-Length`.", LengthRequired()),
    Case("outdated", "It was changed since you saw that `ETag`.", errors.Outdated()),
    Case(
        "too-large",
        "The document is larger than its kind of record takes.",
        errors.TooLarge("This file is too large. The limit is 15 MB. Make it smaller or split it, then try again."),
        uploading,
    ),
    Case("too-large-json", "The body is too large for what it is.", RequestEntityTooLarge(), telling),
    Case(
        "type-not-allowed",
        "This kind of record takes no such files.",
        errors.TypeNotAllowed(".exe files cannot be added here. You can add PDF, Word, JPG, PNG, text or HEIC."),
        uploading,
    ),
    Case(
        "content-mismatch",
        "The bytes are not what the name says.",
        errors.ContentMismatch(
            "This file is named .pdf but cannot be read as a PDF document. "
            "It may be damaged or incomplete. Open it on your device, save it again and upload the new file."
        ),
        uploading,
    ),
    Case("media-type", "The body is not JSON.", UnsupportedMediaType(), telling),
    Case("range", "The range begins behind the end.", RequestedRangeNotSatisfiable(48211)),
    Case(
        "rejected",
        "A field is missing, unknown or wrong.",
        errors.Rejected(FORM, {"first_name": "Field required"}),
        telling,
    ),
    Case("rejected-query", "A parameter is wrong.", errors.Rejected(LIMIT, {"limit": LIMIT}), asking),
    Case(
        "rejected-upload",
        "No file arrived, or something said with it is wrong.",
        errors.Rejected("No file was selected. Select one or more files first."),
        uploading,
    ),
    Case(
        "key-used",
        "The Idempotency-Key belongs to another document.",
        errors.Rejected("This Idempotency-Key was already used for another document."),
        uploading,
    ),
    Case(
        "bad-name",
        "There is no name, or none that can be used.",
        errors.BadName("This file has no usable name. Rename it, then upload it again."),
        uploading,
    ),
    Case(
        "empty-file",
        "The document has no bytes.",
        errors.EmptyFile("This file is empty. Check it on your device, then select it again."),
        uploading,
    ),
    Case("not-checked", "The content could not be checked safely.", NotChecked(), uploading),
    Case(
        "no-preview",
        "No picture can be made of it, and it holds nothing else to show.",
        NoPreview("This PDF is protected with a password. Download it to open it with the password."),
        looking,
    ),
    Case(
        "infected",
        "The malware scanner found something in it; nothing was stored. Only where a scanner is set up.",
        errors.Infected(
            "The malware scanner found “Win.Test.EICAR_HDB-1” in this file. It was not stored. Do not open it."
        ),
        uploading,
    ),
    Case(
        "rate-limited",
        "Too many wrong tokens came from one address, or too many uploads, or requests for many documents, from one "
        "account. `Retry-After` says how many seconds to wait.",
        TooManyRequests(),
    ),
    Case("error", "Internal error. Details are in the log.", InternalServerError(), nowhere),
    Case("database", "The database does not answer.", errors.DatabaseUnavailable()),
    Case("storage", "The store of documents does not answer.", errors.StorageError(), uploading),
    Case("busy", "Too many uploads are being checked.", Busy(), uploading),
    Case(
        "blob-missing",
        "The content is missing. Contact your administrator.",
        errors.BlobMissing("The content of this document is missing. Contact your administrator."),
        reading_bytes,
    ),
    Case(
        "integrity",
        "The bytes are not the ones that were uploaded.",
        errors.IntegrityFailed("This document is damaged. Contact your administrator."),
        reading_bytes,
    ),
    Case(
        "key-taken",
        "The store already holds something there; the next try gets another place.",
        errors.KeyTaken(),
        nowhere,
    ),
    Case("bad-key", "The store cannot name the place.", errors.BadKey(), nowhere),
)


def cases_of(id: str, operation: Operation, method: str, status: int) -> Sequence[Case]:
    """What an operation may be refused with, when the answer has this status."""
    return [case for case in CASES if case.status == status and case.where(id, operation, method)]
