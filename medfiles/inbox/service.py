"""The inbox: documents that are stored with a patient and still to be filed, each with a suggestion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from sqlalchemy import Select, func, select, tuple_

from medfiles import permissions
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.database import cursors
from medfiles.database.cursors import Cursor
from medfiles.database.session import db, transaction
from medfiles.documents.move_rules import TRASHED
from medfiles.documents.moving import MovingService
from medfiles.documents.rules import checked_changes, require_live
from medfiles.documents.transfers import Moved
from medfiles.errors import MedfilesError
from medfiles.inbox import knowledge, suggesting
from medfiles.inbox.contents import Contents
from medfiles.inbox.people import Evidence, evidence, is_certain
from medfiles.inbox.scoring import Candidate
from medfiles.inbox.suggesting import Confidence, Suggestion
from medfiles.models import EntityFile, Patient
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.record_types.edits import changes_of
from medfiles.search import index

SCOPE = "inbox"  # of cursors
NEWEST = (EntityFile.uploaded_at.desc(), EntityFile.id.desc())
CONFIRMED = 0  # value of `named_patient_id`


@dataclass(frozen=True)
class Choice:
    """The user's choices for a document. None keeps the suggestion."""

    patient_id: int | None = None
    record: tuple[str, int] | None = None  # type and id


@dataclass(frozen=True)
class Item:
    """A document to be filed.

    patient     whose documents it is to be filed with: its own, or the one chosen instead
    other       another patient whom it names instead
    evidence    how it names these patients, by id
    candidates  the records it can be filed under
    """

    file: EntityFile
    patient: Patient
    other: Patient | None
    evidence: Mapping[int, Evidence]
    candidates: Sequence[Candidate]
    suggestion: Suggestion


@dataclass(frozen=True)
class Inbox:
    """A page of documents to be filed. `total` is None on later pages, `next` a cursor; `levels` is by patient."""

    items: Sequence[Item]
    total: int | None
    next: str | None
    levels: Mapping[int, Action] = field(default_factory=dict)


@dataclass(frozen=True)
class Filing:
    """Where to file a document. `details` are changes in the form that `edit` takes."""

    file_id: int
    record_type: RecordType
    record_id: int
    details: Mapping[str, Any] = field(default_factory=dict)


@cache
def _unfiled(narrowed: bool) -> Select[int]:
    """Return the query that counts documents to be filed. Nearly every page shows the number, so it is built once."""
    allowed = permissions.allows_by_parameters(narrowed, EntityFile.patient_id, Action.EDIT)
    return select(func.count(EntityFile.id)).where(EntityFile.to_file, EntityFile.deleted_at.is_(None), allowed)


