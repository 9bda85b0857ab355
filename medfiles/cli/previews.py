"""`flask medfiles previews`: make thumbnails in advance, clear the cache."""

import sys

import click
from flask.cli import AppGroup

from medfiles.cli.output import FINDINGS, json_option, report_errors, summary
from medfiles.http.current import services
from medfiles.operations import housekeeping

group = AppGroup("previews", help="Make thumbnails ahead of time, or let all pictures be made anew.")


def register(parent: AppGroup) -> None:
    parent.add_command(group)


@group.command()
@json_option
@report_errors
def warm(as_json: bool) -> None:
    """Make the thumbnails that are missing. What could not be made before is not tried again."""
    with click.progressbar(length=housekeeping.cold_count(), label="Making thumbnails", file=sys.stderr) as bar:
        warmed = housekeeping.warm(services().renderer, lambda: bar.update(1))
    sentence = f"Made {warmed.made} thumbnails; {warmed.failed} documents cannot be shown."
    summary(as_json, sentence, made=warmed.made, failed=warmed.failed)


@group.command()
@click.option("--failed", is_flag=True, help="Only forget what could not be made, so that it is tried again.")
@json_option
@report_errors
def clear(failed: bool, as_json: bool) -> None:
    """Remove all derived pictures; each is made again when somebody looks. Documents are not touched."""
    swept = housekeeping.clear_previews(services().storages, failed=failed)
    sentence = f"Removed {swept.removed} entries; {swept.failed} pictures could not be removed yet."
    summary(as_json, sentence, removed=swept.removed, failed=swept.failed)
    if swept.failed:
        sys.exit(FINDINGS)
