"""Run an import step by step. Each step continues where an earlier run stopped."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.legacy import log
from medfiles.legacy.medikeep import bringing, merged, report, schema
from medfiles.legacy.medikeep.bringing import EVERYTHING, Source
from medfiles.legacy.medikeep.files import Collector, FileMover
from medfiles.legacy.medikeep.ledger import Ledger
from medfiles.legacy.medikeep.report import Report
from medfiles.legacy.medikeep.schema import MediKeep
from medfiles.legacy.medikeep.verification import Verdict, Verifier
from medfiles.legacy.migration import Teller
from medfiles.models import EntityFile, LegacySource
from medfiles.operations import backup, database_dump
from medfiles.services import Services
from medfiles.storage import durable

UTC = "UTC"


class _RolledBack(Exception):
    """Ends the transaction of a dry run."""


@dataclass(frozen=True)
class Plan:
    """Options for an import.

    :param folder: folder for the backup
    :param secret: this installation's secret key, which becomes part of the backup
    :param only: ids of the source's patients to import; empty for all
    :param batch: files per transaction
    """

    folder: Path
    secret: str = field(repr=False)
    only: Collection[int] = EVERYTHING
    batch: int = 100


@dataclass
class Import:
    services: Services
    medikeep: MediKeep
    plan: Plan
    teller: Teller

    def dry_run(self) -> Report:
        """Try everything that `run` does, and change nothing: rows are created and rolled back, files are read."""
        log.check(self.medikeep)
        made, ledger = self._report(dry_run=True), Ledger()
        try:
            with transaction() as session:
                known = session.scalar(select(LegacySource).where(LegacySource.place == self.medikeep.place))
                if known is None:
                    session.add(known := LegacySource(place=self.medikeep.place, timezone=UTC))
                    session.flush()
                source = self._source(known, ledger, dry_run=True)
                bringing.bring_all(source, self.teller.step)
                self._collect(source)
                raise _RolledBack
        except _RolledBack:
            pass
        mover, progress = (
            FileMover(self.services, self.medikeep.folder, ledger, source),
            self.teller.step("Reading", self._files),
        )
        done = 0
        for numbers in ledger.numbers(self.plan.batch):
            made.moved += mover.try_out(numbers)
            progress(done := done + len(numbers))
        merged.account(source)
        return self._finished(made, ledger)

    def run(self) -> Report:
        log.check(self.medikeep)
        made, ledger = self._report(dry_run=False), Ledger()
        known = log.begin(self.medikeep, UTC)
        made.backup = self._back_up(known, made)
        source = self._source(known, ledger)
        bringing.bring_all(source, self.teller.step)
        self._collect(source)
        mover, progress, done = (
            FileMover(self.services, self.medikeep.folder, ledger, source),
            self.teller.step("Moving", self._files),
            0,
        )
        for numbers in ledger.numbers(self.plan.batch):
            made.moved += mover.move(numbers)
            progress(done := done + len(numbers))
        merged.account(source)
        made.verdict = self._verify(source)
        return self._finished(made, ledger)

    def _report(self, *, dry_run: bool) -> Report:
        return Report(self.medikeep.place, self.medikeep.version, now(), dry_run)

    def _source(self, known: LegacySource, ledger: Ledger, *, dry_run: bool = False) -> Source:
        return Source(self.services.registry, self.medikeep, known, ledger, self.plan.only, dry_run)

    @property
    def _files(self) -> int:
        return self.medikeep.count(schema.NEW_FILES) + self.medikeep.count(schema.OLD_FILES)

    def _collect(self, source: Source) -> None:
        Collector(source).run(self.teller.step("Looking for files", self._files))

    def _verify(self, source: Source) -> Verdict:
        verdict = Verifier(self.services, source).verify(self.teller.step("Verifying", self._files))
        log.note(source.known, verified_at=now() if verdict.passed else None)
        return verdict

    def _finished(self, made: Report, ledger: Ledger) -> Report:
        report.fill(made, self.services.registry, self.medikeep, ledger)
        made.ended_at = now()
        return made

    def _back_up(self, known: LegacySource, made: Report) -> str:
        """Back up this installation and the source; return the backup's folder, which later runs reuse."""
        if known.backed_up_at is not None and known.backup:
            earlier = Path(known.backup)
            if earlier.name in backup.whole(earlier.parent):
                return known.backup
        durable.check_space(self._needed())
        source = backup.ImportSource(self.medikeep.engine, self.medikeep.folder)
        progress = self.teller.step("Backing up", backup.object_count(self.services.storages, source))
        saved = backup.back_up(self.services.storages, self.plan.folder, self.plan.secret, progress, source=source)
        made.not_backed_up = saved.problems
        folder = str(self.plan.folder / saved.name)
        log.note(known, backup=folder, backed_up_at=now())
        return folder

    def _needed(self) -> dict[Path, int]:
        """Return how many bytes will be written to each folder: for the backup, and for the new documents."""
        folder = self.medikeep.folder
        size = sum((folder.root / path).stat().st_size for path in folder.paths())
        documents = db.session.scalar(select(func.sum(EntityFile.file_size))) or 0
        db.session.rollback()
        databases = sum(map(database_dump.database_size, {db.engine, self.medikeep.engine}))
        needed = {self.plan.folder: size + int(documents) + databases}
        if root := self.services.storages.default.root:
            needed[root] = size
        return needed
