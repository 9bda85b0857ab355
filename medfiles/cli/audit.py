"""`flask medfiles audit`: seal, verify, export and anchor the audit chain."""

import re
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import AppGroup

from medfiles.audit import chain
from medfiles.audit.checkpoint import Head
from medfiles.cli.output import report_errors, summary, with_summary
from medfiles.http.current import services

group = AppGroup("audit", help="Verify, export and seal the audit log.")


class HeadType(click.ParamType[Head]):
    name = "position:code"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Head:
        found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", value)
        if not found:
            self.fail(f"{value!r} is not a checkpoint such as 4711:9f86…", param, ctx)
        return Head(int(found[1]), found[2], "")


def _utc(context: Any, parameter: Any, value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value else None


@group.command("seal")
@with_summary
def seal_now(as_json: bool) -> None:
    """Seal all unsealed events into the audit chain. Servers do this every few seconds."""
    count = chain.seal(services().sealer, everything=True)
    summary(as_json, f"Sealed {count:,} events.", sealed=count)


@group.command()
@click.option("--head", type=HeadType(), help="Compare with this checkpoint, POSITION:CODE, instead of the stored one.")
@with_summary
def verify(head: Head | None, as_json: bool) -> None:
    """Check every event against the chain, and the end of the chain against the checkpoint."""
    bad = chain.verify(services().sealer, head)
    state = chain.status()
    sentence = f"First finding: {bad.text}." if bad else f"All {state.sealed:,} sealed events are unchanged."
    finding = {"kind": bad.kind, "event": bad.event_id, "position": bad.position} if bad else None
    summary(as_json, sentence, ok=not bad, sealed=state.sealed, waiting=state.waiting, finding=finding)


@group.command()
@click.option("--patient", type=click.IntRange(1), help="Export only events about this patient.")
@click.option("--since", type=click.DateTime(), callback=_utc, help="Export events from this time on, in UTC.")
@click.option("--until", type=click.DateTime(), callback=_utc, help="Export events before this time, in UTC.")
@click.option(
    "--output",
    type=click.File("w", encoding="utf-8", lazy=False),
    default="-",
    help="Write to this file. Default: standard output.",
)
@report_errors
def export(patient: int | None, since: datetime | None, until: datetime | None, output: Any) -> None:
    """Export events as JSON Lines with their positions in the chain. They contain names of documents and people."""
    for line in chain.export(patient, since, until):
        output.write(line + "\n")


@group.command()
@with_summary
def anchor(as_json: bool) -> None:
    """Accept the current chain with a new checkpoint, for example after restoring an older database. This is logged."""
    head = chain.renew_anchor(services().sealer)
    assert head is not None
    summary(as_json, f"The checkpoint is now {head.position}:{head.mac}", position=head.position, mac=head.mac)


COMMANDS = (group,)
