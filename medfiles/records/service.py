"""Operations on patients and their records, and a patient's activity."""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, cast

from sqlalchemy import ColumnElement, func, literal, select, union_all

from medfiles import permissions
from medfiles.audit import event_log
from medfiles.audit.activity import NOTHING, Hidden
from medfiles.audit.event_log import EVERYTHING, ActivityFilter, AuditTarget
from medfiles.database.cursors import Cursor
from medfiles.database.session import count, db, transaction
from medfiles.documents import lifecycle
from medfiles.errors import Conflict, NotFound, OutOfScope
from medfiles.i18n import gettext
from medfiles.models import AuditEvent, EntityFile, Patient, RecordMixin
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.record_types.edits import changes_of, require_version
from medfiles.record_types.fields import PATIENT_FIELDS, checked
from medfiles.records import hues, listing, moved_away, people, timeline
from medfiles.records.listing import RecordListQuery
from medfiles.records.patients import PatientService
from medfiles.records.timeline import TimelinePage, TimelineQuery, TimelineTotals
from medfiles.search import index
from medfiles.texts import suggesting


@dataclass(frozen=True)
class Activity:
    """A patient's audit events, newest first.

    events    audit events, each with the e-mail address of its account
    people    accounts that appear in any of the patient's events, with their addresses
    document  last known name of the document that the events were filtered by, if any
    hidden    documents and records that were moved to a patient whom the actor cannot see
    """

    events: Sequence[tuple[AuditEvent, str | None]]
    people: Sequence[tuple[int, str]]
    document: str | None
    hidden: Hidden = NOTHING


@dataclass(frozen=True)
class Summary:
    """A patient with the actor's access level."""

    patient: Patient
    level: Action


def _summaries(found: people.Found) -> Sequence[Summary]:
    return [Summary(patient, Action(level)) for patient, level in found]


