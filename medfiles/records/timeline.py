"""A patient's records of all record types together, newest first.

A record stands at its date, one without a date at the day it was created (UTC). Records of one day are ordered by type,
as the registry is, then by id. The queries are unions over the registry, so a new record type needs nothing here.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import Date, Select, and_, case, extract, func, literal, or_, select, tuple_, union_all
from sqlalchemy.orm import aliased

from medfiles.antivirus.policy import readable_sql
from medfiles.database import cursors
from medfiles.database.cursors import Cursor
from medfiles.database.session import db, utc_day
from medfiles.models import EntityFile, RecordMixin
from medfiles.record_types.declared import RecordType, Registry
from medfiles.record_types.media_types import WITH_THUMBNAIL

PICTURES = 3  # documents of a record that the timeline shows as pictures
SCOPE = "timeline"  # of its cursors
Key = tuple[str, int]  # record type and id


@dataclass(frozen=True)
class TimelineQuery:
    """Which part of a patient's timeline to list."""

    types: tuple[str, ...] = ()  # names of record types; none for all
    year: int | None = None  # newest year of the list, which continues with earlier ones
    cursor: Cursor | None = None

    def query(self) -> dict[str, Any]:
        """Return the query parameters of the first page of this list."""
        given = {"type": self.types, "year": self.year and str(self.year)}
        return {name: value for name, value in given.items() if value}

    def includes(self, record_type: RecordType) -> bool:
        return not self.types or record_type.name in self.types


@dataclass(frozen=True)
class Entry:
    """A record in the timeline.

    documents  how many it has
    pictured   its newest documents that can be shown as pictures, at most PICTURES
    """

    record_type: RecordType
    record: RecordMixin
    day: date
    documents: int = 0
    pictured: Sequence[EntityFile] = ()


@dataclass(frozen=True)
class TimelinePage:
    entries: Sequence[Entry]
    next: str | None  # cursor of the next page


@dataclass(frozen=True)
class TimelineTotals:
    """How many records of each type a patient has in each year."""

    by_type_and_year: Mapping[tuple[str, int], int] = field(default_factory=dict)

    def of_types(self) -> Counter[str]:
        found = Counter[str]()
        for (name, _), count in self.by_type_and_year.items():
            found[name] += count
        return found

    def of_years(self, types: Sequence[str] = ()) -> Mapping[int, int]:
        """Return the number of records per year, the newest first; of these types only, or of all."""
        found = Counter[int]()
        for (name, year), count in self.by_type_and_year.items():
            if not types or name in types:
                found[year] += count
        return dict(sorted(found.items(), reverse=True))


def read_cursor(token: str) -> Cursor:
    """Parse a cursor of the timeline; raise Rejected for any other."""
    return cursors.read(token, SCOPE, _read_position)


def page(registry: Registry, patient_id: int, user_id: int, query: TimelineQuery, limit: int) -> TimelinePage:
    """Return up to `limit` records after the cursor, in a number of statements that does not grow with theirs.

    user_id  the reader, who is shown pictures of documents that are open to them
    """
    places = _places(registry, patient_id, query, limit + 1)
    shown = places[:limit]
    records = _records(registry, [key for _, key in shown])
    documents = _documents(registry, records, user_id)
    entries = [
        Entry(registry[key[0]], records[key], day, *documents.get(key, (0, ()))) for day, key in shown if key in records
    ]
    if len(places) == len(shown):
        return TimelinePage(entries, None)
    day, (name, number) = shown[-1]
    return TimelinePage(entries, cursors.write(SCOPE, f"{day.isoformat()} {name}", number))


def totals(registry: Registry, patient_id: int) -> TimelineTotals:
    """Count a patient's records per type and year, in one statement."""
    arms = []
    for record_type in registry:
        year = extract("year", day_of(record_type)).label("year")
        name = literal(record_type.name).label("type")
        counted = select(name, year, func.count().label("count")).where(*_live(record_type, patient_id))
        arms.append(counted.group_by(year))
    rows = db.session.execute(union_all(*arms)).all() if arms else ()
    return TimelineTotals({(row.type, int(row.year)): row._mapping["count"] for row in rows})


