"""Warn about documents that name another patient: after an upload, once the text has been read."""

from sqlalchemy import select, update

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.inbox import knowledge
from medfiles.inbox.people import evidence
from medfiles.models import EntityFile
from medfiles.permissions import Actor


def check(file_id: int) -> bool:
    """Store whom a document names instead of its patient, as far as its uploader can see them. Return whether it does.

    Documents in the inbox are compared when they are shown.
    """
    file = db.session.scalar(select(EntityFile).where(EntityFile.id == file_id))
    is_done = file is None or file.to_file or file.deleted_at is not None or file.named_patient_id is not None
    if file is None or is_done or file.uploaded_by is None:
        return False
    uploader = Actor(file.uploaded_by, "")
    people = knowledge.people(uploader)
    pages = knowledge.texts([file.sha256]).get(file.sha256, ())
    order = knowledge.date_order(uploader.user_id)
    found = evidence(pages, file.file_name, knowledge.as_persons(people), now().date(), order)
    other = knowledge.other_named(found, file.patient_id, people)
    place, sha256 = (file.patient_id, file.id), file.sha256
    db.session.rollback()
    if other is None:
        return False
    with transaction() as session:
        same = (EntityFile.patient_id == place[0], EntityFile.id == place[1], EntityFile.sha256 == sha256)
        values = {"named_patient_id": other, "updated_at": EntityFile.updated_at}
        session.execute(update(EntityFile).where(*same, EntityFile.named_patient_id.is_(None)).values(values))
    return True
