"""What a record takes: leave to send documents, what comes with them, and the checks on both."""

from collections.abc import Mapping
from dataclasses import dataclass

from medfiles.documents import detection
from medfiles.errors import Conflict, Rejected, TooLarge, TooMany, TypeNotAllowed
from medfiles.models import EntityFile, RecordMixin
from medfiles.record_types.declared import MB, RecordType
from medfiles.text import clean_text

DESCRIPTION_LIMIT = 1000
FORM_OVERHEAD = 64 * 1024  # bytes of an upload that are not the files themselves


@dataclass(frozen=True)
class UploadPermit:
    """Leave to send documents for one record, given before a byte of them is read."""

    record_type: RecordType
    record_id: int
    patient_id: int
    again: bool = False  # an earlier try of the same upload was stored already


@dataclass(frozen=True)
class UploadMetadata:
    """What comes with the bytes of a document."""

    name: str
    description: str | None = None
    category: str | None = None
    idempotency_key: str | None = None


def must_be_alive(record_type: RecordType, record: RecordMixin) -> None:
    if record.deleted_at is not None:
        raise Conflict(f"This {record_type.title.lower()} is in the trash. Restore it first.")


def must_have_room(record_type: RecordType, count: int) -> None:
    if count >= record_type.max_files:
        raise TooMany(
            f"This {record_type.title.lower()} is full ({count} of {record_type.max_files}). "
            "Move a document to trash to make room."
        )


def too_large(record_type: RecordType) -> TooLarge:
    limit = f"{record_type.max_size / MB:g} MB"
    return TooLarge(f"This file is too large. The limit is {limit}. Make it smaller or split it, then try again.")


def accepted_extension(record_type: RecordType, name: str) -> str:
    extension = detection.extension_of(name)
    if extension not in record_type.accepts:
        shown = f"{extension} files" if extension else "Files without an extension such as .pdf"
        raise TypeNotAllowed(f"{shown} cannot be added here. You can add {record_type.accepts_words}.")
    return extension


def checked_details(record_type: RecordType, description: str | None, category: str | None) -> dict[str, str | None]:
    if category and category not in record_type.categories:
        raise Rejected(f"There is no category “{category[:50]}” here. Select one from the list.")
    return {
        "description": clean_text(description, DESCRIPTION_LIMIT, "The description"),
        "category": category or None,
    }


def checked_changes(
    record_type: RecordType, file: EntityFile, changes: Mapping[str, str | None]
) -> dict[str, str | None]:
    details = checked_details(record_type, changes.get("description"), changes.get("category"))
    changed = {name: value for name, value in details.items() if name in changes}
    if "file_name" in changes:
        changed["file_name"] = renamed(file, changes["file_name"] or "")
    return changed


def renamed(file: EntityFile, wanted: str) -> str:
    extension = detection.extension_of(file.file_name)
    name = detection.clean_name(wanted)
    if extension and detection.extension_of(name) != extension:
        name = detection.clean_name(name + file.file_name[-len(extension) :])
    return name
