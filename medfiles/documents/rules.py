"""Rules for documents and their records, and the permit and metadata for an upload."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medfiles.documents import detection, refusals
from medfiles.documents.detection import Found
from medfiles.errors import Conflict, Rejected, TooLarge, TooMany, TypeNotAllowed
from medfiles.i18n import N_, gettext
from medfiles.models import EntityFile, RecordMixin
from medfiles.record_types.declared import MB, RecordType
from medfiles.record_types.document_fields import UPLOAD_FIELDS
from medfiles.record_types.fields import CHECKS
from medfiles.record_types.media_types import BY_EXTENSION
from medfiles.text import clean_text

FORM_OVERHEAD = 64 * 1024  # bytes in an upload request in addition to the files


@dataclass(frozen=True)
class UploadPermit:
    """Permission to upload documents to one record, granted before any of the body is read."""

    record_type: RecordType
    record_id: int
    patient_id: int
    again: bool = False  # an earlier attempt at the same upload was stored


@dataclass(frozen=True)
class UploadMetadata:
    """The name and details that the client sends with a document's bytes."""

    name: str
    details: Mapping[str, str | None] = field(default_factory=dict)
    idempotency_key: str | None = None
    to_file: bool = False  # for the inbox


def require_live(file: EntityFile, otherwise: str = N_("This document is already in the trash.")) -> None:
    if file.deleted_at is not None:
        raise Conflict(otherwise)


def require_trashed(file: EntityFile, otherwise: str = N_("This document is not in the trash.")) -> None:
    if file.deleted_at is None:
        raise Conflict(otherwise)


def require_live_record(record_type: RecordType, record: RecordMixin) -> None:
    if record.deleted_at is not None:
        raise Conflict(gettext("This %(record)s is in the trash. Restore it first.", record=record_type.noun))


def require_room(record_type: RecordType, count: int) -> None:
    """Raise TooMany if a record with `count` documents cannot take another."""
    if count >= record_type.max_files:
        raise TooMany(
            gettext(
                "This %(record)s is full (%(count)s of %(most)s). Move a document to trash to make room.",
                record=record_type.noun,
                count=count,
                most=record_type.max_files,
            )
        )


def too_large(record_type: RecordType) -> TooLarge:
    limit = f"{record_type.max_size / MB:g} MB"
    return TooLarge(
        gettext(
            "This file is too large. The limit is %(limit)s. Make it smaller or split it, then try again.", limit=limit
        )
    )


def require_document(record_type: RecordType, name: str, found: Found) -> None:
    """Raise TypeNotAllowed for a text whose name says that it is no document, such as a script or a system file."""
    reason = refusals.named_for_other_use(name, detection.declared_extension(name), record_type.takes)
    if reason and BY_EXTENSION[found.extension].inspector == "text":
        raise TypeNotAllowed(reason)


def checked_details(record_type: RecordType, given: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the given details, except the name, and return them in their stored form.

    Raises Rejected if a value is invalid.
    """
    clean: dict[str, Any] = {}
    for detail in (detail for detail in UPLOAD_FIELDS if detail.name in given):
        value = given[detail.name]
        if detail.kind == "category":
            if value and value not in record_type.categories:
                raise Rejected(
                    gettext("The category “%(value)s” does not exist here. Select one from the list.", value=value[:50])
                )
            clean[detail.name] = value or None
        elif detail.kind == "text":
            clean[detail.name] = clean_text(value, detail.limit, gettext("The %(detail)s", detail=detail.label.lower()))
        else:
            clean[detail.name] = CHECKS[detail.kind](detail, value)
    return clean


def checked_changes(record_type: RecordType, file: EntityFile, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Validate the changes and return them in their stored form. A new name keeps the document's extension."""
    changed = checked_details(record_type, changes)
    if "file_name" in changes:
        name, extension = detection.clean_name(changes["file_name"] or ""), detection.extension_of(file.file_name)
        if extension and detection.extension_of(name) != extension:
            name = detection.clean_name(name + file.file_name[-len(extension) :])
        changed["file_name"] = name
    return changed
