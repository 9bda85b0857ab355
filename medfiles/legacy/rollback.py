"""Roll back a migration: delete the documents it created, so that the older files are listed again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import delete, select

from medfiles.audit import event_log
from medfiles.database.session import db, transaction
from medfiles.documents import lifecycle
from medfiles.errors import Conflict
from medfiles.legacy import log, people, unmigrated
from medfiles.legacy.source import OWN, LegacyFile, Source
from medfiles.legacy.verification import hash_of_file
from medfiles.models import EntityFile, LabResult, LegacyId, LegacySource
from medfiles.services import Services
from medfiles.storage import journal

BATCH = 100
FINISHED = "The move is finished: the old files have been deleted, so it can no longer be rolled back."


@dataclass
class TakenBack:
    """The result of a rollback.

    :param lost: sentences about changes made since the migration, which are lost
    :param kept: sentences about documents that were kept because their older file is missing or altered
    :param people: kind and id of rows that the migration created and that were kept because they are in use
    """

    documents: int = 0
    lost: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    people: Sequence[tuple[str, int]] = ()
    failed: int = 0


def roll_back(
    services: Services, source: Source, known: LegacySource, report: Callable[[int], None] = lambda done: None
) -> TakenBack:
    """Roll back a migration. Raises Conflict if it has been finished.

    Documents added, or moved to another record, since the migration are kept. Permanently deleted documents stay
    deleted.
    """
    if known.finishing_at is not None and known.place == OWN:
        raise Conflict(FINISHED)
    log.note(known, verified_at=None)
    back, after = TakenBack(), 0
    while files := _moved(after):
        after = log.number_of(files[-1])
        older = {file.id: file for file in source.files([log.number_of(file) for file in files])}
        _give_back(services, [file for file in files if _is_unaltered(source, older, file, back)], older, back)
        report(back.documents)
    back.people = people.take_back(known)
    if not back.kept:
        log.end(known)
    return back


def _moved(after: int) -> Sequence[EntityFile]:
    query = select(EntityFile).where(EntityFile.legacy_id > after).order_by(EntityFile.legacy_id).limit(BATCH)
    files = db.session.scalars(query).all()
    db.session.expunge_all()
    db.session.rollback()
    return files


def _is_unaltered(source: Source, older: Mapping[int, LegacyFile], file: EntityFile, back: TakenBack) -> bool:
    """Return whether the older file still has the content that was moved. If not, the document is kept.

    A document that was moved to another record since is kept too: it would return to the record it was moved away from.
    """
    if event_log.was_moved(file.id):
        back.kept.append(f"Document {file.id} was kept: it has been moved to another record.")
        return False
    row = older.get(log.number_of(file))
    if row is not None and hash_of_file(row, source) == file.sha256:
        return True
    back.kept.append(f"Document {file.id} was kept: old file {file.legacy_id} is missing or has changed.")
    return False


def _give_back(
    services: Services, files: Sequence[EntityFile], older: Mapping[int, LegacyFile], back: TakenBack
) -> None:
    with transaction() as session:
        ids = [file.id for file in files]
        query = select(EntityFile).where(EntityFile.id.in_(ids)).order_by(EntityFile.id).with_for_update()
        locked = session.scalars(query.execution_options(populate_existing=True)).all()
        lost = [words for file in locked for words in _changes(file, older[log.number_of(file)])]
        event_log.record_each(
            None, "rollback", [(event_log.subject_of(file), {"old_id": file.legacy_id}) for file in locked]
        )
        keys = lifecycle.delete_rows(locked)
        session.execute(delete(LegacyId).where(LegacyId.kind == "file", LegacyId.new_id.in_(ids)))
    back.failed += journal.remove(services.storages, keys).failed
    back.documents += len(locked)
    back.lost += lost


def _changes(file: EntityFile, row: LegacyFile) -> list[str]:
    now_and_then = {
        "name": (file.file_name, unmigrated.name_of(row.name, row.id)),
        "description": (file.description, row.description),
        "category": (file.category, unmigrated.CATEGORY),
    }
    changed = [what for what, (here, there) in now_and_then.items() if here != there]
    words = (
        [f"Old file {row.id}: changes made to the {' and '.join(changed)} of document {file.id} were lost."]
        if changed
        else []
    )
    record = db.session.get(LabResult, file.entity_id)
    if file.deleted_at is not None and (record is None or record.deleted_at != file.deleted_at):
        words.append(f"Old file {row.id} was in the trash as document {file.id} and has been restored.")
    return words
