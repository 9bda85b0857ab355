"""Parse numbers, dates, ids and choices in query parameters and form fields, the same way for pages and the API."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Protocol

from flask import Flask, request
from werkzeug.datastructures import MultiDict

from medfiles.clock import is_zone
from medfiles.database import cursors
from medfiles.database.cursors import Cursor
from medfiles.documents.listing import DATE_FIELDS, NONE, SEARCH_LIMIT, SORTS, ListQuery, read_cursor
from medfiles.errors import Rejected
from medfiles.i18n import N_, gettext
from medfiles.record_types.declared import Registry
from medfiles.record_types.document_fields import FILTER_FIELDS, DocumentField
from medfiles.record_types.fields import CHECKS
from medfiles.record_types.media_types import GROUPS
from medfiles.records.listing import SORTS as RECORD_SORTS
from medfiles.records.listing import RecordListQuery
from medfiles.records.listing import read_cursor as read_record_cursor
from medfiles.records.people import read_found_cursor
from medfiles.records.timeline import TimelineQuery
from medfiles.records.timeline import read_cursor as read_timeline_cursor
from medfiles.sandbox.encodings import NAMES as ENCODINGS
from medfiles.sandbox.render.spec import Window, is_window
from medfiles.search.query import SearchQuery
from medfiles.search.query import read_cursor as read_search_cursor
from medfiles.text import clean_text

ID_DIGITS = 18  # any number with this many digits fits into a database integer
CURSOR_LIMIT = cursors.CURSOR_LIMIT  # characters
LARGEST_ID = 2**63 - 1  # the largest database integer; no row has this id
LISTS = {"files", "ids"}  # query parameters that may be repeated
YEARS = range(1850, 2201)
Query = Mapping[str, str]


def read_id(text: str | None) -> int | None:
    """Parse an id. Return None if the text is not an id.

    Only ASCII digits are accepted, because digits of other scripts would give a row several URLs.
    """
    if text and text.isascii() and text.isdigit() and len(text) <= ID_DIGITS:
        return int(text)
    return None


def id_or_unknown(text: str | None) -> int | None:
    """Parse an id. Return None if the text is empty, or an id that no row has if it is not an id."""
    found = read_id(text)
    return LARGEST_ID if text and found is None else found


def read_ids(texts: Iterable[str]) -> list[int] | None:
    """Parse ids. Return None if any of the texts is not an id."""
    found = [read_id(text) for text in texts]
    ids = [number for number in found if number is not None]
    return ids if len(ids) == len(found) else None


ONE_OF = N_("“%(name)s” must be %(words)s or %(last)s.")


def read_id_lists(texts: Iterable[str]) -> list[int] | None:
    """Parse ids from lists such as "1,2,3". Return None if any part is not an id."""
    return read_ids(word for text in texts for word in text.split(",") if word)


def opaque_key(name: str, key: str, limit: int) -> str:
    """Return a key chosen by the client. Raises Rejected unless it is 1 to `limit` characters of printable ASCII."""
    if not (0 < len(key) <= limit and key.isascii() and key.isprintable()):
        raise Rejected(gettext("%(name)s must be 1 to %(limit)s printable ASCII characters.", name=name, limit=limit))
    return key


def nearest(text: str | None, low: int, high: int) -> int:
    """Parse a number and clamp it to the range. Return the lowest number if the text is not a number."""
    return min(max(read_id(text) or 0, low), high)


def single(pairs: Iterable[tuple[str, str]], names: Container[str]) -> dict[str, str]:
    """Return the values of the parameters with these names. Raises Rejected if one has several different values."""
    values: dict[str, str] = {}
    for name, value in pairs:
        if name in names and values.setdefault(name, value) != value:
            raise refused(name, "was sent more than once, with different values.")
    return values


def require_single_values() -> None:
    """Raise Rejected if a query parameter that takes one value has several, of which one would be ignored."""
    pairs = list(request.args.items(multi=True))
    single(pairs, {name for name, _ in pairs} - LISTS)


def init_app(app: Flask) -> None:
    app.before_request(require_single_values)


def number(query: Query, name: str, default: int, low: int, high: int) -> int:
    """Return a whole number. Raises Rejected if the parameter is not a number or is out of range."""
    found = read_id(query.get(name, str(default)))
    if found is None or not low <= found <= high:
        raise refused(name, N_("“%(name)s” must be a number from %(low)s to %(high)s."), low=low, high=f"{high:,}")
    return found


def one_of(query: Query, name: str, allowed: Sequence[str], default: str = "") -> str:
    """Return one of the allowed words, or the default if absent or empty. Raises Rejected for any other word."""
    value = query.get(name) or default
    if value != default and value not in allowed:
        raise refused(name, ONE_OF, words=", ".join(allowed[:-1]), last=allowed[-1])
    return value


def flag(query: Query, name: str) -> bool:
    """Return whether a parameter is 1. Raises Rejected unless it is 1, 0 or absent."""
    value = query.get(name, "0")
    if value not in ("0", "1"):
        raise refused(name, N_("“%(name)s” must be 1 or 0."))
    return value == "1"


def day(query: Query, name: str) -> date | None:
    """Return an ISO date, or None if absent or empty. Raises Rejected if it is malformed or implausible."""
    if not (value := query.get(name)):
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        raise refused(name, N_("“%(name)s” must be a date such as 2026-05-12.")) from None
    if found.year not in YEARS:
        raise refused(
            name,
            N_("“%(name)s” must be a date between %(first)s and %(last)s."),
            first=YEARS.start,
            last=YEARS.stop - 1,
        )
    return found


def days(query: Query) -> tuple[date | None, date | None]:
    """Return the days `from` and `to`. Raises Rejected if one is invalid or they are in the wrong order."""
    first, last = day(query, "from"), day(query, "to")
    if first and last and first > last:
        raise refused("from", N_("“%(name)s” must not be after “to”."))
    return first, last


def zone(query: Query, default: str) -> str:
    """Return the name of a time zone. Raises Rejected if the zone is unknown."""
    name = query.get("zone") or default
    if not is_zone(name):
        raise refused("zone", N_("“%(name)s” must be a time zone such as Europe/Berlin."))
    return name


def window(query: Query) -> Window | None:
    """Return the center and width of a DICOM window (`window=40,400`), or None if the parameter is absent or empty."""
    if not (text := query.get("window")):
        return None
    try:
        centre, width = map(float, text.split(","))
    except ValueError:
        centre, width = 0, 0
    if not (text.isascii() and is_window((centre, width))):
        raise refused("window", N_("“%(name)s” must be a center and a width, such as 40,400."))
    return centre, width


def encoding(query: Query) -> str | None:
    """Return the text encoding to use instead of the guessed one, or None. Raises Rejected if it is not offered."""
    return one_of(query, "encoding", tuple(ENCODINGS)) or None


class Categorized(Protocol):
    """A record type, or the registry for documents of all record types."""

    @property
    def categories(self) -> tuple[str, ...]: ...


def detail(query: Query, field: DocumentField, listed: Categorized) -> Any:
    """Return the filter value for a detail. NONE selects documents without a value."""
    if field.kind == "category":
        return one_of(query, field.name, (*listed.categories, NONE))
    if (value := query.get(field.name, "")) == NONE:
        return NONE
    try:
        return CHECKS[field.kind](field, value)
    except Rejected as error:
        raise Rejected.about(field.name, error.message) from None


def list_query(query: Query, listed: Categorized, *, trashed: bool = False, usual: str = ListQuery.usual) -> ListQuery:
    """Return the search, filters and sort order for a document list. Empty parameters count as absent.

    usual  the sort order if the query names none
    """
    sort = one_of(query, "sort", tuple(SORTS), usual)
    date_field = one_of(query, "date_field", DATE_FIELDS, ListQuery.date_field)
    order = one_of(query, "order", ("asc", "desc"), SORTS[sort].order)
    first, last = days(query)
    cursor = query.get("cursor")
    return ListQuery(
        q=clean_text(query.get("q"), SEARCH_LIMIT, gettext("The search term (“q”)")) or "",
        details={field.name: value for field in FILTER_FIELDS if (value := detail(query, field, listed))},
        media=one_of(query, "media", tuple(GROUPS)),
        from_=first,
        to=last,
        zone=zone(query, ListQuery.zone),
        date_field=date_field if first or last else ListQuery.date_field,
        sort=sort,
        usual=usual,
        order=order,
        cursor=read_cursor(cursor, sort, order, trashed) if cursor else None,
        trashed=trashed,
    )


def search_query(query: Query, registry: Registry) -> SearchQuery:
    """Return what to search for. Empty parameters count as absent."""
    types = [record_type.name for record_type in registry]
    first, last = days(query)
    cursor = query.get("cursor")
    return SearchQuery(
        q=clean_text(query.get("q"), SEARCH_LIMIT, gettext("The search term (“q”)")) or "",
        patient=id_or_unknown(query.get("patient")),
        type=one_of(query, "type", types),
        category=one_of(query, "category", registry.categories),
        media=one_of(query, "media", tuple(GROUPS)),
        from_=first,
        to=last,
        cursor=read_search_cursor(cursor) if cursor else None,
    )


def record_list_query(query: Query) -> RecordListQuery:
    """Return which records of a type to list. Empty parameters count as absent."""
    sort = one_of(query, "sort", tuple(RECORD_SORTS), RecordListQuery.sort)
    order = one_of(query, "order", ("asc", "desc"), RECORD_SORTS[sort][0])
    cursor = query.get("cursor")
    return RecordListQuery(
        q=clean_text(query.get("q"), SEARCH_LIMIT, gettext("The search term (“q”)")) or "",
        year=number(query, "year", 0, YEARS.start, YEARS.stop - 1) if query.get("year") else None,
        sort=sort,
        order=order,
        cursor=read_record_cursor(cursor, sort, order) if cursor else None,
    )


def people_cursor(query: Query) -> Cursor | None:
    """Return where a page of the people that match words starts; None for the first page."""
    token = query.get("cursor")
    return read_found_cursor(token) if token else None


def timeline_query(query: MultiDict[str, str], registry: Registry) -> TimelineQuery:
    """Return which part of a patient's timeline to list: `type`, also several, `year` and `cursor`."""
    types = tuple(dict.fromkeys(name for name in query.getlist("type") if name))
    known = [record_type.name for record_type in registry]
    if not set(types) <= set(known):
        raise refused("type", ONE_OF, words=", ".join(known[:-1]), last=known[-1])
    year = number(query, "year", 0, YEARS.start, YEARS.stop - 1) if query.get("year") else None
    cursor = query.get("cursor")
    return TimelineQuery(types, year, read_timeline_cursor(cursor) if cursor else None)


def refused(name: str, message: str, **values: Any) -> Rejected:
    """Return the error for an invalid parameter, whose name is `%(name)s` in the message."""
    return Rejected.about(name, gettext(message, name=name, **values))
