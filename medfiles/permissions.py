"""Access control. Only a patient's owner and the accounts the patient is shared with can see the patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    case,
    exists,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import aliased

from medfiles.clock import SKEW, now
from medfiles.database.session import db
from medfiles.errors import Forbidden, NotFound, SignedOut
from medfiles.i18n import N_
from medfiles.models import ApiToken, Patient, PatientShare, User

_PATIENT = aliased(Patient)  # for conditions within queries of patients


class Action(StrEnum):
    """Access levels for a patient and that patient's records and documents, lowest first."""

    VIEW = "view"
    EDIT = "edit"
    OWN = "owner"


INVALID_TOKEN = N_("Invalid, revoked or expired token.")
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
    only_patient: int | None = None  # the only patient this token can access
    may_share: bool = True  # whether this token may grant access to others


def levels(actor: Actor) -> Select[tuple[int, str]]:
    """Return a query for (patient_id, level) for every patient the actor can see, to join into other queries."""
    both = union_all(*granted(actor)).subquery()
    return select(both.c.patient_id, both.c.level)


def granted(actor: Actor, patient: type[Patient] = Patient) -> Sequence[Select[int, str]]:
    """Return two queries for (patient_id, level): for the actor's own patients, and for those currently shared.

    Queries for a few of very many patients restrict or limit each of them, instead of reading all as `levels` does.
    """
    found = _granted(actor.user_id, now(), now() + SKEW, patient)
    if actor.only_patient is None:
        return found
    return [query.where(query.selected_columns[0] == actor.only_patient) for query in found]


def can_view(actor: Actor, patient_id: Any) -> ColumnElement[bool]:
    """Return the condition that the actor can see a row's patient, which is looked up for each row.

    For queries that find their rows without it; `patients_for` is for those that read the rows of all patients.
    """
    return or_(*(query.where(query.selected_columns[0] == patient_id).exists() for query in granted(actor, _PATIENT)))


def _granted(
    user_id: Any, at: Any, latest: Any, patient: type[Patient] = _PATIENT
) -> tuple[Select[int, str], Select[int, str]]:
    """Return two queries for (patient_id, level): one for owned patients, one for those currently shared with the user.

    `patient` must not be what an enclosing query selects from: a condition on its rows would be one on these instead.

    Patients in the trash are excluded, so nothing that belongs to them can be listed, counted or opened. A share with
    an expiry is current if it was created no later than `latest` and expires after `at`. The arguments may be bind
    parameters.
    """
    share = aliased(PatientShare)
    owned = select(patient.id.label("patient_id"), literal("owner").label("level"))
    owned = owned.where(patient.user_id == user_id, patient.deleted_at.is_(None))
    lasts = and_(share.created_at <= latest, share.expires_at > at)
    current = or_(share.expires_at.is_(None), lasts)
    shared = (
        select(share.patient_id, share.level)
        .join(patient, patient.id == share.patient_id)
        .where(share.user_id == user_id, patient.user_id != user_id, patient.deleted_at.is_(None), current)
    )
    return owned, shared


def trashed_patients(actor: Actor) -> Select[int]:
    """Return a query for the ids of the trashed patients that the actor may restore: those the actor owns."""
    owned = select(Patient.id).where(
        Patient.user_id == actor.user_id, Patient.deleted_at.is_not(None), Patient.purge_began_at.is_(None)
    )
    return owned if actor.only_patient is None else owned.where(Patient.id == actor.only_patient)


def patients_for(actor: Actor, action: Action = Action.VIEW) -> Select[tuple[int]]:
    """Return a query for the ids of all patients for whom the actor's level allows `action`."""
    allowed = levels(actor).subquery()
    rank = case({level.value: number for level, number in RANK.items()}, value=allowed.c.level, else_=0)
    return select(allowed.c.patient_id).where(rank >= RANK[action])


def level_sql(patient_id: Any) -> ScalarSelect[Any]:
    """Return a scalar subquery for the actor's level, to load together with a row.

    Bind its parameters with `level_parameters`.
    """
    found = []
    for granted in _granted(bindparam("user_id"), bindparam("at"), bindparam("latest")):
        whose, level = granted.selected_columns
        found.append(granted.with_only_columns(level).where(whose == patient_id))
    return union_all(*found).scalar_subquery()


def level_parameters(actor: Actor) -> dict[str, Any]:
    """Return the bind parameters for a query that contains `level_sql`."""
    at = now()
    return {"user_id": actor.user_id, "at": at, "latest": at + SKEW}


_LEVEL_FOR = select(level_sql(bindparam("patient_id")))  # executed in every request, so it is built once


def level_for(actor: Actor, patient_id: int) -> Action | None:
    """Return the actor's level for this patient, or None if the actor has no access."""
    level = db.session.scalar(_LEVEL_FOR, {**level_parameters(actor), "patient_id": patient_id})
    return effective_level(actor, patient_id, level)


def effective_level(actor: Actor, patient_id: int, level: str | None) -> Action | None:
    """Convert a `level_sql` result to an Action, or to None if it is empty or the token excludes this patient."""
    return Action(level) if level and actor.only_patient in (None, patient_id) else None


_ACTIVE = exists().where(User.id == bindparam("user_id"), User.active)
_VALID_TOKEN = exists().where(
    ApiToken.id == bindparam("token_id"), or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > bindparam("at"))
)
_LEVEL_NOW = select(level_sql(bindparam("patient_id")), _ACTIVE, _VALID_TOKEN)


def current_level(actor: Actor, patient_id: int) -> Action | None:
    """Return the actor's level for this patient, checked again in the transaction that makes a change.

    The request may have been authorized an hour ago. Raises SignedOut if the account has since been disabled, or if the
    token has since been revoked or has expired.
    """
    parameters = {**level_parameters(actor), "patient_id": patient_id, "token_id": actor.token_id}
    level, active, valid_token = db.session.execute(_LEVEL_NOW, parameters).one()
    if actor.token_id is not None and not (active and valid_token):
        raise SignedOut(INVALID_TOKEN)
    if not active:
        raise SignedOut()
    return effective_level(actor, patient_id, level)


def require(actor: Actor, action: Action, patient_id: int) -> Action:
    """Return the actor's level for this patient. Raises NotFound or Forbidden as `require_level` does."""
    return require_level(level_for(actor, patient_id), action)


def require_level(level: Action | None, action: Action) -> Action:
    """Return the level. Raises NotFound if it is None, or Forbidden if it is too low for `action`."""
    if level is None:
        raise NotFound()
    if RANK[level] < RANK[action]:
        raise Forbidden()
    return level
