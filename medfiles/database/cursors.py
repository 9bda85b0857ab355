"""Keyset pagination: cursors that name the row after which a page starts.

A cursor holds the sort value and the id of the last row on a page, and the next page continues with the rows that sort
after it, instead of at an offset. Rows that are added or removed between two requests therefore cause no duplicates or
gaps, and the last page is as fast as the first.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from medfiles.errors import Rejected
from medfiles.i18n import gettext

CURSOR_LIMIT = 4000
LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Cursor:
    """The row after which a page starts: its sort value, and its id to break ties."""

    value: Any
    id: int


def read(token: str, scope: str, read_value: Callable[[str], Any]) -> Cursor:
    """Parse a cursor. Raises Rejected if it is invalid or belongs to another list.

    scope       identifies the list and its order
    read_value  parses the sort value; raises ValueError
    """
    try:
        if len(token) > CURSOR_LIMIT:
            raise ValueError("longer than any cursor")
        said = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
        found_scope, number, value = said.split("\n", 2)
        if found_scope != scope or "\0" in value:
            raise ValueError("not a cursor of this list")
        return Cursor(read_value(value), whole(number))
    except (ValueError, OverflowError):
        message = gettext("“cursor” does not belong to this list. Start again without a cursor.")
        raise Rejected.about("cursor", message) from None


def write(scope: str, value: str, row_id: int) -> str:
    """Return the cursor for the page after a row, to be parsed by `read`."""
    return base64.urlsafe_b64encode(f"{scope}\n{row_id}\n{value}".encode()).decode().rstrip("=")


def whole(text: str) -> int:
    """Parse an integer that the database can hold. Raises ValueError."""
    number = int(text)
    if not 0 <= number <= LARGEST:
        raise ValueError("not an integer of the database")
    return number
