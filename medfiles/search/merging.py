"""Keep SQLite's index of words in few parts, because a search looks up each patient's words in every part.

Each transaction that changes words adds a part. SQLite merges some of them on its own, but may leave more than a dozen.
"""

from sqlalchemy import text

from medfiles.database.session import db, transaction
from medfiles.models.search import WORDS_TABLE

PAGES = 500  # of the index that are written in one transaction, so that other writers do not wait long
FEWEST = 2  # parts of about the same size that are merged
SET = text(f"INSERT INTO {WORDS_TABLE} ({WORDS_TABLE}, rank) VALUES (:name, :value)")
DONE = 2  # a merge with nothing left to do changes fewer rows than this


def merge() -> int:
    """Merge parts until there is one of each size. Return the number of transactions; 0 on PostgreSQL."""
    if db.engine.dialect.name != "sqlite":
        return 0
    count, changed = 0, DONE
    while changed >= DONE:
        with transaction() as session:
            connection = session.connection().connection.driver_connection
            session.execute(SET, {"name": "usermerge", "value": FEWEST})
            before = connection.total_changes
            session.execute(SET, {"name": "merge", "value": PAGES})
            changed = connection.total_changes - before
        count += 1
    return count
