"""Documents of the older lab-results feature by its own numbers: where they were moved to, and before that from where
they lie."""

from dataclasses import dataclass

from sqlalchemy import select

from medfiles.audit.event_log import AuditTarget
from medfiles.content import DocumentContent
from medfiles.database.session import db
from medfiles.documents import unmigrated
from medfiles.documents.service import DocumentService
from medfiles.errors import Conflict, NotFound
from medfiles.models import FIRST_FILE_ID, EntityFile, LabResultFile
from medfiles.permissions import Action
from medfiles.storage import digest

NOT_MOVED = "This document is still in the previous lab results. You can edit it once it has been moved."


@dataclass
class OlderService(DocumentService):
    """The verbs that the older feature had."""

    def open_older(self, number: int) -> DocumentContent:
        """A document by its older number, or by the number it has now."""
        try:
            return self._open_older(number)
        except NotFound:
            if moved_to(number) in (None, number):
                raise
            return self._open_older(number)  # it was moved between the two looks

    def trash_older(self, number: int) -> EntityFile:
        """Conflict while it has not been moved."""
        if (moved := moved_to(number)) is not None:
            return self.trash(moved)
        with self.operation("delete", file_id=number) as target:
            self._admitted(number, Action.EDIT, target)
            raise Conflict(NOT_MOVED)

    def _open_older(self, number: int) -> DocumentContent:
        if (moved := moved_to(number)) is not None:
            return self.open(moved)
        with self.reading("download", file_id=number) as target:
            file = self._admitted(number, Action.VIEW, target)
        opened = DocumentContent(file, self.storages.older)
        file.sha256, file.file_size = digest(opened.read())  # the size that the older table claims was never checked
        return opened

    def _admitted(self, number: int, action: Action, target: AuditTarget) -> EntityFile:
        row = db.session.scalar(unmigrated.rows().where(LabResultFile.id == number))
        if row is None:
            raise NotFound()
        record_type = self.registry[unmigrated.KIND]
        record = self.authorized_record(record_type, row.lab_result_id, action, target)
        file = unmigrated.document(record_type, row, record)
        target.file_id, target.name = number, file.file_name
        return file


def moved_to(number: int) -> int | None:
    """The document that this number means now; None while it has not been moved, or when there is none."""
    if number >= FIRST_FILE_ID:
        return number
    return db.session.scalar(select(EntityFile.id).where(EntityFile.legacy_id == number))
