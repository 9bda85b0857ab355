"""Text people type: kept as they wrote it, without the characters no database, page or log should ever meet.

Beside it stand the forms of it that are searched and sorted by; what changes them needs a migration for stored rows.
"""

import re
import unicodedata

from medfiles.errors import Rejected

UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
SORT_KEY_LIMIT = 500  # characters of at most 4 bytes: an entry of a PostgreSQL index holds no more than 2,704 bytes


def clean_text(text: str | None, limit: int, what: str) -> str | None:
    """The text in NFC without control characters; None when nothing is left; Rejected over `limit` characters."""
    if text is None:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFC", UNWANTED.sub("", text)).strip()
    if len(text) > limit:
        raise Rejected(f"{what} is longer than {limit:,} characters. Shorten it.")
    return text or None


def fold(text: str) -> str:
    """The text as it is compared in a search: "März" and "MARZ" are one."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(letter for letter in folded if not unicodedata.combining(letter))


def sort_key(text: str) -> str:
    """Folded text whose code points sort as people do: "Scan 2" before "Scan 10"."""
    return re.sub(r"\d+", _comparable, fold(text)[:SORT_KEY_LIMIT])[:SORT_KEY_LIMIT]


def _comparable(run: re.Match[str]) -> str:
    """Digits behind their count, so that the shorter number comes first whatever its zeros."""
    number = str(int(run[0]))
    count = len(number) - 1
    return f"{count}{number}" if count < 9 else f"9{count:03}{number}"
