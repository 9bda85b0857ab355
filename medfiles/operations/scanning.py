"""Scan stored documents: those waiting for a scan, older unscanned ones or, on request, all."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, not_, or_, select, update

from medfiles.antivirus import clamd
from medfiles.antivirus.clamd import Clamd, Verdict, Version
from medfiles.antivirus.policy import CLEAN, INFECTED, WAITING
from medfiles.audit import event_log
from medfiles.clock import is_since, now
from medfiles.content import opened
from medfiles.database.session import count, db, read, transaction
from medfiles.errors import StorageError
from medfiles.jobs import queue as jobs
from medfiles.models import EntityFile
from medfiles.services import Services
from medfiles.storage import Storages

RETRY_AFTER = timedelta(minutes=30)  # before a document without a verdict is scanned again
BATCH = 50
IS_WAITING = EntityFile.scan == WAITING
IS_UNSCANNED = EntityFile.scan.is_(None)


class ScannerUnreachable(ConnectionError):
    """The scanner does not respond."""


@dataclass
class ScanResult:
    """The result of a scan, with document ids. `away` is set if the scanner stopped responding."""

    clean: int = 0
    infected: list[int] = field(default_factory=list)
    unscanned: list[int] = field(default_factory=list)
    away: bool = False

    @property
    def counts(self) -> Mapping[str, int]:
        return {"clean": self.clean, "infected": len(self.infected), "unscanned": len(self.unscanned)}


@dataclass(frozen=True)
class QuarantinedFile:
    """An infected document, which cannot be opened, and the name of the signature it matched."""

    id: int
    signature: str
    scanned_at: datetime | None


@dataclass(frozen=True)
class ScannerStatus:
    """The scanner's figures for the status page."""

    configured: bool
    version: Version | None  # None: the scanner is down
    waiting: int
    unseen: int  # documents stored before the scanner was configured and not scanned yet
    quarantined: tuple[QuarantinedFile, ...]


def scan(
    storages: Storages, scanner: Clamd, *, rescan: bool = False, report: Callable[[int], None] = lambda count: None
) -> ScanResult:
    """Scan all due documents or, with `rescan`, every document, for example after a signature update."""
    result, began = ScanResult(), now()
    due = _not_scanned_since(began) if rescan else _due(began - RETRY_AFTER)
    while not result.away and (ids := _next(due)):
        for file_id in ids:
            if not result.away and _claim(file_id, due):
                _scan_one(storages, scanner, file_id, result)
                report(sum(result.counts.values()))
    return result


def count_due(*, rescan: bool = False) -> int:
    return count(EntityFile.id, *([] if rescan else [or_(IS_WAITING, IS_UNSCANNED)]))


def status(scanner: Clamd | None) -> ScannerStatus:
    rows = db.session.execute(
        select(EntityFile.id, EntityFile.scan_words, EntityFile.scanned_at).where(EntityFile.scan == INFECTED)
    )
    return ScannerStatus(
        configured=scanner is not None,
        version=scanner.version() if scanner else None,
        waiting=count(EntityFile.id, IS_WAITING),
        unseen=count(EntityFile.id, IS_UNSCANNED),
        quarantined=tuple(QuarantinedFile(number, words or "", at) for number, words, at in rows),
    )


def scan_due(services: Services, _: int = 0) -> Mapping[str, int]:
    """Scan all due documents as a recurring job; return counts by result.

    Raises `ScannerUnreachable` if the scanner does not respond.
    """
    if services.scanner is None or not _next(_due(now() - RETRY_AFTER)):
        return {}
    if services.scanner.version() is None:
        raise ScannerUnreachable()
    return scan(services.storages, services.scanner).counts


def scan_new(services: Services, file_id: int) -> Mapping[str, int]:
    """Scan a document that was not scanned on upload; return counts by result.

    Raises `ScannerUnreachable` if it still cannot be scanned.
    """
    result = ScanResult()
    if services.scanner is None or not _claim(file_id, IS_WAITING & _due(now() - RETRY_AFTER)):
        return {}
    _scan_one(services.storages, services.scanner, file_id, result)
    if result.away:
        raise ScannerUnreachable()
    return result.counts


def _due(before: datetime) -> ColumnElement[bool]:
    return or_(IS_WAITING, IS_UNSCANNED) & _not_scanned_since(before)


def _not_scanned_since(before: datetime) -> ColumnElement[bool]:
    return or_(EntityFile.scanned_at.is_(None), not_(is_since(EntityFile.scanned_at, before)))


def _next(due: ColumnElement[bool]) -> Sequence[int]:
    """Return the next ids, starting with documents that users are waiting for."""
    order = case((IS_WAITING, 0), else_=1), EntityFile.id
    return [file_id for (file_id,) in read(select(EntityFile.id).where(due).order_by(*order).limit(BATCH))]


def _claim(file_id: int, due: ColumnElement[bool]) -> bool:
    """Claim a document by setting its scan time. After a crash, the document becomes due again later."""
    with transaction() as session:
        took = session.execute(_update_unversioned(file_id).where(due).values(scanned_at=now()))
        return bool(took.rowcount)


def _scan_one(storages: Storages, scanner: Clamd, file_id: int, result: ScanResult) -> None:
    file = db.session.get(EntityFile, file_id, populate_existing=True)
    if file is None:
        return
    db.session.expunge(file)
    db.session.rollback()
    try:
        verdict = scanner.scan(_chunks(file, storages))
    except StorageError as error:
        verdict = Verdict(clamd.UNSCANNED, error.code)
    _store_result(file_id, verdict)
    result.away = verdict.unreachable
    result.clean += verdict.result == clamd.CLEAN
    result.infected += [file_id] if verdict.result == clamd.INFECTED else []
    result.unscanned += [file_id] if verdict.result == clamd.UNSCANNED else []


def _chunks(file: EntityFile, storages: Storages) -> Iterator[bytes]:
    """Yield the document's content: opened when the scanner asks for data, closed when it hangs up."""
    yield from opened(file, storages).read()


def _store_result(file_id: int, verdict: Verdict) -> None:
    """Store the result of a scan and log a change of state. An unsuccessful scan does not change the state."""
    with transaction() as session:
        file = session.get(EntityFile, file_id, with_for_update=True, populate_existing=True)
        if file is None:
            return
        if verdict.result == clamd.UNSCANNED:
            words = verdict.detail if file.scan == WAITING else file.scan_words
            at = None if verdict.unreachable else now()
            session.execute(_update_unversioned(file_id).values(scan_words=words, scanned_at=at))
            return
        state, words = (INFECTED, verdict.detail) if verdict.result == clamd.INFECTED else (CLEAN, None)
        if INFECTED in (state, file.scan) and state != file.scan:
            action, details = ("quarantine", {"signature": words}) if words else ("release", {})
            event_log.record(None, action, event_log.subject_of(file), **details)
        if (file.scan, state) == (WAITING, CLEAN):
            jobs.enqueue_each([jobs.WARM, jobs.TEXT], file_id)
        session.execute(_update_unversioned(file_id).values(scan=state, scan_words=words, scanned_at=now()))


def _update_unversioned(file_id: int) -> Any:
    """Return an update statement that does not count as a change to the document."""
    return update(EntityFile).where(EntityFile.id == file_id).values(updated_at=EntityFile.updated_at)
