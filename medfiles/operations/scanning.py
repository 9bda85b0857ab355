"""Scan stored documents: waiting ones, unscanned older ones, or all on request."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select, update

from medfiles.antivirus import clamd
from medfiles.antivirus.clamd import Clamd, Verdict, Version
from medfiles.antivirus.policy import CLEAN, INFECTED, WAITING
from medfiles.audit import event_log
from medfiles.clock import now
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db, transaction
from medfiles.errors import StorageError
from medfiles.jobs import queue as jobs
from medfiles.models import EntityFile
from medfiles.storage import Storages

AGAIN = timedelta(minutes=30)  # until a document without a verdict is scanned again
BATCH = 50
WAITS = EntityFile.scan == WAITING
UNSEEN = EntityFile.scan.is_(None)


class Away(ConnectionError):
    """The scanner does not answer."""


@dataclass
class Scanned:
    """Results by document id; `away`: the scanner stopped answering."""

    clean: int = 0
    infected: list[int] = field(default_factory=list)
    unscanned: list[int] = field(default_factory=list)
    away: bool = False


@dataclass(frozen=True)
class QuarantinedFile:
    """An infected document; `words` is the signature's name."""

    id: int
    words: str
    scanned_at: datetime | None


@dataclass(frozen=True)
class Condition:
    """Figures for the status page; `version` is None when the scanner is down.

    `unseen` counts documents from before the scanner was configured that were not scanned yet.
    """

    configured: bool
    version: Version | None
    waiting: int
    unseen: int
    quarantined: tuple[QuarantinedFile, ...]


def scan(
    storages: Storages, scanner: Clamd, *, every: bool = False, report: Callable[[int], None] = lambda done: None
) -> Scanned:
    """Scan all documents that are due, or `every` document, as for new signatures."""
    done, began = Scanned(), now()
    due = _not_since(began) if every else _due(began - AGAIN)
    while not done.away and (ids := _next(due)):
        for file_id in ids:
            if not done.away and _claim(file_id, due):
                _scan_one(storages, scanner, file_id, done)
                report(done.clean + len(done.infected) + len(done.unscanned))
    return done


def count_due(*, every: bool = False) -> int:
    query = select(func.count(EntityFile.id))
    return db.session.scalar(query if every else query.where(or_(WAITS, UNSEEN))) or 0


def condition(scanner: Clamd | None) -> Condition:
    rows = db.session.execute(
        select(EntityFile.id, EntityFile.scan_words, EntityFile.scanned_at).where(EntityFile.scan == INFECTED)
    )
    return Condition(
        configured=scanner is not None,
        version=scanner.version() if scanner else None,
        waiting=_count(WAITS),
        unseen=_count(UNSEEN),
        quarantined=tuple(QuarantinedFile(number, words or "", at) for number, words, at in rows),
    )


def scan_due(storages: Storages, scanner: Clamd | None) -> Mapping[str, Any]:
    """Scan what is due, as a recurring job; return counts by result."""
    if scanner is None or not _next(_due(now() - AGAIN)):
        return {}
    if scanner.version() is None:
        raise Away()
    done = scan(storages, scanner)
    return {"clean": done.clean, "infected": len(done.infected), "unscanned": len(done.unscanned)}


def scan_new(storages: Storages, scanner: Clamd | None, file_id: int) -> Mapping[str, Any]:
    """Scan a document that was not scanned on upload; `Away` when it still cannot be."""
    done = Scanned()
    if scanner is None or not _claim(file_id, WAITS & _due(now() - AGAIN)):
        return {}
    _scan_one(storages, scanner, file_id, done)
    if done.away:
        raise Away()
    return {"clean": done.clean, "infected": len(done.infected), "unscanned": len(done.unscanned)}


def _due(before: datetime) -> ColumnElement[bool]:
    return or_(WAITS, UNSEEN) & _not_since(before)


def _not_since(before: datetime) -> ColumnElement[bool]:
    return or_(EntityFile.scanned_at.is_(None), EntityFile.scanned_at < before)


def _next(due: ColumnElement[bool]) -> Sequence[int]:
    """Return the next ids, those that people wait for first."""
    order = case((WAITS, 0), else_=1), EntityFile.id
    ids = db.session.scalars(select(EntityFile.id).where(due).order_by(*order).limit(BATCH)).all()
    db.session.rollback()
    return ids


def _claim(file_id: int, due: ColumnElement[bool]) -> bool:
    """Claim a document by its scan time; after a crash it is due again later."""
    with transaction() as session:
        took = session.execute(_quietly(file_id).where(due).values(scanned_at=now()))
        return bool(took.rowcount)


def _scan_one(storages: Storages, scanner: Clamd, file_id: int, done: Scanned) -> None:
    file = db.session.get(EntityFile, file_id, populate_existing=True)
    if file is None:
        return
    db.session.expunge(file)
    db.session.rollback()
    try:
        verdict = scanner.scan(_chunks(opened(file, storages)))
    except StorageError as error:
        verdict = Verdict(clamd.UNSCANNED, error.code)
    _keep(file_id, verdict)
    done.away = verdict.away
    done.clean += verdict.kind == clamd.CLEAN
    done.infected += [file_id] if verdict.kind == clamd.INFECTED else []
    done.unscanned += [file_id] if verdict.kind == clamd.UNSCANNED else []


def _chunks(document: DocumentContent) -> Iterator[bytes]:
    """Open the document when the scanner asks for data; close it when it hangs up."""
    yield from document.read()


def _keep(file_id: int, verdict: Verdict) -> None:
    """Store the result and log changes of state; an unscanned result changes none."""
    with transaction() as session:
        file = session.get(EntityFile, file_id, with_for_update=True, populate_existing=True)
        if file is None:
            return
        if verdict.kind == clamd.UNSCANNED:
            words = verdict.words if file.scan == WAITING else file.scan_words
            session.execute(_quietly(file_id).values(scan_words=words, scanned_at=None if verdict.away else now()))
            return
        state, words = (INFECTED, verdict.words) if verdict.kind == clamd.INFECTED else (CLEAN, None)
        if INFECTED in (state, file.scan) and state != file.scan:
            action, details = ("quarantine", {"signature": words}) if words else ("release", {})
            event_log.record(None, action, event_log.subject_of(file), **details)
        if (file.scan, state) == (WAITING, CLEAN):
            jobs.ask(jobs.WARM, file_id)
        session.execute(_quietly(file_id).values(scan=state, scan_words=words, scanned_at=now()))


def _quietly(file_id: int) -> Any:
    """Return an update that does not count as a change of the document."""
    return update(EntityFile).where(EntityFile.id == file_id).values(updated_at=EntityFile.updated_at)


def _count(*where: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count(EntityFile.id)).where(*where)) or 0
