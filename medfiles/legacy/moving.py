"""Move the files of the older lab-results feature."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.documents import detection
from medfiles.documents.detection import Found
from medfiles.documents.lifecycle import CHANGED
from medfiles.errors import Conflict
from medfiles.jobs import rounds
from medfiles.legacy import log, unmigrated
from medfiles.legacy.batches import BatchMover, Content, Prepared, Stays
from medfiles.legacy.folder import FILES
from medfiles.legacy.inventory import Inventory
from medfiles.legacy.source import LegacyFile, Source
from medfiles.models import EntityFile, LabResult, LegacySource
from medfiles.record_types.declared import RecordType
from medfiles.storage import live_key, trash_key
from medfiles.storage.base import EXTENSION


@dataclass(frozen=True)
class Here:
    """This installation's lab results, patients and users, keyed by their older ids."""

    results: Mapping[int | None, LabResult]
    patients: Mapping[int | None, int | None]
    users: Mapping[int | None, int | None]

    def record_of(self, old: LegacyFile) -> LabResult:
        """Return a file's lab result. Raises `Stays` if it is missing or belongs to a different patient than before."""
        record = self.results.get(old.lab_result)
        if record is None:
            raise Stays("orphan", "its lab result is missing here")
        if record.patient_id != self.patients.get(old.patient):
            raise Stays("broken-chain", "its lab result belongs to another patient here")
        return record


@dataclass(frozen=True)
class Target:
    """The lab result of a file, and the id of the patient's owner."""

    record: LabResult
    user: int | None


@dataclass
class Mover(BatchMover):
    found: Inventory
    source: Source
    known: LegacySource

    def still_to_move(self, numbers: Sequence[int]) -> Sequence[LegacyFile]:
        done = set(log.ids(self.known, "file", numbers))
        done |= set(db.session.scalars(select(EntityFile.legacy_id).where(EntityFile.legacy_id.in_(numbers))))
        db.session.rollback()
        stays = self.found.staying(numbers)
        return list(self.source.files([number for number in numbers if number not in done | stays]))

    def targets(self, files: Sequence[LegacyFile]) -> Mapping[int, Target]:
        here, found = self._here(files), {}
        for old in files:
            try:
                found[old.id] = Target(here.record_of(old), here.users.get(old.user))
            except Stays as error:
                self.found.stay(old.id, error.kind, error.words)
        return found

    def _here(self, files: Sequence[LegacyFile]) -> Here:
        results = log.new_ids(self.known, "lab-result", [old.lab_result for old in files])
        query = select(LabResult).where(LabResult.id.in_(results.values()))
        records = {record.id: record for record in db.session.scalars(query)}
        db.session.expunge_all()
        db.session.rollback()
        return Here(
            {old: records[new] for old, new in results.items() if new in records},
            log.new_ids(self.known, "patient", [old.patient for old in files]),
            log.new_ids(self.known, "user", [old.user for old in files]),
        )

    def extension(self, old: LegacyFile) -> str:
        written = unmigrated.name_of(old.name, old.id)
        return detection.declared_extension(written) or detection.extension_of(old.path)

    def kind(self, target: Target) -> RecordType:
        return self._kind

    def row(self, old: LegacyFile, target: Target, content: Content) -> EntityFile:
        record, staged, found = target.record, content.staged, content.found
        gone, kind = record.deleted_at, self._kind
        written = unmigrated.name_of(old.name, old.id)
        name, extension = named(written, self.extension(old), found)
        at = _moment(old, self.known.timezone) or record.created_at
        return EntityFile(
            entity_type=kind.name, entity_id=record.id, patient_id=record.patient_id, file_name=name,
            original_name=detection.original_name(old.name) or None, renamed_from=written if name != written else None,
            file_path=trash_key(gone.date(), extension) if gone else live_key(kind.directory, extension),
            storage=self.services.storages.default.name, file_size=staged.size, sha256=staged.sha256,
            file_type=found.media_type if found else unmigrated.UNKNOWN, pages=found.pages if found else None,
            description=old.description, category=unmigrated.CATEGORY, uploaded_at=at, created_at=at, updated_at=now(),
            deleted_at=gone, deleted_by=record.deleted_by, deleted_round=rounds.current() if gone else None,
            legacy_id=old.id, extra=_origin(old, name, record, target.user),
        )  # fmt: skip

    @property
    def _kind(self) -> RecordType:
        return self.services.registry[unmigrated.KIND]

    def lock(self, prepared: Sequence[Prepared]) -> None:
        """Lock the lab results. Raises Conflict if one was trashed or restored since the files were prepared."""
        results = sorted({one.row.entity_id for one in prepared})
        query = select(LabResult).where(LabResult.id.in_(results)).order_by(LabResult.id)
        locked = db.session.scalars(query.with_for_update().execution_options(populate_existing=True)).all()
        records: Mapping[int, LabResult] = {record.id: record for record in locked}
        for one in prepared:
            record = records.get(one.row.entity_id)
            if record is None or record.deleted_at != one.row.deleted_at:
                raise Conflict(CHANGED)

    def record(self, one: Prepared) -> Mapping[str, Any]:
        log.enter(self.known, "file", one.old.id, one.row.id)
        return {"old_id": one.old.id, "sha256": one.row.sha256}


def named(written: str, declared: str, found: Found | None) -> tuple[str, str]:
    """Return a document's name, whose extension fits the content if that is known, and the extension for its key."""
    name = detection.named(written, found.extension) if found else written
    extension = detection.extension_of(name) if found else declared
    return name, extension if re.fullmatch(EXTENSION, extension) else ".bin"


def _origin(old: LegacyFile, name: str, record: LabResult, user: int | None) -> dict[str, Any]:
    """Return a document's origin, and details of the older row that are not stored elsewhere."""
    origin: dict[str, Any] = {
        "user_id": user, "patient_id": record.patient_id, "migrated_from": FILES, "migrated_at": now().isoformat(),
        "old_id": old.id, "old_path": old.path, "old_type": old.type, "old_size": old.size,
    }  # fmt: skip
    return origin | ({"old_name": old.name} if old.name != name else {})


def _moment(old: LegacyFile, zone: str) -> datetime | None:
    """Return the upload time in UTC. The older feature stored local times without a time zone."""
    at = old.uploaded_at
    if at is None:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
