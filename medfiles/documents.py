"""Every verb on documents: list, count, open, attach, edit, trash, restore, purge."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from medfiles import access, audit, journal, moves, sniff
from medfiles.access import Action
from medfiles.audit import Subject
from medfiles.clock import now
from medfiles.db import db, transaction
from medfiles.door import Service
from medfiles.entities import EntityType
from medfiles.errors import (
    BlobMissing,
    Conflict,
    DatabaseUnavailable,
    EmptyFile,
    IntegrityFailed,
    MedfilesError,
    Rejected,
)
from medfiles.intake import (
    FORM_OVERHEAD,
    Intake,
    Paper,
    accepted_extension,
    allow,
    checked_changes,
    checked_details,
    must_be_alive,
    must_have_room,
    too_large,
)
from medfiles.models import EntityFile
from medfiles.sandbox import Sandbox
from medfiles.storage import Staged, Storage, live_key

T = TypeVar("T")


@dataclass(frozen=True)
class Opened:
    """A document that may be read: `read(start, end)` gives chunks of its bytes."""

    file: EntityFile
    storage: Storage

    def size(self) -> int:
        size = self._found(lambda key: self.storage.stat(key).size)
        if size != self.file.file_size:
            raise IntegrityFailed("This document is damaged. Please tell whoever looks after this installation.")
        return size

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return self._found(lambda key: self.storage.open(key, start, end))

    def _found(self, ask: Callable[[str], T]) -> T:
        """Ask under the document's key; when it was moved since the row was read, under the key it has now."""
        key = self.file.file_path
        try:
            return ask(key)
        except BlobMissing:
            db.session.rollback()
            now_at = db.session.scalar(select(EntityFile.file_path).where(EntityFile.id == self.file.id))
            if now_at is None or now_at == key:
                raise
            return ask(now_at)


