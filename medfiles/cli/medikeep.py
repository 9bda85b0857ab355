"""`flask medfiles import medikeep`."""

import json
import os
from pathlib import Path
from typing import Any

import click
from flask import current_app

from medfiles.cli.output import summary, with_summary
from medfiles.cli.progress import Progress
from medfiles.http.current import services
from medfiles.legacy import log
from medfiles.legacy.medikeep import report, rollback, schema
from medfiles.legacy.medikeep.importing import Import, Plan
from medfiles.legacy.medikeep.report import Report

FOLDER = "medikeep"


@click.group("import")
def group() -> None:
    """Import another application's records."""


@group.command("medikeep")
@click.option("--source-url", required=True, help="SQLAlchemy URL of MediKeep's database. It is only read.")
@click.option(
    "--source-uploads",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="MediKeep's upload folder. It is only read.",
)
@click.option("--dry-run", is_flag=True, help="Try everything, but change nothing. Exits with 1 if a row stays behind.")
@click.option("--patient", "only", type=int, multiple=True, help="Import only this patient, by its id in MediKeep.")
@click.option(
    "--batch",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Move this many files per transaction.",
)
@click.option("--backup", type=click.Path(file_okay=False, path_type=Path), help="Write the backup to this folder.")
@click.option("--roll-back", is_flag=True, help="Undo the import: delete what it created, unless it has been changed.")
@with_summary
def medikeep(source_url: str, source_uploads: Path, as_json: bool, **wanted: Any) -> None:
    """Import accounts, patients, shares, records and documents from MediKeep. Safe to interrupt and run again."""
    if wanted["dry_run"] and wanted["roll_back"]:
        raise click.UsageError("--dry-run and --roll-back cannot be used together.")
    place = _place()
    plan = Plan(
        wanted["backup"] or place / "backup",
        current_app.config["SECRET_KEY"],
        frozenset(wanted["only"]),
        wanted["batch"],
    )
    with schema.open_source(source_url, source_uploads).at_hand() as source, log.locked(place):
        if wanted["roll_back"]:
            _roll_back(source, as_json)
            return
        importing = Import(services(), source, plan, Progress("rows"))
        _tell(importing.dry_run() if wanted["dry_run"] else importing.run(), as_json)


def _roll_back(source: schema.MediKeep, as_json: bool) -> None:
    log.check(source)
    known = log.current()
    if known is None:
        summary(as_json, "Nothing was imported, so there is nothing to roll back.", documents=0)
        return
    back = rollback.roll_back(services(), source, known, Progress().step("Rolling back", rollback.count(known)))
    words = [f"Rolled back {back.documents:,} documents.", *back.lost, *back.kept]
    words += [f"The {kind} {number} was imported and is kept because it is in use." for kind, number in back.people]
    facts = {"documents": back.documents, "lost": back.lost, "kept": back.kept, "failed": back.failed}
    summary(as_json, "\n".join(words), ok=not (back.kept or back.failed or back.people), **facts, people=back.people)


def _place() -> Path:
    """Return the folder for the lock, backups and reports of this command, creating it if needed."""
    place = Path(current_app.config["MEDFILES_INSTANCE"], FOLDER)
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _tell(made: Report, as_json: bool) -> None:
    """Print the report, and save it as JSON that only its owner can read."""
    path = _place() / ("dry-run.json" if made.dry_run else "report.json")
    draft = path.with_suffix(".part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(made.as_json(), file, default=str, indent=1)
    draft.replace(path)
    facts = made.as_json() | {"report": str(path)}
    summary(as_json, "\n".join([*report.lines(made), f"Report: {path}"]), ok=made.good, **facts)


COMMANDS = (group,)
