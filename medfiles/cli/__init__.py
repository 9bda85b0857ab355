"""The command line: `flask medfiles …`."""

from flask import Flask
from flask.cli import AppGroup

from medfiles.cli import (
    audit,
    backup,
    database,
    demo,
    legacy,
    previews,
    scan,
    status,
    storage,
    token,
    user,
    verify,
    worker,
)


def init_app(app: Flask) -> None:
    group = AppGroup("medfiles", help="Manage this medfiles installation.")
    for module in (audit, backup, database, demo, legacy, previews, scan, status, storage, token, user, verify, worker):
        module.register(group)
    app.cli.add_command(group)
