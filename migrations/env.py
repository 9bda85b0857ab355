"""Run migrations in the app's database, inside the app context that Flask-Migrate opens."""

from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import text

from medfiles.database.sqlite import create_file
from medfiles.models.search import is_declared
from medfiles.operations import instance

migrate = current_app.extensions["migrate"]


LOCK = 6061703  # any number that nothing else in this database locks
PLAIN = {"UtcDateTime": "sa.DateTime(timezone=True)", "AsaList": "sa.UnicodeText()"}


def render_item(kind: str, item: Any, _: Any) -> Any:
    """Render our own column types as plain ones, so that migrations do not depend on the app's code."""
    return PLAIN.get(type(item).__name__, False) if kind == "type" else False


def run_migrations() -> None:
    options = {"render_item": render_item, "include_object": is_declared, **migrate.configure_args}
    if instance.COPYING not in context.get_x_argument():
        instance.require_database(current_app.config, current_app.extensions["medfiles"].storages)
    if migrate.db.engine.dialect.name == "sqlite":
        create_file(migrate.db.engine)
    with migrate.db.engine.connect() as connection:
        if connection.dialect.name == "postgresql":  # several hosts may start at once: one does it, the others wait
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
        context.configure(connection=connection, target_metadata=migrate.db.metadata, **options)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
        for call in connection.info.pop("after commit", ()):  # what a migration may do only once it is certain
            call()


run_migrations()
