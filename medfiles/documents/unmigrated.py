"""Files of the older lab-results feature that wait to be moved: they are listed and counted among the documents."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import UTC
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select, update

from medfiles.database.session import db
from medfiles.documents import detection
from medfiles.errors import BadName
from medfiles.models import EntityFile, LabResult, LabResultFile, LegacyId, RecordMixin
from medfiles.record_types.declared import RecordType
from medfiles.record_types.media_types import BY_NAME
from medfiles.storage import OlderFolder, Storages, Unreachable, journal

KIND, CATEGORY = "lab-result", "result"
UNKNOWN = "application/octet-stream"  # what is sent when nothing is known about a document's type


def rows() -> Select[LabResultFile]:
    """Those that are no document of ours yet."""
    return select(LabResultFile).where(_still())


def document(record_type: RecordType, row: LabResultFile, record: RecordMixin) -> EntityFile:
    """What it will be once it is moved, as far as that is known without reading it; never stored."""
    at = row.uploaded_at.replace(tzinfo=UTC) if row.uploaded_at else record.created_at
    return EntityFile(
        id=row.id, entity_type=record_type.name, entity_id=record.id, patient_id=record.patient_id,
        file_name=name_of(row.file_name, row.id), file_path=row.file_path, storage=OlderFolder.name, category=CATEGORY,
        file_type=row.file_type if row.file_type in BY_NAME else UNKNOWN, file_size=row.file_size or 0,
        description=row.description, uploaded_at=at, created_at=at, updated_at=at,
    )  # fmt: skip


def documents(record_type: RecordType, record: RecordMixin) -> Sequence[EntityFile]:
    """Those of one record."""
    if record_type.name != KIND:
        return ()
    found = db.session.scalars(rows().where(LabResultFile.lab_result_id == record.id)).all()
    return [document(record_type, row, record) for row in found]


def count(record_type: RecordType, record_id: int) -> int:
    if record_type.name != KIND:
        return 0
    query = select(func.count(LabResultFile.id)).where(LabResultFile.lab_result_id == record_id, _still())
    return db.session.scalar(query) or 0


def record_ids(record_type: RecordType, ids: Collection[int]) -> Select[int] | None:
    """The id of its record for each of them among these records; None when this kind of record never has any."""
    if record_type.name != KIND:
        return None
    return select(LabResultFile.lab_result_id).where(LabResultFile.lab_result_id.in_(ids), _still())


def per_patient(allowed: Select[tuple[int]]) -> dict[int, int]:
    """How many there are on records that are not in the trash, for each of the allowed patients that has any."""
    query = (
        select(LabResult.patient_id, func.count(LabResultFile.id))
        .join(LabResultFile, LabResultFile.lab_result_id == LabResult.id)
        .where(LabResult.patient_id.in_(allowed), LabResult.deleted_at.is_(None), _still())
    )
    return dict(db.session.execute(query.group_by(LabResult.patient_id)).all())


def forget(storages: Storages, files: Sequence[EntityFile]) -> Sequence[str]:
    """In the transaction that deletes these documents for ever: nothing of them may come back from where they were
    moved from; the keys whose older files have to go once it is committed."""
    moved = {file.legacy_id: file.id for file in files if file.legacy_id is not None}
    if not moved:
        return ()
    same = (LegacyId.kind == "file", LegacyId.new_id.in_(moved.values()))
    db.session.execute(update(LegacyId).where(*same).values(new_id=None))
    return drop(storages, list(moved))


def drop(storages: Storages, numbers: Collection[int]) -> Sequence[str]:
    """In the open transaction: these rows of the older table go; the keys of files that no other row of it names."""
    found = db.session.scalars(select(LabResultFile).where(LabResultFile.id.in_(numbers))).all()
    for row in found:
        db.session.delete(row)
    db.session.flush()
    paths = set(_keys(storages.older, found))
    keys = sorted(paths - journal.named_by_older(paths))
    journal.release(OlderFolder.name, keys)
    return keys


def _keys(folder: OlderFolder, found: Sequence[LabResultFile]) -> Iterator[str]:
    for row in found:
        with suppress(Unreachable):
            yield folder.canonical(row.file_path)


def name_of(name: str, number: int) -> str:
    """The older name as names are here; one made of its number when nothing usable is left of it."""
    try:
        return detection.clean_name(name)
    except BadName:
        return f"document-{number}"


def _still() -> ColumnElement[bool]:
    moved: Any = exists().where(EntityFile.legacy_id == LabResultFile.id)
    return ~moved  # type: ignore[no-any-return]
