"""Clean user-entered text, and derive its search and sort forms.

The database stores both forms, so changing these functions requires a migration.
"""

import re
import unicodedata

from medfiles.errors import Rejected
from medfiles.i18n import gettext

UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
SEPARATORS = re.compile(r"[\s._-]+")  # of words in a name
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
        raise Rejected(
            gettext("%(what)s is longer than %(limit)s characters. Shorten it.", what=what, limit=f"{limit:,}")
        )
    return text or None


def split_extension(name: str) -> tuple[str, str]:
    """Return a file name's stem and its extension, such as ".pdf"; or the whole name and "" if it has none."""
    stem, _, extension = name.rpartition(".")
    return (stem, f".{extension}") if stem and extension else (name, "")


def initials(name: str) -> str:
    """Return the two letters that stand for a name: of its first and last word, or the first two of a single word.

    Letters keep their marks and, in scripts without capitals, their form. An email address counts up to its "@".
    """
    words = [letters for word in SEPARATORS.split(name.partition("@")[0]) if (letters := _letters(word))]
    if not words:
        return "?"
    return "".join(words[0][:2] if len(words) == 1 else (words[0][0], words[-1][0]))


def _letters(word: str) -> list[str]:
    """Return letters and digits as capitals where that is one letter, each with the marks on it."""
    found: list[str] = []
    for character in word:
        if character.isalnum():
            capital = character.upper()
            found.append(capital if len(capital) == 1 else character)
        elif found and unicodedata.category(character).startswith("M"):
            found[-1] += character
    return found


def fold(text: str) -> str:
    """Return the form used for search, in which "März" and "MARZ" are equal."""
    if text.isascii():
        return text.lower()
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
