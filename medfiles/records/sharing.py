"""Sharing: the owner of a patient lets another account view or edit it, optionally until a point in time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from medfiles.accounts import service as accounts
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict, Forbidden, NotFound, Rejected
from medfiles.models import Patient, PatientShare, User
from medfiles.permissions import Action
from medfiles.record_types.edits import changes_of
from medfiles.service import Service
from medfiles.text import clean_text

LEVELS = (Action.VIEW.value, Action.EDIT.value)
MOST = 50  # people with access to one patient
NO_ACCOUNT = "There is no account with the email “{}”. Check the email, or have this person create an account first."
REVOKED = "{} no longer has access. Open this page again to give access."
OWNERS = "Only the owner of this patient can change who has access."


@dataclass(frozen=True)
class Grant:
    """A share and the e-mail address of the account that has it."""

    share: PatientShare
    email: str


@dataclass
class ShareService(Service):
    def list(self, patient_id: int) -> Sequence[Grant]:
        """Return all shares of a patient by e-mail address, expired ones included."""
        with self.reading("view-people", patient_id=patient_id) as target:
            self._owned(patient_id, target)
            query = select(PatientShare, User.email).join(User, User.id == PatientShare.user_id)
            rows = db.session.execute(query.where(PatientShare.patient_id == patient_id).order_by(User.email))
            return [Grant(share, email) for share, email in rows]

    def own(self, patient_id: int) -> PatientShare | None:
        """Return the actor's own share; None for the owner."""
        with self.operation("view-patient", patient_id=patient_id) as target:
            self.authorize(Action.VIEW, patient_id, target)
            return _share(patient_id, self.actor.user_id)

    def grant(
        self,
        patient_id: int,
        email: str,
        level: str,
        expires_at: datetime | None = None,
        *,
        before: Mapping[str, Any] | None = None,
    ) -> tuple[Grant, bool]:
        """Share a patient with the account of this e-mail address; return the share and whether it is new.

        expires_at  end of access, None for no end
        before      `level` and `expires_at` that the form was filled with: those the owner left alone keep their
                    current value

        Raises Rejected, naming the field, for an invalid value; EditConflict for one that changed in between.
        """
        address = clean_text(email, 255, "The email") or ""
        with self.operation("share", patient_id=patient_id, name=address) as target, transaction() as session:
            patient = self._owned(patient_id, target, lock=True)
            user = _recipient(patient, address)
            earlier = _share(patient_id, user.id)
            if before and earlier is None:
                raise Conflict(REVOKED.format(user.email))
            count = select(func.count(PatientShare.id)).where(PatientShare.patient_id == patient_id)
            if earlier is None and (session.scalar(count) or 0) >= MOST:
                message = f"{MOST} people have access, the most allowed. Revoke access of one of them first."
                raise Rejected.about("email", message)
            share = earlier or PatientShare(patient_id=patient_id, user_id=user.id)
            values = {"level": level, "expires_at": expires_at}
            changes = changes_of(share, values, before or {}, _checked)
            target.name = user.email
            for name, (_, after) in changes.items():
                setattr(share, name, after)
            session.add(share)
            session.flush()
            target.changes = changes if earlier else None
            until = share.expires_at.isoformat() if share.expires_at else None
            event_log.record(self.actor, "share", target, level=share.level, until=until)
            return Grant(share, user.email), earlier is None

    def revoke(self, share_id: int, patient_id: int | None = None) -> Grant:
        """Delete a share. The owner of the patient may, and the account that has it.

        Raises NotFound if the share is not of `patient_id`, unless that is None.
        """
        with self.operation("unshare") as target, transaction() as session:
            share: PatientShare | None = session.get(
                PatientShare, share_id, populate_existing=True, with_for_update=True
            )
            if share is None or patient_id not in (None, share.patient_id):
                raise NotFound()
            if share.user_id == self.actor.user_id:
                self.authorize(Action.VIEW, share.patient_id, target)
            else:
                self._owned(share.patient_id, target)
            grant = Grant(share, session.get_one(User, share.user_id).email)
            target.name = grant.email
            event_log.record(self.actor, "unshare", target, level=share.level)
            session.delete(share)
            return grant

    def _owned(self, patient_id: int, target: AuditTarget, *, lock: bool = False) -> Patient:
        """Return the patient, which must belong to the actor; a name that the audit target has already is kept."""
        name = target.name
        if self.authorize(Action.VIEW, patient_id, target) != Action.OWN:
            raise Forbidden(OWNERS)
        patient = self.authorized_patient(patient_id, Action.OWN, target, lock=lock)
        target.name = name or target.name
        return patient


def _checked(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return these fields of a share as they are stored."""
    level, ends = values.get("level", Action.VIEW), values.get("expires_at")
    if level not in LEVELS:
        raise Rejected.about("level", "level must be view or edit.")
    if ends is not None and ends <= now():
        raise Rejected.about("expires_at", "The end of access must be in the future.")
    return {name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in values.items()}


def _share(patient_id: int, user_id: int) -> PatientShare | None:
    query = select(PatientShare).where(PatientShare.patient_id == patient_id, PatientShare.user_id == user_id)
    return db.session.scalar(query.execution_options(populate_existing=True))


def _recipient(patient: Patient, email: str) -> User:
    """Return the active account of this address, which must not be the owner's."""
    unknown = Rejected.about("email", NO_ACCOUNT.format(email[:100]))
    try:
        user = accounts.find(email)
    except NotFound:
        raise unknown from None
    if not user.active:
        raise unknown
    if user.id == patient.user_id:
        raise Rejected.about("email", "This is the owner’s own email. Enter the email of another person.")
    return user
