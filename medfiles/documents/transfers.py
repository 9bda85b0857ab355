"""Attach documents to another record: move their bytes, change their rows and search index, log it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from sqlalchemy import update

from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget, subject_of
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.documents import lifecycle, smart_copies
from medfiles.documents.bulk import BulkService, Check, Result, Task
from medfiles.documents.move_rules import is_in, new_key
from medfiles.documents.quota import require_quota
from medfiles.documents.rules import (
    checked_changes,
    require_live_record,
    require_room,
)
from medfiles.documents.uploading import count_live
from medfiles.errors import (
    BlobMissing,
    Conflict,
    Forbidden,
    IntegrityFailed,
    NotFound,
    Rejected,
)
from medfiles.models import EntityFile, RecordMixin, ShareLinkDocument
from medfiles.permissions import Action, Actor
from medfiles.record_types.declared import RecordType
from medfiles.search import index

Details = Mapping[int, Mapping[str, Any]]  # by document


@dataclass(frozen=True)
class Moved(Result):
    """The outcome of a move of one document.

    category   the category it had, if the record it was moved to does not have it
    twin       another document of that record with the same content, if there is one
    elsewhere  if it could not be put back where it was, because that record is full or gone
    """

    category: str | None = None
    twin: EntityFile | None = None
    elsewhere: bool = False


@dataclass(frozen=True)
class MoveTask(Task):
    """A move to a record; `visible` are the patients in whose log a refusal can be recorded for each document."""

    moved: dict[int, Moved] = field(default_factory=dict)
    visible: Callable[[int | None], bool] = lambda patient_id: False

    def has(self, file: EntityFile) -> bool:
        """Return whether the document already belongs to the record."""
        return is_in(file, self.record_type, self.record_id)

    def owns(self, target: EntityFile | AuditTarget) -> bool:
        return self.visible(target.patient_id)

    def check(self, file_id: int, file: EntityFile | None, check: Check) -> Result:
        if file is None:
            return Moved(file_id, None, NotFound())
        try:
            check(file)
        except NotFound as error:
            return Moved(file_id, None, error)
        except (Conflict, Forbidden, Rejected, BlobMissing, IntegrityFailed) as error:
            return Moved(file_id, file.file_name, error)
        return Moved(file_id, file.file_name)


@dataclass
class TransferService(BulkService):
    """What a move and its undoing have in common."""

    def _transfer(
        self,
        task: MoveTask,
        details: Details,
        authorize: Callable[[Sequence[EntityFile]], None],
        mark: Callable[..., Sequence[Moved]],
        files: Sequence[EntityFile],
    ) -> None:
        """Move documents, or none of them. Everything is checked again in the transaction that moves them."""
        record_type, there = task.record_type, [file for file in files if task.has(file)]
        task.moved.update({file.id: Moved(file.id, file.file_name) for file in there})
        files = [file for file in files if not task.has(file)]
        if not files:
            return
        with lifecycle.moving(self.storages, files, partial(new_key, record_type)) as locked:
            authorize(locked)
            record = self.authorized_record(record_type, task.record_id, Action.EDIT, AuditTarget(), lock=True)
            require_live_record(record_type, record)
            require_room(record_type, count_live(self.registry, record_type, record.id) + len(locked) - 1)
            owners = index.owners({record.patient_id, *(file.patient_id for file in locked)})
            from_others = [file for file in locked if owners[file.patient_id] != owners[record.patient_id]]
            if from_others:
                size = sum(file.file_size for file in from_others)
                require_quota(record.patient_id, size, self.quota, lock=True)
            moved = mark(locked, record_type, record, details, owners)
        task.moved.update({one.file_id: one for one in moved})
        if self.loaded is not None:
            self.loaded.clear()

    def _attach_to(
        self,
        files: Sequence[EntityFile],
        record_type: RecordType,
        record: RecordMixin,
        details: Details,
        owners: Mapping[int, int],
        *,
        taken_back: bool = False,
    ) -> Sequence[Moved]:
        """Change the rows and index of documents that get a new record, and log this for both patients."""
        moved, events = [], []
        if left := [file.id for file in files if file.patient_id != record.patient_id]:
            leave_links(left)
        for file in files:
            source, category = subject_of(file), file.category
            file.entity_type, file.entity_id, file.patient_id = record_type.name, record.id, record.patient_id
            file.deleted_at = file.deleted_by = file.deleted_round = file.named_patient_id = None
            file.to_file = bool(details.get(file.id, {}).get("to_file"))
            fits = category is None or category in record_type.categories
            changes = checked_changes(record_type, file, details.get(file.id, {}))
            if not fits:
                changes.setdefault("category", None)
            changed = {name: (getattr(file, name), new) for name, new in changes.items() if getattr(file, name) != new}
            for name, (_, new) in changed.items():
                setattr(file, name, new)
            lost = category if not fits and file.category is None else None
            moved.append(Moved(file.id, file.file_name, category=lost, twin=self.duplicate_of(file)))
            events.append((source, replace(subject_of(file), changes=changed), taken_back))
        index.drop_documents([file.id for file in files])
        for entry in index.document_entries(self.registry, files, record, owners[record.patient_id]):
            index.put(entry)
        log_moves(self.actor, events)
        return moved


def leave_links(file_ids: Sequence[int]) -> None:
    """Remove documents that get another patient from share links, in the open transaction.

    SMART Health Links that hold them end.
    """
    named = update(ShareLinkDocument).where(ShareLinkDocument.file_id.in_(file_ids))
    db.session.execute(named.values(removed_at=now()), execution_options={"synchronize_session": False})
    smart_copies.end_of_documents(file_ids)


def log_moves(actor: Actor, moves: Iterable[tuple[AuditTarget, AuditTarget, bool]]) -> None:
    """Log moves for both patients, in the open transaction, and as edits the details that they changed.

    moves  (before, after, taken back) for each document or record
    """
    by_action: dict[str, list[tuple[AuditTarget, Mapping[str, Any]]]] = {}
    for source, target, taken_back in moves:
        plain, is_within = replace(target, changes=None), source.patient_id == target.patient_id
        left, arrived = ("take-back", "take-back") if taken_back else ("move-out", "file" if is_within else "move-in")
        if not is_within:
            by_action.setdefault(left, []).append((source, {"to_patient": target.patient_id}))
        came_from = {"from_patient": source.patient_id, "from": [source.entity_type, source.entity_id]}
        by_action.setdefault(arrived, []).append((plain, came_from))
        if target.changes:
            by_action.setdefault("edit", []).append((target, {"changed": sorted(target.changes)}))
    for action, subjects in by_action.items():
        event_log.record_each(actor, action, subjects)


def told(task: MoveTask, results: Sequence[Result]) -> Sequence[Moved]:
    """Return the results, each with what is to be said about a document that was moved."""
    return [
        task.moved[result.file_id] if result.error is None else Moved(result.file_id, result.file_name, result.error)
        for result in results
    ]
