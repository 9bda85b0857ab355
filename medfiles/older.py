"""Documents of the older lab-results feature by its own numbers: where they were moved to, and before that from where
they lie."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from sqlalchemy import exists, select

from medfiles import audit, sniff
from medfiles.access import Action
from medfiles.audit import Subject
from medfiles.db import db, transaction
from medfiles.documents import DocumentService, Opened
from medfiles.entities import EntityType
from medfiles.errors import BadName, Conflict, NotFound
from medfiles.media import is_known
from medfiles.models import FIRST_FILE_ID, EntityFile, LabResultFile, RecordMixin
from medfiles.storage import OlderFolder

KIND, CATEGORY = "lab-result", "result"
UNKNOWN = "application/octet-stream"
NOT_MOVED = "This document has not been moved from the older lab results yet. It can be deleted once it was."


@dataclass
class OlderService(DocumentService):
    """The verbs that the older feature had. Lists show what has not been moved yet among the rest."""

    def open_older(self, number: int) -> Opened:
        """A document by its older number, or by the number it has now."""
        if (moved := _moved(number)) is not None:
            return self.open(moved)
        with self.verb("download", file_id=number) as subject, transaction():
            file = self._admitted(number, Action.VIEW, subject)
            audit.record_read(self.actor, "download", subject)
        opened = Opened(file, self.storages.older)
        file.sha256, file.file_size = _hashed(opened)
        return opened

    def trash_older(self, number: int) -> EntityFile:
        """Conflict while it has not been moved."""
        if (moved := _moved(number)) is not None:
            return self.trash(moved)
        with self.verb("delete", file_id=number) as subject:
            self._admitted(number, Action.EDIT, subject)
            raise Conflict(NOT_MOVED)

    def _admitted(self, number: int, action: Action, subject: Subject) -> EntityFile:
        row = db.session.scalar(_waiting().where(LabResultFile.id == number))
        if row is None:
            raise NotFound()
        kind = self.registry[KIND]
        record = self.admitted_record(kind, row.lab_result_id, action, subject)
        file = self._document(kind, row, record)
        subject.file_id, subject.name = number, file.file_name
        return file

    def _also(self, kind: EntityType, record: RecordMixin) -> Sequence[EntityFile]:
        if kind.name != KIND:
            return ()
        rows = db.session.scalars(_waiting().where(LabResultFile.lab_result_id == record.id)).all()
        return [self._document(kind, row, record) for row in rows]

    def _document(self, kind: EntityType, row: LabResultFile, record: RecordMixin) -> EntityFile:
        """What it will be once it is moved, as far as that is known without reading it; never stored."""
        at = row.uploaded_at.replace(tzinfo=UTC) if row.uploaded_at else record.created_at
        return EntityFile(
            id=row.id, entity_type=kind.name, entity_id=record.id, patient_id=record.patient_id,
            file_name=_name(row), file_path=row.file_path, storage=OlderFolder.name, category=CATEGORY,
            file_type=row.file_type if is_known(row.file_type) else UNKNOWN, file_size=row.file_size or 0,
            description=row.description, uploaded_at=at, created_at=at, updated_at=at,
        )  # fmt: skip


def _moved(number: int) -> int | None:
    """The document that this number means now; None while it has not been moved, or when there is none."""
    if number >= FIRST_FILE_ID:
        return number
    return db.session.scalar(select(EntityFile.id).where(EntityFile.legacy_id == number))


def _waiting() -> Any:
    moved = exists().where(EntityFile.legacy_id == LabResultFile.id)
    return select(LabResultFile).where(~moved)


def _name(row: LabResultFile) -> str:
    try:
        return sniff.clean_name(row.file_name)
    except BadName:
        return f"document-{row.id}"


def _hashed(opened: Opened) -> tuple[str, int]:
    """SHA-256 and size of what lies there: what the older table says of its size was never checked."""
    digest, size = hashlib.sha256(), 0
    for chunk in opened.read():
        digest.update(chunk)
        size += len(chunk)
    return digest.hexdigest(), size
