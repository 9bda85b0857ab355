"""`flask medfiles migrate-lab-results` and `rollback-lab-results`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from flask import current_app

from medfiles.cli.output import summary, with_summary
from medfiles.cli.progress import Progress
from medfiles.clock import is_zone
from medfiles.http.current import services
from medfiles.legacy import finishing, log, report, rollback, source
from medfiles.legacy.folder import folder_of
from medfiles.legacy.migration import Migration, Plan
from medfiles.legacy.report import Report
from medfiles.legacy.source import Source

FOLDER = "older-lab-results"


def _zone(context: Any, parameter: Any, value: str) -> str:
    if not is_zone(value):
        raise click.BadParameter(f"{value!r} is not a time zone such as Europe/Berlin.")
    return value


def _source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--source-url", help="SQLAlchemy URL of another installation's database. It is only read."),
        click.option(
            "--source-uploads",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Upload folder of that installation, with lab_result_files/.",
        ),
    ):
        command = option(command)
    return command


@click.command("migrate-lab-results")
@_source_options
@click.option("--dry-run", is_flag=True, help="Analyze only; change nothing. Exits with 1 if there are findings.")
@click.option(
    "--source-timezone",
    "timezone",
    default="UTC",
    show_default=True,
    callback=_zone,
    help="Time zone of the upload times, which the previous feature stored without one.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="Move this many files per transaction.",
)
@click.option("--backup", type=click.Path(file_okay=False, path_type=Path), help="Write the backup to this folder.")
@click.option("--names", is_flag=True, help="Show patient names and full account emails.")
@click.option(
    "--finish", is_flag=True, help="Delete the old rows and files of everything that was moved. This cannot be undone."
)
@click.option("--leave", type=click.IntRange(1), help="With --finish: leave this many files behind, unmoved.")
@with_summary
def migrate(
    source_url: str | None,
    source_uploads: Path | None,
    dry_run: bool,
    finish: bool,
    leave: int | None,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Move the files of the previous lab results feature. Safe to interrupt and run again; no old files are deleted
    before --finish."""
    if dry_run and finish:
        raise click.UsageError("--dry-run and --finish cannot be used together.")
    place = _place()
    backups, secret = wanted["backup"] or place / "backup", current_app.config["SECRET_KEY"]
    plan = Plan(backups, secret, wanted["timezone"], wanted["batch"], wanted["names"])
    with _source(source_url, source_uploads).at_hand() as older, log.locked(place):
        if finish:
            log.check(older)
            if older.is_own:
                _finish(as_json, leave)
            else:
                summary(as_json, finishing.OF_ANOTHER, removed=0, kept=[], failed=0)
        else:
            migration = Migration(services(), older, plan, Progress())
            _tell(migration.analyse()[1] if dry_run else migration.run(), as_json)


@click.command("rollback-lab-results")
@_source_options
@with_summary
def roll_back(source_url: str | None, source_uploads: Path | None, as_json: bool) -> None:
    """Undo the move: documents become files of the previous feature again. Documents added since then are kept."""
    with _source(source_url, source_uploads).at_hand() as older, log.locked(_place()):
        log.check(older)
        known = log.current()
        if known is None:
            summary(as_json, "Nothing was moved, so there is nothing to roll back.", documents=0)
            return
        progress = Progress().step("Rolling back", log.moved_count(known))
        back = rollback.roll_back(services(), older, known, progress)
    words = [f"Rolled back {back.documents:,} documents.", *back.lost, *back.kept]
    words += [f"The {kind} {number} was imported and is kept because it is in use." for kind, number in back.people]
    facts = {"documents": back.documents, "lost": back.lost, "kept": back.kept, "failed": back.failed}
    summary(as_json, "\n".join(words), ok=not (back.kept or back.failed), **facts, people=back.people)


def _source(url: str | None, uploads: Path | None) -> Source:
    if (url is None) != (uploads is None):
        raise click.UsageError("--source-url and --source-uploads must be used together.")
    if url is None or uploads is None:
        return source.own(folder_of(services().storages))
    return source.other(url, uploads)


def _place() -> Path:
    """Return the folder for the lock, backups and reports of these commands, creating it if needed."""
    place = Path(current_app.config["MEDFILES_INSTANCE"], FOLDER)
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _finish(as_json: bool, leave: int | None) -> None:
    known = log.current()
    if known is None:
        raise click.ClickException(finishing.FIRST_VERIFY)
    progress = Progress().step("Deleting old files", log.moved_count(known))
    done = finishing.finish(services(), known, progress, leave=leave)
    words = [f"Deleted {done.removed:,} old files and their rows. The move can no longer be rolled back."]
    words += [f"Old file {number} was kept because its document differs from what was moved." for number in done.kept]
    words += [f"{done.failed:,} files could not be deleted yet. Run this again."] if done.failed else []
    facts = {"removed": done.removed, "kept": done.kept, "failed": done.failed}
    summary(as_json, "\n".join(words), ok=not (done.kept or done.failed), **facts)


def _tell(made: Report, as_json: bool) -> None:
    """Print the report and save it as a self-contained HTML page that only its owner can read."""
    path = _place() / ("analysis.html" if made.dry_run else "report.html")
    draft = path.with_suffix(".part")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(current_app.jinja_env.get_template("legacy/report.html").render(report=made))
    draft.replace(path)
    facts = made.as_json() | {"report": str(path)}
    summary(as_json, "\n".join([*report.lines(made), f"Report: {path}"]), ok=made.good, **facts)


COMMANDS = (migrate, roll_back)
