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
@click.option("--deep", is_flag=True, help="Read every document and compare its SHA-256, least recently checked first.")
@click.option("--rate", type=Amount(), help="With --deep: read at most this much per second, such as 20MB.")
@click.option("--most", type=click.IntRange(1), help="With --deep: stop after this many documents.")
@click.option("--quarantine", is_flag=True, help="Move unknown objects to lost+found in the store.")
@json_option
@report_errors
def verify(deep: bool, rate: int | None, most: int | None, quarantine: bool, as_json: bool) -> None:
    """Compare the store with the database. Deletes nothing and is safe while the server runs."""
    if not deep and (rate or most):
        raise click.UsageError("--rate and --most require --deep.")
    done = integrity.verify(services().storages, quarantine=quarantine, report=_progress("Checking", integrity.total()))
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
    lines.append(f"{done.objects:,} objects and {done.documents:,} documents compared, {done.read:,} of them read.")
    lines.append(f"{len(done.findings):,} findings." if done.findings else "No findings.")
    if done.set_aside:
        lines.append(f"{done.set_aside:,} objects moved to lost+found.")
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
