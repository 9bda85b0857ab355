"""Read the texts of documents: jobs for new ones, a recurring job for those that are not read yet, and a command."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, select

from medfiles.database.session import count, read, transaction
from medfiles.errors import StorageError
from medfiles.inbox import guard
from medfiles.jobs import queue as jobs
from medfiles.models import EntityFile, Job
from medfiles.search import index
from medfiles.services import Services
from medfiles.texts import store
from medfiles.texts.reading import SLICE

BATCH = 500  # documents for which a recurring job enqueues jobs, unless as many are waiting


@dataclass(frozen=True)
class ReadResult:
    documents: int
    failed: int  # documents that could not be opened now: a retry may help


def read_one(services: Services, file_id: int) -> Mapping[str, bool]:
    """Read a document, as a job. A long one makes room for other jobs and continues after them."""
    finished = services.reader.read(file_id, SLICE)
    with transaction():
        if finished:
            index.put_texts_of(file_id)  # the bytes may have been read for another document
        else:
            jobs.enqueue(jobs.TEXT, file_id)
    if finished:
        guard.check(file_id)
    if services.engine is not None and not is_waiting(file_id):
        services.engine.close()  # its models fill half a gigabyte
    return {"finished": finished}


def is_waiting(file_id: int) -> bool:
    """Return whether another document than this one waits for its text to be read."""
    others = select(Job.id).where(Job.kind == jobs.TEXT, Job.subject != file_id, Job.due_at.is_not(None))
    return bool(read(others.limit(1)))


def enqueue_unread(services: Services, _: int = 0) -> Mapping[str, int]:
    """Enqueue jobs for documents that are not read yet, or whose pictures can be read now that there is an engine."""
    waiting = count(Job.id, Job.kind == jobs.TEXT)
    given_up = select(Job.subject).where(Job.kind == jobs.TEXT)
    unread = select(EntityFile.id).where(due(services), EntityFile.id.not_in(given_up)).order_by(EntityFile.id)
    ids = [file_id for (file_id,) in read(unread.limit(max(0, BATCH - waiting)))] if waiting < BATCH else []
    if ids:
        with transaction():
            for file_id in ids:
                jobs.enqueue(jobs.TEXT, file_id)
    return {"enqueued": len(ids)}


def due(services: Services) -> ColumnElement[bool]:
    """Condition on documents: some of their pages are still to be read."""
    if services.engine is None:
        return store.is_unread()
    return or_(store.is_unread(), and_(store.is_readable(), store.needs_engine()))


def count_documents(where: ColumnElement[bool]) -> int:
    return count(EntityFile.id, where)


def read_all(
    services: Services,
    where: ColumnElement[bool],
    *,
    again: bool = False,
    report: Callable[[int], None] = lambda done: None,
) -> ReadResult:
    """Read all documents that meet the condition, one after the other.

    again  whether to read pages a second time that are read already
    """
    done = failed = after = 0
    query = select(EntityFile.id, EntityFile.sha256).where(where).order_by(EntityFile.id).limit(BATCH)
    seen: set[str] = set()
    while rows := read(query.where(EntityFile.id > after)):
        for file_id, sha256 in rows:
            if again and sha256 not in seen:
                with transaction():
                    store.forget(sha256)
            seen.add(sha256)
            try:
                services.reader.read(file_id)
                with transaction():
                    index.put_texts_of(file_id)
            except StorageError:
                failed += 1
            done += 1
            report(done)
        after = rows[-1][0]
    if services.engine is not None:
        services.engine.close()
    return ReadResult(done, failed)


def which(services: Services, *, every: bool = False, patient_id: int | None = None) -> ColumnElement[bool]:
    """Return the condition for the command: all documents or those still to be read, of one patient or of all."""
    where = store.is_readable() if every else due(services)
    return where if patient_id is None else where & (EntityFile.patient_id == patient_id)
