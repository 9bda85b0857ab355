"""Look up documents by their ids in the older lab-results feature."""

from sqlalchemy import select

from medfiles.database.session import db
from medfiles.documents.service import DocumentService
from medfiles.errors import Conflict
from medfiles.i18n import N_
from medfiles.models import FIRST_FILE_ID, EntityFile
from medfiles.permissions import Action

NOT_MOVED = N_("This document is still in the previous lab results. You can edit it once it has been moved.")


def document_id(number: int) -> int | None:
    """Return a document's id, given that id or its older one, or None if the document has not been moved."""
    if number >= FIRST_FILE_ID:
        return number
    return db.session.scalar(select(EntityFile.id).where(EntityFile.legacy_id == number))


def trash(documents: DocumentService, number: int) -> EntityFile:
    """Move the document with this older id to the trash. Raises Conflict if it has not been moved yet."""
    if (file_id := document_id(number)) is not None:
        return documents.trash(file_id)
    with documents.operation("delete", file_id=number) as target:
        documents.authorized_additional(number, Action.EDIT, target)
        raise Conflict(NOT_MOVED)
