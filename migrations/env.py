"""How Alembic reaches the app's database: inside the app context that Flask-Migrate opens."""

from alembic import context
from flask import current_app

migrate = current_app.extensions["migrate"]


def run_migrations() -> None:
    with migrate.db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=migrate.db.metadata, **migrate.configure_args)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run_migrations()
