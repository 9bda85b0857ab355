"""How long searches take: `make bench-search DOCUMENTS=1000000`, on SQLite or the database in MEDFILES_DATABASE_URL.

Each document has two pages of text. The patients belong to one clinic and to families of four. Most words are rare,
some are in every third document. The clinic sees all of its patients, a second account 300 of them, a family its four.
"""

import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from flask_migrate import upgrade
from sqlalchemy import func, insert, select, text

from medfiles.app import create_app
from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.models import EntityFile, Patient, PatientShare, SearchEntry, User, Visit
from medfiles.operations.database_dump import database_size
from medfiles.permissions import Actor
from medfiles.search import index, merging, query
from medfiles.search.query import SearchQuery
from tests.support.factories import World

BATCH = 1000
WORDS_OF_TEXT = 300  # of two pages, of which many occur more than once
SHARED, FAMILY = 300, 4
COMMON = ("report", "patient", "blood", "findings")
TIMES, PAIRS = 200, 500
AIMS = {"family": 50, "shared": 100, "clinic": 300}  # ms, 95 % of the first results


def main(documents: int, patients: int) -> None:
    with tempfile.TemporaryDirectory(prefix="medfiles-bench-") as place:
        environ = {"MEDFILES_INSTANCE": str(Path(place) / "instance")}
        if url := os.environ.get("MEDFILES_DATABASE_URL"):
            environ["MEDFILES_DATABASE_URL"] = url
        app = create_app(environ)
        with app.app_context():
            upgrade()
            world = World(app)
            actors = _people(world, patients)
            before, begun = database_size(db.engine), time.monotonic()
            _documents(world, documents, patients)
            seconds, grown = time.monotonic() - begun, database_size(db.engine) - before
            print(f"{documents:,} documents of {patients:,} patients: {seconds:,.0f} s, {grown / 1024**2:,.0f} MB")
            db.session.execute(text("ANALYZE"))
            db.session.commit()
            begun = time.monotonic()
            merging.merge()  # as a job does every hour
            print(f"index merged in {time.monotonic() - begun:,.0f} s")
            for name, actor in actors.items():
                _searches(world, name, actor)
            _foreign(world, actors["family"])


def _people(world: World, patients: int) -> dict[str, Actor]:
    actors = {name: world.actor(f"{name}@sample.example") for name in ("clinic", "shared", "family")}
    owner = {True: actors["family"].user_id, False: actors["clinic"].user_id}
    rows = [
        {
            "id": number, "user_id": owner[number <= FAMILY], "first_name": f"Patient {number}", "last_name": "Sample",
            "birth_date": date(1980, 1, 1), "created_at": now(), "updated_at": now(),
        }
        for number in range(1, patients + 1)
    ]  # fmt: skip
    visits = [
        {
            "id": number, "patient_id": number, "reason": "Check-up", "date": date(2019, 6, 20), "created_at": now(),
            "updated_at": now(),
        }
        for number in range(1, patients + 1)
    ]  # fmt: skip
    shares = [
        {
            "patient_id": FAMILY + number, "user_id": actors["shared"].user_id, "address": "shared@sample.example",
            "address_key": "shared@sample.example", "level": "view", "accepted_at": now(), "created_at": now(),
        }
        for number in range(1, min(SHARED, patients - FAMILY) + 1)
    ]  # fmt: skip
    with transaction() as session:
        for model, given in ((Patient, rows), (Visit, visits), (PatientShare, shares)):
            session.execute(insert(model), given)
        for patient in session.scalars(select(Patient)):
            index.put_patient(patient)
    assert db.session.scalar(select(func.count(User.id))) == len(actors)
    return actors


def _words(chosen: random.Random, number: int) -> Iterator[str]:
    yield from (word for word in COMMON if chosen.random() < 1 / 3)
    yield f"id{number}"
    for _ in range(WORDS_OF_TEXT):
        yield f"w{int(40_000 * chosen.random() ** 3)}"


def _documents(world: World, documents: int, patients: int) -> None:
    chosen = random.Random(7)
    for start in range(0, documents, BATCH):
        numbers = range(start + 1, min(start + BATCH, documents) + 1)
        rows = [_row(number, number % patients + 1) for number in numbers]
        with transaction() as session:
            session.execute(insert(EntityFile), rows)
            files = session.scalars(select(EntityFile).where(EntityFile.id.in_([row["id"] for row in rows]))).all()
            entries = index.document_entries(world.parts.registry, files, texts=False)
            owners = index.owners({file.patient_id for file in files})
            for entry, file in zip(entries, files, strict=True):
                words = dict.fromkeys(_words(chosen, file.id))
                entry["text"] = index.scoped(words, file.patient_id, owners[file.patient_id])
            session.execute(insert(SearchEntry), entries)
        db.session.expunge_all()


def _row(number: int, patient: int) -> dict[str, Any]:
    day = date(2000, 1, 1) + timedelta(days=number % 9000)
    return {
        "id": 1_000_000_000 + number, "entity_type": "visit", "entity_id": patient, "patient_id": patient,
        "file_name": f"Letter {number}.pdf", "file_path": f"files/visits/{uuid.uuid4()}.pdf", "storage": "disk",
        "file_type": "application/pdf", "file_size": 20_000, "sha256": f"{number:064x}", "document_date": day,
        "dated_on": day, "uploaded_at": now(), "created_at": now(), "updated_at": now(),
        "sort_name": f"letter {number}", "search_text": f"letter {number}",
    }  # fmt: skip


def _searches(world: World, name: str, actor: Actor) -> None:
    chosen, times = random.Random(11), []
    for _ in range(TIMES):
        words = [f"w{int(40_000 * chosen.random() ** 3)}" for _ in range(chosen.choice([1, 2]))]
        times.append(_milliseconds(world, actor, " ".join(words)))
    common = [_milliseconds(world, actor, word) for word in COMMON for _ in range(5)]
    aim, p95 = AIMS[name], _p95(times)
    reached = "reached" if p95 <= aim else "missed"
    print(f"{name:7} p50 {statistics.median(times):7.1f} ms, p95 {p95:7.1f} ms, aim {aim} ms: {reached}; "
          f"a word in every third document: p95 {_p95(common):,.0f} ms", flush=True)  # fmt: skip


def _foreign(world: World, actor: Actor) -> None:
    """Compare a word that only others' documents have with one that none has."""
    foreign, absent = [], []
    for number in range(PAIRS):
        foreign.append(_milliseconds(world, actor, f"id{1_000_000_000 + FAMILY + number * 7}"))
        absent.append(_milliseconds(world, actor, f"id{2_000_000_000 + number}"))
    one, other = statistics.median(foreign), statistics.median(absent)
    print(f"a foreign word {one:.2f} ms, an absent word {other:.2f} ms: {abs(one / other - 1) * 100:.0f} % apart")


def _milliseconds(world: World, actor: Actor, q: str) -> float:
    begun = time.perf_counter()
    query.page(world.parts.registry, actor, SearchQuery(q), 20)
    db.session.commit()
    return (time.perf_counter() - begun) * 1000


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3]))
