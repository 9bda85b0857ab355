"""Document media types, and the groups that users can filter by.

To add a media type, add a row to `MEDIA_TYPES` in `sandbox.media_types`, which the sandbox also reads.
"""

from medfiles.i18n import N_
from medfiles.sandbox.media_types import BY_EXTENSION, BY_NAME, MEDIA_TYPES, MediaType

__all__ = ["BY_EXTENSION", "BY_NAME", "GROUPS", "MEDIA_TYPES", "WITH_THUMBNAIL", "MediaType", "group_of"]

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
