"""Operations on documents: list, count, open, edit, trash, restore, purge. For uploads, see `uploading`."""

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Select, func, not_, select

from medfiles import permissions
from medfiles.antivirus.policy import INFECTED, require_readable
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db, end_read, transaction
from medfiles.documents import lifecycle, listing, take_back
from medfiles.documents.listing import ListQuery
from medfiles.documents.rules import checked_changes, require_live, require_live_record, require_room, require_trashed
from medfiles.documents.uploading import UploadService, count_live
from medfiles.errors import Conflict, NotFound
from medfiles.i18n import N_
from medfiles.models import AuditEvent, EntityFile
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.record_types.edits import changes_of, require_version
from medfiles.search import index
from medfiles.storage import digest, journal

NEWEST, TRASH = ListQuery(), ListQuery(trashed=True)
AMONG = 1000  # newest documents of the installation, among which an actor's are looked for first
FIRST_TO_TRASH = N_("Only documents in the trash can be deleted permanently. Move this document to trash first.")


@dataclass(frozen=True)
class RecordTotals:
    """How many of a record's documents are live and how many are in the trash.

    `at` is not later than the moment they were counted: of several totals, those with the latest are the newest.
    """

    live: int
    trashed: int
    at: float = field(default_factory=lambda: now().timestamp())


