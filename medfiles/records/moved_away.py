"""Find out which documents and records in a patient's log now belong to patients whom the reader cannot see."""

from collections.abc import Iterable

from sqlalchemy import not_, select

from medfiles import permissions
from medfiles.audit.activity import Hidden
from medfiles.database.session import db
from medfiles.models import AuditEvent, EntityFile
from medfiles.permissions import Actor
from medfiles.record_types.declared import Registry


def hidden(actor: Actor, registry: Registry, patient_id: int, events: Iterable[AuditEvent]) -> Hidden:
    """Return what these events of a patient must not name to the actor."""
    events = list(events)
    away = (EntityFile.patient_id != patient_id, not_(permissions.can_view(actor, EntityFile.patient_id)))
    ids = {event.file_id for event in events if event.file_id is not None}
    documents = set(db.session.scalars(select(EntityFile.id).where(EntityFile.id.in_(ids), *away))) if ids else set()
    records: set[tuple[str, int]] = set()
    for record_type in registry:
        model = record_type.model
        of_type = {event.entity_id for event in events if event.entity_type == record_type.name}
        if numbers := {number for number in of_type if number is not None}:
            elsewhere = (model.patient_id != patient_id, not_(permissions.can_view(actor, model.patient_id)))
            rows = db.session.scalars(select(model.id).where(model.id.in_(numbers), *elsewhere))
            records |= {(record_type.name, number) for number in rows}
    return Hidden(frozenset(documents), frozenset(records))
