"""Operator metrics. Contains no patient data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import psutil
from sqlalchemy import and_, case, func, not_, select

from medfiles.audit import chain
from medfiles.clock import is_ahead, now
from medfiles.database.session import count, db
from medfiles.errors import Forbidden
from medfiles.jobs import last_runs
from medfiles.jobs import queue as jobs
from medfiles.jobs.last_runs import Run
from medfiles.models import EntityFile, Patient, Rendition, Session, StorageJournal, User
from medfiles.operations import backup, clock_jumps, integrity, scanning
from medfiles.record_types.additional import Figure
from medfiles.sandbox.pool import Layers, missing_layers
from medfiles.service import Service
from medfiles.services import Services
from medfiles.storage.journal import LEASE
from medfiles.texts import store as page_texts
from medfiles.texts.store import TextStatus


@dataclass(frozen=True)
class DocumentCounts:
    """Number and size in bytes of one record type's documents."""

    documents: int = 0
    size: int = 0
    trashed: int = 0
    trashed_size: int = 0


@dataclass(frozen=True)
class Journal:
    """Numbers of objects being stored or removed, and of those overdue for the sweep."""

    attach: int
    remove: int
    overdue: int


@dataclass(frozen=True)
class Process:
    """A server process on this machine. `memory` is in bytes and includes its sandbox workers."""

    pid: int
    memory: int
    workers: int
    started_at: datetime


@dataclass(frozen=True)
class Status:
    """Figures about the installation. Sizes are in bytes."""

    at: datetime
    kinds: Mapping[str, DocumentCounts]  # by record type
    pictures: int
    pictures_size: int
    failed_pictures: int
    additional: Sequence[Figure]
    oldest_trash: datetime | None  # deletion time of the item longest in the trash
    journal: Journal
    free: Mapping[str, int | None]  # by storage; None: unlimited
    accounts: int
    patients: int
    sessions: int
    processes: tuple[Process, ...]
    findings: Mapping[str, int]  # by kind
    runs: Mapping[str, Run | None]  # by operation
    audit: chain.ChainStatus
    scanner: scanning.ScannerStatus
    jobs: jobs.QueueStatus
    texts: TextStatus
    clock_jump: clock_jumps.Jump | None  # until the clock has run steadily for a day
    sandbox: Layers  # by layer: "" if active, otherwise why it is missing

    @property
    def missing_layers(self) -> Layers:
        return missing_layers(self.sandbox)

    @property
    def jobs_late(self) -> int:
        """The number of seconds the oldest due job has waited."""
        return max(0, int((self.at - self.jobs.oldest).total_seconds())) if self.jobs.oldest else 0


class StatusService(Service):
    """The status of the installation, for administrators."""

    def read(self, services: Services) -> Status:
        with self.operation("status"):
            if not self.actor.is_admin:
                raise Forbidden("Only administrators can open the status page.")
            return measure(services)


def measure(services: Services) -> Status:
    query = select(func.count(Rendition.key), func.sum(Rendition.size), func.count(Rendition.failure))
    pictures, size, failed = db.session.execute(query).one()
    is_live = and_(EntityFile.deleted_at.is_(None), Patient.deleted_at.is_(None))
    live, bytes_ = case((is_live, 1), else_=0), EntityFile.file_size
    figures = [func.sum(one) for one in (live, live * bytes_, 1 - live, (1 - live) * bytes_)]
    by_type = select(EntityFile.entity_type, *figures).join(Patient, Patient.id == EntityFile.patient_id)
    by_type = by_type.group_by(EntityFile.entity_type)
    trash = (select(func.min(one.deleted_at)).where(one.deleted_at.is_not(None)) for one in (EntityFile, Patient))
    oldest = select(*(query.scalar_subquery() for query in trash))
    found = {kind: DocumentCounts(*map(int, values)) for kind, *values in db.session.execute(by_type)}
    return Status(
        at=now(),
        kinds={record_type.name: found.get(record_type.name, DocumentCounts()) for record_type in services.registry},
        pictures=pictures,
        pictures_size=int(size or 0),
        failed_pictures=failed,
        additional=services.registry.additional.figures(),
        oldest_trash=min(filter(None, db.session.execute(oldest).one()), default=None),
        journal=Journal(
            attach=count(StorageJournal.id, StorageJournal.action == "attach"),
            remove=count(StorageJournal.id, StorageJournal.action == "remove"),
            overdue=count(StorageJournal.id, not_(is_ahead(StorageJournal.lease_until, LEASE))),
        ),
        free={storage.name: storage.free() for storage in services.storages},
        accounts=count(User.id, User.active.is_(True)),
        patients=count(Patient.id, Patient.deleted_at.is_(None)),
        sessions=count(Session.id, Session.owner.is_not(None)),
        processes=processes(),
        findings=integrity.count_findings(),
        runs={name: last_runs.last(name) for name in (integrity.VERIFY, integrity.DEEP, backup.RUN, chain.VERIFY)},
        audit=chain.status(),
        scanner=scanning.status(services.scanner),
        jobs=jobs.status(),
        texts=replace(page_texts.status(), engine=services.engine.name if services.engine else None),
        clock_jump=clock_jumps.status(),
        sandbox=services.sandbox.layers(),
    )


def processes() -> tuple[Process, ...]:
    """Return the server processes, which are siblings with the same command line."""
    me = psutil.Process().as_dict(["ppid", "cmdline"])
    alike = [one for one in psutil.process_iter(["ppid", "cmdline"]) if one.info == me]
    return tuple(found for one in alike if (found := _process(one)))


def _process(process: psutil.Process) -> Process | None:
    """Return a process's figures, or None if it has ended."""
    try:
        workers = process.children(recursive=True)
        memory = sum(one.memory_info().rss for one in (process, *workers))
        return Process(process.pid, memory, len(workers), datetime.fromtimestamp(process.create_time(), UTC))
    except psutil.Error:
        return None
