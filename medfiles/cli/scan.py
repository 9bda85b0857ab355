"""`flask medfiles scan`: scan stored documents for malware."""

import click

from medfiles.cli.output import summary, with_summary
from medfiles.cli.progress import Progress
from medfiles.errors import Conflict
from medfiles.http.current import services
from medfiles.operations import scanning


@click.command()
@click.option("--all", "rescan", is_flag=True, help="Scan all documents again, for example after a signature update.")
@with_summary
def scan(rescan: bool, as_json: bool) -> None:
    """Scan stored documents with ClamAV. The server scans waiting documents automatically."""
    scanner = services().scanner
    if scanner is None:
        return summary(as_json, "No scanner is configured, so nothing was scanned. Set MEDFILES_CLAMD.", scanner=None)
    if scanner.version() is None:
        raise Conflict(f"The scanner at {scanner.address} does not respond.")
    report = Progress().step("Scanning", scanning.count_due(rescan=rescan))
    done = scanning.scan(services().storages, scanner, rescan=rescan, report=report)
    lines = [f"document {number}  quarantined" for number in done.infected]
    lines += [f"document {number}  not scanned" for number in done.unscanned]
    lines.append(f"{done.clean:,} clean, {len(done.infected):,} quarantined, {len(done.unscanned):,} not scanned.")
    if done.away:
        lines.append("The scanner stopped responding.")
    summary(as_json, "\n".join(lines), ok=not (done.infected or done.unscanned or done.away), **vars(done))


COMMANDS = (scan,)
