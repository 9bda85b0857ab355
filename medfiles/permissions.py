"""Access control. Only a patient's owner and the accounts the patient is shared with can see the patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    exists,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import aliased

from medfiles.clock import SKEW, now
from medfiles.database.session import db
from medfiles.errors import Archived, Forbidden, NotFound, SignedOut
from medfiles.i18n import N_
from medfiles.models import ApiToken, Patient, PatientPin, PatientShare, User

_PATIENT = aliased(Patient)  # for conditions within queries of patients


class Action(StrEnum):
    """Access levels for a patient and that patient's records and documents, lowest first."""

    VIEW = "view"
    EDIT = "edit"
    OWN = "owner"


@dataclass(frozen=True)
class Access:
    """The actor's level for a patient, None without access, and whether the patient is archived."""

    level: Action | None
    is_archived: bool = False


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
    return _granted(actor.user_id, now(), now() + SKEW, patient, actor.only_patient)


def granted_by_parameters(narrowed: bool, patient: type[Patient] = Patient) -> Sequence[Select[int, str]]:
    """Return the queries of `granted` for a statement that is built once and executed with `parameters(actor)`.

    `narrowed` is whether the actor's token can access only one patient.
    """
    only: Any = bindparam("only_patient") if narrowed else None
    return _granted(bindparam("user_id"), bindparam("at"), bindparam("latest"), patient, only)


def can_view(actor: Actor, patient_id: Any) -> ColumnElement[bool]:
    """Return the condition that the actor can see a row's patient, which is looked up for each row.

    For queries that find their rows without it; `patients_for` is for those that read the rows of all patients.
    """
    return allows(actor, patient_id, Action.VIEW)


def parameters(actor: Actor) -> dict[str, Any]:
    """Return the parameters with which statements are executed that were built without an actor."""
    at = now()
    return {"user_id": actor.user_id, "at": at, "latest": at + SKEW, "only_patient": actor.only_patient}


def allows(actor: Actor, patient_id: Any, action: Action) -> ColumnElement[bool]:
    """Return the condition that the actor's level for a row's patient allows `action`, as `can_view` does.

    Archived patients can only be viewed.
    """
    return _allows(granted(actor, _PATIENT), patient_id, action)


def allows_by_parameters(narrowed: bool, patient_id: Any, action: Action) -> ColumnElement[bool]:
    """Return the condition of `allows` for a statement that is built once, as `granted_by_parameters` does."""
    return _allows(granted_by_parameters(narrowed, _PATIENT), patient_id, action)


def has_level(actor: Actor, patient_id: Any, action: Action) -> ColumnElement[bool]:
    """Return the condition that the actor's level for a row's patient is at least `action`, archived or not."""
    return _has_level(granted(actor, _PATIENT), patient_id, action)


def account_allows(user_id: Any, patient_id: Any, action: Action) -> ColumnElement[bool]:
    """Return the condition that an account, given by a column, is active and may do `action` for a row's patient."""
    allowed = _allows(_granted(user_id, now(), now() + SKEW), patient_id, action)
    return and_(allowed, exists().where(User.id == user_id, User.active))


def _allows(granted: Sequence[Select[int, str]], patient_id: Any, action: Action) -> ColumnElement[bool]:
    found = _has_level(granted, patient_id, action)
    return found if action == Action.VIEW else and_(found, ~archived_sql(patient_id))


def _has_level(granted: Sequence[Select[int, str]], patient_id: Any, action: Action) -> ColumnElement[bool]:
    found = []
    for query in granted:
        whose, level = query.selected_columns
        found.append(query.where(whose == patient_id, _is_enough(level, action)).exists())
    return or_(*found)


def _is_enough(level: Any, action: Action) -> ColumnElement[bool]:
    enough = [one.value for one in RANK if RANK[one] >= RANK[action]]
    return true() if len(enough) == len(RANK) else level.in_(enough)


@cache
def seen_columns(narrowed: bool) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the columns of a query of patients from which `seen` sets `is_pinned` and `has_namesake`.

    Execute the query with `parameters(actor)`; `narrowed` is as in `granted_by_parameters`. Building these columns
    takes longer than executing them, and nearly every page does.
    """
    other = aliased(Patient)
    same = [getattr(other, name) == getattr(Patient, name) for name in ("birth_date", "last_name", "first_name")]
    visible = [
        query.where(query.selected_columns[0] == other.id).exists()
        for query in granted_by_parameters(narrowed, _PATIENT)
    ]
    has_namesake = exists().where(other.id != Patient.id, *same, or_(*visible))
    is_pinned = exists().where(PatientPin.patient_id == Patient.id, PatientPin.user_id == bindparam("user_id"))
    return is_pinned, has_namesake


def seen(patient: Patient, is_pinned: bool, has_namesake: bool) -> Patient:
    """Return the patient with what the actor sees of it, from the `seen_columns` of its row."""
    patient.is_pinned, patient.has_namesake = bool(is_pinned), bool(has_namesake)
    return patient


def patient_as_seen_by(actor: Actor, patient_id: int, *, lock: bool = False) -> Patient:
    """Return a patient as the actor sees it, read again even if the session has loaded it before."""
    query = _patient(actor.only_patient is not None, lock)
    return seen(*db.session.execute(query, {**parameters(actor), "patient_id": patient_id}).one())


@cache
def _patient(narrowed: bool, lock: bool) -> Select[Patient, bool, bool]:
    query = select(Patient, *seen_columns(narrowed)).where(Patient.id == bindparam("patient_id"))
    query = query.execution_options(populate_existing=True)
    return query.with_for_update(of=Patient) if lock else query


def _granted(
    user_id: Any, at: Any, latest: Any, patient: type[Patient] = _PATIENT, only_patient: Any = None
) -> Sequence[Select[int, str]]:
    """Return two queries for (patient_id, level): one for owned patients, one for those currently shared with the user.

    `patient` must not be what an enclosing query selects from: a condition on its rows would be one on these instead.

    Patients in the trash are excluded, so nothing that belongs to them can be listed, counted or opened. A share with
    an expiry is current if it was created no later than `latest` and expires after `at`. With `only_patient`, other
    patients are excluded. The arguments may be bind parameters.
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
    if only_patient is None:
        return owned, shared
    return owned.where(patient.id == only_patient), shared.where(share.patient_id == only_patient)


