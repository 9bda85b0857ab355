"""The one door: every verb of every service passes it, is admitted or refused there, and either way leaves an event."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from sqlalchemy import Select, bindparam, select

from medfiles import permissions
from medfiles.audit import event_log
from medfiles.audit.event_log import Subject
from medfiles.database.session import db, end_reading, transaction
from medfiles.errors import DatabaseUnavailable, Infected, MedfilesError, NotFound, StorageError
from medfiles.models import EntityFile, Patient, RecordMixin
from medfiles.permissions import Action, Actor
from medfiles.record_types.declared import EntityType, Registry
from medfiles.storage import Storages


@cache
def _row(model: Any, lock: bool) -> Select[Any]:
    """A row and the actor's level on its patient; with `lock` the row alone, since the level counts that is there when
    the row is ours. Asked for in every request, so it is built once."""
    query = select(model) if lock else select(model, permissions.level_of(model.patient_id))
    query = query.where(model.id == bindparam("id")).execution_options(populate_existing=True)
    return query.with_for_update() if lock else query


@dataclass
class Service:
    """Base of the services: who asks, the kinds of records there are, and where bytes are kept."""

    actor: Actor
    registry: Registry
    storages: Storages

    @contextmanager
    def verb(self, action: str, **subject: Any) -> Iterator[Subject]:
        """What is refused or fails inside is written to the trail in a transaction of its own, then raised on."""
        spoken_of = Subject(**subject)
        try:
            yield spoken_of
        except MedfilesError as error:
            self.record_refusals(action, [(spoken_of, error)])
            raise

    @contextmanager
    def reading(self, action: str, **subject: Any) -> Iterator[Subject]:
        """A verb that shows something: the trail has it before anybody sees what was read inside."""
        end_reading()  # what is read now is what is there now
        with self.verb(action, **subject) as spoken_of:
            yield spoken_of
            event_log.record_read(self.actor, action, spoken_of)

    def record_refusals(self, action: str, refused: Sequence[tuple[Subject, MedfilesError]]) -> None:
        """In a transaction of their own: what was tried has just been rolled back."""
        with suppress(DatabaseUnavailable), transaction():
            for subject, error in refused:
                outcome = "failed" if isinstance(error, StorageError) else "refused"
                if len(refused) == 1 and event_log.is_known_refusal(self.actor, action, subject, error.code):
                    continue
                found = {"signature": error.signature} if isinstance(error, Infected) else {}
                event_log.record(self.actor, action, subject, outcome=outcome, reason=error.code, **found)

    def record_each(self, action: str, files: Sequence[EntityFile]) -> None:
        """One event for each document, in the open transaction."""
        event_log.record_each(self.actor, action, [(event_log.subject_of(file), {}) for file in files])

    def admit(self, action: Action, patient_id: int, subject: Subject) -> Action:
        """The choke point: nothing of a patient is shown or changed unless this returned."""
        subject.patient_id = patient_id
        return permissions.permit(self.actor, action, patient_id)

    def admitted_patient(self, patient_id: int, action: Action, subject: Subject, *, lock: bool = False) -> Patient:
        """The patient; with `lock` nobody else adds a record to it until the commit."""
        self.admit(action, patient_id, subject)
        patient: Patient = db.session.get_one(Patient, patient_id, with_for_update=lock)
        subject.name = f"{patient.first_name} {patient.last_name}"
        return patient

    def admitted_record(
        self, kind: EntityType, record_id: int, action: Action, subject: Subject, *, lock: bool = False
    ) -> RecordMixin:
        """The record, in the trash or not; with `lock` nobody else changes it or its documents until the commit."""
        record, level = self._row(kind.model, record_id, lock)
        subject.entity_type, subject.entity_id = kind.name, record_id
        self._admit_row(action, record, level, subject, kind.title_of(record))
        return cast(RecordMixin, record)

    def admitted_file(self, file_id: int, action: Action, subject: Subject, *, lock: bool = False) -> EntityFile:
        """The document, in the trash or not; with `lock` nobody else changes it until the commit."""
        file, level = self._row(EntityFile, file_id, lock)
        subject.entity_type, subject.entity_id = file.entity_type, file.entity_id
        self._admit_row(action, file, level, subject, file.file_name)
        return cast(EntityFile, file)

    def _row(self, model: Any, number: int, lock: bool) -> tuple[Any, Action | None]:
        found = db.session.execute(_row(model, lock), {"id": number, **permissions.asks(self.actor)}).one_or_none()
        if found is None:
            raise NotFound()
        row: Any = found[0]
        if lock:
            return row, permissions.level_on(self.actor, row.patient_id)
        return row, permissions.judged(self.actor, row.patient_id, found[1])

    def _admit_row(
        self, action: Action, row: RecordMixin | EntityFile, level: Action | None, subject: Subject, name: str
    ) -> None:
        """What is in the trash does not exist for those who may only look."""
        subject.patient_id = row.patient_id
        level = permissions.sufficient(level, Action.VIEW)
        subject.name = name
        if row.deleted_at is not None and level == Action.VIEW:
            raise NotFound()
        permissions.suffices(level, action)