@dataclass
class InboxService(MovingService):
    def unfiled(self) -> int:
        """Count the documents to be filed of all patients the actor can edit."""
        query = _unfiled(self.actor.only_patient is not None)
        return db.session.scalar(query, permissions.parameters(self.actor)) or 0

    def page(
        self,
        patient_id: int | None,
        cursor: Cursor | None,
        limit: int,
        choices: Mapping[int, Choice] | None = None,
    ) -> Inbox:
        """Return up to `limit` documents to be filed, the newest first, of one patient or all the actor can edit."""
        with self.operation("list", patient_id=patient_id) as target:
            if patient_id is not None:
                self.authorize(Action.EDIT, patient_id, target)
            where = self._to_file(patient_id)
            query = select(EntityFile).where(*where)
            if cursor is not None:
                query = query.where(EntityFile.id < cursor.id)
            rows = db.session.scalars(query.order_by(EntityFile.id.desc()).limit(limit + 1)).all()
            files = rows[:limit]
            total = db.session.scalar(select(func.count(EntityFile.id)).where(*where)) if cursor is None else None
            following = cursors.write(SCOPE, "", files[-1].id) if len(rows) > limit else None
            people = knowledge.people(self.actor)
            items = self._items(files, people, choices or {})
        for shown in dict.fromkeys(file.patient_id for file in files):
            patient = people[shown][0]
            name = f"{patient.first_name} {patient.last_name}"
            event_log.record_read(self.actor, "list", AuditTarget(shown, self.registry.patient.name, shown, name=name))
        return Inbox(items, total, following, {number: Action(level) for number, (_, level) in people.items()})

    def file_many(self, filings: Sequence[Filing]) -> Sequence[Moved]:
        """File documents, each under its record with its details. An error in one does not affect others."""
        by_record: dict[tuple[str, int], list[Filing]] = {}
        for filing in filings:
            by_record.setdefault((filing.record_type.name, filing.record_id), []).append(filing)
        results: dict[int, Moved] = {}
        for (name, record_id), some in by_record.items():
            here = set(self._already_in(name, record_id, [filing.file_id for filing in some]))
            results |= {filing.file_id: self._file_here(filing) for filing in some if filing.file_id in here}
            others = {filing.file_id: filing.details for filing in some if filing.file_id not in here}
            if others:
                results |= self._file_there(self.registry[name], record_id, others)
        return [results[file_id] for file_id in dict.fromkeys(filing.file_id for filing in filings)]

    def hand_over(self, ids: Sequence[int], patient_id: int) -> Sequence[Moved]:
        """Move documents to the inbox of another patient, whom they name."""
        return self.move_many(ids, self.registry.patient, patient_id, {file_id: {"to_file": True} for file_id in ids})

    def keep(self, file_id: int) -> EntityFile:
        """Confirm that a document belongs to its patient, although it names another one."""
        with self.operation("edit", file_id=file_id) as target, transaction():
            file = self.authorized_file(file_id, Action.EDIT, target, lock=True)
            require_live(file, TRASHED)
            file.named_patient_id = CONFIRMED
            event_log.record(self.actor, "edit", target, changed=["patient"])
            return file

    def _to_file(self, patient_id: int | None) -> list[Any]:
        if patient_id is not None:
            of_patients = EntityFile.patient_id == patient_id
        else:
            of_patients = permissions.allows(self.actor, EntityFile.patient_id, Action.EDIT)
        return [EntityFile.to_file, EntityFile.deleted_at.is_(None), of_patients]

    def _items(
        self, files: Sequence[EntityFile], people: knowledge.People, choices: Mapping[int, Choice]
    ) -> list[Item]:
        """Return the documents with what is suggested for each, or for the patient chosen for it."""
        texts = knowledge.texts([file.sha256 for file in files if self._is_readable(file)])
        order, today = knowledge.date_order(self.actor.user_id), now().date()
        named = knowledge.as_persons(people)
        wanted: dict[int, int] = {}
        found: dict[int, Mapping[int, Evidence]] = {}
        for file in files:
            chosen = choices.get(file.id, Choice()).patient_id or file.patient_id
            wanted[file.id] = chosen if chosen in people else file.patient_id
            pages = texts.get(file.sha256, ())
            found[file.id] = evidence(pages, file.file_name, named, today, order)
        ids = set(wanted.values())
        candidates, filed = knowledge.candidates(self.registry, ids), knowledge.filed(ids)
        items = []
        for file in files:
            patient_id, contents = wanted[file.id], Contents(file, texts.get(file.sha256, ()), order, today)
            own, names = candidates.get(patient_id, ()), found[file.id]
            asks = file.named_patient_id != CONFIRMED
            other = knowledge.other_named(names, patient_id, people) if asks else None
            suggestion = suggesting.suggest(contents, patient_id, own, filed.get(patient_id, ()), self.registry)
            if (record := choices.get(file.id, Choice()).record) is not None:
                suggestion = suggesting.chosen(suggestion, contents, *record, own, self.registry)
            suggestion = suggesting.with_people(
                suggestion, has_other=other is not None, is_certain=is_certain(names, patient_id)
            )
            items.append(Item(file, people[patient_id][0], people[other][0] if other else None, names, own, suggestion))
        return items

    def _is_readable(self, file: EntityFile) -> bool:
        return not knowledge.is_held(file, self.actor.user_id)

    def _already_in(self, name: str, record_id: int, ids: Sequence[int]) -> Sequence[int]:
        where = (EntityFile.id.in_(ids), tuple_(EntityFile.entity_type, EntityFile.entity_id) == (name, record_id))
        return db.session.scalars(select(EntityFile.id).where(*where)).all()

    def _file_here(self, filing: Filing) -> Moved:
        """File a document that stays where it is stored: with the patient's general documents."""
        try:
            with self.operation("file", file_id=filing.file_id) as target, transaction():
                file = self.authorized_file(filing.file_id, Action.EDIT, target, lock=True)
                require_live(file, TRASHED)
                changes = changes_of(file, filing.details, {}, partial(checked_changes, filing.record_type, file))
                file.to_file = False
                place = [file.entity_type, file.entity_id]
                about: dict[str, Any] = {"from_patient": file.patient_id, "from": place}
                event_log.record(self.actor, "file", target, **about)
                if changes:
                    self.save_changes("edit", file, changes, target)
                index.put_documents(self.registry, [file])
                return Moved(file.id, file.file_name)
        except MedfilesError as error:
            return Moved(filing.file_id, None, error)

    def _file_there(
        self, record_type: RecordType, record_id: int, details: Mapping[int, Mapping[str, Any]]
    ) -> dict[int, Moved]:
        try:
            moved = self.move_many([*details], record_type, record_id, details)
        except MedfilesError as error:
            return {file_id: Moved(file_id, None, error) for file_id in details}
        return {each.file_id: each for each in moved}


def read_cursor(token: str) -> Cursor:
    return cursors.read(token, SCOPE, lambda value: value)


def sure_enough(confidence: Confidence) -> bool:
    """Return whether a document is selected beforehand."""
    return confidence in (Confidence.SURE, Confidence.LIKELY)
