"""Sharing: a patient's owner grants other accounts view or edit access, optionally for a limited time.

Access begins when the account with the given address signs in and accepts. Until then, nothing reveals whether that
account exists: the share is stored with the address alone, and accounts are not looked up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select

from medfiles.accounts import service as accounts
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import is_past, now
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict, Forbidden, NotFound, OutOfScope, Rejected
from medfiles.i18n import N_, gettext
from medfiles.models import Patient, PatientShare, User
from medfiles.permissions import Action, Actor
from medfiles.record_types.edits import changes_of
from medfiles.service import Service
from medfiles.text import clean_text

LEVELS = (Action.VIEW.value, Action.EDIT.value)
MOST = 50  # maximum number of people per patient who have access or are invited
INVALID_EMAIL = N_("Enter an email address, such as anna@example.org.")
REVOKED = N_("%(email)s no longer has access. Reload this page to give access again.")
OWNERS = N_("Only the owner of this patient can change who has access.")
NO_SHARING = N_("This token cannot give access. Create one with the “share” scope.")


@dataclass(frozen=True)
class Grant:
    """A share with its e-mail address: the invited one while the share is pending, then the account's."""

    share: PatientShare
    email: str


@dataclass(frozen=True)
class Invitation:
    """A pending share as its recipient sees it, with the patient's name and the owner's e-mail address."""

    share: PatientShare
    patient: str
    owner: str


@dataclass
class ShareService(Service):
    def list(self, patient_id: int) -> Sequence[Grant]:
        """Return all shares of a patient, including pending and expired ones, ordered by e-mail address."""
        with self.reading("view-people", patient_id=patient_id) as target:
            self._owned(patient_id, target)
            return _grants(PatientShare.patient_id == patient_id)

    def own(self, patient_id: int) -> PatientShare | None:
        """Return the actor's own share of a patient; None for the owner."""
        with self.operation("view-patient", patient_id=patient_id) as target:
            self.authorize(Action.VIEW, patient_id, target)
            return db.session.scalar(
                select(PatientShare).where(
                    PatientShare.patient_id == patient_id, PatientShare.user_id == self.actor.user_id
                )
            )

    def grant(
        self,
        patient_id: int,
        email: str,
        level: str,
        expires_at: datetime | None = None,
        *,
        before: Mapping[str, Any] | None = None,
    ) -> tuple[Grant, bool]:
        """Invite the account with this e-mail address, or change its access.

        expires_at  when access ends; None if it does not
        before      the `level` and `expires_at` that the form was filled with; a value that the owner left alone
                    stays as it is now

        Returns the share and whether it is new. Raises Rejected, with the name of the invalid field; EditConflict if a
        field was changed in the meantime; OutOfScope if the actor's token may not grant access.
        """
        address = clean_text(email, 255, gettext("The email")) or ""
        with self.operation("share", patient_id=patient_id, name=address) as target, transaction() as session:
            patient = self._owned(patient_id, target, lock=True)
            if not self.actor.may_share:
                raise OutOfScope(NO_SHARING)
            key = _recipient(patient, address)
            query = select(PatientShare).where(PatientShare.patient_id == patient_id, PatientShare.address_key == key)
            earlier: PatientShare | None = session.scalar(query.execution_options(populate_existing=True))
            if before and earlier is None:
                raise Conflict(gettext(REVOKED, email=address))
            count = select(func.count(PatientShare.id)).where(PatientShare.patient_id == patient_id)
            if earlier is None and (session.scalar(count) or 0) >= MOST:
                message = gettext(
                    "You can give access to up to %(most)s people. Revoke someone’s access first.", most=MOST
                )
                raise Rejected.about("email", message)
            share = earlier or PatientShare(patient_id=patient_id, address=address, address_key=key)
            if earlier and not has_begun(earlier):
                earlier.created_at = now()
            values = {"level": level, "expires_at": expires_at}
            changes = changes_of(share, values, before or {}, _checked)
            for name, (_, after) in changes.items():
                setattr(share, name, after)
            share.token_id = self.actor.token_id
            session.add(share)
            session.flush()
            target.changes = changes if earlier else None
            until = share.expires_at.isoformat() if share.expires_at else None
            event_log.record(self.actor, "share", target, level=share.level, until=until)
            return Grant(share, _email_of(share)), earlier is None

    def revoke(self, share_id: int, patient_id: int | None = None) -> Grant:
        """Delete a share. Only the patient's owner and the account that has the share may do so.

        Raises NotFound if `patient_id` is given and the share belongs to another patient.
        """
        with self.operation("unshare") as target, transaction() as session:
            share = _locked(share_id)
            if share is None or patient_id not in (None, share.patient_id):
                raise NotFound()
            if share.user_id == self.actor.user_id:
                self.authorize(Action.VIEW, share.patient_id, target)
            else:
                self._owned(share.patient_id, target)
            grant = Grant(share, _email_of(share))
            target.name = grant.email
            event_log.record(self.actor, "unshare", target, level=share.level)
            session.delete(share)
            return grant

    def invitations(self) -> Sequence[Invitation]:
        """Return the pending shares for the actor's own address, newest first."""
        query = (
            select(PatientShare, Patient.first_name, Patient.last_name, User.email)
            .join(Patient, Patient.id == PatientShare.patient_id)
            .join(User, User.id == Patient.user_id)
            .where(*self._is_pending())
            .order_by(PatientShare.id.desc())
        )
        return [Invitation(share, f"{first} {last}", owner) for share, first, last, owner in db.session.execute(query)]

    def accept(self, share_id: int) -> Grant:
        """Accept an invitation, which grants the actor's account access. A second call changes nothing."""
        with self.operation("accept-share") as target, transaction():
            share = _locked(share_id)
            if share is None or share.user_id != self.actor.user_id:
                share = self._invitation(share, target)
                share.user_id, share.accepted_at = self.actor.user_id, now()
                event_log.record(self.actor, "accept-share", target, level=share.level)
            return Grant(share, self.actor.email)

    def decline(self, share_id: int) -> Grant:
        """Decline an invitation. It is deleted, and the owner's activity list shows that it was declined."""
        with self.operation("decline-share") as target, transaction() as session:
            share = self._invitation(_locked(share_id), target)
            event_log.record(self.actor, "decline-share", target, level=share.level)
            session.delete(share)
            return Grant(share, self.actor.email)

    def _invitation(self, share: PatientShare | None, target: AuditTarget) -> PatientShare:
        """Return the share. Raises NotFound unless it is pending for the actor's own address."""
        query = select(PatientShare.id).where(*self._is_pending())
        if share is None or db.session.scalar(query.where(PatientShare.id == share.id)) is None:
            raise NotFound(gettext("This invitation no longer exists."))
        target.patient_id = share.patient_id
        return share

    def _is_pending(self) -> Sequence[ColumnElement[bool]]:
        only = self.actor.only_patient
        return (
            PatientShare.address_key == self.actor.email.lower(),
            PatientShare.accepted_at.is_(None),
            or_(PatientShare.expires_at.is_(None), PatientShare.expires_at > now()),
            PatientShare.patient_id.in_(select(Patient.id).where(Patient.deleted_at.is_(None))),
            *([] if only is None else [PatientShare.patient_id == only]),
        )

    def _owned(self, patient_id: int, target: AuditTarget, *, lock: bool = False) -> Patient:
        """Return the patient. Raises Forbidden unless the actor is the owner. Keeps a name already set in `target`."""
        name = target.name
        if self.authorize(Action.VIEW, patient_id, target) != Action.OWN:
            raise Forbidden(OWNERS)
        patient = self.authorized_patient(patient_id, Action.OWN, target, lock=lock)
        target.name = name or target.name
        return patient


