"""Installations that faults are done to: one is made, and put back as it was before every try."""

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from medfiles.accounts import api_tokens
from medfiles.clock import now
from medfiles.database.session import db
from medfiles.documents import lifecycle
from medfiles.sandbox.pool import Sandbox
from tests.proof.faults import invariants
from tests.proof.faults.forked import Forge
from tests.proof.faults.invariants import Seen
from tests.support.factories import World, install

BUSY = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@dataclass
class Place:
    """An installation on disk, with a document in the trash and one that is not; `facts` say how to ask for them."""

    home: Path
    database: str
    environ: Mapping[str, str]
    facts: Mapping[str, Any]
    kept: Path
    rows: "Rows | None"
    before: Seen

    @classmethod
    def made(cls, home: Path, database: str, sandbox: Sandbox, renderers: Sandbox) -> "Place":
        """In the folder of a migrated, empty database; what it is like then is what `put_back` makes of it again."""
        environ = {
            "MEDFILES_INSTANCE": str(home / "instance"),
            "MEDFILES_DATABASE_URL": database,
            "MEDFILES_STORAGE_URL": store_in(home).as_uri(),
            "MEDFILES_LOG_FORMAT": "json",
        }
        with install(environ, sandbox, renderers=renderers) as world:
            facts = furnished(world)
        kept = home.with_name(f"{home.name}-kept")
        shutil.copytree(home, kept)
        rows = None if database.startswith("sqlite") else Rows(database)
        return cls(home, database, environ, facts, kept, rows, invariants.look(database, store_in(home)))

    @property
    def store(self) -> Path:
        return store_in(self.home)

    def warm_up(self, forge: Forge) -> None:
        forge.warm_up(self.environ, self.facts)
        self.put_back()

    def put_back(self) -> None:
        shutil.rmtree(self.home)
        shutil.copytree(self.kept, self.home)
        if self.rows is not None:
            self.rows.put_back()

    def look(self) -> Seen:
        if not self.database.startswith("sqlite"):
            wait_until_alone(self.database)
        return invariants.look(self.database, self.store)


def store_in(home: Path) -> Path:
    return home / "instance" / "uploads"


def furnished(world: World) -> Mapping[str, Any]:
    """A visit with two documents, one of them in the trash, a visit in the trash with two, and a token to work on them;
    a patient who has long been in the trash, with a visit and two documents; and one to whom a document was moved."""
    patient, away, other = world.patient(), world.patient(), world.patient()
    visit, gone, left = (world.record("visit", whose) for whose in (patient, patient, away))
    for record in (gone, left):
        for name in ("Letter.txt", "Bill.txt"):
            world.attach(record, name)
    with patch.object(lifecycle, "LARGE", 0):
        world.records().delete(world.kind(), gone.id)
    world.records().delete_patient(away.id).deleted_at = now() - timedelta(days=100)
    db.session.commit()
    for one in (patient, away):
        lifecycle.move_pending(world.parts.storages, world.parts.registry, one.id)
    live, trashed = (world.attach(visit, name).id for name in ("Plan.txt", "Old plan.txt"))
    world.documents().trash(trashed)
    given = world.attach(visit, "Given.txt").id
    world.moving().move(given, world.kind("patient"), other.id)
    _, token = api_tokens.create(world.actor("nora@sample.example"), "Script", api_tokens.WRITE, None, None)
    return {
        "visit": visit.id, "live": live, "trashed": trashed, "token": token, "room": world.kind("visit").max_files,
        "patient": patient.id, "gone": gone.id, "away": away.id,
        "other": other.id, "given": given,
    }  # fmt: skip


class Rows:
    """The rows of a PostgreSQL database, to be put back."""

    def __init__(self, database: str) -> None:
        self._database = invariants.plain(database)
        with closing(psycopg.connect(self._database)) as connection:
            tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            names = [name for (name,) in connection.execute(tables)]
            self._rows = {name: connection.execute(_all(name)).fetchall() for name in names}
            counters = (
                "SELECT sequencename, coalesce(last_value, start_value), last_value IS NOT NULL FROM pg_sequences"
            )
            self._counters = connection.execute(counters).fetchall()
            self._order = _parents_first(connection, names)

    def put_back(self) -> None:
        with psycopg.connect(self._database) as connection:
            connection.execute("SET session_replication_role = replica")  # the trail lets nobody delete from it
            for name in reversed(self._order):
                connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name)))
            for name in self._order:
                for row in self._rows[name]:
                    values = sql.SQL(", ").join([sql.Placeholder()] * len(row))
                    insert = sql.SQL("INSERT INTO {} OVERRIDING SYSTEM VALUE VALUES ({})")
                    connection.execute(insert.format(sql.Identifier(name), values), [_as_sent(value) for value in row])
            for name, at, used in self._counters:
                connection.execute("SELECT setval(%s::regclass, %s, %s)", [name, at, used])


def wait_until_alone(database: str) -> None:
    """A killed program's last statement may still be running on the server."""
    with psycopg.connect(invariants.plain(database), autocommit=True) as connection:
        while connection.execute(BUSY).fetchone() != (0,):
            time.sleep(0.002)


def _all(table: str) -> sql.Composed:
    return sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))


def _as_sent(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, dict | list) else value


def _parents_first(connection: Any, names: Sequence[str]) -> Sequence[str]:
    refers = (
        "SELECT DISTINCT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
    )
    needs = connection.execute(refers).fetchall()
    ordered: list[str] = []
    while left := [name for name in names if name not in ordered]:
        ordered += [name for name in left if all(one != name or other in (*ordered, name) for one, other in needs)]
    return ordered
