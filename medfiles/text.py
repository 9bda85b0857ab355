"""Clean user-entered text, and derive its search and sort forms.

The database stores both forms, so changing these functions requires a migration.
"""

import re
import unicodedata

from medfiles.errors import Rejected

UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
SORT_KEY_LIMIT = 500  # characters of up to 4 bytes: a PostgreSQL index entry holds at most 2,704 bytes


def clean_text(text: str | None, limit: int, what: str) -> str | None:
    """Return the text in NFC without control characters, or None if it is empty.

    Raises Rejected if the text is longer than `limit` characters; `what` names the field in the message.
    """
    if text is None:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFC", UNWANTED.sub("", text)).strip()
    if len(text) > limit:
        raise Rejected(f"{what} is longer than {limit:,} characters. Shorten it.")
    return text or None


def fold(text: str) -> str:
    """Return the form used for search, in which "März" and "MARZ" are equal."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


def sort_key(text: str) -> str:
    """Return a natural sort key: "Scan 2" comes before "Scan 10"."""
    return re.sub(r"\d+", _comparable, fold(text)[:SORT_KEY_LIMIT])[:SORT_KEY_LIMIT]


def _comparable(run: re.Match[str]) -> str:
    """Prefix a number with its digit count, so that shorter numbers sort first. Leading zeros are ignored."""
    number = str(int(run[0]))
    count = len(number) - 1
    return f"{count}{number}" if count < 9 else f"9{count:03}{number}"