@dataclass
class RecordService(PatientService):
    def patients(self) -> Sequence[Summary]:
        """Return all patients the actor can see, ordered by name."""
        return self.patient_page(None, None)[0]

    def patient_page(self, cursor: Cursor | None, limit: int | None) -> tuple[Sequence[Summary], str | None]:
        """Return up to `limit` patients after the cursor, ordered by name, and the cursor of the next page."""
        found, more = people.after(self.actor, cursor, limit)
        return _summaries(found), more

    def shown_people(self, most: int) -> tuple[Sequence[Summary], bool]:
        """Return all patients by name, without archived ones; if more than `most`, only those last used, and True.

        Pinned patients come first.
        """
        found, has_more = people.shown(self.actor, most)
        return _summaries(found), has_more

    def pinned_people(self, most: int) -> Sequence[Summary]:
        """Return up to `most` of the patients that the actor's account has pinned, by name."""
        return _summaries(people.pinned(self.actor, most))

    def pin_patient(self, patient_id: int, pinned: bool = True) -> Summary:
        """Pin a patient, so that it comes first in the lists of the actor's account, or unpin it."""
        action = "pin-patient" if pinned else "unpin-patient"
        with self.operation(action, patient_id=patient_id) as target, transaction():
            patient = self.authorized_patient(patient_id, Action.VIEW, target)
            if patient.is_pinned != pinned:
                people.set_pinned(self.actor, patient_id, pinned)
                patient.is_pinned = pinned
                event_log.record(self.actor, action, target)
            return Summary(patient, self.authorize(Action.VIEW, patient_id, target))

    def find_people(
        self, words: str, cursor: Cursor | None, size: int
    ) -> tuple[Sequence[Summary], int | None, str | None]:
        """Return a page of the patients whose name or birth date contains every word, ordered by name.

        Archived patients are left out. Also return how many there are on all pages, on the first one, and the cursor of
        the next page, if there is one.
        """
        page = people.page(self.actor, words, cursor, size)
        return _summaries(page.people), page.hits, page.next

    def archived_people(self, words: str = "") -> Sequence[Summary]:
        """Return the archived patients whose name or birth date contains every word, ordered by name."""
        return _summaries(people.archived(self.actor, words))

    def last_used(self, patient_ids: Collection[int]) -> Summary | None:
        """Return which of these patients the actor used last, or None if none was used lately."""
        used = [patient_id for patient_id in people.used_by(self.actor) if patient_id in patient_ids]
        return next(iter(self.people_of(used[:1])), None)

    def people_of(self, patient_ids: Collection[int]) -> Sequence[Summary]:
        """Return these patients, as far as the actor can see them."""
        return _summaries(people.of(self.actor, [*patient_ids]))

    def patient(self, patient_id: int) -> Summary:
        with self.reading("view-patient", patient_id=patient_id) as target:
            patient = self.authorized_patient(patient_id, Action.VIEW, target)
            return Summary(patient, self.authorize(Action.VIEW, patient_id, target))

    def level(self, patient_id: int, action: Action = Action.VIEW, operation: str = "view-patient") -> Action:
        """Return the actor's access level for a patient, after checking that it allows the action.

        A denial is logged under the name `operation`.
        """
        with self.operation(operation, patient_id=patient_id) as target:
            return self.authorize(action, patient_id, target)

    def create_patient(self, values: Mapping[str, Any]) -> Patient:
        """Create a patient owned by the actor; without a `hue` it is assigned one."""
        with self.operation("create-patient") as target, transaction() as session:
            if self.actor.only_patient is not None:
                raise OutOfScope(gettext("This token is limited to one patient and cannot add patients."))
            if values.get("hue") is None:
                values = {**values, "hue": self.unused_hue()}
            patient = Patient(user_id=self.actor.user_id, **checked(PATIENT_FIELDS, values))
            session.add(patient)
            session.flush()
            self.authorized_patient(patient.id, Action.OWN, target)
            index.put_patient(patient)
            event_log.record(self.actor, "create-patient", target)
            suggesting.withdraw(patient.birth_date, patient.user_id)
            return patient

    def unused_hue(self) -> int:
        """Return the hue that the fewest patients have whom the actor can see."""
        return hues.least_used(Patient.id.in_(permissions.patients_for(self.actor)))

    def edit_patient(
        self,
        patient_id: int,
        values: Mapping[str, Any],
        *,
        before: Mapping[str, Any] | None = None,
        versions: Container[str] | None = None,
    ) -> Patient:
        """Change a patient's fields; absent fields stay unchanged. For `before` and `versions`, see `edit`."""
        with self.operation("edit-patient", patient_id=patient_id) as target, transaction():
            patient = self.authorized_patient(patient_id, Action.EDIT, target, lock=True)
            require_version(patient, versions)
            changes = changes_of(patient, values, before or {}, partial(checked, PATIENT_FIELDS, partial=True))
            self.save_changes("edit-patient", patient, changes, target)
            index.put_patient(patient)
            if "birth_date" in changes:
                suggesting.withdraw(patient.birth_date, patient.user_id)
            return people.reloaded(self.actor, patient)

    def counts(self, patient_id: int) -> dict[str, int]:
        """Count a patient's records by record type."""
        with self.operation("view-patient", patient_id=patient_id) as target:
            self.authorize(Action.VIEW, patient_id, target)
            arms = [
                select(literal(record_type.name), func.count(record_type.model.id)).where(
                    record_type.model.patient_id == patient_id, record_type.model.deleted_at.is_(None)
                )
                for record_type in self.registry
            ]
            return dict(db.session.execute(union_all(*arms)).all())

    def list(self, patient_id: int, record_type: RecordType) -> Sequence[RecordMixin]:
        """Return a patient's records of one type, newest first."""
        with self.reading("list-records", patient_id=patient_id, entity_type=record_type.name) as target:
            self.authorized_patient(patient_id, Action.VIEW, target)
            query = select(record_type.model).where(
                record_type.model.patient_id == patient_id, record_type.model.deleted_at.is_(None)
            )
            records = db.session.scalars(query).all()
        return sorted(records, key=lambda record: (record_type.date_of(record) or date.min, record.id), reverse=True)

    def page(self, patient_id: int, record_type: RecordType, query: RecordListQuery, limit: int) -> listing.RecordPage:
        """Return a page of a patient's records of one type, with search, years and a sort order."""
        with self.reading("list-records", patient_id=patient_id, entity_type=record_type.name) as target:
            self.authorized_patient(patient_id, Action.VIEW, target)
            return listing.page(record_type, patient_id, query, limit)

    def timeline(self, patient_id: int, query: TimelineQuery, limit: int) -> TimelinePage:
        """Return a page of a patient's records of all types, the newest first, with their newest documents."""
        with self.reading("list-records", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.VIEW, target)
            return timeline.page(self.registry, patient_id, self.actor.user_id, query, limit)

    def timeline_totals(self, patient_id: int) -> TimelineTotals:
        """Count a patient's records per record type and year."""
        with self.operation("view-patient", patient_id=patient_id) as target:
            self.authorize(Action.VIEW, patient_id, target)
            return timeline.totals(self.registry, patient_id)

    def trashed(self, patient_id: int) -> Sequence[tuple[RecordType, RecordMixin, int]]:
        """Return a patient's trashed records, each with the number of documents that would be restored with it."""
        with self.reading("list-trash", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
            found = []
            for record_type in self.registry:
                model = record_type.model
                number = select(func.count(EntityFile.id)).where(*_of(record_type, model.id, _is_at(model.deleted_at)))
                query = select(model, number.scalar_subquery()).where(model.patient_id == patient_id)
                rows = db.session.execute(query.where(model.deleted_at.is_not(None)))
                found += [(record_type, record, number) for record, number in rows]
        return sorted(found, key=lambda entry: cast(datetime, entry[1].deleted_at), reverse=True)

    def get(self, record_type: RecordType, record_id: int) -> RecordMixin:
        with self.reading("view-record", entity_type=record_type.name, entity_id=record_id) as target:
            return self.authorized_record(record_type, record_id, Action.VIEW, target)

    def editable(self, record_type: RecordType, record_id: int) -> RecordMixin:
        """Return a record after checking that the actor may edit it. Called before the changes are parsed."""
        with self.operation("edit-record", entity_type=record_type.name, entity_id=record_id) as target:
            return self.authorized_record(record_type, record_id, Action.EDIT, target)

    def titles(self, files: Sequence[EntityFile]) -> Mapping[tuple[str, int], str]:
        """Return the titles of the records that these documents are attached to, by one statement."""
        arms = []
        for record_type in self.registry.every:
            ids = {file.entity_id for file in files if file.entity_type == record_type.name}
            if ids:
                model, title = record_type.model, getattr(record_type.model, record_type.title_field)
                allowed = permissions.can_view(self.actor, model.patient_id)
                arms.append(select(literal(record_type.name), model.id, title).where(model.id.in_(ids), allowed))
        rows = db.session.execute(union_all(*arms)) if arms else ()
        return {(name, record_id): str(title) for name, record_id, title in rows}

    def create(
        self, patient_id: int, record_type: RecordType, values: Mapping[str, Any], key: str | None = None
    ) -> RecordMixin:
        """Create a record. A second call with the same `key` updates the record that the first call created."""
        with (
            self.operation("create-record", patient_id=patient_id, entity_type=record_type.name) as target,
            transaction() as session,
        ):
            self.authorized_patient(patient_id, Action.EDIT, target, lock=True)
            fields = checked(record_type.fields, values)
            if key:
                model = record_type.model
                query = select(model).where(model.patient_id == patient_id, model.creation_key == key)
                if earlier := db.session.scalar(query):
                    return self._create_again(record_type, earlier, fields, target)
            record = record_type.model(patient_id=patient_id, creation_key=key, **fields)  # type: ignore[call-arg]
            session.add(record)
            session.flush()
            target.entity_id, target.name = record.id, record_type.title_of(record)
            index.put_record(record_type, record)
            event_log.record(self.actor, "create-record", target)
            return record

    def edit(
        self,
        record_type: RecordType,
        record_id: int,
        values: Mapping[str, Any],
        remove: Collection[int] = (),
        *,
        before: Mapping[str, Any] | None = None,
        versions: Container[str] | None = None,
    ) -> RecordMixin:
        """Change a record's fields; absent fields stay unchanged.

        remove    ids of the record's documents to move to the trash in the same transaction
        before    values the form was filled with; fields that the editor left alone keep their current value
        versions  versions (from `version_of`) that the change may be based on

        Raises EditConflict if the editor and someone else changed a field to different values, or Outdated if the
        record has none of the versions.
        """
        with self.operation("edit-record", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.EDIT, target)
            files, before = self._to_remove(record_type, record_id, remove), before or {}
            check = partial(checked, record_type.fields, partial=True)
            changes_of(record, values, before, check)  # report a conflict before any bytes are copied
            with lifecycle.moving_to_trash(self.storages, files) as moved:
                locked = self.authorized_record(record_type, record_id, Action.EDIT, target, lock=True)
                require_version(locked, versions)
                require_editable(record_type, locked)
                changes = changes_of(locked, values, before, check)
                self.save_changes("edit-record", locked, changes, target)
                index.put_changed_record(self.registry, record_type, locked, changes)
                lifecycle.mark_trashed(self.actor, moved)
            return record

    def delete(self, record_type: RecordType, record_id: int) -> tuple[RecordMixin, int]:
        """Move a record and its documents to the trash; return the record and the number of documents.

        If there are more than LARGE documents, a job moves their bytes afterwards.
        """
        with self.operation("delete-record", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.EDIT, target)
            if record.deleted_at is not None:
                raise Conflict(gettext("This %(record)s is already in the trash.", record=record_type.noun))
            if self._is_large(record_type, record):
                with transaction():
                    locked, number = self._lock_all(record_type, record)
                    lifecycle.trash_all(self.actor, record_type, locked, number)
                    event_log.record(self.actor, "delete-record", target, documents=number)
                return locked, number
            files = _files(record_type, record_id, EntityFile.deleted_at.is_(None))
            with lifecycle.moving_to_trash(self.storages, files) as moved:
                locked = self._lock_unchanged(record_type, record_id, None, moved)
                lifecycle.mark_trashed(self.actor, moved, locked)
                event_log.record(self.actor, "delete-record", target, documents=len(moved))
            return record, len(files)

    def restore(self, record_type: RecordType, record_id: int) -> tuple[RecordMixin, int]:
        """Restore a record and the documents trashed with it; return the record and the number of documents.

        If there are more than LARGE documents, a job moves their bytes afterwards.
        """
        with self.operation("restore-record", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.EDIT, target)
            if record.deleted_at is None:
                raise Conflict(gettext("This %(record)s is not in the trash.", record=record_type.noun))
            if self._is_large(record_type, record):
                with transaction():
                    locked, number = self._lock_all(record_type, record)
                    lifecycle.restore_all(record_type, locked, number)
                    event_log.record(self.actor, "restore-record", target, documents=number)
                return locked, number
            deleted_at, files = record.deleted_at, _trashed_with(record_type, record)
            with lifecycle.moving_from_trash(self.storages, self.registry, files) as moved:
                locked = self._lock_unchanged(record_type, record_id, deleted_at, moved)
                lifecycle.mark_restored(self.actor, moved, locked)
                event_log.record(self.actor, "restore-record", target, documents=len(moved))
            return record, len(files)

    def trail(self, patient_id: int, before: int | None = None, narrowed: ActivityFilter = EVERYTHING) -> Activity:
        """Return a patient's audit events. Only the owner and accounts that can edit may see them."""
        with self.reading("view-activity", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
        name, whole_life = None, False
        if narrowed.document is not None:
            name = event_log.last_name_of(patient_id, narrowed.document)
            here = (EntityFile.id == narrowed.document, EntityFile.patient_id == patient_id)
            whole_life = db.session.scalar(select(EntityFile.id).where(*here)) is not None
        events = event_log.trail(None if whole_life else patient_id, before, narrowed=narrowed)
        kept = moved_away.hidden(self.actor, self.registry, patient_id, [event for event, _ in events])
        if narrowed.document in kept.documents:
            name = None
        return Activity(events, event_log.people(patient_id), name, kept)

    def history(
        self, record_type: RecordType, record_id: int, before: int | None = None
    ) -> Sequence[tuple[AuditEvent, str | None]]:
        """Return the edits to a record and its documents, newest first. `before` is the id of the last one seen."""
        with self.reading("view-history", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(record_type, record_id, Action.EDIT, target)
        return self._named(
            record.patient_id, event_log.changes(record.patient_id, (record_type.name, record_id), before)
        )

    def patient_history(self, patient_id: int, before: int | None = None) -> Sequence[tuple[AuditEvent, str | None]]:
        """Return the edits to a patient and the patient's own documents, newest first. For `before`, see `history`."""
        with self.reading("view-history", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
        return self._named(patient_id, event_log.changes(patient_id, before=before))

    def last_changes(
        self, patient_id: int, record: tuple[str, int] | None = None, file_id: int | None = None
    ) -> Mapping[str, tuple[AuditEvent, str | None]]:
        """Return the last edit to each field of a patient, a record (given as type and id) or a document."""
        entity_type, entity_id = record or (None, None)
        about = {"patient_id": patient_id, "entity_type": entity_type, "entity_id": entity_id}
        with self.reading("view-history", **about) as target:
            self.authorize(Action.EDIT, patient_id, target)
        edits = event_log.changes(patient_id, record)
        fields: dict[str, tuple[AuditEvent, str | None]] = {}
        for event, email in edits:
            for name in (event.details or {}).get("changed", ()) if event.file_id == file_id else ():
                fields.setdefault(name, (event, email))
        return fields

    def former_value(
        self, patient_id: int, change: int, field: str, record: tuple[str, int] | None = None
    ) -> tuple[int | None, Any]:
        """Return the id of the edited document, if any, and the value that a field had before an edit.

        `change` is the id of the edit's event. Raises NotFound if the edit does not exist, or if the value was erased
        or never kept.
        """
        entity_type, entity_id = record or (None, None)
        about = {"patient_id": patient_id, "entity_type": entity_type, "entity_id": entity_id}
        with self.reading("view-history", **about) as target:
            self.authorize(Action.EDIT, patient_id, target)
            found = self._named(patient_id, event_log.changes(patient_id, record, before=change + 1, limit=1))
            kept = {event.id: (event.file_id, event.personal.get("changes") or {}) for event, _ in found}
            file_id, changes = kept.get(change, (None, {}))
            if field not in changes:
                raise NotFound()
        return file_id, changes[field][0]

    def _named(
        self, patient_id: int, edits: Sequence[tuple[AuditEvent, str | None]]
    ) -> Sequence[tuple[AuditEvent, str | None]]:
        """Return the edits without those to documents that were moved to a patient whom the actor cannot see."""
        kept = moved_away.hidden(self.actor, self.registry, patient_id, [event for event, _ in edits])
        return [(event, email) for event, email in edits if not kept.hides(event)]

    def _create_again(
        self, record_type: RecordType, record: RecordMixin, fields: Mapping[str, Any], target: AuditTarget
    ) -> RecordMixin:
        """Save a resubmitted form for a new record. Raises Conflict if the record has been edited since."""
        require_editable(record_type, record)
        target.entity_id, target.name = record.id, record_type.title_of(record)
        edits = event_log.changes(record.patient_id, (record_type.name, record.id))
        details = [event.details or {} for event, _ in edits if event.file_id is None]
        if any(each.get("changed") and not each.get("again") for each in details):
            raise Conflict(
                gettext(
                    "This %(record)s has already been saved and changed since then. Open it to edit it.",
                    record=record_type.noun,
                )
            )
        changes = changes_of(record, fields, {}, lambda given: given)
        self.save_changes("edit-record", record, changes, target, again=True)
        index.put_changed_record(self.registry, record_type, record, changes)
        return record

    def _to_remove(self, record_type: RecordType, record_id: int, remove: Collection[int]) -> Sequence[EntityFile]:
        """Return these documents, except those in the trash. Raises NotFound if one is not attached to the record."""
        if not remove:
            return ()
        record_type.allow("delete")
        files = _files(record_type, record_id, EntityFile.id.in_(remove))
        if {file.id for file in files} != set(remove):
            raise NotFound()
        return [file for file in files if file.deleted_at is None]

    def _lock_unchanged(
        self, record_type: RecordType, record_id: int, deleted_at: datetime | None, moved: Sequence[EntityFile]
    ) -> RecordMixin:
        """Lock the record. Raises Conflict if it or its documents changed while bytes were being copied."""
        record = self.authorized_record(record_type, record_id, Action.EDIT, AuditTarget(), lock=True)
        files = _files(record_type, record_id, EntityFile.deleted_at == deleted_at)
        if record.deleted_at != deleted_at or {file.id for file in moved} != {file.id for file in files}:
            raise Conflict(lifecycle.CHANGED)
        return record

    def _is_large(self, record_type: RecordType, record: RecordMixin) -> bool:
        """Return whether more than LARGE documents share the record's state: live, or trashed with it."""
        return count(EntityFile.id, *_of(record_type, record.id, _is_at(record.deleted_at))) > lifecycle.LARGE

    def _lock_all(self, record_type: RecordType, record: RecordMixin) -> tuple[RecordMixin, int]:
        """Lock the record and the documents that share its state; return the record and their number.

        Raises Conflict if the record's state has changed since it was read.
        """
        record_id, deleted_at = record.id, record.deleted_at
        number = lifecycle.lock_all(record_type.name, record_id, deleted_at)
        locked = self.authorized_record(record_type, record_id, Action.EDIT, AuditTarget(), lock=True)
        if locked.deleted_at != deleted_at:
            raise Conflict(lifecycle.CHANGED)
        return locked, number


def _files(record_type: RecordType, record_id: int, which: ColumnElement[bool]) -> Sequence[EntityFile]:
    query = select(EntityFile).where(*_of(record_type, record_id, which))
    return db.session.scalars(query.order_by(EntityFile.id)).all()


def _of(record_type: RecordType, record_id: Any, which: ColumnElement[bool]) -> tuple[ColumnElement[bool], ...]:
    return EntityFile.entity_type == record_type.name, EntityFile.entity_id == record_id, which


def _is_at(deleted_at: Any) -> ColumnElement[bool]:
    """Return a condition for documents moved to the trash at this time; None stands for live documents."""
    condition: ColumnElement[bool] = EntityFile.deleted_at == deleted_at
    return condition


def _trashed_with(record_type: RecordType, record: RecordMixin) -> Sequence[EntityFile]:
    return _files(record_type, record.id, EntityFile.deleted_at == record.deleted_at)


def require_editable(record_type: RecordType, record: RecordMixin) -> None:
    if record.deleted_at is not None:
        raise Conflict(
            gettext("This %(record)s is in the trash. Restore it before you change it.", record=record_type.noun)
        )