@dataclass
class DocumentService(Service):
    sandbox: Sandbox = field(kw_only=True)

    def list(self, kind: EntityType, record_id: int, *, trashed: bool = False) -> Sequence[EntityFile]:
        """A record's documents, newest first; those in its trash only for who may edit."""
        with self.verb("list", entity_type=kind.name, entity_id=record_id) as subject, transaction():
            self.admitted_record(kind, record_id, Action.EDIT if trashed else Action.VIEW, subject)
            audit.record_read(self.actor, "list", subject)
            return db.session.scalars(_of_record(kind, record_id, trashed)).all()

    def count(self, kind: EntityType, record_ids: Collection[int]) -> Mapping[int, int]:
        """Documents per record, in one query; records that are not there or not the actor's are left out."""
        model, allowed = kind.model, access.patients_for(self.actor)
        query = (
            select(model.id, func.count(EntityFile.id))
            .outerjoin(
                EntityFile,
                (EntityFile.entity_id == model.id)
                & (EntityFile.entity_type == kind.name)
                & EntityFile.deleted_at.is_(None),
            )
            .where(model.id.in_(record_ids), model.deleted_at.is_(None), model.patient_id.in_(allowed))
            .group_by(model.id)
        )
        return dict(db.session.execute(query).all())

    def totals(self, patient_id: int) -> Mapping[str, int]:
        """How many documents a patient has in each kind of record."""
        allowed = access.patients_for(self.actor)
        query = select(EntityFile.entity_type, func.count(EntityFile.id)).where(
            EntityFile.patient_id == patient_id,
            EntityFile.patient_id.in_(allowed),
            EntityFile.deleted_at.is_(None),
        )
        return dict(db.session.execute(query.group_by(EntityFile.entity_type)).all())

    def recent(self, patient_id: int | None = None, limit: int = 8) -> Sequence[EntityFile]:
        """The newest documents of one patient, or of all the actor may see."""
        allowed = access.patients_for(self.actor)
        query = select(EntityFile).where(EntityFile.patient_id.in_(allowed), EntityFile.deleted_at.is_(None))
        if patient_id is not None:
            query = query.where(EntityFile.patient_id == patient_id)
        return db.session.scalars(
            query.order_by(EntityFile.uploaded_at.desc(), EntityFile.id.desc()).limit(limit)
        ).all()

    def trashed(self, patient_id: int) -> Sequence[EntityFile]:
        """All documents of a patient that are in the trash, latest first."""
        with self.verb("list-trash", patient_id=patient_id) as subject, transaction():
            self.admitted_patient(patient_id, Action.EDIT, subject)
            audit.record_read(self.actor, "list-trash", subject)
            query = select(EntityFile).where(EntityFile.patient_id == patient_id, EntityFile.deleted_at.is_not(None))
            return db.session.scalars(query.order_by(EntityFile.deleted_at.desc(), EntityFile.id)).all()

    def get(self, file_id: int) -> EntityFile:
        with self.verb("view", file_id=file_id) as subject:
            return self.admitted_file(file_id, Action.VIEW, subject)

    def open(self, file_id: int) -> Opened:
        """A document to read; the trail remembers it before the first byte goes out."""
        with self.verb("download", file_id=file_id) as subject, transaction():
            file = self.admitted_file(file_id, Action.VIEW, subject)
            allow(self.registry[file.entity_type], "download")
            audit.record_read(self.actor, "download", subject)
            return Opened(file, self.storages[file.storage])

    def receive(
        self,
        kind: EntityType,
        record_id: int,
        announced: int,
        files: int | None = None,
        retry_of: str | None = None,
    ) -> Intake:
        """Leave to send `announced` bytes in at most `files` documents; asked before any of them is read.

        `retry_of` is the upload's Idempotency-Key: a full record still answers the retry of an upload it took.
        """
        with self.verb("attach", entity_type=kind.name, entity_id=record_id) as subject:
            record = self.admitted_record(kind, record_id, Action.EDIT, subject)
            allow(kind, "upload")
            must_be_alive(kind, record)
            if announced > kind.max_size * (files or kind.max_files) + FORM_OVERHEAD:
                raise too_large(kind)
            if files == 1 and self._by_key(retry_of) is None:
                must_have_room(kind, _count(kind, record_id))
            intake = Intake(kind, record_id, record.patient_id)
        db.session.rollback()  # no transaction stays open while the bytes come in
        return intake

    def stage(self, intake: Intake) -> Staged:
        return self.storages.default.stage(intake.kind.max_size)

    def attach(self, intake: Intake, staged: Staged, paper: Paper) -> tuple[EntityFile, bool]:
        """Store a document and return it and True; or, for a retry of the same upload, the first one and False."""
        subject = {
            "entity_type": intake.kind.name,
            "entity_id": intake.record_id,
            "patient_id": intake.patient_id,
        }
        with self.verb("attach", **subject, name=paper.name[:255]) as spoken_of:
            try:
                return self._attach(intake, staged, paper, spoken_of)
            finally:
                staged.discard()

    def refuse(self, intake: Intake, name: str, error: MedfilesError) -> None:
        """Remember a document that was refused while it was still being received."""
        subject = Subject(intake.patient_id, intake.kind.name, intake.record_id, name=name[:255])
        with transaction():
            audit.record(self.actor, "attach", subject, outcome="refused", reason=error.code)

    def edit(self, file_id: int, changes: Mapping[str, str | None]) -> EntityFile:
        """Change `description`, `category` or `file_name`; absent means unchanged, None or "" means cleared."""
        with self.verb("edit", file_id=file_id) as subject, transaction():
            file = self.admitted_file(file_id, Action.EDIT, subject, lock=True)
            if file.deleted_at is not None:
                raise Conflict("This document is in the trash. Restore it before you change it.")
            changed = checked_changes(self.registry[file.entity_type], file, changes)
            changed = {name: value for name, value in changed.items() if getattr(file, name) != value}
            for name, value in changed.items():
                setattr(file, name, value)
            audit.record(self.actor, "edit", subject, changed=sorted(changed))
            return file

    def trash(self, file_id: int) -> EntityFile:
        with self.verb("delete", file_id=file_id) as subject:
            file = self.admitted_file(file_id, Action.EDIT, subject)
            allow(self.registry[file.entity_type], "delete")
            if file.deleted_at is not None:
                raise Conflict("This document is already in the trash.")

            def change(files: Sequence[EntityFile]) -> None:
                for moved in files:
                    moved.deleted_at, moved.deleted_by = now(), self.actor.user_id
                audit.record(self.actor, "delete", subject)

            moves.relocate(self.storages, [file], moves.to_trash, change)
            return file

    def restore(self, file_id: int) -> EntityFile:
        with self.verb("restore", file_id=file_id) as subject:
            file = self.admitted_file(file_id, Action.EDIT, subject)
            if file.deleted_at is None:
                raise Conflict("This document is not in the trash.")
            kind = self.registry[file.entity_type]

            def change(files: Sequence[EntityFile]) -> None:
                record = self.admitted_record(kind, file.entity_id, Action.EDIT, Subject(), lock=True)
                must_be_alive(kind, record)
                must_have_room(kind, _count(kind, record.id))
                for moved in files:
                    moved.deleted_at = moved.deleted_by = None
                audit.record(self.actor, "restore", subject)

            moves.relocate(self.storages, [file], moves.to_life(self.registry), change)
            return file

    def purge(self, file_id: int) -> None:
        """Delete a document for ever; only from the trash."""
        with self.verb("purge", file_id=file_id) as subject:
            with transaction() as session:
                file = self.admitted_file(file_id, Action.EDIT, subject, lock=True)
                if file.deleted_at is None:
                    raise Conflict("Only a document that is in the trash can be deleted for ever.")
                audit.record(self.actor, "purge", subject)
                journal.release(file.storage, [file.file_path])
                session.delete(file)
            journal.remove(self.storages, [file.file_path])

    def _attach(self, intake: Intake, staged: Staged, paper: Paper, subject: Subject) -> tuple[EntityFile, bool]:
        kind = intake.kind
        self.admit(Action.EDIT, intake.patient_id, subject)
        db.session.rollback()  # nor while they are inspected
        subject.name = name = sniff.clean_name(paper.name)
        extension = accepted_extension(kind, name)
        if staged.size == 0:
            raise EmptyFile("This file is empty. Check it on your device and choose it again.")
        details = checked_details(kind, paper.description, paper.category)
        staged.finish()
        found = sniff.inspect(staged.path, extension, self.sandbox)
        if earlier := self._earlier(intake, staged, paper):
            return earlier, False
        storage, key = self.storages.default, live_key(kind.directory, extension)
        file = EntityFile(
            entity_type=kind.name, entity_id=intake.record_id, file_name=name, file_path=key, storage=storage.name,
            file_type=found.media_type, pages=found.pages, file_size=staged.size, sha256=staged.sha256,
            uploaded_by=self.actor.user_id, idempotency_key=paper.idempotency_key, **details,
        )  # fmt: skip
        journal.expect(storage.name, [key])
        try:
            storage.commit(staged, key)
            with transaction():
                stored, new = self._insert(intake, staged, paper, file, subject)
        except DatabaseUnavailable:
            raise  # the commit may have happened: only the sweep may decide
        except MedfilesError:
            journal.abandon(self.storages, [key])
            raise
        if not new:
            journal.abandon(self.storages, [key])
        return stored, new

    def _insert(
        self, intake: Intake, staged: Staged, paper: Paper, file: EntityFile, subject: Subject
    ) -> tuple[EntityFile, bool]:
        """Under the record's lock: what was true when the upload began may not be any more."""
        record = self.admitted_record(intake.kind, intake.record_id, Action.EDIT, Subject(), lock=True)
        must_be_alive(intake.kind, record)
        if earlier := self._earlier(intake, staged, paper):
            return earlier, False  # its twin won the race
        must_have_room(intake.kind, _count(intake.kind, record.id))
        file.patient_id = record.patient_id
        db.session.add(file)
        try:
            db.session.flush()
        except IntegrityError as error:
            raise _key_reused() from error
        journal.settle([file.file_path])
        subject.file_id = file.id
        audit.record(self.actor, "attach", subject, size=file.file_size, sha256=file.sha256)
        return file, True

    def _earlier(self, intake: Intake, staged: Staged, paper: Paper) -> EntityFile | None:
        """The document that an earlier try of the same upload stored."""
        earlier = self._by_key(paper.idempotency_key)
        here = (intake.kind.name, intake.record_id, staged.sha256)
        if earlier and (earlier.entity_type, earlier.entity_id, earlier.sha256) != here:
            raise _key_reused()
        return earlier

    def _by_key(self, key: str | None) -> EntityFile | None:
        if key is None:
            return None
        query = select(EntityFile).where(
            EntityFile.uploaded_by == self.actor.user_id, EntityFile.idempotency_key == key
        )
        return db.session.scalar(query)


def _of_record(kind: EntityType, record_id: int, trashed: bool) -> Any:
    gone = EntityFile.deleted_at.is_not(None) if trashed else EntityFile.deleted_at.is_(None)
    query = select(EntityFile).where(EntityFile.entity_type == kind.name, EntityFile.entity_id == record_id, gone)
    newest = EntityFile.deleted_at if trashed else EntityFile.uploaded_at
    return query.order_by(newest.desc(), EntityFile.id.desc())


def _count(kind: EntityType, record_id: int) -> int:
    query = select(func.count(EntityFile.id)).where(
        EntityFile.entity_type == kind.name,
        EntityFile.entity_id == record_id,
        EntityFile.deleted_at.is_(None),
    )
    return db.session.scalar(query) or 0


def _key_reused() -> Rejected:
    return Rejected("This upload’s Idempotency-Key was already used for another document.")
