"""Get the current time, compare stored times with it, and convert between time zones."""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, overload
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.elements import SQLCoreOperations

SKEW = timedelta(minutes=5)  # maximum difference between server clocks


def now() -> datetime:
    """Return the current time, timezone-aware, in UTC."""
    return datetime.now(UTC)


@overload
def is_past(at: datetime) -> bool: ...
@overload
def is_past(at: "SQLCoreOperations[Any]") -> "ColumnElement[bool]": ...
def is_past(at: Any) -> Any:
    """Return whether a stored time is in the past; for a column, return the SQL condition.

    A time up to SKEW ahead counts as past, because server clocks differ. A time further ahead means that a clock was
    wrong when the time was written, or that this server's clock is wrong now.
    """
    return at <= now() + SKEW


@overload
def is_since(at: datetime, start: datetime) -> bool: ...
@overload
def is_since(at: "SQLCoreOperations[Any]", start: datetime) -> "ColumnElement[bool]": ...
def is_since(at: Any, start: datetime) -> Any:
    """Return whether a stored time is between `start` and now; for a column, return the SQL condition.

    As in `is_past`, a time up to SKEW ahead still counts.
    """
    return (at >= start) & is_past(at)


@overload
def is_within(at: datetime, period: timedelta) -> bool: ...
@overload
def is_within(at: "SQLCoreOperations[Any]", period: timedelta) -> "ColumnElement[bool]": ...
def is_within(at: Any, period: timedelta) -> Any:
    """Return whether a stored time is within the last `period`; for a column, return the SQL condition.

    As in `is_past`, a time up to SKEW ahead still counts.
    """
    return is_since(at, now() - period)


@overload
def is_ahead(at: datetime, longest: timedelta) -> bool: ...
@overload
def is_ahead(at: "SQLCoreOperations[Any]", longest: timedelta) -> "ColumnElement[bool]": ...
def is_ahead(at: Any, longest: timedelta) -> Any:
    """Return whether a lease or due time is in the future; for a column, return the SQL condition.

    `longest` is how far ahead the time can have been set. A time beyond that plus SKEW does not count as future: it was
    set while a clock was wrong.
    """
    return (at > now()) & (at <= now() + longest + SKEW)


def midnight(day: date, zone: str) -> datetime:
    """Return when a day starts in a time zone, as a UTC time."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def is_zone(name: str) -> bool:
    """Return whether `name` is a time zone, such as Europe/Berlin."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, malformed, or a directory in the time zone database
        return False
    return True
