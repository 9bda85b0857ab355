"""Installations with very many documents: rows only, whose bytes are nowhere, put in by the database itself."""

from typing import Any

from sqlalchemy import text

from medfiles.database.session import db

PATIENTS, VISITS = 20_000, 5  # visits of each patient
FIRST, LONG = 1000, 999  # numbers of the first patient and visit, and of a visit with very many documents
NUMBERS = {
    "sqlite": "(WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < :count)"
    " SELECT n FROM counted) AS numbers",
    "postgresql": "generate_series(0, :count - 1) AS numbers(n)",
}
MOMENT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%S.000000', '2026-01-01', ({}) || ' seconds')",
    "postgresql": "TIMESTAMPTZ '2026-01-01 00:00:00+00' + ({}) * INTERVAL '1 second'",
}
PADDED = {"sqlite": "printf('%012d', {})", "postgresql": "lpad(({})::text, 12, '0')"}
PEOPLE = """
INSERT INTO patients (id, user_id, first_name, last_name, birth_date, created_at, updated_at)
SELECT :first + n, :owner, 'Patient', {number}, '1980-01-01', {moment}, {moment} FROM {numbers}
"""
RECORDS = """
INSERT INTO visits (id, patient_id, reason, date, created_at, updated_at)
SELECT :first + n, :patient + n / :each, 'Check-up', '2026-05-12', {moment}, {moment} FROM {numbers}
"""
ROWS = """
INSERT INTO entity_files (entity_type, entity_id, patient_id, file_name, file_path, storage, file_type, file_size,
  sha256, category, uploaded_at, uploaded_by, created_at, updated_at, deleted_at, sort_name, search_text)
SELECT 'visit', :record + n / :each, :patient + n / :each / :visits, 'Letter ' || {number} || '.pdf',
  'files/visits/00000000-0000-4000-8000-' || {key} || '.pdf', 'disk', 'application/pdf', 20000 + n % 1000,
  '0000000000000000000000000000000000000000000000000000' || {number}, CASE WHEN n % 3 = 0 THEN 'referral' END,
  {moment}, NULL, {moment}, {moment}, CASE WHEN n % 20 = 19 THEN {moment} END, 'letter ' || {number} || '.pdf',
  'letter ' || {number} || '.pdf' || CASE WHEN n % 100 = 0 THEN ' knee' ELSE '' END
FROM {numbers}
"""

EVENTS = """
INSERT INTO audit_events (at, actor_id, action, outcome, patient_id, entity_type, entity_id, file_id)
SELECT {ago}, 1, CASE WHEN n % 2 = 0 THEN 'list' ELSE 'download' END, 'ok', 1000 + n % 1000, 'visit', 1000 + n % 1000,
  CASE WHEN n % 2 = 1 THEN 1000000001 + n END
FROM {numbers}
"""
AGO = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%S.000000', 'now', (-(:count - n) / :each) || ' seconds')",
    "postgresql": "now() - (:count - n) / :each * INTERVAL '1 second'",
}


def patients(owner: int, first: int, count: int) -> None:
    _run(PEOPLE, first=first, owner=owner, count=count)


def visits(patient: int, first: int, count: int, each: int) -> None:
    """`each` of them for one patient after another, from this one on."""
    _run(RECORDS, first=first, patient=patient, count=count, each=each)


def documents(patient: int, record: int, count: int, each: int, visits: int = 1, offset: int = 0) -> None:
    """`each` of them for one visit after another, from this one on; every twentieth is in the trash.

    `visits` of each patient; `offset`: how many there are already.
    """
    _run(ROWS, patient=patient, record=record, count=count, each=each, visits=visits, offset=offset)


def events(count: int, each: int) -> None:
    """`each` of them a second, until now: who looked at the list of which visit, and at which document."""
    _run(EVENTS, count=count, each=each)


def fill(owner: int, other: int, each: int) -> None:
    """Fill 100,000 visits with `each` documents. The first five patients are one account's, the others another's; the
    first of them has one more visit, LONG, with 10,000 documents."""
    patients(owner, FIRST, 5)
    patients(other, FIRST + 5, PATIENTS - 5)
    visits(FIRST, FIRST, PATIENTS * VISITS, VISITS)
    visits(FIRST, LONG, 1, 1)
    documents(FIRST, LONG, 10_000, 10_000)
    documents(FIRST, FIRST, PATIENTS * VISITS * each - 10_000, each, VISITS, 10_000)
    events(30_000 * each, each)
    analyse()


def analyse() -> None:
    """What the database knows about its tables by itself after a while."""
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _run(statement: str, offset: int = 0, **values: Any) -> None:
    dialect = db.engine.dialect.name
    written = statement.format(
        numbers=NUMBERS[dialect],
        moment=MOMENT[dialect].format("n"),
        ago=AGO[dialect],
        number=PADDED[dialect].format("n"),
        key=PADDED[dialect].format(f"n + {offset}"),
    )
    with db.engine.begin() as connection:
        connection.execute(text(written), values)
