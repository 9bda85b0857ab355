"""Move documents to another record, also of another patient, and take them back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import select

from medfiles import permissions
from medfiles.antivirus.policy import INFECTED
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.database.session import db
from medfiles.documents import take_back
from medfiles.documents.move_rules import INFECTED_STAYS, SCOPE, TRASHED, Rules, require_valid
from medfiles.documents.rules import (
    require_live,
    require_live_record,
)
from medfiles.documents.transfers import Details, Moved, MoveTask, TransferService, told
from medfiles.documents.uploading import count_live
from medfiles.errors import (
    Conflict,
    MedfilesError,
    OutOfScope,
    Quarantined,
)
from medfiles.i18n import N_
from medfiles.jobs import rounds
from medfiles.models import DocumentMove, EntityFile, RecordMixin
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.search import index

NOTHING_TO_UNDO = N_("This document was not moved, or too long ago to take it back.")
MOVED_ON = N_("This document was changed since it was moved. Open it and move it from there.")


@dataclass
class MovingService(TransferService):
    """Moves of documents. Each document keeps its id, and gets a new key in the directory of its new record."""

    def move(
        self, file_id: int, record_type: RecordType, record_id: int, details: Mapping[str, Any] | None = None
    ) -> Moved:
        """Move one document. Raises what `move_many` reports."""
        return _only(self.move_many([file_id], record_type, record_id, {file_id: details or {}}))

    def move_many(
        self, ids: Sequence[int], record_type: RecordType, record_id: int, details: Details | None = None
    ) -> Sequence[Moved]:
        """Move documents of any records to a record. Within one patient this files them under another record.

        The actor must be able to edit both patients; if they have different owners, only the owner of the documents'
        patient can move them, and can take them back for 30 days. A category that the record does not have is cleared.
        Documents that already belong to the record stay there.

        details  by document: changes to make in the same transaction, in the form that `edit` takes; with `to_file`,
                 the document stays to be filed
        """
        with self.operation("move", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.EDIT, target)
            record_type.allow("upload")
            require_live_record(record_type, record)
            owner = self._owner(record.patient_id)
            for changes in (details or {}).values():
                require_valid(record_type, changes)
            rules = Rules(self.actor, self.registry, record_type, record_id, owner)
            task = MoveTask("move", record_type, record_id, rules.new_check, _nothing, visible=rules.is_visible)
            change = partial(self._transfer, task, details or {}, rules.authorize, self._mark_moved)
            return told(task, self._run(replace(task, change=change), ids))

    def movable(self, record_type: RecordType, record_id: int, ids: Sequence[int]) -> Sequence[EntityFile]:
        """Return those of these documents that belong to the record and can be moved, by name."""
        with self.operation("move", entity_type=record_type.name, entity_id=record_id) as target:
            require_live_record(record_type, self.authorized_record(record_type, record_id, Action.EDIT, target))
            query = select(EntityFile).where(
                EntityFile.id.in_(ids),
                EntityFile.entity_type == record_type.name,
                EntityFile.entity_id == record_id,
                EntityFile.deleted_at.is_(None),
            )
            files = db.session.scalars(query.order_by(EntityFile.sort_name, EntityFile.id)).all()
            if not files:
                raise Conflict(TRASHED)
            return files

    def moved_away(self, patient_id: int) -> Sequence[tuple[DocumentMove, bool]]:
        """Return what the actor can take back from patients of other owners, newest first.

        Also return for each document or record whether the actor can see it where it is now.
        """
        with self.operation("list-trash", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
            moves = take_back.moved_away(self.actor.user_id, patient_id)
            seen = permissions.can_view(self.actor, EntityFile.patient_id)
            ids = [move.file_id for move in moves if move.file_id]
            visible = set(db.session.scalars(select(EntityFile.id).where(EntityFile.id.in_(ids), seen)))
            return [(move, move.file_id in visible) for move in moves]

    def seen_by(self, file_id: int) -> tuple[EntityFile, Sequence[Any]]:
        """Return a document and who has opened it, also under patients that it belonged to before."""
        with self.reading("view-activity", file_id=file_id) as target:
            file = self.authorized_file(file_id, Action.EDIT, target)
        return file, event_log.seen_by(file_id)

    def take_back(self, file_id: int) -> Moved:
        """Take one document back. Raises what `take_back_many` reports."""
        return _only(self.take_back_many([file_id]))

    def take_back_many(self, ids: Sequence[int]) -> Sequence[Moved]:
        """Undo moves within 30 days: each document returns to its former record, or else to its patient's documents.

        The owner of the former patient can take a document back from a patient of another owner, wherever it is now,
        also from the trash. Otherwise, this undoes the actor's own last move, if the document is still there.
        """
        moves = take_back.moves_to_undo(self.actor.user_id, ids)
        places: dict[tuple[str, int], list[int]] = {}
        results = {file_id: Moved(file_id, None, Conflict(NOTHING_TO_UNDO)) for file_id in dict.fromkeys(ids)}
        for file_id in results:
            try:
                with self.operation("take-back", file_id=file_id) as target:
                    move = self._undoable(file_id, moves, target)
                    places.setdefault(self._place(move, places), []).append(file_id)
            except MedfilesError as error:
                results[file_id] = replace(results[file_id], error=error)
        for (name, record_id), some in places.items():
            for result in self._take_back(self.registry[name], record_id, some, moves):
                elsewhere = (name, record_id) != (moves[result.file_id].from_type, moves[result.file_id].from_id)
                results[result.file_id] = replace(result, elsewhere=elsewhere)
        return list(results.values())

    def _take_back(
        self, record_type: RecordType, record_id: int, ids: Sequence[int], moves: Mapping[int, DocumentMove]
    ) -> Sequence[Moved]:
        def authorize(files: Sequence[EntityFile]) -> None:
            for file in files:
                self._require_undoable(file, moves[file.id])

        details: dict[int, dict[str, Any]] = {}
        for file_id in ids:
            has_category = moves[file_id].from_category in record_type.categories
            details[file_id] = {"category": moves[file_id].from_category} if has_category else {}
            details[file_id]["to_file"] = moves[file_id].from_inbox

        def mark(files: Sequence[EntityFile], *to: Any) -> Sequence[Moved]:
            take_back.forget_since([moves[file.id] for file in files])
            return self._attach_to(files, *to, taken_back=True)

        with self.operation("take-back", entity_type=record_type.name, entity_id=record_id):
            task = MoveTask(
                "take-back", record_type, record_id, lambda: _nothing, _nothing, visible=lambda patient_id: True
            )
            change = partial(self._transfer, task, details, authorize, mark)
            return told(task, self._run(replace(task, change=change), ids))

    def _undoable(self, file_id: int, moves: Mapping[int, DocumentMove], target: AuditTarget) -> DocumentMove:
        file = db.session.get(EntityFile, file_id, populate_existing=True)
        if file is None or file_id not in moves:
            self.authorized_file(file_id, Action.EDIT, target)
            raise Conflict(NOTHING_TO_UNDO)
        self._require_undoable(file, moves[file_id])
        target.patient_id = moves[file_id].from_patient_id
        return moves[file_id]

    def _require_undoable(self, file: EntityFile, move: DocumentMove) -> None:
        """Raise unless the actor can take this document back now, after all that has happened since the move."""
        access = permissions.current_access(self.actor, move.from_patient_id)
        if file.scan == INFECTED:
            raise Quarantined(INFECTED_STAYS)
        if move.owner_id is not None:
            permissions.require_access(access, Action.OWN, writes=True)
            if self.actor.only_patient is not None or not self.actor.may_share:
                raise OutOfScope(SCOPE)
            return
        permissions.require_access(access, Action.EDIT, writes=True)
        access = permissions.current_access(self.actor, file.patient_id)
        permissions.require_access(access, Action.EDIT, writes=True)
        require_live(file, TRASHED)
        if (file.entity_type, file.entity_id) != (move.to_type, move.to_id):
            raise Conflict(MOVED_ON)

    def _place(self, move: DocumentMove, taken: Mapping[tuple[str, int], Collection[int]]) -> tuple[str, int]:
        """Return the record that the document was moved from, or else its patient, as type and id."""
        record_type = self.registry[move.from_type]
        record: RecordMixin | None = db.session.get(record_type.model, move.from_id)
        if record is not None and record.patient_id == move.from_patient_id and record.deleted_at is None:
            already = len(taken.get((move.from_type, move.from_id), ()))
            if count_live(self.registry, record_type, move.from_id) + already < record_type.max_files:
                return move.from_type, move.from_id
        return self.registry.patient.name, move.from_patient_id

    def _mark_moved(
        self,
        files: Sequence[EntityFile],
        record_type: RecordType,
        record: RecordMixin,
        details: Details,
        owners: Mapping[int, int],
    ) -> Sequence[Moved]:
        """Attach locked documents to the record, and remember where they were, in the open transaction."""
        current = rounds.current()
        for file in files:
            owner = owners[file.patient_id]
            db.session.add(
                DocumentMove(
                    file_id=file.id, from_patient_id=file.patient_id, from_type=file.entity_type,
                    from_id=file.entity_id, from_category=file.category, to_patient_id=record.patient_id,
                    to_type=record_type.name, to_id=record.id, moved_by=self.actor.user_id, moved_round=current,
                    owner_id=owner if owner != owners[record.patient_id] else None, from_inbox=file.to_file,
                )
            )  # fmt: skip
        return self._attach_to(files, record_type, record, details, owners)

    def _owner(self, patient_id: int) -> int:
        return index.owners([patient_id])[patient_id]


def _only(results: Sequence[Moved]) -> Moved:
    [result] = results
    if result.error is not None:
        raise result.error
    return result


def _nothing(_: Any) -> None:
    """Check or change nothing."""
