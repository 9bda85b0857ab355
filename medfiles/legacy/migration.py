"""The whole move, step by step: each finds what was done before and goes on from there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medfiles.clock import now
from medfiles.database.session import db
from medfiles.legacy import backup, log, people, report
from medfiles.legacy.inventory import Inventory, analyse
from medfiles.legacy.moving import Mover
from medfiles.legacy.report import Report
from medfiles.legacy.source import Source
from medfiles.legacy.verification import Verdict, Verifier
from medfiles.models import LegacySource
from medfiles.operations import database_dump
from medfiles.services import Services
from medfiles.storage import DiskStorage, durable

Progress = Callable[[int], None]


class Teller(Protocol):
    """Where progress is told."""

    def step(self, words: str, total: int) -> Progress:
        """A step of `total` files begins; the callable hears how many are done."""

    def say(self, words: str) -> None:
        """A line of its own."""


@dataclass(frozen=True)
class Plan:
    """How to move: `batch` files in a transaction, times read in `timezone`, the backup below `folder`."""

    timezone: str = "UTC"
    batch: int = 100
    folder: Path = Path()
    names: bool = False


@dataclass
class Migration:
    services: Services
    source: Source
    plan: Plan
    teller: Teller

    def analyse(self) -> tuple[Inventory, Report]:
        """Look at everything and change nothing."""
        log.check(self.source)
        totals = dict(self.source.totals())
        begun, found = now(), analyse(self.source, self.teller.step("Analysing files", totals["lab_result_files"]))
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
        """The folder of the backup; one that was made whole for this source is kept."""
        if known.backed_up_at is not None and known.backup and backup.is_whole(Path(known.backup)):
            return known.backup
        folder = self.plan.folder / f"backup-{known.begun_at:%Y%m%dT%H%M%S}"
        durable.check_space(self._needed(found, folder))
        backup.back_up(self.source, found, folder, self.teller.step("Backing up", found.places()))
        log.note(known, backup=str(folder), backed_up_at=now())
        return str(folder)

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

    def _needed(self, found: Inventory, folder: Path) -> dict[Path, int]:
        """Bytes that are to be written, by folder: the backup, and the documents' new places."""
        size = found.bytes_in_all()
        needed = {folder: size + sum(map(database_dump.database_size, {db.engine, self.source.engine}))}
        if isinstance(self.services.storages.default, DiskStorage):
            needed[self.services.storages.default.root] = size
        return needed

    def _label(self, kind: str, number: int, name: str) -> str:
        """Whom a line is about: names and whole addresses only when they are asked for."""
        if kind == "user":
            return f"User {number} ({name if self.plan.names else _masked(name)})"
        return f"Patient {number} ({name})" if self.plan.names else f"Patient {number}"


def _masked(address: str) -> str:
    """ "n…@sample.example": enough to know an account by, without writing its address into logs."""
    local, at, host = address.partition("@")
    return f"{local[:1]}…{at}{host}" if at else "…"
