"""`flask medfiles sweep` and `trash`: what housekeeping does every hour, by hand."""

import re
import sys
from datetime import timedelta

import click
from flask.cli import AppGroup

from medfiles import maintenance
from medfiles.cli.output import FINDINGS, explained, json_option, summary
from medfiles.clock import now
from medfiles.http import parts

trash = AppGroup("trash", help="Look into the trash of all patients, or empty what is due.")


class Period(click.ParamType[timedelta]):
    name = "period"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"(\d{1,5})([dhm])", value)
        if not found:
            self.fail(f"{value!r} is not a period such as 30d, 12h or 45m.", param, ctx)
        unit = {"d": "days", "h": "hours", "m": "minutes"}[found[2]]
        return timedelta(**{unit: int(found[1])})


def register(parent: AppGroup) -> None:
    parent.add_command(trash)
    parent.add_command(sweep)


@click.command()
@json_option
@explained
def sweep(as_json: bool) -> None:
    """Remove what interrupted uploads and moves left behind. Safe at any time; twice changes nothing."""
    swept = maintenance.sweep(parts().storages)
    sentence = f"Removed {swept.removed} objects nobody claimed; {swept.failed} could not be removed yet."
    summary(as_json, sentence, removed=swept.removed, failed=swept.failed)
    if swept.failed:
        sys.exit(FINDINGS)


@trash.command("list")
@click.option("--older-than", type=Period(), default="0m", help="Only what has been there for longer: 30d, 12h, 45m.")
@json_option
@explained
def list_trash(older_than: timedelta, as_json: bool) -> None:
    """Ids, kinds and ages of documents in the trash; never their names."""
    files = maintenance.due(now() - older_than)
    rows = [{"id": file.id, "type": file.entity_type, "deleted_at": file.deleted_at} for file in files]
    lines = [f"{row['id']}  {row['type']:<12} {row['deleted_at']}" for row in rows]
    summary(as_json, "\n".join([*lines, f"{len(rows)} documents in the trash."]), documents=rows)


@trash.command()
@click.option("--older-than", type=Period(), help="What has been there for longer; default: MEDFILES_TRASH_DAYS.")
@json_option
@explained
def purge(older_than: timedelta | None, as_json: bool) -> None:
    """Delete for ever what has been in the trash for too long."""
    period = timedelta(days=parts().trash_days) if older_than is None else older_than
    report = (lambda text: click.echo(text, err=True)) if sys.stderr.isatty() else (lambda text: None)
    purged = maintenance.purge_expired(parts().registry, parts().storages, now() - period, report)
    sentence = f"Deleted {purged.documents} documents and {purged.records} records for ever."
    summary(as_json, sentence, documents=purged.documents, records=purged.records, failed=purged.failed)
    if purged.failed:
        sys.exit(FINDINGS)
