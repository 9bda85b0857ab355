"""A patient's records of one type, page by page, with search, years and sort orders."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Date, func, literal, select, tuple_

from medfiles.database import cursors
from medfiles.database.cursors import Cursor
from medfiles.database.session import db
from medfiles.i18n import N_
from medfiles.models import RecordMixin
from medfiles.record_types.declared import RecordType
from medfiles.records.timeline import day_of
from medfiles.search.query import matching_records

SORTS = {"date": ("desc", N_("Date")), "title": ("asc", N_("Title"))}  # default direction and label


@dataclass(frozen=True)
class RecordListQuery:
    """Which records of a type to list, and in which order."""

    q: str = ""
    year: int | None = None
    sort: str = "date"  # a name in SORTS
    order: str = "desc"
    cursor: Cursor | None = None

    @property
    def filtered(self) -> bool:
        return bool(self.q or self.year)

    def query(self) -> dict[str, str]:
        """Return the query parameters of the first page of this list."""
        given = {
            "q": self.q,
            "year": self.year and str(self.year),
            "sort": self.sort if self.sort != RecordListQuery.sort else "",
            "order": self.order if self.order != SORTS[self.sort][0] else "",
        }
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True)
class RecordPage:
    records: Sequence[RecordMixin]
    hits: int | None  # number of matching records; None on later pages
    next: str | None  # cursor of the next page


def read_cursor(token: str, sort: str, order: str) -> Cursor:
    """Parse a cursor. Raises Rejected if it is invalid or belongs to another list."""
    return cursors.read(token, _scope(sort, order), date.fromisoformat if sort == "date" else str)


def page(record_type: RecordType, patient_id: int, query: RecordListQuery, limit: int) -> RecordPage:
    """Return up to `limit` records after the cursor. A record without a date has that of its creation."""
    model, day = record_type.model, day_of(record_type)
    where: list[Any] = [model.patient_id == patient_id, model.deleted_at.is_(None)]
    if query.q:
        where.append(model.id.in_(matching_records(patient_id, record_type.name, query.q)))
    if query.year:
        where += [day >= date(query.year, 1, 1), day <= date(query.year, 12, 31)]
    by_date = query.sort == "date"
    value = day if by_date else func.lower(getattr(model, record_type.title_field))
    found = select(model, value.label("value")).where(*where)
    if query.cursor:
        here = tuple_(value, model.id)
        last = tuple_(literal(query.cursor.value, Date) if by_date else query.cursor.value, query.cursor.id)
        found = found.where(here < last if query.order == "desc" else here > last)
    # `deleted_at` is always NULL here, but PostgreSQL uses an index only for its full order.
    keys = [key.desc() if query.order == "desc" else key.asc() for key in (model.deleted_at, value, model.id)]
    rows = db.session.execute(found.order_by(*keys).limit(limit + 1)).all()
    shown = rows[:limit]
    hits = db.session.scalar(select(func.count(model.id)).where(*where)) if query.cursor is None else None
    following = None
    if len(rows) > len(shown):
        record, last_value = shown[-1]
        text = last_value.isoformat() if by_date else last_value
        following = cursors.write(_scope(query.sort, query.order), text, record.id)
    return RecordPage([record for record, _ in shown], hits, following)


def _scope(sort: str, order: str) -> str:
    return f"records {sort} {order}"
