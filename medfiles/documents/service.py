"""Every verb on documents: list, count, open, edit, trash, restore, purge; how they arrive is in arrivals."""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC

from sqlalchemy import func, select, union_all

from medfiles import permissions
from medfiles.antivirus.policy import INFECTED, require_readable
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db, transaction
from medfiles.documents import listing, relocation
from medfiles.documents.listing import ListQuery
from medfiles.documents.rules import checked_changes, must_be_alive, must_have_room
from medfiles.documents.uploading import Arrivals, live_count
from medfiles.errors import Conflict, NotFound, Outdated
from medfiles.models import EntityFile
from medfiles.permissions import Action
from medfiles.previews import cache as preview_cache
from medfiles.record_types.declared import RecordType
from medfiles.storage import digest, journal

NEWEST = ListQuery()
FIRST_TO_TRASH = "Only documents in the trash can be deleted permanently. Move this document to trash first."


@dataclass(frozen=True)
class Tally:
    live: int
    trashed: int


@dataclass
class DocumentService(Arrivals):
    def list(
        self,
        record_type: RecordType,
        record_id: int,
        list_query: ListQuery = NEWEST,
        limit: int | None = None,
        *,
        counted: bool = False,
    ) -> listing.Page:
        """A page of a record's documents as `wanted`, by default the newest first; the trash only for who may edit."""
        with self.reading("list", entity_type=record_type.name, entity_id=record_id) as target:
            record = self.authorized_record(
                record_type, record_id, Action.EDIT if list_query.trashed else Action.VIEW, target
            )
            return listing.page(
                record_type,
                record_id,
                list_query,
                limit,
                counted=counted,
                also=self.registry.additional.of_record(record_type.name, record),
            )

    def matching(self, record_type: RecordType, record_id: int, list_query: ListQuery) -> Sequence[int]:
        """Ids of all documents of a record that a list of `wanted` would show."""
        with self.reading("list", entity_type=record_type.name, entity_id=record_id) as target:
            self.authorized_record(record_type, record_id, Action.EDIT if list_query.trashed else Action.VIEW, target)
            return listing.matching(record_type, record_id, list_query)

    def tally(self, record_type: RecordType, record_id: int) -> Tally:
        """How many documents a record holds, and how many more are in its trash."""
        with self.operation("list", entity_type=record_type.name, entity_id=record_id) as target:
            self.authorized_record(record_type, record_id, Action.VIEW, target)
            query = select(func.count(EntityFile.id), func.count(EntityFile.deleted_at)).where(
                EntityFile.entity_type == record_type.name, EntityFile.entity_id == record_id
            )
            every, trashed = db.session.execute(query).one()
            return Tally(every - trashed + self.registry.additional.count(record_type.name, record_id), trashed)

    def twin(self, file: EntityFile) -> EntityFile | None:
        """The oldest other document of the same record with the same bytes."""
        query = select(EntityFile).where(
            EntityFile.sha256 == file.sha256,
            EntityFile.id != file.id,
            EntityFile.entity_type == file.entity_type,
            EntityFile.entity_id == file.entity_id,
            EntityFile.deleted_at.is_(None),
            EntityFile.patient_id.in_(permissions.patients_for(self.actor)),
        )
        return db.session.scalars(query.order_by(EntityFile.id).limit(1)).first()

    def count(self, record_type: RecordType, record_ids: Collection[int]) -> Mapping[int, int]:
        """Count documents per record, in one query. Records the actor cannot see are left out."""
        return {record_id: count for record_id, (_, count) in self.badges(record_type, record_ids).items()}

    def badges(self, record_type: RecordType, record_ids: Collection[int]) -> Mapping[int, tuple[str, int]]:
        """Return title and number of documents per record, in one query. Records the actor cannot see are left out."""
        model, allowed = record_type.model, permissions.patients_for(self.actor)
        title = getattr(model, record_type.title_field)
        documents = select(EntityFile.entity_id.label("record_id")).where(
            EntityFile.entity_type == record_type.name,
            EntityFile.entity_id.in_(record_ids),
            EntityFile.deleted_at.is_(None),
        )
        others = self.registry.additional.record_ids(record_type.name, record_ids)
        every = (documents if others is None else union_all(documents, others)).subquery()
        query = (
            select(model.id, title, func.count(every.c.record_id))
            .outerjoin(every, every.c.record_id == model.id)
            .where(model.id.in_(record_ids), model.deleted_at.is_(None), model.patient_id.in_(allowed))
            .group_by(model.id, title)
        )
        return {record_id: (str(title), count) for record_id, title, count in db.session.execute(query)}

    def totals(self, patient_id: int) -> Mapping[str, int]:
        """How many documents a patient has in each kind of record."""
        allowed = permissions.patients_for(self.actor)
        query = select(EntityFile.entity_type, func.count(EntityFile.id)).where(
            EntityFile.patient_id == patient_id,
            EntityFile.patient_id.in_(allowed),
            EntityFile.deleted_at.is_(None),
        )
        totals = dict(db.session.execute(query.group_by(EntityFile.entity_type)).all())
        this_patient = allowed.where(allowed.selected_columns[0] == patient_id)
        for kind, counts in self.registry.additional.per_patient(this_patient).items():
            totals[kind] = totals.get(kind, 0) + counts[patient_id]
        return totals

    def recent(self, patient_id: int | None = None, limit: int = 8) -> Sequence[EntityFile]:
        """The newest documents of one patient, or of all the actor may see."""
        allowed = permissions.patients_for(self.actor)
        query = select(EntityFile).where(EntityFile.patient_id.in_(allowed), EntityFile.deleted_at.is_(None))
        if patient_id is not None:
            query = query.where(EntityFile.patient_id == patient_id)
        return db.session.scalars(
            query.order_by(EntityFile.uploaded_at.desc(), EntityFile.id.desc()).limit(limit)
        ).all()

    def quarantined(self, patient_id: int) -> Sequence[EntityFile]:
        """Documents of a patient in which a scan found something and that are not in the trash."""
        allowed = permissions.patients_for(self.actor)
        query = select(EntityFile).where(
            EntityFile.patient_id == patient_id,
            EntityFile.patient_id.in_(allowed),
            EntityFile.scan == INFECTED,
            EntityFile.deleted_at.is_(None),
        )
        return db.session.scalars(query.order_by(EntityFile.id)).all()

    def trashed(self, patient_id: int) -> Sequence[EntityFile]:
        """All documents of a patient that are in the trash, latest first."""
        with self.reading("list-trash", patient_id=patient_id) as target:
            self.authorized_patient(patient_id, Action.EDIT, target)
            query = select(EntityFile).where(EntityFile.patient_id == patient_id, EntityFile.deleted_at.is_not(None))
            return db.session.scalars(query.order_by(EntityFile.deleted_at.desc(), EntityFile.id)).all()

    def get(self, file_id: int) -> EntityFile:
        """For what is written down by itself, or shows what an open list has shown."""
        with self.operation("view", file_id=file_id) as target:
            return self.authorized_file(file_id, Action.VIEW, target)

    def visible(self, file_ids: Collection[int]) -> Mapping[int, EntityFile]:
        """Return those of these documents that exist and that the actor can see, by id."""
        allowed = permissions.patients_for(self.actor)
        query = select(EntityFile).where(EntityFile.id.in_(file_ids), EntityFile.patient_id.in_(allowed))
        return {file.id: file for file in db.session.scalars(query)}

    def details(self, file_id: int) -> EntityFile:
        with self.reading("view", file_id=file_id) as target:
            return self.authorized_file(file_id, Action.VIEW, target)

    def editable(self, file_id: int) -> EntityFile:
        """Refused as `edit` would, before what is to be changed is looked at."""
        with self.operation("edit", file_id=file_id) as target:
            return self.authorized_file(file_id, Action.EDIT, target)

    def open(self, file_id: int) -> DocumentContent:
        """A document to read; the trail remembers it before the first byte goes out."""
        with self.reading("download", file_id=file_id) as target:
            file = self.authorized_file(file_id, Action.VIEW, target)
            self.registry[file.entity_type].allow("download")
            require_readable(file, self.actor)
            return opened(file, self.storages)

    def open_listed(self, number: int) -> DocumentContent:
        """Open a document by its id in a list: a stored one, or an additional one."""
        additional = self.registry.additional
        if (file_id := additional.document_id(number)) is not None:
            return self.open(file_id)
        try:
            with self.reading("download", file_id=number) as target:
                file = self.authorized_additional(number, Action.VIEW, target)
        except NotFound:
            if additional.document_id(number) is None:
                raise
            return self.open_listed(number)  # it was stored between the two looks
        content = DocumentContent(file, self.storages.attached[file.storage])
        file.sha256, file.file_size = digest(content.read())  # the size another feature noted may be wrong
        return content

    def authorized_additional(self, number: int, action: Action, target: AuditTarget) -> EntityFile:
        """Return the additional document with this id, or raise NotFound or Forbidden."""
        if (file := self.registry.additional.find(number)) is None:
            raise NotFound()
        self.authorized_record(self.registry[file.entity_type], file.entity_id, action, target)
        target.file_id, target.name = number, file.file_name
        return file

    def edit(
        self,
        file_id: int,
        changes: Mapping[str, str | None],
        before: Mapping[str, str] | None = None,
        versions: Container[str] | None = None,
    ) -> EntityFile:
        """Change `description`, `category` or `file_name`; absent means unchanged, None or "" means cleared.

        `before` is what the editor saw: what it left as it was is not changed back, and what somebody else changed
        meanwhile is not overwritten (Conflict). `versions` are those it may be changed from (Outdated).
        """
        with self.operation("edit", file_id=file_id) as target, transaction():
            file = self.authorized_file(file_id, Action.EDIT, target, lock=True)
            if versions is not None and version_of(file) not in versions:
                raise Outdated()
            must_be_live(file, "This document is in the trash. Restore it before you change it.")
            changed = checked_changes(self.registry[file.entity_type], file, _meant(file, changes, before or {}))
            changed = {name: value for name, value in changed.items() if getattr(file, name) != value}
            for name, value in changed.items():
                setattr(file, name, value)
            event_log.record(self.actor, "edit", target, changed=sorted(changed))
            return file

    def trash(self, file_id: int) -> EntityFile:
        with self.operation("delete", file_id=file_id) as target:
            file = self.authorized_file(file_id, Action.EDIT, target)
            self.registry[file.entity_type].allow("delete")
            must_be_live(file)
            self._to_trash([file])
            return file

    def restore(self, file_id: int) -> EntityFile:
        with self.operation("restore", file_id=file_id) as target:
            file = self.authorized_file(file_id, Action.EDIT, target)
            must_be_trashed(file)
            self._to_life(self.registry[file.entity_type], file.entity_id, [file])
            return file

    def purge(self, file_id: int) -> None:
        """Delete a document for ever; only from the trash."""
        with self.operation("purge", file_id=file_id) as target:
            with transaction():
                file = self.authorized_file(file_id, Action.EDIT, target, lock=True)
                must_be_trashed(file, FIRST_TO_TRASH)
                keys = self._erase([file])
            journal.remove(self.storages, keys)

    def _to_trash(self, files: Sequence[EntityFile]) -> None:
        def change(moved: Sequence[EntityFile]) -> None:
            for file in moved:
                file.deleted_at, file.deleted_by = now(), self.actor.user_id
            self.record_each("delete", moved)

        relocation.relocate(self.storages, files, relocation.to_trash, change)

    def _to_life(self, record_type: RecordType, record_id: int, files: Sequence[EntityFile]) -> None:
        """Documents of one record; all of them or, when it has not room for all, none."""

        def change(moved: Sequence[EntityFile]) -> None:
            record = self.authorized_record(record_type, record_id, Action.EDIT, AuditTarget(), lock=True)
            must_be_alive(record_type, record)
            must_have_room(record_type, live_count(self.registry, record_type, record_id) + len(moved) - 1)
            for file in moved:
                file.deleted_at = file.deleted_by = None
            self.record_each("restore", moved)

        relocation.relocate(self.storages, files, relocation.to_life(self.registry), change)

    def _erase(self, files: Sequence[EntityFile]) -> Sequence[str]:
        """In the open transaction: drop the rows; the keys whose objects have to go once it is committed."""
        self.record_each("purge", files)
        for file in files:
            journal.release(file.storage, [file.file_path])
            db.session.delete(file)
        keys = [*(file.file_path for file in files), *preview_cache.release({file.sha256 for file in files})]
        return [*keys, *self.registry.additional.forget(files)]


def version_of(file: EntityFile) -> str:
    """What a document is known by until anything about it changes."""
    return file.updated_at.astimezone(UTC).strftime("%Y%m%dT%H%M%S.%f")


def _meant(file: EntityFile, changes: Mapping[str, str | None], before: Mapping[str, str]) -> dict[str, str | None]:
    meant = {name: value for name, value in changes.items() if name not in before or (value or "") != before[name]}
    for name, value in meant.items():
        if name in before and (getattr(file, name) or "") not in (before[name], value or ""):
            raise Conflict("This document was changed by someone else. Reload it before you save.")
    return meant


def must_be_live(file: EntityFile, otherwise: str = "This document is already in the trash.") -> None:
    if file.deleted_at is not None:
        raise Conflict(otherwise)


def must_be_trashed(file: EntityFile, otherwise: str = "This document is not in the trash.") -> None:
    if file.deleted_at is None:
        raise Conflict(otherwise)
