"""Base class for services: authorize the actor, load rows, write audit events."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast

from sqlalchemy import Select, bindparam, select

from medfiles import permissions
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.database.session import db, end_read, transaction
from medfiles.errors import DatabaseUnavailable, Infected, MedfilesError, NotFound, StorageError
from medfiles.models import EntityFile, Patient, RecordMixin
from medfiles.permissions import Access, Action, Actor
from medfiles.record_types.declared import RecordType, Registry
from medfiles.record_types.edits import Changes
from medfiles.storage import Storages

# Operations on an archived patient: reading, what ends the archive or the patient, and taking access away.
ALLOWED_WHEN_ARCHIVED = frozenset(
    (
        *event_log.LOOKED,
        *("archive-patient", "unarchive-patient", "delete-patient", "restore-patient", "purge-patient"),
        *("revoke-link", "end-smart-link", "unshare"),
        *("pin-patient", "unpin-patient"),  # belong to the account
    )
)


@cache
def _row(model: Any, lock: bool) -> Select[Any]:
    """Return the query for a row and the actor's access level for its patient.

    With `lock`, the query selects only the row, because the level must be read after the row is locked. Queries are
    cached, because every request executes one.
    """
    access = permissions.level_sql(model.patient_id), permissions.archived_sql(model.patient_id)
    query = select(model) if lock else select(model, *access)
    query = query.where(model.id == bindparam("id")).execution_options(populate_existing=True)
    return query.with_for_update() if lock else query


@dataclass
class Loaded:
    """Cache of the rows and access to patients that a request has loaded, so that it loads each only once."""

    rows: dict[tuple[Any, int], Any] = field(default_factory=dict)
    access: dict[int, Access] = field(default_factory=dict)

    def clear(self) -> None:
        self.rows.clear()
        self.access.clear()


@dataclass
class Service:
    """Operations that one actor performs on this installation's records and documents."""

    actor: Actor
    registry: Registry
    storages: Storages
    loaded: Loaded | None = field(default=None, kw_only=True)

    @contextmanager
    def operation(self, action: str, **about: Any) -> Iterator[AuditTarget]:
        """Run one operation. Record a refusal or failure in the audit log, then re-raise it."""
        target = AuditTarget(**about, writes=action not in ALLOWED_WHEN_ARCHIVED)
        try:
            yield target
        except MedfilesError as error:
            if self.loaded is not None:
                self.loaded.clear()
            self.record_refusals(action, [(target, error)])
            raise

    @contextmanager
    def reading(self, action: str, **about: Any) -> Iterator[AuditTarget]:
        """Run one read operation, and record its audit event before the caller gets the result."""
        end_read()  # start a new snapshot
        with self.operation(action, **about) as target:
            yield target
            event_log.record_read(self.actor, action, target)

    def record_refusals(self, action: str, refused: Sequence[tuple[AuditTarget, MedfilesError]]) -> None:
        """Record refusals in a separate transaction, because the operation's own was rolled back."""
        with suppress(DatabaseUnavailable), transaction():
            for target, error in refused:
                outcome = "failed" if isinstance(error, StorageError) else "refused"
                if len(refused) == 1 and event_log.is_known_refusal(self.actor, action, target, error.code):
                    continue
                found = {"signature": error.signature} if isinstance(error, Infected) else {}
                event_log.record(self.actor, action, target, outcome=outcome, reason=error.code, **found)

    def save_changes(self, action: str, row: Any, changes: Changes, target: AuditTarget, **details: Any) -> None:
        """Apply changes to the row and log them with the previous values, in the open transaction."""
        for name, (_, after) in changes.items():
            setattr(row, name, after)
        target.changes = changes
        event_log.record(self.actor, action, target, **{"changed": sorted(changes), **details})

    def authorize(self, action: Action, patient_id: int, target: AuditTarget) -> Action:
        """Return the actor's access level for the patient. Raises NotFound or Forbidden if it is too low for `action`.

        Raises Archived if the operation would change something of an archived patient.

        Every access to a patient goes through this method or `_authorize_row`.
        """
        target.patient_id = patient_id
        return permissions.require_access(self._access(patient_id), action, writes=target.writes)

    def authorized_patient(
        self, patient_id: int, action: Action, target: AuditTarget, *, lock: bool = False
    ) -> Patient:
        """Return the patient. With `lock`, lock the row, which blocks new records for the patient until the commit."""
        self.authorize(action, patient_id, target)
        rows = {} if self.loaded is None or lock else self.loaded.rows
        if (Patient, patient_id) not in rows:
            rows[Patient, patient_id] = permissions.patient_as_seen_by(self.actor, patient_id, lock=lock)
        patient = cast(Patient, rows[Patient, patient_id])
        if lock:
            access = permissions.current_access(self.actor, patient_id)
            permissions.require_access(access, action, writes=target.writes)
        target.name = f"{patient.first_name} {patient.last_name}"
        return patient

    def authorized_record(
        self, record_type: RecordType, record_id: int, action: Action, target: AuditTarget, *, lock: bool = False
    ) -> RecordMixin:
        """Return the record, trashed or not. With `lock`, block changes to it and its documents until the commit."""
        if record_type is self.registry.patient:
            target.entity_type, target.entity_id = record_type.name, record_id
            return cast(RecordMixin, self.authorized_patient(record_id, action, target, lock=lock))
        record, access = self._row(record_type.model, record_id, lock)
        target.entity_type, target.entity_id = record_type.name, record_id
        self._authorize_row(action, record, access, target, record_type.title_of(record))
        return cast(RecordMixin, record)

    def authorized_file(self, file_id: int, action: Action, target: AuditTarget, *, lock: bool = False) -> EntityFile:
        """Return the document, trashed or not. With `lock`, block changes to it until the commit."""
        file, access = self._row(EntityFile, file_id, lock)
        target.entity_type, target.entity_id = file.entity_type, file.entity_id
        self._authorize_row(action, file, access, target, file.file_name)
        return cast(EntityFile, file)

    def _access(self, patient_id: int) -> Access:
        if self.loaded is None:
            return permissions.access_for(self.actor, patient_id)
        if patient_id not in self.loaded.access:
            self.loaded.access[patient_id] = permissions.access_for(self.actor, patient_id)
        return self.loaded.access[patient_id]

    def _row(self, model: Any, number: int, lock: bool) -> tuple[Any, Access]:
        if self.loaded is not None and not lock and (model, number) in self.loaded.rows:
            known = self.loaded.rows[model, number]
            return known, self.loaded.access[known.patient_id]
        parameters = {"id": number, **permissions.parameters(self.actor)}
        found = db.session.execute(_row(model, lock), parameters).one_or_none()
        if found is None:
            raise NotFound()
        row: Any = found[0]
        if lock:
            return row, permissions.current_access(self.actor, row.patient_id)
        access = Access(permissions.effective_level(self.actor, row.patient_id, found[1]), bool(found[2]))
        if self.loaded is not None:
            self.loaded.rows[model, number] = row
            self.loaded.access[row.patient_id] = access
        return row, access

    def _authorize_row(
        self, action: Action, row: RecordMixin | EntityFile, access: Access, target: AuditTarget, name: str
    ) -> None:
        """Raise NotFound, Forbidden or Archived if the action is not allowed. Viewers cannot see trashed rows."""
        target.patient_id = row.patient_id
        level = permissions.require_level(access.level, Action.VIEW)
        target.name = name
        if row.deleted_at is not None and level == Action.VIEW:
            raise NotFound()
        permissions.require_access(access, action, writes=target.writes)
