"""Records that documents can be moved to: those of one patient, the most recent first."""

from collections.abc import Sequence
from datetime import date

from medfiles.models import RecordMixin
from medfiles.record_types.declared import RecordType, Registry
from medfiles.records import listing
from medfiles.records.listing import RecordListQuery


def page(
    registry: Registry, patient_id: int, words: str, limit: int
) -> tuple[Sequence[tuple[RecordType, RecordMixin]], bool]:
    """Return up to `limit` records of all types in which every word is found, and whether there are more."""
    found: list[tuple[date, RecordType, RecordMixin]] = []
    for record_type in registry:
        for record in listing.page(record_type, patient_id, RecordListQuery(q=words), limit + 1).records:
            day = record_type.date_of(record) or record.created_at.date()
            found.append((day, record_type, record))
    found.sort(key=lambda entry: (entry[0], entry[2].id), reverse=True)
    return [(record_type, record) for _, record_type, record in found[:limit]], len(found) > limit