def _places(registry: Registry, patient_id: int, query: TimelineQuery, limit: int) -> Sequence[tuple[date, Key]]:
    """Return day and key of the first records after the cursor."""
    names = [record_type.name for record_type in registry]
    arms = [
        select(_places_of_type(record_type, number, names, patient_id, query).limit(limit).subquery())
        for number, record_type in enumerate(registry)
        if query.includes(record_type)
    ]
    if not arms:
        return ()
    merged = union_all(*arms).subquery()
    in_order = (merged.c.day.desc(), merged.c.type.asc(), merged.c.id.desc())
    rows = db.session.execute(select(merged).order_by(*in_order).limit(limit))
    return [(row.day, (names[row.type], row.id)) for row in rows]


def _places_of_type(
    record_type: RecordType, number: int, names: Sequence[str], patient_id: int, query: TimelineQuery
) -> Select[Any]:
    """Select the records of one type after the cursor; `number` is the place of the type among all `names`."""
    model, day = record_type.model, day_of(record_type)
    found = select(literal(number).label("type"), model.id.label("id"), day.label("day"))
    found = found.where(*_live(record_type, patient_id))
    if query.year is not None:
        found = found.where(day < date(query.year + 1, 1, 1))
    if query.cursor is not None:
        last_day, last_type = query.cursor.value
        last_number = names.index(last_type) if last_type in names else len(names)
        if number == last_number:
            found = found.where(tuple_(day, model.id) < tuple_(literal(last_day, Date), literal(query.cursor.id)))
        else:
            found = found.where(day <= last_day if number > last_number else day < last_day)
    # `deleted_at` is always NULL here, but PostgreSQL uses an index only for its full order.
    return found.order_by(model.deleted_at.desc(), day.desc(), model.id.desc())


def _live(record_type: RecordType, patient_id: int) -> Sequence[Any]:
    return record_type.model.patient_id == patient_id, record_type.model.deleted_at.is_(None)


def day_of(record_type: RecordType) -> Any:
    """Return the day of a record in SQL, as `RecordType.date_of` does, and the day of its creation without one."""
    columns = [getattr(record_type.model, name) for name in record_type.date_fields]
    if columns and not columns[0].expression.nullable:
        return columns[0]  # the bare column, in whose order an index finds the records
    return func.coalesce(*columns, utc_day(record_type.model.created_at))


def _read_position(value: str) -> tuple[date, str]:
    day, _, name = value.partition(" ")
    return date.fromisoformat(day), name


def _records(registry: Registry, keys: Sequence[Key]) -> Mapping[Key, RecordMixin]:
    """Load the records, in one statement for each record type among them."""
    found: dict[Key, RecordMixin] = {}
    for record_type in registry:
        ids = [number for name, number in keys if name == record_type.name]
        if ids:
            rows = db.session.scalars(select(record_type.model).where(record_type.model.id.in_(ids)))
            found |= {(record_type.name, row.id): row for row in rows}
    return found


def _documents(
    registry: Registry, records: Mapping[Key, RecordMixin], user_id: int
) -> Mapping[Key, tuple[int, Sequence[EntityFile]]]:
    """Return the number of documents of each record and those that are shown as pictures, in one statement."""
    if not records:
        return {}
    counts, pictured, of_records = Counter[Key](), dict[Key, list[EntityFile]](), []
    for record_type in registry:
        ids = [number for name, number in records if name == record_type.name]
        if ids:
            of_records.append(and_(EntityFile.entity_type == record_type.name, EntityFile.entity_id.in_(ids)))
            others = registry.additional.record_ids(record_type.name, ids)
            counts.update((record_type.name, n) for n in (db.session.scalars(others) if others is not None else ()))
    of_one = (EntityFile.entity_type, EntityFile.entity_id)
    is_drawn = and_(EntityFile.file_type.in_(WITH_THUMBNAIL), readable_sql(user_id))
    drawn = case((is_drawn, 1), else_=0)
    newest = (drawn.desc(), EntityFile.uploaded_at.desc(), EntityFile.id.desc())
    number = func.row_number().over(partition_by=of_one, order_by=newest).label("number")
    total = func.count().over(partition_by=of_one).label("total")
    every = select(EntityFile, drawn.label("drawn"), number, total)
    ranked = every.where(EntityFile.deleted_at.is_(None), or_(*of_records)).subquery()
    query = select(aliased(EntityFile, ranked), ranked.c.drawn, ranked.c.total, ranked.c.number)
    query = query.where(ranked.c.number <= PICTURES).order_by(ranked.c.number)
    for file, is_picture, total_count, place in db.session.execute(query):
        key = (file.entity_type, file.entity_id)
        if place == 1:
            counts[key] += total_count
        if is_picture:
            pictured.setdefault(key, []).append(file)
    return {key: (count, pictured.get(key, ())) for key, count in counts.items()}
