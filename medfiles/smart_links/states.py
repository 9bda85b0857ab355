"""The state of SMART Health Links, and those that are over."""

from collections.abc import Sequence
from enum import StrEnum

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from medfiles.clock import SKEW, now
from medfiles.database.session import db
from medfiles.links import rules
from medfiles.links import states as link_states
from medfiles.links.states import State
from medfiles.models import EntityFile, ShareLink, ShareLinkDocument, SmartLink, SmartLinkDocument


class SmartState(StrEnum):
    PREPARING = "preparing"
    FAILED = "failed"  # preparing failed, and may be tried again
    READY = "ready"
    PAUSED = "paused"  # as its share link is
    EXPIRED = "expired"
    ENDED = "ended"


def lasts() -> ColumnElement[bool]:
    """Return the condition that a link has not ended or expired, by both clocks."""
    later = and_(SmartLink.expires_at > now(), SmartLink.expires_at > func.current_timestamp())
    return and_(SmartLink.ended_at.is_(None), later)


def state_of(smart: SmartLink, link_state: State) -> SmartState:
    if smart.expires_at <= now():
        return SmartState.EXPIRED
    if smart.ended_at is not None or link_state not in (State.ACTIVE, State.PAUSED):
        return SmartState.ENDED
    if smart.built_at is None:
        return SmartState.FAILED if smart.failure else SmartState.PREPARING
    return SmartState.PAUSED if link_state == State.PAUSED else SmartState.READY


def over() -> Select[int]:
    """Return a query for the links that are to end: expired, or with a share link or a document that is gone."""
    used_up = ShareLink.wrong_passcodes - ShareLink.passcodes_in_check >= rules.MOST_TRIES
    shown = (
        select(EntityFile.id)
        .join(ShareLinkDocument, ShareLinkDocument.file_id == EntityFile.id)
        .where(
            EntityFile.id == SmartLinkDocument.file_id,
            ShareLinkDocument.link_id == ShareLink.id,
            ShareLinkDocument.removed_at.is_(None),
            *link_states.shareable(ShareLink.patient_id),
        )
        .correlate(SmartLinkDocument, ShareLink)
    )
    gone = exists().where(SmartLinkDocument.smart_link_id == SmartLink.id, ~shown.exists())
    return (
        select(SmartLink.id)
        .join(ShareLink, ShareLink.id == SmartLink.link_id)
        .where(
            SmartLink.ended_at.is_(None),
            or_(SmartLink.expires_at < now() - SKEW, ShareLink.revoked_at.is_not(None), used_up, gone),
        )
    )


def held_documents(smart_id: int) -> Sequence[int]:
    """Return the ids of the documents in an encrypted copy, whether they still exist or not."""
    query = select(SmartLinkDocument.file_id).where(SmartLinkDocument.smart_link_id == smart_id)
    return db.session.scalars(query).all()
