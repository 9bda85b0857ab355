"""`flask medfiles scan`: scan stored documents for malware."""

import sys

import click
from flask.cli import AppGroup

from medfiles.cli.output import FINDINGS, json_option, report_errors, summary
from medfiles.cli.progress import Progress
from medfiles.errors import Conflict
from medfiles.http.current import services
from medfiles.operations import scanning
from medfiles.operations.scanning import ScanResult


def register(parent: AppGroup) -> None:
    parent.add_command(scan)


@click.command()
@click.option(
    "--all",
    "rescan",
    is_flag=True,
    help="Also scan documents that were scanned before, for example after a signature update.",
)
@json_option
@report_errors
def scan(rescan: bool, as_json: bool) -> None:
    """Scan stored documents with ClamAV. The server scans waiting documents automatically."""
    scanner = services().scanner
    if scanner is None:
        raise click.UsageError("No scanner is configured. Set MEDFILES_CLAMD.")
    if scanner.version() is None:
        raise Conflict(f"The scanner at {scanner.address} does not respond.")
    report = Progress().step("Scanning", scanning.count_due(rescan=rescan))
    done = scanning.scan(services().storages, scanner, rescan=rescan, report=report)
    summary(as_json, _report(done), **vars(done))
    if done.infected or done.unscanned or done.away:
        sys.exit(FINDINGS)


def _report(done: ScanResult) -> str:
    lines = [f"document {number}  quarantined" for number in done.infected]
    lines += [f"document {number}  not scanned" for number in done.unscanned]
    lines.append(f"{done.clean:,} clean, {len(done.infected):,} quarantined, {len(done.unscanned):,} not scanned.")
    if done.away:
        lines.append("The scanner stopped responding.")
    return "\n".join(lines)
