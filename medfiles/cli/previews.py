"""`flask medfiles previews`: create thumbnails in advance, clear the cache."""

import sys

import click
from flask.cli import AppGroup

from medfiles.cli.output import summary, with_summary
from medfiles.http.current import services
from medfiles.operations import housekeeping
from medfiles.previews import cache as preview_cache

group = AppGroup("previews", help="Create missing thumbnails, or clear the preview cache.")


@group.command()
@with_summary
def warm(as_json: bool) -> None:
    """Create missing thumbnails. Previews that failed before are not retried."""
    with click.progressbar(length=housekeeping.cold_count(), label="Creating thumbnails", file=sys.stderr) as bar:
        warmed = housekeeping.warm(services().renderer, lambda: bar.update(1))
    sentence = f"Created {warmed.made} thumbnails. {warmed.failed} documents cannot be previewed."
    summary(as_json, sentence, made=warmed.made, failed=warmed.failed)


@group.command()
@click.option("--failed", is_flag=True, help="Clear only failed previews, so that they are retried.")
@with_summary
def clear(failed: bool, as_json: bool) -> None:
    """Remove all cached previews. They are created again on demand. Documents are not changed."""
    swept = preview_cache.clear(services().storages, failed=failed)
    sentence = f"Removed {swept.removed} entries. {swept.failed} previews could not be removed yet."
    summary(as_json, sentence, ok=not swept.failed, removed=swept.removed, failed=swept.failed)


COMMANDS = (group,)
