"""List the documents of a record or a patient, with search, filters, sorting and pagination.

Each sort order is a row of SORTS. To add a sort order, add a row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, select, tuple_

from medfiles.clock import midnight
from medfiles.database import cursors
from medfiles.database.cursors import Cursor, whole
from medfiles.database.session import db
from medfiles.i18n import N_, gettext
from medfiles.models import EntityFile
from medfiles.record_types.declared import RecordType
from medfiles.record_types.document_fields import DOCUMENT_FIELDS, DocumentField
from medfiles.record_types.media_types import BY_NAME, OTHER, group_of
from medfiles.text import fold

DOCUMENT_DATE = "document_date"  # the usual sort order of pages; that of the API is "date"
DATE_FIELDS = ("uploaded", "document")  # what `from_` and `to` mean
NONE = "none"  # filter value for documents without a detail
SEARCH_LIMIT = 200
Row = tuple[EntityFile, Any]  # a document and its sort value
Where = tuple[ColumnElement[bool], ...]  # whose documents are listed
SortValue = str | int | date | datetime


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC)


@dataclass(frozen=True)
class Sort:
    """A sort order for document lists.

    label    column heading; for the trash, `trash_label` if given
    order    default direction
    sql      value in the database, never NULL; for the trash, `trash_sql` if given
    value    function that returns the same value in Python, for documents without a row
    read     function that parses the value in a cursor; raises ValueError if it is invalid
    """

    name: str
    label: str
    order: str
    sql: ColumnElement[Any]
    value: Callable[[EntityFile], SortValue]
    read: Callable[[str], SortValue]
    trash_label: str | None = None
    trash_sql: ColumnElement[Any] | None = None

    def column(self, trashed: bool) -> ColumnElement[Any]:
        return self.trash_sql if trashed and self.trash_sql is not None else self.sql


_media = case({name: row.group for name, row in BY_NAME.items()}, value=EntityFile.file_type, else_=OTHER)


def _detail_sort(field: DocumentField) -> Sort:
    """Return the sort order for a detail. Documents without the detail sort as if it had the lowest possible value."""
    least, read = (date.min, date.fromisoformat) if field.kind == "date" else ("", str)
    order, column = "desc" if field.kind == "date" else "asc", field.sort_by or field.name
    value: ColumnElement[Any] = getattr(EntityFile, column).expression
    value = value if field.sort_by else func.coalesce(value, least)
    return Sort(field.name, field.label, order, value, lambda file: getattr(file, column) or least, read)


DATE = Sort(
    "date", N_("Added"), "desc", EntityFile.uploaded_at.expression, lambda file: file.uploaded_at, _moment,
    N_("Deleted"), EntityFile.deleted_at.expression,
)  # fmt: skip
SORTS = {
    sort.name: sort
    for sort in (
        DATE,
        Sort("name", N_("Name"), "asc", EntityFile.sort_name.expression, lambda file: file.sort_name, str),
        Sort("size", N_("Size"), "desc", EntityFile.file_size.expression, lambda file: file.file_size, whole),
        Sort(
            "type", N_("Type"), "asc", _media + " " + EntityFile.file_type + " " + EntityFile.sort_name,
            lambda file: f"{group_of(file.file_type)} {file.file_type} {file.sort_name}", str,
        ),
        *map(_detail_sort, filter(attrgetter("sort"), DOCUMENT_FIELDS)),
    )
}  # fmt: skip


@dataclass(frozen=True)
class ListQuery:
    """Which documents of a record or patient to list, and in which order.

    `from_` and `to` are days, both inclusive: of the upload in the time zone `zone`, or of the document. A document
    without a date counts as dated on the day of its upload. `usual` is the sort order of a list that names none.
    """

    q: str = ""
    media: str = ""  # a key of GROUPS
    from_: date | None = None
    to: date | None = None
    zone: str = "UTC"
    date_field: str = "uploaded"  # one of DATE_FIELDS
    sort: str = "date"  # a name in SORTS
    usual: str = "date"
    order: str = "desc"
    cursor: Cursor | None = None
    details: Mapping[str, Any] = field(default_factory=dict)  # values of FILTER_FIELDS by name, or "none"
    trashed: bool = False  # list the trash instead; dates are then deletion dates

    def heading(self, sort: str) -> str:
        """Return the column heading for a sort order."""
        return gettext(self.trashed and SORTS[sort].trash_label or SORTS[sort].label)

    @property
    def filtered(self) -> bool:
        return bool(self.q or self.details or self.media or self.from_ or self.to)

    def query(self) -> dict[str, str]:
        """Return the query parameters for the first page of this list."""
        given = {
            "q": self.q,
            **{name: str(value) for name, value in self.details.items()},
            "media": self.media,
            "from": self.from_ and self.from_.isoformat(),
            "to": self.to and self.to.isoformat(),
            "zone": self.zone if self.zone != ListQuery.zone else "",
            "date_field": self.date_field if self.date_field != ListQuery.date_field else "",
            "sort": self.sort if self.sort != self.usual else "",
            "order": self.order if self.order != SORTS[self.sort].order else "",
        }
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True)
class Page:
    files: Sequence[EntityFile]
    hits: int | None  # number of matching documents; None on later pages unless the caller asked for it
    next: str | None  # cursor of the next page
    additional: int = 0  # number of hits that are additional documents


def read_cursor(token: str, sort: str, order: str, trashed: bool) -> Cursor:
    """Parse a cursor. Raises Rejected if it is invalid or belongs to another list."""
    return cursors.read(token, _scope(sort, order, trashed), SORTS[sort].read)


def of_record(record_type: RecordType, record_id: int) -> Where:
    return EntityFile.entity_type == record_type.name, EntityFile.entity_id == record_id


def of_patient(patient_id: int) -> Where:
    return (EntityFile.patient_id == patient_id,)


def page(
    where: Where,
    list_query: ListQuery,
    limit: int | None = None,
    *,
    counted: bool = False,
    columns: Sequence[Any] = (),
    also: Sequence[EntityFile] = (),
) -> Page:
    """Return the documents after the cursor: up to `limit`, or all of them.

    counted  count the matching documents on every page, not only on the first
    columns  read only these, and return rows of them, in less time than documents take
    also     documents without a row, to list among the others
    """
    sort = SORTS[list_query.sort]
    value = sort.column(list_query.trashed)
    query = _ordered(select(*(columns or [EntityFile]), value.label("value")), where, list_query)
    if cursor := list_query.cursor:
        here = tuple_(value, EntityFile.id)
        last = tuple_(literal(cursor.value, value.type), literal(cursor.id, EntityFile.id.type))
        query = query.where(here < last if list_query.order == "desc" else here > last)
    found = db.session.execute(query.limit(None if limit is None else limit + 1)).all()
    others = [(file, sort.value(file)) for file in also if _matches(file, list_query)]
    listed: list[Any] = [(row if columns else row[0], row.value) for row in found]
    rows = _merged(listed, others, list_query)
    shown = rows[:limit]
    hits = None
    if counted or not cursor:
        matching = select(func.count(EntityFile.id)).where(*_conditions(where, list_query))
        hits = (db.session.scalar(matching) or 0) + len(others)
    return Page(
        files=[file for file, _ in shown],
        hits=hits,
        next=_token(list_query, *shown[-1]) if len(rows) > len(shown) else None,
        additional=len(others),
    )


def matching(record_type: RecordType, record_id: int, list_query: ListQuery) -> list[int]:
    """Return the ids of all matching documents on all pages, in the order of the list."""
    return list(db.session.scalars(_ordered(select(EntityFile.id), of_record(record_type, record_id), list_query)))


def around(
    record_type: RecordType, record_id: int, list_query: ListQuery, file_id: int, reach: int
) -> tuple[int, int, Sequence[tuple[int, EntityFile]]]:
    """Find a document and its neighbors in the whole list, in one statement.

    Returns the document's position, counted from 1, the number of documents in the list, and some documents with their
    positions: those at most `reach` places before or after it, the first and the last. If the document is not in the
    list, both numbers are 0.
    """
    order = _order(list_query)
    number, total = func.row_number().over(order_by=order).label("number"), func.count().over().label("total")
    conditions = _conditions(of_record(record_type, record_id), list_query)
    listed = select(EntityFile.id, number, total).where(*conditions).cte("listed")
    here = select(listed.c.number).where(listed.c.id == file_id).scalar_subquery()
    near = listed.c.number.between(here - reach, here + reach)
    shown = near | (here.is_not(None) & listed.c.number.in_([1, listed.c.total]))
    query = select(EntityFile, listed.c.number, listed.c.total).join(listed, listed.c.id == EntityFile.id).where(shown)
    rows = db.session.execute(query.order_by(listed.c.number)).all()
    place = next((number for file, number, _ in rows if file.id == file_id), 0)
    return place, rows[0].total if rows else 0, [(number, file) for file, number, _ in rows]


def _scope(sort: str, order: str, trashed: bool) -> str:
    """Return the part of a cursor that identifies the list it belongs to."""
    return f"{sort} {order} {'trash' if trashed else 'live'}"


def _token(list_query: ListQuery, last: EntityFile, sort_value: Any) -> str:
    value = sort_value.isoformat() if isinstance(sort_value, datetime) else sort_value
    return cursors.write(_scope(list_query.sort, list_query.order, list_query.trashed), str(value), last.id)


def _ordered(query: Select[Any], where: Where, list_query: ListQuery) -> Select[Any]:
    return query.where(*_conditions(where, list_query)).order_by(*_order(list_query))


def _order(list_query: ListQuery) -> list[Any]:
    keys = [SORTS[list_query.sort].column(list_query.trashed), EntityFile.id]
    if not list_query.trashed:
        keys.insert(0, EntityFile.deleted_at)  # always NULL here, but PostgreSQL needs it to sort by index
    return [key.desc() if list_query.order == "desc" else key.asc() for key in keys]


def _conditions(where: Where, list_query: ListQuery) -> list[ColumnElement[bool]]:
    deleted_at = EntityFile.deleted_at
    found = [*where, deleted_at.is_not(None) if list_query.trashed else deleted_at.is_(None)]
    found += [EntityFile.search_text.contains(word, autoescape=True) for word in fold(list_query.q).split()]
    for name, wanted_value in list_query.details.items():
        found.append(getattr(EntityFile, name) == (None if wanted_value == NONE else wanted_value))
    if list_query.media:
        found.append(_media == list_query.media)
    if list_query.date_field == "document":
        return found + _dated(list_query)
    day = DATE.column(list_query.trashed)
    if list_query.from_:
        found.append(day >= midnight(list_query.from_, list_query.zone))
    if list_query.to:
        found.append(day < midnight(list_query.to + timedelta(days=1), list_query.zone))
    return found


def _dated(list_query: ListQuery) -> list[ColumnElement[bool]]:
    from_, to = list_query.from_, list_query.to
    return [*([EntityFile.dated_on >= from_] if from_ else []), *([EntityFile.dated_on <= to] if to else [])]


def _merged(rows: list[Row], others: Sequence[Row], list_query: ListQuery) -> list[Row]:
    """Merge the documents without a row that sort after the cursor into the rows, in list order."""
    if not others:
        return rows

    def position(row: Row) -> Any:
        return row[1], row[0].id

    descending, cursor = list_query.order == "desc", list_query.cursor
    start = (cursor.value, cursor.id) if cursor else None
    after = [row for row in others if start is None or (position(row) < start if descending else position(row) > start)]
    return sorted([*rows, *after], key=position, reverse=descending)


def _matches(file: EntityFile, list_query: ListQuery) -> bool:
    return (
        not list_query.trashed
        and all(word in file.search_text for word in fold(list_query.q).split())
        and all((getattr(file, name) or NONE) == value for name, value in list_query.details.items())
        and list_query.media in ("", group_of(file.file_type))
        and _is_within(file, list_query)
    )


def _is_within(file: EntityFile, list_query: ListQuery) -> bool:
    from_, to, zone = list_query.from_, list_query.to, list_query.zone
    if list_query.date_field == "document":
        return (from_ is None or file.dated_on >= from_) and (to is None or file.dated_on <= to)
    return (from_ is None or file.uploaded_at >= midnight(from_, zone)) and (
        to is None or file.uploaded_at < midnight(to + timedelta(days=1), zone)
    )
