"""The state of share links and the documents they show, read as they are at this moment."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select

from medfiles.antivirus.policy import is_blocked
from medfiles.clock import is_past, now
from medfiles.database.session import db
from medfiles.links.rules import MOST_TRIES
from medfiles.models import EntityFile, Patient, ShareLink, ShareLinkDocument
from medfiles.permissions import Action, account_allows


class State(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    REVOKED = "revoked"
    EXPIRED = "expired"
    ENDED = "ended"  # the creator can no longer edit the patient, or too many passcodes were wrong


def lasts() -> ColumnElement[bool]:
    """Return the condition that a link was created in the past and expires in the future, by both clocks."""
    return and_(
        is_past(ShareLink.created_at), ShareLink.expires_at > now(), ShareLink.expires_at > func.current_timestamp()
    )


def with_state() -> Select[ShareLink, Patient, bool, bool]:
    """Return a query for links, each with its patient, and with what `state_of` needs."""
    allowed = account_allows(ShareLink.created_by, ShareLink.patient_id, Action.EDIT)
    query = select(ShareLink, Patient, allowed, lasts()).join(Patient, Patient.id == ShareLink.patient_id)
    return query.execution_options(populate_existing=True)


def state_of(link: ShareLink, is_allowed: bool, does_last: bool) -> State:
    if link.revoked_at is not None:
        return State.REVOKED
    if not does_last:
        return State.EXPIRED
    if not is_allowed or is_used_up(link):
        return State.ENDED
    return State.ACTIVE if link.paused_at is None else State.PAUSED


def is_used_up(link: ShareLink) -> bool:
    """Return whether all wrong passcodes were entered. Those still in check may turn out right."""
    return link.wrong_passcodes - link.passcodes_in_check >= MOST_TRIES


def shareable(patient_id: Any) -> Sequence[ColumnElement[bool]]:
    """Return conditions for the documents of a patient that a link can show: live and filed."""
    return EntityFile.patient_id == patient_id, EntityFile.deleted_at.is_(None), EntityFile.to_file.is_(False)


def shown_documents(link_ids: Sequence[int]) -> dict[int, list[EntityFile]]:
    """Return the documents that each link shows now, in the link's order.

    Documents in the trash, moved to another patient or not cleared by the malware scanner are left out.
    """
    query = (
        select(ShareLink.id, EntityFile)
        .join(ShareLinkDocument, ShareLinkDocument.link_id == ShareLink.id)
        .join(EntityFile, EntityFile.id == ShareLinkDocument.file_id)
        .where(ShareLink.id.in_(link_ids), ShareLinkDocument.removed_at.is_(None), *shareable(ShareLink.patient_id))
        .order_by(ShareLink.id, ShareLinkDocument.position)
        .execution_options(populate_existing=True)
    )
    found: dict[int, list[EntityFile]] = {number: [] for number in link_ids}
    for number, file in db.session.execute(query):
        if not is_blocked(file, None):
            found[number].append(file)
    return found


def named_documents(link_ids: Sequence[int]) -> dict[int, int]:
    """Return how many documents each link names, shown or not."""
    query = select(ShareLinkDocument.link_id, func.count()).where(ShareLinkDocument.link_id.in_(link_ids))
    return dict(db.session.execute(query.group_by(ShareLinkDocument.link_id)).all())
