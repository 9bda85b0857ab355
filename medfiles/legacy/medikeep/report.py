"""The report on an import: every row of the source with what became of it, as text and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from medfiles.legacy.medikeep import columns, schema
from medfiles.legacy.medikeep.columns import Columns
from medfiles.legacy.medikeep.ledger import Finding, Ledger
from medfiles.legacy.medikeep.schema import MediKeep
from medfiles.legacy.medikeep.verification import Verdict
from medfiles.record_types.declared import Registry

MOST_NUMBERS = 20  # listed per finding
TABLES: Mapping[str, str] = {  # what each table becomes
    schema.USERS: "accounts",
    schema.PATIENTS: "patients",
    schema.SHARES: "shares",
    "lab_results": "lab results",
    "insurances": "insurances",
    "encounters": "visits",
    "procedures": "procedures",
    schema.NEW_FILES: "documents",
    schema.OLD_FILES: "documents of the older version",
    schema.PRACTITIONERS: "clinicians in records",
    schema.COMPONENTS: "lines in lab results",
    **{table: f"{kind.label.lower()} records" for table, kind in schema.LABELS.items()},
}


@dataclass
class Report:
    place: str
    version: str
    begun_at: datetime
    dry_run: bool
    rows: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    findings: Sequence[Finding] = ()
    not_along: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, Columns] = field(default_factory=dict)
    backup: str | None = None
    not_backed_up: Sequence[str] = ()  # sentences
    moved: int = 0  # by this run; in a dry run, files that can be moved
    verdict: Verdict | None = None
    ended_at: datetime | None = None

    @property
    def left_behind(self) -> int:
        """The number of files that cannot be moved."""
        tables = (schema.NEW_FILES, schema.OLD_FILES)
        found = (entry for table in tables for entry in self.outcomes.get(table, {}).items())
        return sum(count for outcome, count in found if outcome.startswith("not brought"))

    @property
    def good(self) -> bool:
        """Whether nothing was left behind, and the verification passed unless this is a dry run."""
        checked = self.dry_run or (self.verdict is not None and self.verdict.passed)
        return checked and not any(
            outcome.startswith("not brought") for found in self.outcomes.values() for outcome in found
        )

    def as_json(self) -> dict[str, Any]:
        verdict = self.verdict
        return {
            "source": self.place, "version": self.version, "begun_at": self.begun_at, "ended_at": self.ended_at,
            "dry_run": self.dry_run, "rows": self.rows, "outcomes": self.outcomes,
            "findings": [asdict(one) for one in self.findings], "not_brought_along": self.not_along,
            "columns": {table: asdict(one) for table, one in self.columns.items()},
            "backup": self.backup, "not_backed_up": self.not_backed_up,
            "moved_now": self.moved, "left_behind": self.left_behind, "good": self.good,
            "verification": verdict and {**asdict(verdict), "passed": verdict.passed},
        }  # fmt: skip


def fill(report: Report, registry: Registry, medikeep: MediKeep, ledger: Ledger) -> None:
    """Take over what the ledger of a run says."""
    report.rows = {table: medikeep.count(table) for table in TABLES if medikeep.has(table)}
    report.outcomes, report.findings = ledger.outcomes(), list(ledger.findings())
    report.not_along = dict(_not_along(medikeep, ledger))
    report.columns = {table: columns.of(registry, medikeep, table) for table in report.rows}


def _not_along(medikeep: MediKeep, ledger: Ledger) -> Iterator[tuple[str, int]]:
    for table, kind in schema.LABELS.items():
        with_files = ledger.ask("SELECT COUNT(DISTINCT record) FROM files WHERE record_table = ?", table)[0][0]
        if (left := medikeep.count(table) - with_files) > 0 and table != "allergies":
            yield f"{table} without files", left
        if with_files:
            yield f"details of {kind.table} other than their files", with_files
    for table, count in medikeep.others().items():
        yield schema.WORDS.get(table, table.replace("_", " ")), count
    if links := ledger.ask("SELECT COUNT(*) FROM files WHERE stays = 'remote'")[0][0]:
        yield "links to documents in Paperless or Papra", links
    if trash := sum(1 for _ in medikeep.folder.trash()):
        yield "files in the trash", trash


def lines(report: Report) -> Iterator[str]:
    """Format the report as text."""
    yield f"MediKeep ({report.version}) in {report.place.removeprefix('medikeep ')}"
    for table, count in report.rows.items():
        found = report.outcomes.get(table, {})
        parts = ", ".join(f"{number:,} {outcome}" for outcome, number in found.items()) or "none"
        yield f"  {TABLES[table].capitalize()} ({table}): {count:,} rows: {parts}"
        if count:
            yield from (f"    {words}" for words in report.columns[table].lines())
    yield "  Findings:" if report.findings else "  No findings."
    for one in report.findings:
        yield f"    {one.source}: {one.count:,} × {one.words} [{one.kind}]{_numbers(one)}"
    if report.not_along:
        yield "  Not brought along:"
        yield from (f"    {count:,} {what}" for what, count in report.not_along.items())
    if report.verdict is not None:
        yield from _verification(report.verdict)
    yield from _summary(report)


def _verification(verdict: Verdict) -> Iterator[str]:
    yield f"Verification: {verdict.documents:,} documents compared"
    if verdict.deleted:
        yield f"  {verdict.deleted:,} have since been deleted permanently"
    yield f"  Access compared for {verdict.pairs:,} pairs of account and document"
    yield from (f"  {words}" for words in (*verdict.problems, *verdict.leaks, *verdict.losses))
    yield "  Passed." if verdict.passed else "  Failed."


def _summary(report: Report) -> Iterator[str]:
    if report.dry_run:
        yield f"Dry run: {report.moved:,} files can be moved, {report.left_behind:,} cannot. Nothing was changed."
        return
    yield f"{report.moved:,} files moved, {report.left_behind:,} cannot be moved."
    if report.backup:
        yield f"Backup: {report.backup}"
        yield from (f"  Not in the backup: {words}" for words in report.not_backed_up)


def _numbers(one: Finding) -> str:
    if not one.ids:
        return ""
    shown, left = ", ".join(map(str, one.ids[:MOST_NUMBERS])), len(one.ids) - MOST_NUMBERS
    return f" ({shown}{f' and {left:,} more' if left > 0 else ''})"