def _checked(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Validate these share fields and return them in their stored form."""
    level, ends = values.get("level", Action.VIEW), values.get("expires_at")
    if level not in LEVELS:
        raise Rejected.about("level", gettext("level must be view or edit."))
    if ends is not None and ends <= now():
        raise Rejected.about("expires_at", gettext("Access must end in the future."))
    return {name: value.astimezone(UTC) if isinstance(value, datetime) else value for name, value in values.items()}


def has_begun(share: PatientShare) -> bool:
    """Return whether the share's creation time is in the past.

    A creation time in the future is wrong, so a share that has an end grants no access until then.
    """
    return is_past(share.created_at)


def is_over(share: PatientShare) -> bool:
    """Return whether the share has an end and currently grants no access."""
    return share.expires_at is not None and (share.expires_at <= now() or not has_begun(share))


def given_by_token(actor: Actor, token_id: int) -> Sequence[tuple[Grant, str]]:
    """Return the shares that the actor granted with this token and that still exist, with the patients' names."""
    query = select(Patient.id, Patient.first_name, Patient.last_name)
    query = query.where(Patient.user_id == actor.user_id, Patient.deleted_at.is_(None))
    names = {number: f"{first} {last}" for number, first, last in db.session.execute(query)}
    given = _grants(PatientShare.token_id == token_id)
    return [(grant, names[grant.share.patient_id]) for grant in given if grant.share.patient_id in names]


def _grants(*which: ColumnElement[bool]) -> Sequence[Grant]:
    query = select(PatientShare, func.coalesce(User.email, PatientShare.address).label("email"))
    query = query.outerjoin(User, User.id == PatientShare.user_id).where(*which).order_by("email")
    return [Grant(share, email) for share, email in db.session.execute(query)]


def _locked(share_id: int) -> PatientShare | None:
    return db.session.get(PatientShare, share_id, populate_existing=True, with_for_update=True)


def _email_of(share: PatientShare) -> str:
    return share.address if share.user_id is None else db.session.get_one(User, share.user_id).email


def _recipient(patient: Patient, address: str) -> str:
    """Return the key for the address. Raises Rejected if the address is invalid or the owner's own."""
    try:
        key = accounts.address_key(address)
    except Rejected:
        raise Rejected.about("email", INVALID_EMAIL) from None
    if key == db.session.get_one(User, patient.user_id).email.lower():
        raise Rejected.about("email", gettext("This is the owner’s email. Enter someone else’s."))
    return key
