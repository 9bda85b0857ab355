"""`flask medfiles db copy`: copy the installation to another database."""

import os
import subprocess
import sys
from dataclasses import asdict

import click
from flask import current_app
from flask.cli import AppGroup

from medfiles.cli.output import summary, with_summary
from medfiles.operations import copy_database, instance

group = AppGroup("db", help="Copy the installation to another database.")


@group.command("copy")
@click.argument("url")
@with_summary
def copy(url: str, as_json: bool) -> None:
    """Copy everything from SQLite into the empty PostgreSQL database at URL and compare every row.

    Stop the servers first. Afterwards start them with MEDFILES_DATABASE_URL set to URL. The SQLite database is not
    changed.
    """
    target = copy_database.target_engine(url)
    copy_database.check_is_empty(target)
    command = [
        sys.executable,
        "-m",
        "flask",
        "--app",
        "medfiles.app:create_app",
        "db",
        "upgrade",
        "-x",
        instance.COPYING,
    ]
    environ = {"MEDFILES_DATABASE_URL": url, "MEDFILES_INSTANCE": str(current_app.config["MEDFILES_INSTANCE"])}
    made = subprocess.run(command, env=os.environ | environ, capture_output=True, text=True)
    if made.returncode:
        raise click.ClickException(f"The tables could not be created: {made.stderr.strip().rpartition(chr(10))[2]}")
    done = copy_database.copy_to(target, _tell)
    count = sum(done.rows.values())
    lines = [f"{count:,} rows in {len(done.rows)} tables copied and compared. All rows are identical."]
    if done.others:
        lines.append(f"Not copied, because they do not belong to medfiles: {', '.join(done.others)}.")
    lines.append("Start the servers with MEDFILES_DATABASE_URL set to this URL.")
    summary(as_json, "\n".join(lines), **asdict(done), count=count)


def _tell(table: str, rows: int) -> None:
    if sys.stderr.isatty():
        click.echo(f"{table}: {rows:,}", err=True)


COMMANDS = (group,)
