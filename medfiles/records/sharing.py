"""People with access: the owner of a patient lets another account look or edit, for as long as the owner says."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select

from medfiles.accounts import service as accounts
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import Forbidden, NotFound, Rejected
from medfiles.models import Patient, PatientShare, User
from medfiles.permissions import Action
from medfiles.service import Service
from medfiles.text import clean_text

LEVELS = (Action.VIEW.value, Action.EDIT.value)
MOST = 50  # people with access to one patient
NOBODY = "There is no account with the email “{}”. Check the email, or have this person create an account first."
OWNERS = "Only the owner of this patient can change who has access."


@dataclass(frozen=True)
class Given:
    """A share, and the address of the account that has it."""

    share: PatientShare
    email: str


@dataclass
class ShareService(Service):
    def list(self, patient_id: int) -> Sequence[Given]:
        """Everybody whom the owner gave access, by address; those whose time is over too."""
        with self.reading("view-people", patient_id=patient_id) as target:
            self._owned(patient_id, target)
            return _given(patient_id)

    def own(self, patient_id: int) -> PatientShare | None:
        """What the actor itself was given; None for the owner."""
        with self.operation("view-patient", patient_id=patient_id) as target:
            self.authorize(Action.VIEW, patient_id, target)
            return _share(patient_id, self.actor.user_id)

    def give(self, patient_id: int, email: str, level: str, expires_at: datetime | None = None) -> tuple[Given, bool]:
        """Let the account of this address in until `expires_at` (None: until taken back), and True; when it has
        access already, change that, and False. Rejected with a sentence for each field that cannot be used."""
        address = clean_text(email, 255, "The email") or ""
        with self.operation("share", patient_id=patient_id, name=address) as target, transaction() as session:
            patient = self._owned(patient_id, target, lock=True)
            user = _someone(patient, address)
            _check(level, expires_at)
            known = _share(patient_id, user.id)
            if known is None:
                _must_have_room(patient_id)
            share = known or PatientShare(patient_id=patient_id, user_id=user.id)
            share.level, share.expires_at = level, expires_at and expires_at.astimezone(UTC)
            session.add(share)
            session.flush()
            target.name = user.email
            until = expires_at.isoformat() if expires_at else None
            event_log.record(self.actor, "share", target, level=level, until=until)
            return Given(share, user.email), known is None

    def take_back(self, share_id: int, patient_id: int | None = None) -> Given:
        """From now on that account sees nothing of the patient. The owner may, and whoever has the share.

        NotFound when it is not of the patient that is named.
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
            given = Given(share, session.get_one(User, share.user_id).email)
            target.name = given.email
            event_log.record(self.actor, "unshare", target, level=share.level)
            session.delete(share)
            return given

    def _owned(self, patient_id: int, target: AuditTarget, *, lock: bool = False) -> Patient:
        tried, level = target.name, self.authorize(Action.VIEW, patient_id, target)
        if level != Action.OWN:
            raise Forbidden(OWNERS)
        patient = self.authorized_patient(patient_id, Action.OWN, target, lock=lock)
        target.name = tried or target.name
        return patient


def _given(patient_id: int) -> Sequence[Given]:
    query = select(PatientShare, User.email).join(User, User.id == PatientShare.user_id)
    rows = db.session.execute(query.where(PatientShare.patient_id == patient_id).order_by(User.email))
    return [Given(share, email) for share, email in rows]


def _share(patient_id: int, user_id: int) -> PatientShare | None:
    query = select(PatientShare).where(PatientShare.patient_id == patient_id, PatientShare.user_id == user_id)
    return db.session.scalar(query.execution_options(populate_existing=True))


def _someone(patient: Patient, email: str) -> User:
    """Another account than the owner's, in which somebody can sign in."""
    try:
        user = accounts.find(email)
    except NotFound:
        raise Rejected.about("email", NOBODY.format(email[:100])) from None
    if not user.active:
        raise Rejected.about("email", NOBODY.format(email[:100]))
    if user.id == patient.user_id:
        raise Rejected.about("email", "This is the owner’s own email. Enter the email of another person.")
    return user


def _check(level: str, expires_at: datetime | None) -> None:
    if level not in LEVELS:
        raise Rejected.about("level", "level must be view or edit.")
    if expires_at is not None and expires_at <= now():
        raise Rejected.about("expires_at", "The end of access must be in the future.")


def _must_have_room(patient_id: int) -> None:
    count = db.session.scalar(select(func.count(PatientShare.id)).where(PatientShare.patient_id == patient_id))
    if (count or 0) >= MOST:
        raise Rejected.about(
            "email", f"{MOST} people have access, the most allowed. Revoke access of one of them first."
        )
