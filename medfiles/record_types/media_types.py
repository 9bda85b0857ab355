"""Document media types, and the groups that users can filter by.

To add a media type, add a row to `MEDIA_TYPES` in `sandbox.media_types`, which the sandbox also reads.
"""

from collections.abc import Iterable

from medfiles.i18n import N_, gettext
from medfiles.sandbox.media_types import BY_ALIAS, BY_EXTENSION, BY_NAME, MEDIA_TYPES, MediaType

__all__ = [
    "BY_ALIAS", "BY_EXTENSION", "BY_NAME", "GROUPS", "MEDIA_TYPES", "WITH_THUMBNAIL", "MediaType", "group_of",
    "alternatives", "with_aliases", "with_implied", "words_for",
]  # fmt: skip

GROUPS = {
    "pdf": N_("PDF"),
    "image": N_("Photo or scan"),
    "word": N_("Word"),
    "sheet": N_("Spreadsheet"),
    "text": N_("Text"),
    "dicom": N_("DICOM image"),
}
OTHER = "text"  # the group for unknown media types
WITH_THUMBNAIL = frozenset(row.name for row in MEDIA_TYPES if row.thumbnail)


def group_of(media_type: str) -> str:
    return BY_NAME[media_type].group if media_type in BY_NAME else OTHER


def with_implied(accepts: Iterable[str]) -> tuple[str, ...]:
    """Return the extensions with those that they imply: .webp is accepted wherever .png is."""
    given = tuple(accepts)
    implied = (extension for row in MEDIA_TYPES if row.implied_by in given for extension in row.extensions)
    return (*given, *(extension for extension in implied if extension not in given))


def with_aliases(accepts: Iterable[str]) -> tuple[str, ...]:
    """Return the extensions with the other ones in use for the same types."""
    given = tuple(accepts)
    aliases = (alias for row in MEDIA_TYPES if set(row.extensions) & set(given) for alias in row.aliases)
    return (*given, *aliases)


def words_for(extensions: Iterable[str]) -> str:
    """Return the formats in words: "PDF, Word, JPG, PNG or text". Implied ones go without saying."""
    given = tuple(extensions)
    rows = [BY_EXTENSION[extension] for extension in given]
    return alternatives(dict.fromkeys(gettext(row.label) for row in rows if row.implied_by not in given))


def alternatives(words: Iterable[str]) -> str:
    """Join words: "a, b or c"."""
    *most, last = words
    return gettext("%(words)s or %(last)s", words=", ".join(most), last=last) if most else last
