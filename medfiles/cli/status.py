"""`flask medfiles status`: the main figures of the status page."""

import click

from medfiles.cli.output import summary, with_summary
from medfiles.http.current import services
from medfiles.operations import status as operation_status
from medfiles.operations.status import Status

TIME = "%Y-%m-%d %H:%M UTC"


@click.command()
@with_summary
def status(as_json: bool) -> None:
    """Show the main figures of the status page, without patient data.

    Exit status 1 if something needs attention: integrity findings, failed jobs, a clock that jumped, or a missing
    layer of the sandbox.
    """
    found = operation_status.measure(services())
    jump = found.clock_jump
    summary(
        as_json,
        _report(found),
        ok=not (found.findings or found.jobs.given_up or jump or found.missing_layers),
        at=found.at,
        documents=sum(counts.documents for counts in found.kinds.values()),
        trashed=sum(counts.trashed for counts in found.kinds.values()),
        findings=found.findings,
        jobs_due=found.jobs.due,
        jobs_given_up=found.jobs.given_up,
        jobs_late=found.jobs_late,
        audit_waiting=found.audit.waiting,
        scans_waiting=found.scanner.waiting,
        last_runs={name: run.ended_at for name, run in found.runs.items() if run},
        clock_jump=jump.facts if jump else None,
        sandbox_missing=found.missing_layers,
        texts={**vars(found.texts)},
    )


def _report(found: Status) -> str:
    kinds, backup, jump = found.kinds.values(), found.runs["backup"], found.clock_jump
    findings = ", ".join(f"{count:,} {kind}" for kind, count in found.findings.items()) or "none"
    missing = ", ".join(f"{layer} missing ({reason})" for layer, reason in found.missing_layers.items())
    moved = f"clock jumped from {jump.stored:{TIME}} to {jump.clock:{TIME}}" if jump else "steady"
    return "\n".join(
        [
            f"documents  {sum(counts.documents for counts in kinds):,}",
            f"trash      {sum(counts.trashed for counts in kinds):,}",
            f"findings   {findings}",
            f"jobs       {found.jobs.due:,} due, {found.jobs.held:,} running, {found.jobs.given_up:,} failed",
            f"audit log  {found.audit.sealed:,} sealed, {found.audit.waiting:,} pending",
            f"scans      {found.scanner.waiting:,} pending",
            f"texts      {sum(found.texts.pages.values()):,} pages, {found.texts.waiting:,} documents pending, "
            f"recognition: {found.texts.engine or 'none'}",
            f"backup     {backup.ended_at:{TIME}}" if backup else "backup     never",
            f"clock      {moved}, {jump.hint}" if jump and jump.hint else f"clock      {moved}",
            f"sandbox    {missing or 'complete'}",
        ]
    )


COMMANDS = (status,)
