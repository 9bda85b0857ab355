"""One record's documents, searched, filtered and sorted, in pages that go on behind the last document shown.

A page begins behind a value and an id (its cursor), not at a count: documents added or removed meanwhile neither
repeat others nor hide them, and the last page is as quick as the first.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, select, tuple_

from medfiles.clock import midnight
from medfiles.database.session import db
from medfiles.errors import Rejected
from medfiles.models import EntityFile
from medfiles.record_types.declared import RecordType
from medfiles.record_types.media_types import KINDS, media_of
from medfiles.text import fold

ORDERS = {"date": "desc", "name": "asc", "size": "desc", "type": "asc"}  # each sort with the order it has by itself
UNCATEGORISED = "none"
SEARCH_LIMIT = 200
CURSOR_LIMIT = 4000
LARGEST = 2**63 - 1
_other = case((EntityFile.file_type.like("image/%"), "image"), else_="text")
_media = case(KINDS, value=EntityFile.file_type, else_=_other)
_by_type: ColumnElement[str] = _media + " " + EntityFile.file_type + " " + EntityFile.sort_name


Row = tuple[EntityFile, Any]  # a document and its value in the sort


@dataclass(frozen=True)
class Cursor:
    """The document a page begins behind: its value in the sort, and its id among equal values."""

    value: str | int | datetime
    id: int


@dataclass(frozen=True)
class ListQuery:
    """Which of a record's documents, in which order. Days are those of `zone`, the first and the last included."""

    q: str = ""
    category: str = ""  # one of the kind's, or "none"
    media: str = ""  # one of MEDIA
    from_: date | None = None
    to: date | None = None
    zone: str = "UTC"
    sort: str = "date"
    order: str = "desc"
    cursor: Cursor | None = None
    trashed: bool = False  # those in the trash instead; their date is the one they went there

    @property
    def filtered(self) -> bool:
        return bool(self.q or self.category or self.media or self.from_ or self.to)

    def query(self) -> dict[str, str]:
        """The parameters that lead here again, to the first page."""
        given = {
            "q": self.q,
            "category": self.category,
            "media": self.media,
            "from": self.from_ and self.from_.isoformat(),
            "to": self.to and self.to.isoformat(),
            "zone": self.zone if self.zone != ListQuery.zone else "",
            "sort": self.sort if self.sort != ListQuery.sort else "",
            "order": self.order if self.order != ORDERS[self.sort] else "",
        }
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True)
class Page:
    files: Sequence[EntityFile]
    hits: int | None  # how many match in all; counted for the first page, for others when asked
    next: str | None  # the cursor of the next page
    additional: int = 0  # how many of the hits are additional documents


def read_cursor(token: str, sort: str, order: str, trashed: bool) -> Cursor:
    """Return the cursor that a page ended with; Rejected where it belongs to another list."""
    try:
        return _read(token, _scope(sort, order, trashed))
    except (ValueError, OverflowError):
        message = "“cursor” does not belong to this list. Start again without a cursor."
        raise Rejected.about("cursor", message) from None


def page(
    record_type: RecordType,
    record_id: int,
    list_query: ListQuery,
    limit: int | None = None,
    *,
    counted: bool = False,
    also: Sequence[EntityFile] = (),
) -> Page:
    """Up to `limit` documents behind the cursor, or all of them; `counted`: say on every page how many match.

    `also`: documents that are in no row of ours, to be listed among the others.
    """
    query = _ordered(select(EntityFile, _value(list_query).label("value")), record_type, record_id, list_query)
    if list_query.cursor:
        query = query.where(_behind(list_query, list_query.cursor))
    found = db.session.execute(query.limit(None if limit is None else limit + 1)).all()
    others = [(file, _value_of(file, list_query)) for file in also if _matches(file, list_query)]
    rows = _merged([(file, value) for file, value in found], others, list_query)
    shown = rows[:limit]
    return Page(
        files=[file for file, _ in shown],
        hits=_hits(record_type, record_id, list_query) + len(others) if counted or not list_query.cursor else None,
        next=_token(list_query, Cursor(shown[-1][1], shown[-1][0].id)) if len(rows) > len(shown) else None,
        additional=len(others),
    )


def matching(record_type: RecordType, record_id: int, list_query: ListQuery) -> list[int]:
    """The ids of all documents that match, whatever page they are on, in the order of the list."""
    return list(db.session.scalars(_ordered(select(EntityFile.id), record_type, record_id, list_query)))


def _scope(sort: str, order: str, trashed: bool) -> str:
    """What a cursor is good for."""
    return f"{sort} {order} {'trash' if trashed else 'live'}"


