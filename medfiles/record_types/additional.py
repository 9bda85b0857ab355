"""Hooks for another feature's documents, which are listed, counted and downloaded with ours but never changed."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, false

from medfiles.models import EntityFile, RecordMixin


class Mark(NamedTuple):
    """The label for additional documents in lists, with a tooltip that says what can be done with them."""

    label: str
    hint: str


class Figure(NamedTuple):
    """A figure for operators, exported as a metric and shown on the status page unless it is 0."""

    title: str
    noun: str
    note: str
    metric: str
    description: str
    value: int


class AdditionalDocuments:
    """The additional documents of an installation. This base class provides none.

    A feature that provides some overrides every method. An additional document is represented by an `EntityFile` that
    is never stored and has an id below `FIRST_FILE_ID`; its `storage` names one of `Storages.attached`. `kind` is the
    name of a record type.
    """

    mark = Mark("", "")

    def of_record(self, kind: str, record: RecordMixin) -> Sequence[EntityFile]:
        """Return the documents attached to a record."""
        return ()

    def of_patient(self, patient_id: int) -> Sequence[EntityFile]:
        """List the documents on the live records of a patient."""
        return ()

    def count(self, kind: str, record_id: int) -> int:
        """Count the documents attached to a record."""
        return 0

    def record_ids(self, kind: str, record_ids: Collection[Any]) -> Select[Any] | None:
        """Return a query for the record id of each document of these records; None if this record type has none.

        Instead of ids, `record_ids` may hold the id column of the records in the query around it.
        """
        return None

    def per_patient(self, patients: Select[tuple[int]]) -> Mapping[str, Mapping[int, int]]:
        """Count the documents attached to these patients' live records, by record type and patient."""
        return {}

    def find(self, number: int) -> EntityFile | None:
        """Return the document with this id, or None. The caller must check permissions."""
        return None

    def document_id(self, number: int) -> int | None:
        """Resolve an id from a list to the id of a stored document; None if it is an additional document."""
        return number

    def refers_to(self, kind: str, record_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Return a condition that is true while the feature still needs a record's row, which must then be kept."""
        return false()

    def forget(self, files: Sequence[EntityFile]) -> Sequence[str]:
        """Delete the originals of stored documents in the transaction that permanently deletes those documents.

        Returns the released keys, whose files are deleted after the commit.
        """
        return ()

    def figures(self) -> Sequence[Figure]:
        """Return the feature's figures for operators."""
        return ()
