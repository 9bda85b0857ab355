"""Who may do what. Everything hangs on the patient: its owner and those it is shared with; others see nothing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ScalarSelect, Select, bindparam, case, literal, or_, select, union_all

from medfiles.clock import now
from medfiles.database.session import db
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


def levels(actor: Actor) -> Select[tuple[int, str]]:
    """(patient_id, level) for every patient the actor may see: to be joined into queries, never filtered after."""
    both = union_all(*_granted(actor.user_id, now())).subquery()
    found = select(both.c.patient_id, both.c.level)
    return found if actor.only_patient is None else found.where(both.c.patient_id == actor.only_patient)


def _granted(user_id: Any, at: Any) -> tuple[Select[int, str], Select[int, str]]:
    """(patient_id, level) of what an account owns, and of what is shared with it at that moment; both may be parameters
    for later."""
    owned = select(Patient.id.label("patient_id"), literal("owner").label("level")).where(Patient.user_id == user_id)
    current = or_(PatientShare.expires_at.is_(None), PatientShare.expires_at > at)
    shared = (
        select(PatientShare.patient_id, PatientShare.level)
        .join(Patient, Patient.id == PatientShare.patient_id)
        .where(PatientShare.user_id == user_id, Patient.user_id != user_id, current)
    )
    return owned, shared


def patients_for(actor: Actor, action: Action = Action.VIEW) -> Select[tuple[int]]:
    """Ids of the patients with whom the actor may do this."""
    allowed = levels(actor).subquery()
    rank = case({level.value: number for level, number in RANK.items()}, value=allowed.c.level, else_=0)
    return select(allowed.c.patient_id).where(rank >= RANK[action])


def level_of(patient_id: Any) -> ScalarSelect[Any]:
    """The actor's level on the patient of a row: a column of a query that `asks` for it, which is thus one question."""
    found = []
    for granted in _granted(bindparam("user_id"), bindparam("at")):
        whose, level = granted.selected_columns
        found.append(granted.with_only_columns(level).where(whose == patient_id))
    return union_all(*found).scalar_subquery()


def asks(actor: Actor) -> dict[str, Any]:
    """Parameters of a query with `level_of` in it."""
    return {"user_id": actor.user_id, "at": now()}


def level_on(actor: Actor, patient_id: int) -> Action | None:
    return judged(actor, patient_id, db.session.scalar(_LEVEL_ON, {**asks(actor), "patient_id": patient_id}))


_LEVEL_ON = select(level_of(bindparam("patient_id")))  # asked in every request, so it is built once


def judged(actor: Actor, patient_id: int, level: str | None) -> Action | None:
    """What `level_of` found, as far as the actor's token reaches."""
    return Action(level) if level and actor.only_patient in (None, patient_id) else None


def permit(actor: Actor, action: Action, patient_id: int) -> Action:
    """The actor's level on this patient; `NotFound` when it may not even look, `Forbidden` when it may only look."""
    return sufficient(level_on(actor, patient_id), action)


def sufficient(level: Action | None, action: Action) -> Action:
    if level is None:
        raise NotFound()
    suffices(level, action)
    return level


def suffices(level: Action, action: Action) -> None:
    """`Forbidden` when this level is too low for that."""
    if RANK[level] < RANK[action]:
        raise Forbidden()