def _token(list_query: ListQuery, cursor: Cursor) -> str:
    value = cursor.value.isoformat() if isinstance(cursor.value, datetime) else cursor.value
    said = f"{_scope(list_query.sort, list_query.order, list_query.trashed)}\n{cursor.id}\n{value}"
    return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def _read(token: str, scope: str) -> Cursor:
    if len(token) > CURSOR_LIMIT:
        raise ValueError("too long")
    said = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    made_for, number, value = said.split("\n", 2)
    if made_for != scope or "\0" in value:
        raise ValueError("not a cursor of this list")
    return Cursor(READERS[scope.split()[0]](value), _whole(number))


def _whole(text: str) -> int:
    number = int(text)
    if not 0 <= number <= LARGEST:
        raise ValueError("not a number of the database")
    return number


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC)


READERS: Mapping[str, Callable[[str], str | int | datetime]] = {
    "date": _moment,
    "name": str,
    "size": _whole,
    "type": str,
}


def _value(list_query: ListQuery) -> ColumnElement[Any]:
    """What the list is sorted by, never NULL among the documents listed."""
    if list_query.sort == "type":
        return _by_type
    if list_query.sort == "date":
        return _date(list_query)
    return EntityFile.sort_name.expression if list_query.sort == "name" else EntityFile.file_size.expression


def _date(list_query: ListQuery) -> ColumnElement[Any]:
    return (EntityFile.deleted_at if list_query.trashed else EntityFile.uploaded_at).expression


def _ordered(query: Select[Any], record_type: RecordType, record_id: int, list_query: ListQuery) -> Select[Any]:
    keys = [_value(list_query), EntityFile.id]
    if (
        not list_query.trashed
    ):  # then it is always NULL; PostgreSQL takes the order of an index only when told all of it
        keys.insert(0, EntityFile.deleted_at)
    directed = [key.desc() if list_query.order == "desc" else key.asc() for key in keys]
    return query.where(*_conditions(record_type, record_id, list_query)).order_by(*directed)


def _behind(list_query: ListQuery, cursor: Cursor) -> ColumnElement[bool]:
    value, number = _value(list_query), EntityFile.id
    here, last = tuple_(value, number), tuple_(literal(cursor.value, value.type), literal(cursor.id, number.type))
    return here < last if list_query.order == "desc" else here > last


def _hits(record_type: RecordType, record_id: int, list_query: ListQuery) -> int:
    return (
        db.session.scalar(select(func.count(EntityFile.id)).where(*_conditions(record_type, record_id, list_query)))
        or 0
    )


def _conditions(record_type: RecordType, record_id: int, list_query: ListQuery) -> list[ColumnElement[bool]]:
    gone = EntityFile.deleted_at
    found = [
        EntityFile.entity_type == record_type.name,
        EntityFile.entity_id == record_id,
        gone.is_not(None) if list_query.trashed else gone.is_(None),
    ]
    found += [EntityFile.search_text.contains(word, autoescape=True) for word in fold(list_query.q).split()]
    if list_query.category:
        found.append(EntityFile.category == (None if list_query.category == UNCATEGORISED else list_query.category))
    if list_query.media:
        found.append(_media == list_query.media)
    if list_query.from_:
        found.append(_date(list_query) >= midnight(list_query.from_, list_query.zone))
    if list_query.to:
        found.append(_date(list_query) < midnight(list_query.to + timedelta(days=1), list_query.zone))
    return found


# --- the same for documents that are in no row of ours -----------------------------------------------------------


def _merged(rows: list[Row], others: Sequence[Row], list_query: ListQuery) -> list[Row]:
    if not others:
        return rows

    def place(row: Row) -> Any:
        return row[1], row[0].id

    downwards, cursor = list_query.order == "desc", list_query.cursor
    start = (cursor.value, cursor.id) if cursor else None
    behind = [row for row in others if start is None or (place(row) < start if downwards else place(row) > start)]
    return sorted([*rows, *behind], key=place, reverse=downwards)


def _value_of(file: EntityFile, list_query: ListQuery) -> Any:
    values = {"date": file.uploaded_at, "name": file.sort_name, "size": file.file_size}
    return values.get(list_query.sort, f"{media_of(file.file_type)} {file.file_type} {file.sort_name}")


def _matches(file: EntityFile, list_query: ListQuery) -> bool:
    return (
        not list_query.trashed
        and all(word in file.search_text for word in fold(list_query.q).split())
        and list_query.category in ("", file.category or UNCATEGORISED)
        and list_query.media in ("", media_of(file.file_type))
        and (list_query.from_ is None or file.uploaded_at >= midnight(list_query.from_, list_query.zone))
        and (list_query.to is None or file.uploaded_at < midnight(list_query.to + timedelta(days=1), list_query.zone))
    )
