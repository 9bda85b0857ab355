"""`flask medfiles verify`: compare storage and database."""

import sys
from collections.abc import Callable

import click
from flask.cli import AppGroup

from medfiles.cli.output import FINDINGS, json_option, report_errors, summary
from medfiles.cli.progress import Progress
from medfiles.clock import now
from medfiles.config import amount
from medfiles.http.current import services
from medfiles.operations import integrity
from medfiles.operations.integrity import VerifyResult


class Amount(click.ParamType[int]):
    name = "bytes"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            found = amount(value)
        except ValueError:
            found = 0
        return found or self.fail(f"{value!r} is not an amount such as 500KB, 20MB or 1GB.", param, ctx)


def register(parent: AppGroup) -> None:
    parent.add_command(verify)


@click.command()
@click.option("--deep", is_flag=True, help="Read every document and compare its SHA-256, longest unchecked first.")
@click.option("--rate", type=Amount(), help="With --deep: read at most so much a second, such as 20MB.")
@click.option("--most", type=click.IntRange(1), help="With --deep: end after so many documents.")
@click.option("--quarantine", is_flag=True, help="Move objects that nobody names to lost+found in the store.")
@json_option
@report_errors
def verify(deep: bool, rate: int | None, most: int | None, quarantine: bool, as_json: bool) -> None:
    """Compare the store with the database. Nothing is ever deleted; safe beside people at work."""
    if not deep and (rate or most):
        raise click.UsageError("--rate and --most are for --deep.")
    done = integrity.verify(
        services().storages, quarantine=quarantine, report=_progress("Looking for", integrity.total())
    )
    if deep:
        began = now()
        due = integrity.due_count(began) if most is None else min(most, integrity.due_count(began))
        done += integrity.verify_deep(
            services().storages, before=began, limit=most, rate=rate, report=_progress("Reading", due)
        )
    summary(as_json, _report(done), **_facts(done))
    if done.findings:
        sys.exit(FINDINGS)


def _progress(words: str, total: int) -> Callable[[int], None]:
    return Progress().step(words, total)


def _report(done: VerifyResult) -> str:
    lines = [f"{one.kind}  {one.text}" for one in done.findings]
    lines.append(f"{done.objects:,} objects and {done.documents:,} documents compared, {done.read:,} of these read.")
    lines.append(f"{len(done.findings):,} findings." if done.findings else "All is as it should be.")
    if done.set_aside:
        lines.append(f"{done.set_aside:,} objects were moved to lost+found.")
    return "\n".join(lines)


def _facts(done: VerifyResult) -> dict[str, object]:
    found = [{"kind": one.kind, "storage": one.storage, "key": one.key, "id": one.file_id} for one in done.findings]
    return {
        "objects": done.objects,
        "documents": done.documents,
        "read": done.read,
        "bytes": done.bytes,
        "findings": found,
        "set_aside": done.set_aside,
    }
