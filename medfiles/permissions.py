"""Who may do what: a patient's owner and the accounts it is shared with. Others see nothing."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ScalarSelect, Select, bindparam, case, literal, or_, select, union_all

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import Forbidden, NotFound
from medfiles.models import Patient, PatientShare


class Action(StrEnum):
    """What an actor may do with a patient and everything that belongs to it, lowest first."""

    VIEW = "view"
    EDIT = "edit"
    OWN = "owner"


RANK = {Action.VIEW: 1, Action.EDIT: 2, Action.OWN: 3}


@dataclass(frozen=True)
class Actor:
    """The account on whose behalf an operation runs, and where the request came from."""

    user_id: int
    email: str
    is_admin: bool = False
    address: str | None = None
    request_id: str | None = None
    token: str | None = None  # name of the API token used instead of a session
    token_id: int | None = None
    only_patient: int | None = None  # the only patient this token can see


def levels(actor: Actor) -> Select[tuple[int, str]]:
    """Select (patient_id, level) for every patient the actor can see, to be joined into queries."""
    both = union_all(*_granted(actor.user_id, now())).subquery()
    found = select(both.c.patient_id, both.c.level)
    return found if actor.only_patient is None else found.where(both.c.patient_id == actor.only_patient)


def _granted(user_id: Any, at: Any) -> tuple[Select[int, str], Select[int, str]]:
    """Select (patient_id, level) of owned and of currently shared patients. Both arguments may be bind parameters."""
    owned = select(Patient.id.label("patient_id"), literal("owner").label("level")).where(Patient.user_id == user_id)
    current = or_(PatientShare.expires_at.is_(None), PatientShare.expires_at > at)
    shared = (
        select(PatientShare.patient_id, PatientShare.level)
        .join(Patient, Patient.id == PatientShare.patient_id)
        .where(PatientShare.user_id == user_id, Patient.user_id != user_id, current)
    )
    return owned, shared


def patients_for(actor: Actor, action: Action = Action.VIEW) -> Select[tuple[int]]:
    """Select the ids of the patients on whom the actor may perform this action."""
    allowed = levels(actor).subquery()
    rank = case({level.value: number for level, number in RANK.items()}, value=allowed.c.level, else_=0)
    return select(allowed.c.patient_id).where(rank >= RANK[action])


def level_sql(patient_id: Any) -> ScalarSelect[Any]:
    """Scalar subquery: the actor's level, loaded with the row. Bind it with `level_parameters`."""
    found = []
    for granted in _granted(bindparam("user_id"), bindparam("at")):
        whose, level = granted.selected_columns
        found.append(granted.with_only_columns(level).where(whose == patient_id))
    return union_all(*found).scalar_subquery()


def level_parameters(actor: Actor) -> dict[str, Any]:
    """Parameters of a query that contains `level_sql`."""
    return {"user_id": actor.user_id, "at": now()}


_LEVEL_FOR = select(level_sql(bindparam("patient_id")))  # executed in every request, so it is built once


def level_for(actor: Actor, patient_id: int) -> Action | None:
    """Return the actor's level on this patient, None for no access."""
    level = db.session.scalar(_LEVEL_FOR, {**level_parameters(actor), "patient_id": patient_id})
    return effective_level(actor, patient_id, level)


def effective_level(actor: Actor, patient_id: int, level: str | None) -> Action | None:
    """Limit the result of `level_sql` to the patient of the actor's token, if it has one."""
    return Action(level) if level and actor.only_patient in (None, patient_id) else None


def require(actor: Actor, action: Action, patient_id: int) -> Action:
    """Return the actor's level on this patient.

    Raises NotFound without any access, Forbidden when the level is too low for the action.
    """
    return require_level(level_for(actor, patient_id), action)


def require_level(level: Action | None, action: Action) -> Action:
    """Return the level; raise NotFound if there is none, Forbidden if it is too low."""
    if level is None:
        raise NotFound()
    if RANK[level] < RANK[action]:
        raise Forbidden()
    return level