def trashed_patients(actor: Actor) -> Select[int]:
    """Return a query for the ids of the trashed patients that the actor may restore: those the actor owns."""
    owned = select(Patient.id).where(
        Patient.user_id == actor.user_id, Patient.deleted_at.is_not(None), Patient.purge_began_at.is_(None)
    )
    return owned if actor.only_patient is None else owned.where(Patient.id == actor.only_patient)


def patients_for(actor: Actor, action: Action = Action.VIEW) -> Select[tuple[int]]:
    """Return a query for the ids of all patients for whom the actor's level allows `action`.

    Archived patients can only be viewed.
    """
    allowed = levels(actor).subquery()
    found = select(allowed.c.patient_id).where(_is_enough(allowed.c.level, action))
    return found if action == Action.VIEW else found.where(~archived_sql(allowed.c.patient_id))


def level_sql(patient_id: Any) -> ScalarSelect[Any]:
    """Return a scalar subquery for the actor's level, to load together with a row.

    Execute the query with `parameters(actor)`.
    """
    found = []
    for granted in granted_by_parameters(False, _PATIENT):
        whose, level = granted.selected_columns
        found.append(granted.with_only_columns(level).where(whose == patient_id))
    return union_all(*found).scalar_subquery()


def archived_sql(patient_id: Any) -> ScalarSelect[Any]:
    """Return a scalar subquery for whether the patient is archived, to load together with a row."""
    return select(_PATIENT.archived_at.is_not(None)).where(_PATIENT.id == patient_id).scalar_subquery()


# Executed in every request, so it is built once.
_ACCESS_FOR = select(level_sql(bindparam("patient_id")), archived_sql(bindparam("patient_id")))


def access_for(actor: Actor, patient_id: int) -> Access:
    """Return the actor's access to this patient."""
    level, is_archived = db.session.execute(_ACCESS_FOR, {**parameters(actor), "patient_id": patient_id}).one()
    return Access(effective_level(actor, patient_id, level), bool(is_archived))


def level_for(actor: Actor, patient_id: int) -> Action | None:
    """Return the actor's level for this patient, or None if the actor has no access."""
    return access_for(actor, patient_id).level


def effective_level(actor: Actor, patient_id: int, level: str | None) -> Action | None:
    """Convert a `level_sql` result to an Action, or to None if it is empty or the token excludes this patient."""
    return Action(level) if level and actor.only_patient in (None, patient_id) else None


_ACTIVE = exists().where(User.id == bindparam("account_id"), User.active)
_VALID_TOKEN = exists().where(
    ApiToken.id == bindparam("token_id"), or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > bindparam("at"))
)
_ACCESS_NOW = select(level_sql(bindparam("patient_id")), archived_sql(bindparam("patient_id")), _ACTIVE, _VALID_TOKEN)


def current_access(actor: Actor, patient_id: int) -> Access:
    """Return the actor's access to this patient, checked again in the transaction that makes a change.

    The request may have been authorized an hour ago. Raises SignedOut if the account has since been disabled, or if the
    token has since been revoked or has expired.
    """
    asked = {"patient_id": patient_id, "account_id": actor.user_id, "token_id": actor.token_id}
    row = db.session.execute(_ACCESS_NOW, {**parameters(actor), **asked}).one()
    level, is_archived, active, valid_token = row
    if actor.token_id is not None and not (active and valid_token):
        raise SignedOut(INVALID_TOKEN)
    if not active:
        raise SignedOut()
    return Access(effective_level(actor, patient_id, level), bool(is_archived))


def require_access(access: Access, action: Action, *, writes: bool) -> Action:
    """Return the level. Raises NotFound or Forbidden as `require_level` does.

    Raises Archived if the operation writes something that belongs to an archived patient.
    """
    level = require_level(access.level, action)
    if writes and access.is_archived and action != Action.VIEW:
        raise Archived()
    return level


def require_level(level: Action | None, action: Action) -> Action:
    """Return the level. Raises NotFound if it is None, or Forbidden if it is too low for `action`."""
    if level is None:
        raise NotFound()
    if RANK[level] < RANK[action]:
        raise Forbidden()
    return level
