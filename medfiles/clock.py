"""The current time, time zones, and windows between stored times and now."""

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, overload
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.sql.elements import SQLCoreOperations

SKEW = timedelta(minutes=5)  # by which the clocks of several servers may differ


def now() -> datetime:
    """Return the current time, timezone-aware, in UTC."""
    return datetime.now(UTC)


@overload
def is_past(at: datetime) -> bool: ...
@overload
def is_past(at: "SQLCoreOperations[Any]") -> "ColumnElement[bool]": ...
def is_past(at: Any) -> Any:
    """Return whether a stored time is not to come; for a column, the condition.

    Up to SKEW ahead counts as now. A time beyond that was written while a clock was wrong, or the clock is wrong now.
    """
    return at <= now() + SKEW


@overload
def is_since(at: datetime, start: datetime) -> bool: ...
@overload
def is_since(at: "SQLCoreOperations[Any]", start: datetime) -> "ColumnElement[bool]": ...
def is_since(at: Any, start: datetime) -> Any:
    """Return whether a stored time is between `start` and now, as `is_past` has it; for a column, the condition."""
    return (at >= start) & is_past(at)


@overload
def is_within(at: datetime, period: timedelta) -> bool: ...
@overload
def is_within(at: "SQLCoreOperations[Any]", period: timedelta) -> "ColumnElement[bool]": ...
def is_within(at: Any, period: timedelta) -> Any:
    """As `is_since`, for the `period` that ends now."""
    return is_since(at, now() - period)


@overload
def is_ahead(at: datetime, longest: timedelta) -> bool: ...
@overload
def is_ahead(at: "SQLCoreOperations[Any]", longest: timedelta) -> "ColumnElement[bool]": ...
def is_ahead(at: Any, longest: timedelta) -> Any:
    """Return whether a lease or due time is still to come; for a column, the condition.

    `longest` is how far ahead it can have been set. One that is further ahead than that and SKEW is not to come: it was
    set while a clock was wrong.
    """
    return (at > now()) & (at <= now() + longest + SKEW)


def midnight(day: date, zone: str) -> datetime:
    """Return the start of this day in a time zone, in UTC."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


def is_zone(name: str) -> bool:
    """Whether this is the name of a time zone, such as Europe/Berlin."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, not a name at all, a folder of the time zone files
        return False
    return True
