"""One installation for many tests: emptied before each, since making one takes longer than most tests."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from flask import Flask
from sqlalchemy import create_engine, inspect, make_url, text

from tests.support.factories import World, at_work

LIMITS = Path(__file__).with_name("limits.toml")


def environ_in(place: Path, database: str, **settings: str) -> dict[str, str]:
    usual = {"INSTANCE": str(place / "instance"), "DATABASE_URL": database, "LOG_FORMAT": "json", "OCR": "off"}
    usual["ENTITIES"] = str(LIMITS)
    return {f"MEDFILES_{name}": value for name, value in (usual | settings).items()}


def emptied_each_time(app: Flask, environ: dict[str, str]) -> Callable[[], AbstractContextManager[World]]:
    """Makes the installation of this app again what it is now."""
    instance, empty = Path(environ["MEDFILES_INSTANCE"]), _emptying(environ["MEDFILES_DATABASE_URL"])
    made, parts, settings = files_in(instance), app.extensions["medfiles"], dict(app.config)

    @contextmanager
    def world() -> Iterator[World]:
        for path in files_in(instance) - made:
            path.unlink(missing_ok=True)
        empty()
        app.extensions["medfiles"] = parts
        app.config.update(settings)
        for limiter in app.extensions["limiter"]:
            limiter.reset()
        with at_work(app) as world:
            yield world

    return world


def _emptying(database: str) -> Callable[[], None]:
    """Makes a database again what it is now."""
    path = make_url(database).database
    if database.startswith("sqlite") and path:
        template = Path(path).read_bytes()

        def put_back() -> None:
            for rest in ("-wal", "-shm"):
                Path(path + rest).unlink(missing_ok=True)
            Path(path).write_bytes(template)

        return put_back
    engine = create_engine(database)
    tables = [name for name in inspect(engine).get_table_names() if name != "alembic_version"]
    with engine.connect() as connection:
        starts = connection.execute(text("SELECT sequencename, start_value FROM pg_sequences")).all()
    sequences = ", ".join(f"setval('{name}', {start}, false)" for name, start in starts)
    engine.dispose()
    # Truncating creates the files of all tables and indexes again, which takes far longer than to delete a few rows.
    deletions = "; ".join(f"DELETE FROM {name}" for name in tables)
    run = administer(database)
    # Replicas check no foreign keys and run no triggers that forbid it.
    return lambda: run(f"SET session_replication_role = replica; {deletions}; SELECT {sequences}")


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def administer(server: str) -> Callable[[str], None]:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")

    def run(statement: str) -> None:
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    return run
