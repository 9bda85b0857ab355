"""`flask medfiles sweep`, `erase`, `trash` and `storage copy`."""

import re
import sys
from dataclasses import asdict
from datetime import timedelta

import click
from flask.cli import AppGroup

from medfiles.cli.output import summary, with_summary
from medfiles.cli.progress import Progress
from medfiles.clock import now
from medfiles.http.current import services
from medfiles.operations import copy_storage as storage_copier
from medfiles.operations import erasure, housekeeping

trash = AppGroup("trash", help="List the trash of all patients, or delete what has expired.")
storage = AppGroup("storage", help="Copy documents to another store.")


class Period(click.ParamType[timedelta]):
    name = "period"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"(\d{1,5})([dhm])", value)
        if not found:
            self.fail(f"{value!r} is not a period such as 30d, 12h or 45m.", param, ctx)
        unit = {"d": "days", "h": "hours", "m": "minutes"}[found[2]]
        return timedelta(**{unit: int(found[1])})


@click.command()
@with_summary
def sweep(as_json: bool) -> None:
    """Remove leftovers of interrupted uploads and moves. Safe to run at any time and repeatedly."""
    swept = housekeeping.sweep(services().storages)
    sentence = f"Removed {swept.removed} unclaimed objects. {swept.failed} could not be removed yet."
    summary(as_json, sentence, ok=not swept.failed, removed=swept.removed, failed=swept.failed)


@click.command()
@click.option("--now", "at_once", is_flag=True, help="Erase it now instead of leaving it to a job within 24 hours.")
@with_summary
def erase(at_once: bool, as_json: bool) -> None:
    """Erase permanently deleted content from the files of the database. Safe while the server runs."""
    if not at_once:
        raise click.UsageError("Permanently deleted content is erased within 24 hours. Add --now to erase it now.")
    erasure.erase(services().registry)
    summary(as_json, "Erased permanently deleted content from the database files.", erased=True)


@trash.command("list")
@click.option(
    "--older-than",
    type=Period(),
    default="0m",
    help="List only documents that have been in the trash longer than this, such as 30d, 12h or 45m.",
)
@with_summary
def list_trash(older_than: timedelta, as_json: bool) -> None:
    """List IDs, types and deletion times of documents in the trash, without their names."""
    files = housekeeping.due(now() - older_than)
    rows = [{"id": file.id, "type": file.entity_type, "deleted_at": at} for file, at in files]
    lines = [f"{row['id']}  {row['type']:<12} {row['deleted_at']}" for row in rows]
    summary(as_json, "\n".join([*lines, f"{len(rows)} documents in the trash."]), documents=rows)


@trash.command()
@click.option(
    "--older-than",
    type=Period(),
    help="Delete what has been in the trash longer than this. Default: MEDFILES_TRASH_DAYS.",
)
@click.option("--force", is_flag=True, help="Trust the clock alone, even if it may have been wrong.")
@with_summary
def purge(older_than: timedelta | None, force: bool, as_json: bool) -> None:
    """Permanently delete what has expired in the trash.

    The clock alone is not enough: at least half as many housekeeping rounds as the period has days must have started
    since then. About one starts per day. --force deletes without this check.
    """
    period = timedelta(days=services().trash_days) if older_than is None else older_than
    report = (lambda text: click.echo(text, err=True)) if sys.stderr.isatty() else (lambda text: None)
    purged = housekeeping.purge_expired(services().registry, services().storages, period, report, force=force)
    sentence = (
        f"Permanently deleted {purged.documents} documents, {purged.records} records and {purged.patients} patients."
    )
    if waiting := housekeeping.held_back(period):
        click.echo(
            f"{waiting} more documents are old enough, but too few housekeeping rounds have started since then. "
            "Use --force to delete them.",
            err=True,
        )
    facts = {"documents": purged.documents, "records": purged.records, "patients": purged.patients}
    facts |= {"failed": purged.failed}
    summary(as_json, sentence, ok=not purged.failed, **facts)


@storage.command("copy")
@with_summary
def copy_storage(as_json: bool) -> None:
    """Copy documents from MEDFILES_STORAGE_ALSO to MEDFILES_STORAGE_URL and compare each with its SHA-256.

    Safe while the server runs. If interrupted, run it again to continue.
    """
    storages = services().storages
    total = storage_copier.count_remaining(storages)
    done = storage_copier.copy_documents(storages, Progress().step("Copying", total))
    sentences = [f"{done.moved} documents copied to {storages.default.name}."]
    if done.damaged:
        sentences.append(f"Damaged, not copied: {_numbers(done.damaged)}.")
    if done.failed:
        sentences.append(f"Not copied: {_numbers(done.failed)}. Run this again.")
    if done.documents:
        sentences.append(f"{done.documents} documents are still in the old store.")
    elif done.others:
        sentences.append(
            f"{done.others} unclaimed objects are still in the old store. `sweep` removes them when they expire."
        )
    else:
        sentences.append("The old store is empty. You can remove MEDFILES_STORAGE_ALSO.")
    summary(as_json, "\n".join(sentences), ok=not done.documents, **asdict(done), storage=storages.default.name)


def _numbers(ids: list[int]) -> str:
    return ", ".join(map(str, ids[:20])) + (" …" if len(ids) > 20 else "")


COMMANDS = (storage, trash, erase, sweep)
