"""Files of the older lab-results feature that have not been moved, listed among the documents."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, false, func, select, update

from medfiles.database.session import db
from medfiles.documents import detection
from medfiles.errors import BadName
from medfiles.i18n import N_
from medfiles.legacy import ids
from medfiles.legacy.folder import LegacyFolder, Unreachable
from medfiles.models import EntityFile, LabResult, LabResultFile, LegacyId, RecordMixin
from medfiles.record_types.additional import AdditionalDocuments, Figure, Mark
from medfiles.record_types.media_types import BY_NAME
from medfiles.storage import journal

KIND, CATEGORY = "lab-result", "result"
UNKNOWN = "application/octet-stream"  # media type of unrecognized files


@dataclass(frozen=True)
class Unmigrated(AdditionalDocuments):
    folder: LegacyFolder
    mark = Mark(
        N_("Not moved yet"),
        N_(
            "This document is still in the previous lab results. You can download it now and edit it once it has been "
            "moved."
        ),
    )

    def of_record(self, kind: str, record: RecordMixin) -> Sequence[EntityFile]:
        if kind != KIND:
            return ()
        rows = db.session.scalars(
            select(LabResultFile).where(LabResultFile.lab_result_id == record.id, is_unmigrated())
        )
        return [_document(row, record) for row in rows]

    def of_patient(self, patient_id: int) -> Sequence[EntityFile]:
        query = select(LabResultFile, LabResult).join(LabResult, LabResult.id == LabResultFile.lab_result_id)
        live = (LabResult.patient_id == patient_id, LabResult.deleted_at.is_(None))
        return [_document(*found) for found in db.session.execute(query.where(*live, is_unmigrated()))]

    def count(self, kind: str, record_id: int) -> int:
        if kind != KIND:
            return 0
        query = select(func.count(LabResultFile.id)).where(LabResultFile.lab_result_id == record_id, is_unmigrated())
        return db.session.scalar(query) or 0

    def record_ids(self, kind: str, record_ids: Collection[int]) -> Select[Any] | None:
        if kind != KIND:
            return None
        return select(LabResultFile.lab_result_id).where(LabResultFile.lab_result_id.in_(record_ids), is_unmigrated())

    def per_patient(self, patients: Select[tuple[int]]) -> Mapping[str, Mapping[int, int]]:
        query = (
            select(LabResult.patient_id, func.count(LabResultFile.id))
            .join(LabResultFile, LabResultFile.lab_result_id == LabResult.id)
            .where(LabResult.patient_id.in_(patients), LabResult.deleted_at.is_(None), is_unmigrated())
        )
        counts = dict(db.session.execute(query.group_by(LabResult.patient_id)).all())
        return {KIND: counts} if counts else {}

    def find(self, number: int) -> EntityFile | None:
        query = select(LabResultFile, LabResult).join(LabResult, LabResult.id == LabResultFile.lab_result_id)
        found = db.session.execute(query.where(LabResultFile.id == number, is_unmigrated())).one_or_none()
        return _document(*found) if found else None

    def document_id(self, number: int) -> int | None:
        return ids.document_id(number)

    def refers_to(self, kind: str, record_id: ColumnElement[int]) -> ColumnElement[bool]:
        if kind != KIND:
            return false()
        return select(LabResultFile.id).where(LabResultFile.lab_result_id == record_id).exists()

    def forget(self, files: Sequence[EntityFile]) -> Sequence[str]:
        """Delete these documents' older rows, and record their ids so that no later run moves them again.

        Returns the released keys, whose files can be deleted after the commit.
        """
        moved = {file.legacy_id: file.id for file in files if file.legacy_id is not None}
        if not moved:
            return ()
        same = (LegacyId.kind == "file", LegacyId.new_id.in_(moved.values()))
        db.session.execute(update(LegacyId).where(*same).values(new_id=None))
        return drop(self.folder, list(moved))

    def figures(self) -> Sequence[Figure]:
        count = db.session.scalar(select(func.count(LabResultFile.id))) or 0
        description = "Files of the previous lab results feature not moved yet"
        title, note = N_("Previous lab results"), N_("not moved yet")
        return [Figure(title, "file", note, "medfiles_older_files", description, count)]


def drop(folder: LegacyFolder, numbers: Collection[int]) -> Sequence[str]:
    """Delete older rows in the open transaction; return the keys of files that no other row names."""
    found = db.session.scalars(select(LabResultFile).where(LabResultFile.id.in_(numbers))).all()
    paths: set[str] = set()
    for row in found:
        db.session.delete(row)
        with suppress(Unreachable):
            paths.add(folder.canonical(row.file_path))
    db.session.flush()
    keys = sorted(paths - folder.named(paths))
    journal.release(folder.name, keys)
    return keys


def name_of(name: str, number: int) -> str:
    """Return a cleaned-up file name, or one made from the older id if nothing usable remains."""
    try:
        return detection.clean_name(name)
    except BadName:
        return f"document-{number}"


def _document(row: LabResultFile, record: RecordMixin) -> EntityFile:
    """Return the document that the file will become, as far as known without reading it. It is never stored."""
    at = row.uploaded_at.replace(tzinfo=UTC) if row.uploaded_at else record.created_at
    return EntityFile(
        id=row.id, entity_type=KIND, entity_id=record.id, patient_id=record.patient_id,
        file_name=name_of(row.file_name, row.id), file_path=row.file_path, storage=LegacyFolder.name, category=CATEGORY,
        file_type=row.file_type if row.file_type in BY_NAME else UNKNOWN, file_size=row.file_size or 0,
        description=row.description, to_file=False, uploaded_at=at, created_at=at, updated_at=at,
    )  # fmt: skip


def is_unmigrated() -> ColumnElement[bool]:
    """Return the condition for rows of the older table that have not become documents."""
    moved: Any = exists().where(EntityFile.legacy_id == LabResultFile.id)
    return ~moved  # type: ignore[no-any-return]
