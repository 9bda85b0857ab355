"""Moves that can still be undone, and the documents that therefore cannot be deleted permanently yet."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, not_, or_, select, update

from medfiles.clock import is_past, now
from medfiles.database.session import db, transaction
from medfiles.errors import Conflict
from medfiles.i18n import N_
from medfiles.jobs import rounds
from medfiles.models import DocumentMove, EntityFile, RecordMixin

PERIOD = timedelta(days=30)  # in which the owner of the previous patient can take a document back
HELD = N_(
    "This document was moved here from another account’s patient in the last 30 days, so its previous owner can still "
    "take it back. It can be deleted permanently after that."
)


def is_open() -> ColumnElement[bool]:
    """Return the condition for moves that can still be undone.

    The period must have passed by the clock and by housekeeping rounds, so a wrong clock cannot end it early.
    """
    last_round = rounds.current() - rounds.needed(PERIOD)
    still: ColumnElement[bool] = or_(DocumentMove.moved_at >= now() - PERIOD, DocumentMove.moved_round > last_round)
    return still


def is_held() -> ColumnElement[bool]:
    """Return the condition for documents that the owner of a previous patient can still take back."""
    held: ColumnElement[bool] = _is_between_owners(DocumentMove.file_id == EntityFile.id).correlate(EntityFile)
    return held


def holds_record(model: type[RecordMixin], entity_type: str) -> ColumnElement[bool]:
    """Return the condition for records of one type that the owner of a previous patient can still take back."""
    of_record = and_(DocumentMove.from_type == entity_type, DocumentMove.from_id == model.id)
    held: ColumnElement[bool] = _is_between_owners(DocumentMove.file_id.is_(None), of_record).correlate(model)
    return held


def held_patients() -> ColumnElement[bool]:
    """Return a query for the ids of patients who have such documents or records."""
    documents = select(EntityFile.patient_id).where(is_held())
    records = select(DocumentMove.to_patient_id).where(
        DocumentMove.file_id.is_(None), DocumentMove.owner_id.is_not(None), is_open()
    )
    return documents.union(records)  # type: ignore[return-value]


def _is_between_owners(*which: ColumnElement[bool]):  # type: ignore[no-untyped-def]
    return exists().where(*which, DocumentMove.owner_id.is_not(None), is_open())


def require_not_held(ids: Collection[int]) -> None:
    """Raise Conflict if one of these documents cannot be deleted permanently yet."""
    query = select(DocumentMove.id).where(DocumentMove.file_id.in_(ids), DocumentMove.owner_id.is_not(None), is_open())
    if db.session.scalar(query.limit(1)) is not None:
        raise Conflict(HELD)


def held_among(ids: Collection[int]) -> Collection[int]:
    query = select(DocumentMove.file_id).where(
        DocumentMove.file_id.in_(ids), DocumentMove.owner_id.is_not(None), is_open()
    )
    return {number for number in db.session.scalars(query) if number is not None}


def moves_to_undo(user_id: int, ids: Collection[int]) -> Mapping[int, DocumentMove]:
    """Return, by document, the move that this account can undo.

    That is the earliest one from a patient that the account owned to another owner's, or else the account's own last
    move.
    """
    mine = or_(
        DocumentMove.owner_id == user_id, and_(DocumentMove.owner_id.is_(None), DocumentMove.moved_by == user_id)
    )
    rows = select(DocumentMove).where(DocumentMove.file_id.in_(ids), mine, is_open()).order_by(DocumentMove.id.desc())
    found: dict[int, DocumentMove] = {}
    for move in db.session.scalars(rows):
        if move.file_id is not None and (move.owner_id is not None or move.file_id not in found):
            found[move.file_id] = move
    for move in found.values():
        db.session.expunge(move)  # so that commits do not expire it
    return found


def record_move(user_id: int, entity_type: str, record_id: int) -> DocumentMove | None:
    """Return the move of this record that the account can undo, as `moves_to_undo` does for documents."""
    mine = or_(
        DocumentMove.owner_id == user_id, and_(DocumentMove.owner_id.is_(None), DocumentMove.moved_by == user_id)
    )
    of_record = (DocumentMove.from_type == entity_type, DocumentMove.from_id == record_id)
    rows = select(DocumentMove).where(*of_record, DocumentMove.file_id.is_(None), mine, is_open())
    moves = db.session.scalars(rows.order_by(DocumentMove.id)).all()
    between = [move for move in moves if move.owner_id is not None]
    return between[0] if between else moves[-1] if moves else None


def moved_away(user_id: int, patient_id: int) -> Sequence[DocumentMove]:
    """Return the moves of this patient's documents to another owner's patients that can be undone, newest first."""
    query = select(DocumentMove).where(
        DocumentMove.from_patient_id == patient_id, DocumentMove.owner_id == user_id, is_open()
    )
    return db.session.scalars(query.order_by(DocumentMove.id.desc())).all()


def forget_since(undone: Sequence[DocumentMove]) -> None:
    """Delete moves that the open transaction undoes, and all later ones of the same documents."""
    for move in undone:
        of_record = (DocumentMove.from_type == move.from_type, DocumentMove.from_id == move.from_id)
        same = (DocumentMove.file_id == move.file_id,)
        later = (*(same if move.file_id else (*of_record, DocumentMove.file_id.is_(None))), DocumentMove.id >= move.id)
        db.session.execute(delete(DocumentMove).where(*later), execution_options={"synchronize_session": False})


def forget(ids: Collection[int]) -> None:
    """Delete the moves of documents that the open transaction deletes."""
    db.session.execute(delete(DocumentMove).where(DocumentMove.file_id.in_(ids)))


def forget_expired() -> None:
    """Delete moves that can no longer be undone. Those dated in the future are set to now: the clock was wrong."""
    with transaction() as session:
        session.execute(update(DocumentMove).where(not_(is_past(DocumentMove.moved_at))).values(moved_at=now()))
        session.execute(delete(DocumentMove).where(not_(is_open())))
