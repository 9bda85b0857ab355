"""`flask medfiles status`: the main figures of the status page."""

import sys

import click
from flask.cli import AppGroup

from medfiles.cli.output import FINDINGS, json_option, report_errors, summary
from medfiles.http.current import services
from medfiles.operations import status as operation_status
from medfiles.operations.status import Status

TIME = "%Y-%m-%d %H:%M UTC"


def register(parent: AppGroup) -> None:
    parent.add_command(status)


@click.command()
@json_option
@report_errors
def status(as_json: bool) -> None:
    """Print the main figures of the status page, without patient data. Exit status 1 if something needs attention:
    integrity findings, jobs that were given up, or a clock that jumped."""
    found = operation_status.measure(services())
    jump = found.clock_jump
    summary(
        as_json,
        "\n".join(f"{name:<19} {value}" for name, value in _lines(found)),
        at=found.at,
        documents=sum(counts.documents for counts in found.kinds.values()),
        trashed=sum(counts.trashed for counts in found.kinds.values()),
        findings=found.findings,
        jobs_due=found.jobs.due,
        jobs_given_up=found.jobs.given_up,
        last_runs={name: run.ended_at for name, run in found.runs.items() if run},
        clock_jump=jump.facts if jump else None,
    )
    if found.findings or found.jobs.given_up or jump:
        sys.exit(FINDINGS)


def _lines(found: Status) -> list[tuple[str, str]]:
    kinds, jump = found.kinds.values(), found.clock_jump
    documents, size = sum(counts.documents for counts in kinds), sum(counts.size for counts in kinds)
    backup = found.runs["backup"]
    moved = f"clock jumped from {jump.stored:{TIME}} to {jump.clock:{TIME}}" if jump else "steady"
    findings = ", ".join(f"{count:,} {kind}" for kind, count in found.findings.items())
    return [
        ("Documents", f"{documents:,}, {size:,} bytes"),
        ("In the trash", f"{sum(counts.trashed for counts in kinds):,}"),
        ("Integrity findings", findings or "none"),
        ("Background jobs", f"{found.jobs.due:,} due, {found.jobs.held:,} running, {found.jobs.given_up:,} failed"),
        ("Last backup", f"{backup.ended_at:{TIME}}" if backup else "never"),
        ("Clock", f"{moved}, {jump.hint}" if jump and jump.hint else moved),
    ]
