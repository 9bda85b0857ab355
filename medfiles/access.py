"""Who may do what. Everything hangs on the patient: its owner and those it is shared with; others see nothing."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, case, literal, or_, select, union_all

from medfiles.clock import now
from medfiles.db import db
from medfiles.errors import Forbidden, NotFound
from medfiles.models import Patient, PatientShare


class Action(StrEnum):
    """What an actor wants with a patient and all that belongs to it, from least to most."""

    VIEW = "view"
    EDIT = "edit"
    OWN = "owner"


RANK = {Action.VIEW: 1, Action.EDIT: 2, Action.OWN: 3}


@dataclass(frozen=True)
class Actor:
    """Who asks, and from where: what every verb is done in the name of."""

    user_id: int
    email: str
    is_admin: bool = False
    address: str | None = None
    request_id: str | None = None
    token: str | None = None  # name of the personal token that is used in place of a session
    only_patient: int | None = None  # that token sees no other patient


def _current() -> ColumnElement[bool]:
    return or_(PatientShare.expires_at.is_(None), PatientShare.expires_at > now())


def levels(actor: Actor) -> Select[tuple[int, str]]:
    """(patient_id, level) for every patient the actor may see: to be joined into queries, never filtered after."""
    owned = select(Patient.id.label("patient_id"), literal("owner").label("level")).where(
        Patient.user_id == actor.user_id
    )
    shared = (
        select(PatientShare.patient_id, PatientShare.level)
        .join(Patient, Patient.id == PatientShare.patient_id)
        .where(PatientShare.user_id == actor.user_id, Patient.user_id != actor.user_id, _current())
    )
    both = union_all(owned, shared).subquery()
    found = select(both.c.patient_id, both.c.level)
    return found if actor.only_patient is None else found.where(both.c.patient_id == actor.only_patient)


def patients_for(actor: Actor, action: Action = Action.VIEW) -> Select[tuple[int]]:
    """Ids of the patients with whom the actor may do this."""
    allowed = levels(actor).subquery()
    rank = case({level.value: number for level, number in RANK.items()}, value=allowed.c.level, else_=0)
    return select(allowed.c.patient_id).where(rank >= RANK[action])


def level_on(actor: Actor, patient_id: int) -> Action | None:
    allowed = levels(actor).subquery()
    level = db.session.scalar(select(allowed.c.level).where(allowed.c.patient_id == patient_id))
    return Action(level) if level else None


def permit(actor: Actor, action: Action, patient_id: int) -> Action:
    """The actor's level on this patient; `NotFound` when it may not even look, `Forbidden` when it may only look."""
    level = level_on(actor, patient_id)
    if level is None:
        raise NotFound()
    if RANK[level] < RANK[action]:
        raise Forbidden()
    return level
