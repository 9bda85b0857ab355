"""The command line: `flask medfiles …`."""

from importlib.metadata import version
from typing import Any

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext

from medfiles.audit.chain import seal_waiting
from medfiles.cli import (
    audit,
    backup,
    database,
    demo,
    legacy,
    medikeep,
    previews,
    scan,
    search,
    status,
    storage,
    text,
    token,
    user,
    verify,
    worker,
)
from medfiles.http.current import services
from medfiles.operations import instance

MODULES = (
    audit, backup, database, demo, legacy, medikeep, previews, scan, search, status, storage, text, token, user, verify,
    worker,
)  # fmt: skip
MAKES_A_DATABASE = ("restore",)


class Commands(AppGroup):
    """Seal a command's audit events when the command ends, because no server may be running to do it.

    If the command ends with an error message, nothing is sealed.
    """

    def invoke(self, context: click.Context) -> Any:
        failed = False
        try:
            return super().invoke(context)
        except click.ClickException:
            failed = True
            raise
        finally:
            if not failed and context.invoked_subcommand != audit.group.name:  # audit commands report what they seal
                seal_waiting(current_app)


@click.group("medfiles", cls=Commands)
@click.version_option(version("medfiles"), message="medfiles %(version)s")
@click.option(
    instance.AS_OWNER, is_flag=True, expose_value=False,
    help="For root: run as the account that the instance folder belongs to.",
)  # fmt: skip
@click.pass_context
@with_appcontext
def group(context: click.Context) -> None:
    """Manage this medfiles installation."""
    if context.invoked_subcommand not in MAKES_A_DATABASE:
        instance.require_database(current_app.config, services().storages)


def init_app(app: Flask) -> None:
    for module in MODULES:
        for command in module.COMMANDS:
            group.add_command(command)
    app.cli.add_command(group)
