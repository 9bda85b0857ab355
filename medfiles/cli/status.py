"""`flask medfiles status`: the most important figures of the status page."""

import click

from medfiles.cli.output import summary, with_summary
from medfiles.http.current import services
from medfiles.operations import status as operation_status
from medfiles.operations.status import Status


@click.command()
@with_summary
def status(as_json: bool) -> None:
    """Show whether this installation needs attention: findings, jobs, audit log, scans, sandbox."""
    found = operation_status.measure(services())
    summary(
        as_json,
        _report(found),
        documents=sum(counts.documents for counts in found.kinds.values()),
        findings=found.findings,
        jobs_late=found.jobs_late,
        audit_waiting=found.audit.waiting,
        scans_waiting=found.scanner.waiting,
        sandbox_missing=found.missing_layers,
    )


def _report(found: Status) -> str:
    findings = ", ".join(f"{count:,} {kind}" for kind, count in found.findings.items()) or "none"
    missing = ", ".join(f"{layer} missing ({reason})" for layer, reason in found.missing_layers.items())
    return "\n".join(
        [
            f"documents  {sum(counts.documents for counts in found.kinds.values()):,}",
            f"findings   {findings}",
            f"jobs       {found.jobs.due:,} due, {found.jobs.given_up:,} failed",
            f"audit log  {found.audit.sealed:,} sealed, {found.audit.waiting:,} pending",
            f"scans      {found.scanner.waiting:,} pending",
            f"sandbox    {missing or 'complete'}",
        ]
    )


COMMANDS = (status,)
