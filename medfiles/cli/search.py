"""`flask medfiles search`: rebuild the search index."""

from flask.cli import AppGroup

from medfiles.cli.output import summary, with_summary
from medfiles.cli.progress import Progress
from medfiles.http.current import services
from medfiles.search import checking

group = AppGroup("search", help="Rebuild the search index.")


@group.command()
@with_summary
def rebuild(as_json: bool) -> None:
    """Write the search index again. Safe while the server runs. `flask medfiles verify` says if this is needed."""
    registry = services().registry
    report = Progress("entries").step("Indexing", checking.total(registry))
    written = checking.rebuild(registry, report)
    summary(as_json, f"{written:,} patients, records and documents indexed.", entries=written)


COMMANDS = (group,)
