"""Run a migration step by step. Each step continues where an earlier run stopped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sqlalchemy import func, select

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.legacy import log, people, report
from medfiles.legacy.inventory import Inventory, analyse
from medfiles.legacy.moving import Mover
from medfiles.legacy.report import Report
from medfiles.legacy.source import Source
from medfiles.legacy.verification import Verdict, Verifier
from medfiles.models import EntityFile, LegacySource
from medfiles.operations import backup, database_dump
from medfiles.services import Services
from medfiles.storage import durable

Progress = Callable[[int], None]


class Teller(Protocol):
    """Receives progress reports."""

    def step(self, words: str, total: int) -> Progress:
        """Begin a step with `total` files; return a callback for the number of files processed."""

    def say(self, words: str) -> None:
        """Print a line."""


@dataclass(frozen=True)
class Plan:
    """Options for a migration.

    :param folder: folder for the backup
    :param secret: this installation's secret key, which becomes part of the backup
    :param timezone: time zone of the older feature's timestamps
    :param batch: files per transaction
    :param names: whether to show patient names and full e-mail addresses
    """

    folder: Path
    secret: str = field(repr=False)
    timezone: str = "UTC"
    batch: int = 100
    names: bool = False


@dataclass
class Migration:
    services: Services
    source: Source
    plan: Plan
    teller: Teller

    def analyse(self) -> tuple[Inventory, Report]:
        """Analyze the source; return the findings and a report. Changes nothing."""
        log.check(self.source)
        totals = dict(self.source.totals())
        begun, found = now(), analyse(self.source, self.teller.step("Analyzing files", totals["lab_result_files"]))
        trash = found.ask("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM trash")[0]
        made = Report(self.source.place, self.plan.timezone, begun, True, totals, found.bytes_in_all() - trash[1])
        made.trash_files, made.trash_bytes = trash
        made.users, made.findings = report.people_lines(found, self._label), report.grouped(found)
        return found, made

    def run(self) -> Report:
        found, made = self.analyse()
        known = log.begin(self.source, self.plan.timezone)
        made.dry_run, made.finished, made.backup = False, known.finishing_at is not None, known.backup
        if made.finished:
            return made
        made.backup = self.back_up(found, known)
        people.bring_along(self.source, known, found)
        made.moved = self.move(found, known)
        made.verdict = self.verify(found, known)
        made.users = report.people_lines(found, self._label, made.verdict)
        made.findings, made.ended_at = report.grouped(found), now()
        return made

    def back_up(self, found: Inventory, known: LegacySource) -> str:
        """Back up this installation and the source; return the backup's folder.

        A complete backup from an earlier run is reused.
        """
        if known.backed_up_at is not None and known.backup:
            made = Path(known.backup)
            if made.name in backup.whole(made.parent):
                return known.backup
        durable.check_space(self._needed(found))
        storages = self.services.storages
        source = None if self.source.is_own else backup.ImportSource(self.source.engine, self.source.folder)
        progress = self.teller.step("Backing up", backup.object_count(storages, source))
        saved = backup.back_up(storages, self.plan.folder, self.plan.secret, progress, source=source)
        for problem in saved.problems:
            found.add("findings", "not-backed-up", None, problem)
        folder = str(self.plan.folder / saved.name)
        log.note(known, backup=folder, backed_up_at=now())
        return folder

    def move(self, found: Inventory, known: LegacySource) -> int:
        mover, moved = Mover(self.services, self.source, known, found), 0
        progress = self.teller.step("Moving", found.ask("SELECT COUNT(*) FROM files")[0][0])
        done = 0
        for user in [*(one for one, _ in found.users()), None]:
            mine = 0
            for numbers in found.batches(user, self.plan.batch):
                count = self._move_batch(mover, known, numbers)
                mine, done = mine + count, done + len(numbers)
                progress(done)
            moved += mine
            if user is not None:
                self.teller.say(f"User {user}: {mine:,} of {found.count(user):,} files moved")
        return moved

    def verify(self, found: Inventory, known: LegacySource) -> Verdict:
        progress = self.teller.step("Verifying", found.ask("SELECT COUNT(*) FROM files")[0][0])
        verdict = Verifier(self.services, self.source, known, found).verify(progress)
        log.note(known, verified_at=now() if verdict.passed else None)
        return verdict

    def _move_batch(self, mover: Mover, known: LegacySource, numbers: Sequence[int]) -> int:
        count = mover.move(numbers)
        if count and known.verified_at is not None:
            log.note(known, verified_at=None)
        return count

    def _needed(self, found: Inventory) -> dict[Path, int]:
        """Return how many bytes will be written to each folder: for the backup, and for the new documents."""
        size = found.bytes_in_all()
        documents = db.session.scalar(select(func.sum(EntityFile.file_size))) or 0
        db.session.rollback()
        databases = sum(map(database_dump.database_size, {db.engine, self.source.engine}))
        needed = {self.plan.folder: size + int(documents) + databases}
        if root := self.services.storages.default.root:
            needed[root] = size
        return needed

    def _label(self, kind: str, number: int, name: str) -> str:
        """Describe a user or patient, with the name or full e-mail address only if the plan allows it."""
        if kind == "user":
            return f"User {number} ({name if self.plan.names else _masked(name)})"
        return f"Patient {number} ({name})" if self.plan.names else f"Patient {number}"


def _masked(address: str) -> str:
    """Mask an address, as in "n…@sample.example", so that logs identify an account but not its address."""
    local, at, host = address.partition("@")
    return f"{local[:1]}…{at}{host}" if at else "…"
