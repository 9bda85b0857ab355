"""Text people type: kept as they wrote it, without the characters no database, page or log should ever meet."""

import re
import unicodedata

from medfiles.errors import Rejected

UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def clean_text(text: str | None, limit: int, what: str) -> str | None:
    """The text in NFC without control characters; None when nothing is left; Rejected over `limit` characters."""
    if text is None:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFC", UNWANTED.sub("", text)).strip()
    if len(text) > limit:
        raise Rejected(f"{what} is longer than {limit:,} characters. Please shorten it.")
    return text or None
