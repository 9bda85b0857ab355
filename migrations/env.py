"""How Alembic reaches the app's database: inside the app context that Flask-Migrate opens."""

from typing import Any

from alembic import context
from flask import current_app

migrate = current_app.extensions["migrate"]


PLAIN = {"UtcDateTime": "sa.DateTime(timezone=True)", "AsaList": "sa.UnicodeText()"}


def render_item(kind: str, item: Any, _: Any) -> Any:
    """Migrations name the plain type below each of our own, so that they stand without the app's code."""
    return PLAIN.get(type(item).__name__, False) if kind == "type" else False


def run_migrations() -> None:
    options = {"render_item": render_item, **migrate.configure_args}
    with migrate.db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=migrate.db.metadata, **options)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run_migrations()
