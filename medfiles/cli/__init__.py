"""The command line: `flask medfiles …`."""

from flask import Flask
from flask.cli import AppGroup

from medfiles.cli import audit, backup, database, demo, legacy, previews, scan, storage, token, user, verify, worker


def init_app(app: Flask) -> None:
    group = AppGroup("medfiles", help="Manage this medfiles installation.")
    for command in (
        *(audit.group, database.group, previews.group, storage.storage, storage.trash, token.group, user.group),
        *(backup.back_up, backup.bring_back, demo.demo, legacy.migrate, legacy.roll_back, scan.scan, storage.sweep),
        *(verify.verify, worker.worker),
    ):
        group.add_command(command)
    app.cli.add_command(group)
