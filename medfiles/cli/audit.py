"""`flask medfiles audit`: seal, verify, export and anchor the audit chain."""

import re
import sys
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import AppGroup

from medfiles.audit import chain
from medfiles.audit.checkpoint import Head
from medfiles.cli.output import FINDINGS, json_option, report_errors, summary
from medfiles.http.current import services

group = AppGroup("audit", help="The trail: who did what, and that nobody changed it.")


class HeadType(click.ParamType[Head]):
    name = "position:code"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Head:
        found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", value)
        if not found:
            self.fail(f"{value!r} is not a head such as 4711:9f86…", param, ctx)
        return Head(int(found[1]), found[2], "")


def _utc(context: Any, parameter: Any, value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value else None


def register(parent: AppGroup) -> None:
    parent.add_command(group)


@group.command("seal")
@json_option
@report_errors
def seal_now(as_json: bool) -> None:
    """Chain all events that are not in the chain yet; servers do it every few seconds."""
    count = chain.seal(services().sealer, everything=True)
    summary(as_json, f"Sealed {count:,} events.", sealed=count)


@group.command()
@click.option("--head", type=HeadType(), help="A head kept elsewhere, POSITION:CODE, instead of the anchor.")
@json_option
@report_errors
def verify(head: Head | None, as_json: bool) -> None:
    """Check every event against the chain, and the chain's end against the anchor."""
    bad = chain.verify(services().sealer, head)
    state = chain.status()
    sentence = f"First bad: {bad.text}." if bad else f"All {state.sealed:,} sealed events are as they were written."
    finding = {"kind": bad.kind, "event": bad.event_id, "position": bad.position} if bad else None
    summary(as_json, sentence, sealed=state.sealed, waiting=state.waiting, finding=finding)
    if bad:
        sys.exit(FINDINGS)


@group.command()
@click.option("--patient", type=click.IntRange(1), help="Only what was done with this patient's papers.")
@click.option("--since", type=click.DateTime(), callback=_utc, help="In UTC.")
@click.option("--until", type=click.DateTime(), callback=_utc, help="In UTC, itself left out.")
@click.option(
    "--output", type=click.File("w", encoding="utf-8", lazy=False), default="-", help="Default: the terminal."
)
@report_errors
def export(patient: int | None, since: datetime | None, until: datetime | None, output: Any) -> None:
    """Events as JSON Lines, one each, with their places in the chain. They hold names of documents and people."""
    for line in chain.export(patient, since, until):
        output.write(line + "\n")


@group.command()
@json_option
@report_errors
def anchor(as_json: bool) -> None:
    """Take the chain as it is for right from now on, as after an older database was put back. The trail says so."""
    head = chain.renew_anchor(services().sealer)
    assert head is not None
    summary(as_json, f"The anchor is now {head.position}:{head.mac}", position=head.position, mac=head.mac)
