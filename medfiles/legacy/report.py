"""The report on a migration: as text, as JSON, and as data for the saved page."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from medfiles.legacy.inventory import STAYS, Inventory
from medfiles.legacy.verification import Count, Verdict

INVOLVED = """SELECT id, email FROM users
              WHERE id IN (SELECT user FROM patients UNION SELECT user FROM files) ORDER BY id"""
MOST_NUMBERS = 20  # listed per finding


@dataclass(frozen=True)
class PatientLine:
    id: int
    label: str  # "Patient 15", with the name if the plan allows it
    files: int
    checked: Count | None = None


@dataclass(frozen=True)
class UserLine:
    id: int
    label: str  # "User 1 (n…@sample.example)"
    files: int
    patients: Sequence[PatientLine]
    checked: Count | None = None


@dataclass(frozen=True)
class Found:
    """All findings of one kind: ids of older files, and sentences for findings that have no id or differ in wording."""

    kind: str
    words: str
    stays: bool  # whether these files cannot be moved
    numbers: Sequence[int]
    details: Sequence[str] = ()


@dataclass
class Report:
    place: str
    timezone: str
    begun_at: datetime
    dry_run: bool
    totals: dict[str, int]
    bytes: int
    users: Sequence[UserLine] = ()
    findings: Sequence[Found] = ()
    trash_files: int = 0
    trash_bytes: int = 0
    backup: str | None = None
    moved: int = 0  # by this run
    verdict: Verdict | None = None
    finished: bool = False  # by an earlier run
    ended_at: datetime | None = None

    @property
    def stays(self) -> int:
        return sum(len(one.numbers) for one in self.findings if one.stays)

    @property
    def good(self) -> bool:
        """Whether a dry run had no findings, or a migration moved and verified everything."""
        if self.dry_run:
            return not self.findings
        return (self.finished or (self.verdict is not None and self.verdict.passed)) and not self.stays

    def as_json(self) -> dict[str, Any]:
        verdict = self.verdict
        return {
            "source": self.place, "timezone": self.timezone, "begun_at": self.begun_at, "ended_at": self.ended_at,
            "dry_run": self.dry_run, "totals": self.totals, "bytes": self.bytes,
            "users": [asdict(user) for user in self.users], "findings": [asdict(one) for one in self.findings],
            "older_trash": {"files": self.trash_files, "bytes": self.trash_bytes}, "backup": self.backup,
            "finished": self.finished, "moved_now": self.moved, "stay": self.stays, "good": self.good,
            "verification": verdict and {
                "passed": verdict.passed, "total": asdict(verdict.total), "problems": verdict.problems,
                "isolated": not verdict.leaks, "leaks": verdict.leaks,
            },
        }  # fmt: skip


def people_lines(
    found: Inventory, label: Callable[[str, int, str], str], verdict: Verdict | None = None
) -> list[UserLine]:
    """Return all users who have files or patients, with their patients."""
    checked = verdict or Verdict()
    return [
        UserLine(
            user_id, label("user", user_id, email or ""), found.count(user_id),
            _patient_lines(found, user_id, label, checked), checked.users.get(user_id),
        )
        for user_id, email in found.ask(INVOLVED)
    ]  # fmt: skip


def _patient_lines(
    found: Inventory, user_id: int, label: Callable[[str, int, str], str], checked: Verdict
) -> list[PatientLine]:
    query = """SELECT patients.id, patients.name, COUNT(files.id) FROM patients
               LEFT JOIN files ON files.patient = patients.id WHERE patients.user = ? GROUP BY patients.id ORDER BY 1"""
    rows = found.ask(query, user_id)
    return [
        PatientLine(one, label("patient", one, name), files, checked.patients.get(one)) for one, name, files in rows
    ]


def grouped(found: Inventory) -> list[Found]:
    """Group the findings by kind. Kinds that keep files from being moved come first."""
    kinds: dict[str, tuple[str, list[int], list[str]]] = {}
    for finding in found.findings():
        words, numbers, details = kinds.setdefault(finding.kind, (finding.words, [], []))
        if finding.old_id is None or finding.words != words:
            details.append(finding.words)
        if finding.old_id is not None:
            numbers.append(finding.old_id)
    all_kinds = [Found(kind, words, kind in STAYS, some, more) for kind, (words, some, more) in kinds.items()]
    return sorted(all_kinds, key=lambda one: (not one.stays, one.kind))


def lines(report: Report) -> Iterator[str]:
    """Format the report as text, step by step."""
    yield from _analysis(report)
    if report.verdict is not None:
        yield from _verification(report, report.verdict)
    yield from _summary(report)


def _analysis(report: Report) -> Iterator[str]:
    totals = report.totals
    yield f"Previous lab results in {'this installation' if report.place == 'own' else report.place}"
    nouns = (("users", "user"), ("patients", "patient"), ("lab_results", "lab result"), ("lab_result_files", "file"))
    yield f"  {', '.join(_some(totals[name], noun) for name, noun in nouns)} ({report.bytes:,} bytes)"
    for user in report.users:
        yield f"  {user.label}: {_some(len(user.patients), 'patient')}, {_some(user.files, 'file')}"
        for patient in user.patients:
            yield f"    {patient.label}: {_some(patient.files, 'file')}"
    if report.trash_files:
        yield f"  Old trash: {_some(report.trash_files, 'file')} ({report.trash_bytes:,} bytes), not changed"
    yield "  Findings:" if report.findings else "  No findings."
    for one in report.findings:
        count = len(one.numbers) or len(one.details)
        yield f"    {one.kind}{' (cannot be moved)' if one.stays else ''}: {count:,}: {one.words}{_numbers(one)}"


def _verification(report: Report, verdict: Verdict) -> Iterator[str]:
    yield "Verification"
    for user in report.users:
        yield f"  {user.label}: {_checked(user.checked)}"
        for patient in user.patients:
            yield f"    {patient.label}: {_checked(patient.checked)}"
    if unknown := verdict.users.get(None):
        yield f"  Without a user: {_checked(unknown)}"
    yield f"  Total: {_checked(verdict.total)}"
    yield from (f"  PROBLEM: {problem}" for problem in verdict.problems)
    isolated = "no user has access to documents of another user’s patients" if not verdict.leaks else "FAILED"
    yield f"  Isolation: {isolated}"
    yield from (f"  PROBLEM: {leak}" for leak in verdict.leaks)


def _summary(report: Report) -> Iterator[str]:
    if report.dry_run:
        yield f"Nothing was changed. {_some(report.stays, 'file')} cannot be moved."
        return
    if report.finished:
        yield "The move is finished: everything that can be moved has been moved."
        return
    yield f"Moved {_some(report.moved, 'file')} now; {_some(report.stays, 'file')} cannot be moved but can be opened."
    passed = report.verdict is not None and report.verdict.passed
    yield "Verification passed." if passed else "Verification FAILED. Do not delete any old files."


def _checked(count: Count | None) -> str:
    if count is None:
        return "no files"
    words = f"{count.moved:,} of {_some(count.files, 'file')} moved"
    words += f", {count.stay:,} not moved" if count.stay else ""
    return words + (f", {count.deleted:,} permanently deleted" if count.deleted else "")


def _numbers(one: Found) -> str:
    if not one.numbers:
        return ""
    shown = ", ".join(str(number) for number in one.numbers[:MOST_NUMBERS])
    left = len(one.numbers) - MOST_NUMBERS
    return f" ({shown}{f' and {left:,} more' if left > 0 else ''})"


def _some(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
