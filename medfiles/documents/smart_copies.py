"""End SMART Health Links, whose encrypted copies of documents must go when a document or its share link does."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, Select, select

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.models import ShareLink, SmartLink, SmartLinkDocument
from medfiles.storage.row_objects import SMART_LINK


def end_of_documents(file_ids: Collection[int] | Select[int]) -> None:
    """End those that hold one of these documents, in the transaction that trashes, moves or deletes the documents.

    file_ids  or a query for them
    """
    holding = select(SmartLinkDocument.smart_link_id).where(SmartLinkDocument.file_id.in_(file_ids))
    end(SmartLink.id.in_(holding))


def end_of_patient(patient_id: int) -> Sequence[str]:
    """End those of a patient, in the transaction that trashes or deletes the patient."""
    return end(SmartLink.link_id.in_(select(ShareLink.id).where(ShareLink.patient_id == patient_id)))


def end_of_link(link_id: int) -> Sequence[str]:
    """End those of a share link, in the transaction that ends the link."""
    return end(SmartLink.link_id == link_id)


def end(which: ColumnElement[bool]) -> Sequence[str]:
    """End these SMART Health Links in the open transaction, with their keys and encrypted copies.

    Return the keys of the objects, which can be removed after the commit. The sweep removes them otherwise.
    """
    rows = select(SmartLink).where(which, SmartLink.ended_at.is_(None)).order_by(SmartLink.id)
    keys = []
    for row in db.session.scalars(rows.with_for_update().execution_options(populate_existing=True)).all():
        row.ended_at, row.key_wrapped = now(), None
        keys += SMART_LINK.release(row)
    db.session.flush()  # before a row is deleted along with its patient
    return keys
