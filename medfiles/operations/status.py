"""Operator metrics. Contains no patient data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil
from sqlalchemy import ColumnElement, case, func, select

from medfiles.audit import chain
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.errors import Forbidden
from medfiles.jobs import last_runs
from medfiles.jobs import queue as jobs
from medfiles.jobs.last_runs import Run
from medfiles.models import EntityFile, Patient, Rendition, Session, StorageJournal, User
from medfiles.operations import backup, integrity, scanning
from medfiles.permissions import Actor
from medfiles.record_types.additional import Figure
from medfiles.record_types.declared import Registry
from medfiles.sandbox.pool import Layers, missing_layers
from medfiles.service import Service
from medfiles.services import Services
from medfiles.storage import Storages


@dataclass(frozen=True)
class DocumentCounts:
    """Counts and bytes of one record type's documents."""

    documents: int = 0
    size: int = 0
    trashed: int = 0
    trashed_size: int = 0


@dataclass(frozen=True)
class Journal:
    """Objects being stored and removed, and how many are overdue for the sweep."""

    attach: int
    remove: int
    overdue: int


@dataclass(frozen=True)
class Process:
    """A server process on this machine; `memory` in bytes, sandbox workers included."""

    pid: int
    memory: int
    workers: int
    started_at: datetime


@dataclass(frozen=True)
class Status:
    """Figures of the installation; sizes in bytes.

    `kinds` by record type; `free` by storage, None for unlimited; `oldest_trash` is purged first; `findings` by kind;
    `runs` by operation; `sandbox` by layer, "" if active, otherwise why it is missing.
    """

    at: datetime
    kinds: Mapping[str, DocumentCounts]
    pictures: int
    pictures_size: int
    failed_pictures: int
    additional: Sequence[Figure]
    oldest_trash: datetime | None
    journal: Journal
    free: Mapping[str, int | None]
    accounts: int
    patients: int
    sessions: int
    processes: tuple[Process, ...]
    findings: Mapping[str, int]
    runs: Mapping[str, Run | None]
    audit: chain.ChainStatus
    scanner: scanning.ScannerStatus
    jobs: jobs.QueueStatus
    sandbox: Layers

    @property
    def missing_layers(self) -> Layers:
        return missing_layers(self.sandbox)

    @property
    def jobs_late(self) -> int:
        """Seconds for which the oldest due job has waited."""
        return max(0, int((self.at - self.jobs.oldest).total_seconds())) if self.jobs.oldest else 0


class StatusService(Service):
    """Status for admins."""

    def read(self, services: Services) -> Status:
        with self.operation("status"):
            require_admin(self.actor)
            return measure(services)


def require_admin(actor: Actor) -> None:
    if not actor.is_admin:
        raise Forbidden("Only administrators can open the status page.")


def measure(services: Services) -> Status:
    pictures, size, failed = _pictures()
    return Status(
        at=now(),
        kinds=_kinds(services.registry),
        pictures=pictures,
        pictures_size=size,
        failed_pictures=failed,
        additional=services.registry.additional.figures(),
        oldest_trash=db.session.scalar(select(func.min(EntityFile.deleted_at))),
        journal=_journal(),
        free=_free(services.storages),
        accounts=_count(User.id, User.active.is_(True)),
        patients=_count(Patient.id),
        sessions=_count(Session.id, Session.owner.is_not(None)),
        processes=processes(),
        findings=integrity.count_findings(),
        runs={name: last_runs.last(name) for name in (integrity.VERIFY, integrity.DEEP, backup.RUN, chain.VERIFY)},
        audit=chain.status(),
        scanner=scanning.status(services.scanner),
        jobs=jobs.status(),
        sandbox=services.sandbox.layers(),
    )


def _kinds(registry: Registry) -> dict[str, DocumentCounts]:
    trashed = case((EntityFile.deleted_at.is_not(None), 1), else_=0)
    query = select(
        EntityFile.entity_type,
        func.count(EntityFile.id),
        func.sum(EntityFile.file_size),
        func.sum(trashed),
        func.sum(trashed * EntityFile.file_size),
    ).group_by(EntityFile.entity_type)
    found = {kind: tuple(map(int, figures)) for kind, *figures in db.session.execute(query)}
    return {record_type.name: _document_counts(*found.get(record_type.name, (0, 0, 0, 0))) for record_type in registry}


def _document_counts(count: int, size: int, trashed: int, trashed_size: int) -> DocumentCounts:
    return DocumentCounts(count - trashed, size - trashed_size, trashed, trashed_size)


def _pictures() -> tuple[int, int, int]:
    query = select(func.count(Rendition.key), func.sum(Rendition.size), func.count(Rendition.failure))
    count, size, failed = db.session.execute(query).one()
    return count, int(size or 0), failed


def _journal() -> Journal:
    overdue = case((StorageJournal.lease_until < now(), 1), else_=0)
    query = select(StorageJournal.action, func.count(StorageJournal.id), func.sum(overdue))
    found = {action: (count, late) for action, count, late in db.session.execute(query.group_by(StorageJournal.action))}
    (attach, late), (remove, later) = found.get("attach", (0, 0)), found.get("remove", (0, 0))
    return Journal(attach, remove, int(late) + int(later))


def _free(storages: Storages) -> dict[str, int | None]:
    return {storage.name: storage.free() for storage in storages}


def _count(column: Any, *where: ColumnElement[bool]) -> int:
    return db.session.scalar(select(func.count(column)).where(*where)) or 0


def processes() -> tuple[Process, ...]:
    """Return server processes: siblings with the same command line."""
    me = psutil.Process()
    parent = me.parent()
    beside = parent.children() if parent else []
    alike = [one for one in beside if _command(one) == _command(me)] or [me]
    return tuple(found for one in alike if (found := _process(one)))


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _process(process: psutil.Process) -> Process | None:
    """None when the process has ended."""
    try:
        workers = process.children(recursive=True)
        memory = sum(one.memory_info().rss for one in (process, *workers))
        return Process(process.pid, memory, len(workers), datetime.fromtimestamp(process.create_time(), UTC))
    except psutil.Error:
        return None
