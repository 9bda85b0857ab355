"""Move a record with its documents to another patient, and take it back."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import select

from medfiles import permissions
from medfiles.antivirus.policy import INFECTED
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget, subject_of
from medfiles.database.session import db, transaction
from medfiles.documents import take_back
from medfiles.documents.move_rules import OWNER_ONLY, SCOPE
from medfiles.documents.moving import MOVED_ON
from medfiles.documents.quota import require_quota
from medfiles.documents.transfers import leave_links, log_moves
from medfiles.errors import Conflict, Forbidden, NotFound, OutOfScope, Quarantined
from medfiles.i18n import N_
from medfiles.jobs import queue as jobs
from medfiles.jobs import rounds
from medfiles.models import DocumentMove, EntityFile, Patient, RecordMixin
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.records import places
from medfiles.records.service import require_editable
from medfiles.search import index
from medfiles.service import Service

INFECTED_WITHIN = N_("Malware was found in one of its documents. Delete that document first.")
ADDED_SINCE = N_(
    "Documents were added to this record since it was moved. Take back the documents that were moved with it, one by "
    "one, from the trash of their former patient."
)
UNMIGRATED = N_("Some documents of this record have not been moved here from the previous lab results yet.")
NOT_MOVED = N_("This record was not moved, or too long ago to take it back.")


@dataclass
class RecordMoves(Service):
    """Moves of records. Only rows change: the objects of their documents stay where they are."""

    quota: int = field(default=0, kw_only=True)  # bytes per patient owner; 0: no limit

    def places(self, patient_id: int, words: str, limit: int) -> tuple[Sequence[tuple[RecordType, RecordMixin]], bool]:
        """Return a patient's records that documents can be moved to, the most recent first, and whether there are more.

        words  if not empty, only those records in which every word is found
        """
        with self.reading("list-records", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
            return places.page(self.registry, patient_id, words, limit)

    def move(self, record_type: RecordType, record_id: int, patient_id: int) -> tuple[RecordMixin, int]:
        """Move a record with all its documents, also those in the trash, to another patient of the actor's.

        Return the record and the number of its documents. If the patients have different owners, only the owner of the
        record's patient can move it, and can take it back for 30 days.
        """
        about = {"entity_type": record_type.name, "entity_id": record_id}
        with self.operation("move-record", **about) as target, transaction():
            files = self._lock_documents(record_type, record_id)
            record = self.authorized_record(record_type, record_id, Action.EDIT, target, lock=True)
            require_editable(record_type, record)
            patient = self.authorized_patient(patient_id, Action.EDIT, AuditTarget(), lock=True)
            if patient_id == record.patient_id:
                return record, len(files)
            owner = self._require_owner(record.patient_id, patient)
            self._require_movable(record_type, record_id, files)
            if owner is not None:
                require_quota(patient_id, sum(file.file_size for file in files), self.quota, lock=True)
            self._remember(record_type, record, files, patient_id, owner)
            self._attach_to(record_type, record, files, patient, target, taken_back=False)
            return record, len(files)

    def take_back(self, record_type: RecordType, record_id: int) -> RecordMixin:
        """Undo the move of a record within 30 days.

        The owner of the former patient can take it back from a patient of another owner, also from the trash.
        """
        about = {"entity_type": record_type.name, "entity_id": record_id}
        with self.operation("take-back-record", **about) as target, transaction():
            move = take_back.record_move(self.actor.user_id, record_type.name, record_id)
            if move is None:
                self.authorized_record(record_type, record_id, Action.EDIT, target)
                raise Conflict(NOT_MOVED)
            files = self._lock_documents(record_type, record_id)
            record = db.session.get(record_type.model, record_id, with_for_update=True, populate_existing=True)
            if record is None:
                raise NotFound()
            patient = self.authorized_patient(move.from_patient_id, Action.EDIT, target, lock=True)
            target.name = record_type.title_of(record)
            moved_with = self._require_undoable(record, move, files)
            require_quota(patient.id, sum(file.file_size for file in files), self.quota, lock=True)
            take_back.forget_since([*moved_with, move])
            if record.deleted_at is not None:
                for file in files:
                    if file.deleted_at == record.deleted_at:
                        file.deleted_at = file.deleted_by = file.deleted_round = None
                record.deleted_at = record.deleted_by = record.deleted_round = None
                jobs.enqueue(jobs.MOVE, patient.id)
            self._attach_to(record_type, record, files, patient, target, taken_back=True)
            return record

    def _require_owner(self, patient_id: int, to: Patient) -> int | None:
        """Return the owner of the record's patient if the new patient has another; only that account may do this."""
        access = permissions.current_access(self.actor, patient_id)
        level = permissions.require_access(access, Action.EDIT, writes=True)
        owner = index.owners([patient_id])[patient_id]
        if owner == to.user_id:
            return None
        if level != Action.OWN:
            raise Forbidden(OWNER_ONLY)
        if not self.actor.may_share:
            raise OutOfScope(SCOPE)
        return owner

    def _require_movable(self, record_type: RecordType, record_id: int, files: Sequence[EntityFile]) -> None:
        if any(file.scan == INFECTED for file in files):
            raise Quarantined(INFECTED_WITHIN)
        if self.registry.additional.count(record_type.name, record_id):
            raise Conflict(UNMIGRATED)

    def _require_undoable(
        self, record: RecordMixin, move: DocumentMove, files: Sequence[EntityFile]
    ) -> Sequence[DocumentMove]:
        """Return the moves of the record's documents that were moved with it. Raises if the actor cannot undo them."""
        moves = take_back.moves_to_undo(self.actor.user_id, [file.id for file in files])
        if any(file.scan == INFECTED for file in files):
            raise Quarantined(INFECTED_WITHIN)
        if move.owner_id is None:
            access = permissions.current_access(self.actor, record.patient_id)
            permissions.require_access(access, Action.EDIT, writes=True)
            if record.deleted_at is not None or record.patient_id != move.to_patient_id:
                raise Conflict(MOVED_ON)
            return [moves[file.id] for file in files if file.id in moves]
        access = permissions.current_access(self.actor, move.from_patient_id)
        permissions.require_access(access, Action.OWN, writes=True)
        if self.actor.only_patient is not None or not self.actor.may_share:
            raise OutOfScope(SCOPE)
        if any(file.id not in moves or moves[file.id].owner_id is None for file in files):
            raise Conflict(ADDED_SINCE)
        return list(moves.values())

    def _lock_documents(self, record_type: RecordType, record_id: int) -> Sequence[EntityFile]:
        """Lock all documents of a record, before the record itself, as moves of documents do."""
        query = select(EntityFile).where(EntityFile.entity_type == record_type.name, EntityFile.entity_id == record_id)
        locked = query.order_by(EntityFile.id).with_for_update().execution_options(populate_existing=True)
        return db.session.scalars(locked).all()

    def _remember(
        self, record_type: RecordType, record: RecordMixin, files: Sequence[EntityFile], to: int, owner: int | None
    ) -> None:
        place = {"from_type": record_type.name, "from_id": record.id, "to_type": record_type.name, "to_id": record.id}
        now = {"moved_by": self.actor.user_id, "moved_round": rounds.current(), "owner_id": owner}
        patients = {"from_patient_id": record.patient_id, "to_patient_id": to}
        db.session.add_all(
            DocumentMove(file_id=file.id, from_category=file.category, **place, **now, **patients) for file in files
        )
        db.session.add(DocumentMove(file_id=None, **place, **now, **patients))

    def _attach_to(
        self,
        record_type: RecordType,
        record: RecordMixin,
        files: Sequence[EntityFile],
        patient: Patient,
        target: AuditTarget,
        *,
        taken_back: bool,
    ) -> None:
        """Give a locked record and its documents to the patient, and log this for both patients."""
        source, sources = replace(target, patient_id=record.patient_id), [subject_of(file) for file in files]
        record.patient_id = patient.id
        for file in files:
            file.patient_id = patient.id
        db.session.flush()
        leave_links([file.id for file in files])
        index.put_record(record_type, record)
        for entry in index.document_entries(self.registry, files, record, patient.user_id):
            index.put(entry)
        left, arrived = ("take-back-record",) * 2 if taken_back else ("move-record-out", "move-record-in")
        event_log.record(self.actor, left, source, documents=len(files))
        event_log.record(self.actor, arrived, replace(source, patient_id=patient.id), documents=len(files))
        log_moves(self.actor, zip(sources, map(subject_of, files), [taken_back] * len(files), strict=True))
        if self.loaded is not None:
            self.loaded.clear()
