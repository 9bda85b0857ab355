"""Clean user-entered text, and derive its search and sort forms.

The database stores both forms, so changing these functions requires a migration.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from medfiles.errors import Rejected
from medfiles.i18n import gettext

UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
SEPARATORS = re.compile(r"[\s._-]+")  # of words in a name
_MARKED = r"\u0900-\u0963\u0966-\u0dff\u0f00-\u0fff"  # scripts whose vowel signs are part of words
_UNSPACED = (  # scripts without spaces between words: Thai, Lao, Burmese, Khmer, kana and Han
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_UNSPACED}]+|(?:(?![{_UNSPACED}])[^\W_]|[{_MARKED}])+")
_UNSPACED_WORD = re.compile(f"[{_UNSPACED}]")
_JOINERS = "-./,"  # between the digits of a date, a decimal or an id
MOST_PARTS = 4  # of a joined token; longer runs are lists
TOKEN_LIMIT = 64  # characters
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


class Token(NamedTuple):
    """A folded word, and its place in the text that it was taken from."""

    text: str
    start: int
    end: int


def tokens(text: str) -> Iterator[Token]:
    """Return the tokens under which the search index finds a text.

    Numbers that are joined by one of "-./,", such as dates, decimals and ids, are one token together and one each. In
    scripts without spaces, each character and each pair of neighbors is a token.
    """
    for whole, words in _runs(text):
        if 1 < len(words) <= MOST_PARTS:
            yield whole
        for word in words:
            if is_unspaced(word.text):
                letters = _split(word)
                yield from letters
                yield from map(_pair, pairwise(letters))
            else:
                yield word


def query_tokens(text: str) -> Iterator[Token]:
    """Return the tokens that a text must have to match this query; of joined numbers, only the whole."""
    for whole, words in _runs(text):
        if 1 < len(words) <= MOST_PARTS:
            yield whole
            continue
        for word in words:
            if is_unspaced(word.text) and len(word.text) > 1:
                yield from map(_pair, pairwise(_split(word)))
            else:
                yield word


def is_unspaced(token: str) -> bool:
    """Return whether a token is in a script without spaces, in which one character can be a word."""
    return _UNSPACED_WORD.match(token) is not None


def _runs(text: str) -> Iterator[tuple[Token, list[Token]]]:
    """Return the words of a text, with joined numbers in one list, and each list as one token."""
    folded, places = _folded(text)

    def token(start: int, end: int) -> Token:
        return Token(folded[start : min(end, start + TOKEN_LIMIT)], places[start], places[end - 1] + 1)

    first = last = 0
    words: list[Token] = []
    for match in _WORD.finditer(folded):
        start, end = match.span()
        joins = start == last + 1 and folded[last] in _JOINERS and _has_digit(match[0])
        if words and not (joins and _has_digit(words[-1].text)):
            yield token(first, last), words
            words = []
        first, last = first if words else start, end
        words.append(token(start, end))
    if words:
        yield token(first, last), words


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """Return the folded text, and for each of its characters the place of the one that it comes from."""
    if text.isascii():
        return text.lower(), range(len(text))
    parts = [(_fold_one(character), place) for place, character in enumerate(text)]
    return "".join(part for part, _ in parts), [place for part, place in parts for _ in part]


_fold_one = lru_cache(4096)(fold)


def _has_digit(word: str) -> bool:
    return any(character.isdigit() for character in word)


def _split(word: Token) -> list[Token]:
    """Return the characters of a word, each with the place of the whole if folding changed its length."""
    if len(word.text) != word.end - word.start:
        return [Token(letter, word.start, word.end) for letter in word.text]
    return [Token(letter, word.start + place, word.start + place + 1) for place, letter in enumerate(word.text)]


def _pair(pair: tuple[Token, Token]) -> Token:
    one, other = pair
    return Token(one.text + other.text, one.start, other.end)


def sort_key(text: str) -> str:
    """Return a natural sort key: "Scan 2" comes before "Scan 10"."""
    return re.sub(r"\d+", _comparable, fold(text)[:SORT_KEY_LIMIT])[:SORT_KEY_LIMIT]


def _comparable(run: re.Match[str]) -> str:
    """Prefix a number with its digit count, so that shorter numbers sort first. Leading zeros are ignored."""
    number = str(int(run[0]))
    count = len(number) - 1
    return f"{count}{number}" if count < 9 else f"9{count:03}{number}"