@dataclass
class DocumentService(UploadService):
    def list(
        self,
        record_type: RecordType,
        record_id: int,
        list_query: ListQuery = NEWEST,
        limit: int | None = None,
        *,
        counted: bool = False,
        columns: Sequence[Any] = (),
    ) -> listing.Page:
        """Return a page of a record's documents, newest first by default. Viewers cannot list the trash.

        `counted` and `columns` have the same meaning as in `listing.page`.
        """
        with self.reading("list", entity_type=record_type.name, entity_id=record_id) as target:
            action = Action.EDIT if list_query.trashed else Action.VIEW
            record = self.authorized_record(record_type, record_id, action, target)
            also = self.registry.additional.of_record(record_type.name, record)
            where = listing.of_record(record_type, record_id)
            return listing.page(where, list_query, limit, counted=counted, columns=columns, also=also)

    def of_patient(self, patient_id: int, list_query: ListQuery = NEWEST, limit: int | None = None) -> listing.Page:
        """Return a page of the documents of all records of a patient, by default the newest first."""
        with self.reading("list", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT if list_query.trashed else Action.VIEW, target)
            also = self.registry.additional.of_patient(patient_id)
            return listing.page(listing.of_patient(patient_id), list_query, limit, also=also)

    def matching(self, record_type: RecordType, record_id: int, list_query: ListQuery) -> Sequence[int]:
        """Return the ids of all matching documents, on all pages."""
        with self.reading("list", entity_type=record_type.name, entity_id=record_id) as target:
            self.authorized_record(record_type, record_id, Action.EDIT if list_query.trashed else Action.VIEW, target)
            return listing.matching(record_type, record_id, list_query)

    def around(
        self, file: EntityFile, list_query: ListQuery, reach: int
    ) -> tuple[int, int, Sequence[tuple[int, EntityFile]]]:
        """Return a document's position and neighbors in its record's list, as `listing.around` does."""
        record_type = self.registry[file.entity_type]
        with self.reading("list", entity_type=file.entity_type, entity_id=file.entity_id) as target:
            level = Action.EDIT if list_query.trashed else Action.VIEW
            self.authorized_record(record_type, file.entity_id, level, target)
            return listing.around(record_type, file.entity_id, list_query, file.id, reach)

    def record_totals(self, record_type: RecordType, record_id: int) -> RecordTotals:
        with self.operation("list", entity_type=record_type.name, entity_id=record_id) as target:
            self.authorized_record(record_type, record_id, Action.VIEW, target)
            query = select(func.count(EntityFile.id), func.count(EntityFile.deleted_at)).where(
                EntityFile.entity_type == record_type.name, EntityFile.entity_id == record_id
            )
            end_read()  # a snapshot from before `at` could lack later commits
            at = now().timestamp()
            both, trashed = db.session.execute(query).one()
            live = both - trashed + self.registry.additional.count(record_type.name, record_id)
            return RecordTotals(live, trashed, at)

    def duplicate_of(self, file: EntityFile) -> EntityFile | None:
        """Return the oldest other document of the same record with the same bytes, or None."""
        query = self._live().where(
            EntityFile.sha256 == file.sha256,
            EntityFile.id != file.id,
            EntityFile.entity_type == file.entity_type,
            EntityFile.entity_id == file.entity_id,
        )
        return db.session.scalars(query.order_by(EntityFile.id).limit(1)).first()

    def count(self, record_type: RecordType, record_ids: Collection[int]) -> Mapping[int, int]:
        """Count documents per record, in one query. Omit records the actor cannot see."""
        return {record_id: count for record_id, (_, count) in self.badges(record_type, record_ids).items()}

    def badges(self, record_type: RecordType, record_ids: Collection[int]) -> Mapping[int, tuple[str, int]]:
        """Return each record's title and document count, in one query. Omit records the actor cannot see."""
        model, allowed = record_type.model, permissions.can_view(self.actor, record_type.model.patient_id)
        live = EntityFile.entity_type == record_type.name, EntityFile.deleted_at.is_(None)
        number: Any = select(func.count(EntityFile.id)).where(EntityFile.entity_id == model.id, *live).scalar_subquery()
        others = self.registry.additional.record_ids(record_type.name, [model.id])
        if others is not None:
            number += others.with_only_columns(func.count()).scalar_subquery()
        query = select(model.id, getattr(model, record_type.title_field), number)
        query = query.where(model.id.in_(record_ids), model.deleted_at.is_(None), allowed)
        return {record_id: (str(title), count) for record_id, title, count in db.session.execute(query)}

    def totals(self, patient_id: int) -> Mapping[str, int]:
        """Count a patient's documents per record type."""
        allowed = permissions.patients_for(self.actor)
        query = self._live().with_only_columns(EntityFile.entity_type, func.count(EntityFile.id))
        query = query.where(EntityFile.patient_id == patient_id).group_by(EntityFile.entity_type)
        totals = dict(db.session.execute(query).all())
        this_patient = allowed.where(allowed.selected_columns[0] == patient_id)
        for name, counts in self.registry.additional.per_patient(this_patient).items():
            totals[name] = totals.get(name, 0) + counts[patient_id]
        return totals

    def recent(self, patient_id: int | None = None, limit: int = 8) -> Sequence[EntityFile]:
        """Return the newest documents for one patient, or for all patients the actor can see and has not archived.

        They are first looked for among the newest of the installation, because sorting all documents of thousands of
        patients takes seconds.
        """
        newest = EntityFile.uploaded_at.desc(), EntityFile.id.desc()
        if patient_id is not None:
            query = self._live().where(EntityFile.patient_id == patient_id)
            return db.session.scalars(query.order_by(*newest).limit(limit)).all()
        latest = select(EntityFile.id, EntityFile.patient_id).where(EntityFile.deleted_at.is_(None))
        among = latest.order_by(*newest).limit(AMONG).subquery()
        visible = permissions.can_view(self.actor, among.c.patient_id), ~permissions.archived_sql(among.c.patient_id)
        mine = select(among.c.id).where(*visible)
        query = select(EntityFile).where(EntityFile.id.in_(mine)).order_by(*newest)
        found = db.session.scalars(query.limit(limit)).all()
        if len(found) == limit:
            return found
        every = EntityFile.patient_id.in_(permissions.patients_for(self.actor))
        active = ~permissions.archived_sql(EntityFile.patient_id), EntityFile.deleted_at.is_(None)
        query = select(EntityFile).where(every, *active)
        return db.session.scalars(query.order_by(*newest).limit(limit)).all()

    def quarantined(self, patient_id: int) -> Sequence[EntityFile]:
        """Return a patient's live documents in which a scan found malware."""
        query = self._live().where(EntityFile.patient_id == patient_id, EntityFile.scan == INFECTED)
        return db.session.scalars(query.order_by(EntityFile.id)).all()

    def trashed(self, patient_id: int, list_query: ListQuery = TRASH, limit: int | None = None) -> listing.Page:
        """Return a page of a patient's trashed documents, last deleted first, except those of trashed records."""
        with self.reading("list-trash", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
            where = [*listing.of_patient(patient_id)]
            for record_type in self.registry:
                model, of_type = record_type.model, EntityFile.entity_type == record_type.name
                gone = select(model.id).where(model.patient_id == patient_id, model.deleted_at.is_not(None))
                where.append(not_(of_type & EntityFile.entity_id.in_(gone)))
            return listing.page(tuple(where), list_query, limit)

    def get(self, file_id: int) -> EntityFile:
        """Return a document without logging a view, for callers that log their own event or show a row again."""
        with self.operation("view", file_id=file_id) as target:
            return self.authorized_file(file_id, Action.VIEW, target)

    def details(self, file_id: int) -> EntityFile:
        with self.reading("view", file_id=file_id) as target:
            return self.authorized_file(file_id, Action.VIEW, target)

    def editable(self, file_id: int) -> EntityFile:
        """Return a document if the actor may edit it. Call this before parsing the changes."""
        with self.operation("edit", file_id=file_id) as target:
            return self.authorized_file(file_id, Action.EDIT, target)

    def open(self, file_id: int) -> DocumentContent:
        """Return a document's content. The audit event is written before the first byte is read."""
        with self.reading("download", file_id=file_id) as target:
            file = self.authorized_file(file_id, Action.VIEW, target)
            self.registry[file.entity_type].allow("download")
            require_readable(file, self.actor)
            return opened(file, self.storages)

    def open_listed(self, number: int) -> DocumentContent:
        """Return a document's content by its id in a list, which may be the id of an additional document."""
        additional = self.registry.additional
        if (file_id := additional.document_id(number)) is not None:
            return self.open(file_id)
        try:
            with self.reading("download", file_id=number) as target:
                file = self.authorized_additional(number, Action.VIEW, target)
        except NotFound:
            if additional.document_id(number) is None:
                raise
            return self.open_listed(number)  # it was moved here between the two lookups
        content = DocumentContent(file, self.storages.attached[file.storage])
        file.sha256, file.file_size = digest(content.read())  # the size recorded by the other feature may be wrong
        return content

    def authorized_additional(self, number: int, action: Action, target: AuditTarget) -> EntityFile:
        """Return the additional document with this id. Raises NotFound or Forbidden if access is denied."""
        if (file := self.registry.additional.find(number)) is None:
            raise NotFound()
        self.authorized_record(self.registry[file.entity_type], file.entity_id, action, target)
        target.file_id, target.name = number, file.file_name
        return file

    def last_views(self, file_id: int) -> Sequence[tuple[AuditEvent, str | None]]:
        """Return who opened a document last, each with an e-mail address. As the activity, only for editors.

        Not logged itself: it is shown with the preview, which is.
        """
        with self.operation("view-activity", file_id=file_id) as target:
            self.authorized_file(file_id, Action.EDIT, target)
        return event_log.last_views(file_id)

    def edit(
        self,
        file_id: int,
        changes: Mapping[str, str | None],
        before: Mapping[str, str] | None = None,
        versions: Container[str] | None = None,
    ) -> EntityFile:
        """Change a document's details or `file_name`. Absent fields stay unchanged; None or "" clears a field.

        before    the form's initial values: fields that the editor left unchanged keep their current value; raises
                  EditConflict if the editor and someone else changed a field to different values
        versions  versions that the change may be based on, as returned by `version_of`; raises Outdated if the
                  document has any other version
        """
        with self.operation("edit", file_id=file_id) as target, transaction():
            file = self.authorized_file(file_id, Action.EDIT, target, lock=True)
            require_version(file, versions)
            require_live(file, N_("This document is in the trash. Restore it before you change it."))
            check = partial(checked_changes, self.registry[file.entity_type], file)
            self.save_changes("edit", file, changes_of(file, changes, before or {}, check), target)
            index.put_documents(self.registry, [file])
            return file

    def trash(self, file_id: int) -> EntityFile:
        with self.operation("delete", file_id=file_id) as target:
            file = self.authorized_file(file_id, Action.EDIT, target)
            self.registry[file.entity_type].allow("delete")
            require_live(file)
            self._unless_moved(file, self._trash)
            return file

    def restore(self, file_id: int) -> EntityFile:
        with self.operation("restore", file_id=file_id) as target:
            file = self.authorized_file(file_id, Action.EDIT, target)
            require_trashed(file)
            self._unless_moved(file, partial(self._restore, self.registry[file.entity_type], file.entity_id))
            return file

    def purge(self, file_id: int) -> None:
        """Permanently delete a document that is in the trash."""
        with self.operation("purge", file_id=file_id) as target:
            with transaction():
                file = self.authorized_file(file_id, Action.EDIT, target, lock=True)
                require_trashed(file, FIRST_TO_TRASH)
                take_back.require_not_held([file_id])
                keys = lifecycle.purge(self.registry, self.actor, [file])
            journal.remove(self.storages, keys)

    def _live(self) -> Select[EntityFile]:
        """Return a query for the live documents that the actor can see."""
        allowed = permissions.can_view(self.actor, EntityFile.patient_id)
        return select(EntityFile).where(allowed, EntityFile.deleted_at.is_(None))

    def _unless_moved(self, file: EntityFile, change: Callable[[Sequence[EntityFile]], None]) -> None:
        """Change a document. Retry if only its bytes were moved in the meantime, as a job does after a restore."""
        file_id, key, deleted_at = file.id, file.file_path, file.deleted_at
        try:
            change([file])
        except Conflict:
            current = db.session.get(EntityFile, file_id, populate_existing=True)
            if current is None or current.file_path == key or current.deleted_at != deleted_at:
                raise
            change([current])

    def _trash(self, files: Sequence[EntityFile]) -> None:
        with lifecycle.moving_to_trash(self.storages, files) as moved:
            self._require_still_editor(moved)
            lifecycle.mark_trashed(self.actor, moved)

    def _require_still_editor(self, files: Sequence[EntityFile]) -> None:
        """Authorize the actor again in the open transaction, which has locked the documents."""
        for patient_id in sorted({file.patient_id for file in files}):
            access = permissions.current_access(self.actor, patient_id)
            permissions.require_access(access, Action.EDIT, writes=True)

    def _restore(self, record_type: RecordType, record_id: int, files: Sequence[EntityFile]) -> None:
        """Restore these documents of one record, or none of them if the record does not have enough room."""
        with lifecycle.moving_from_trash(self.storages, self.registry, files) as moved:
            record = self.authorized_record(record_type, record_id, Action.EDIT, AuditTarget(), lock=True)
            require_live_record(record_type, record)
            require_room(record_type, count_live(self.registry, record_type, record_id) + len(moved) - 1)
            lifecycle.mark_restored(self.actor, moved)
