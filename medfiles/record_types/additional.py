"""Hooks for documents that another feature keeps: listed, counted and downloaded among ours, never changed."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, false

from medfiles.models import EntityFile, RecordMixin


class Mark(NamedTuple):
    """Label of an additional document in lists, and the tooltip that says what can be done with it."""

    label: str
    hint: str


class Figure(NamedTuple):
    """A number for operators: on the status page while it is not 0, and as a metric."""

    title: str
    noun: str
    note: str
    metric: str
    description: str
    value: int


class AdditionalDocuments:
    """The additional documents of an installation: none. A feature that has some overrides every method.

    An additional document is shown as an `EntityFile` that is never stored, with an id below `FIRST_FILE_ID`; its
    `storage` names one of `Storages.attached`. `kind` is the name of a record type.
    """

    mark = Mark("", "")

    def of_record(self, kind: str, record: RecordMixin) -> Sequence[EntityFile]:
        """List the documents of one record."""
        return ()

    def of_patient(self, patient_id: int) -> Sequence[EntityFile]:
        """List the documents on the live records of a patient."""
        return ()

    def count(self, kind: str, record_id: int) -> int:
        """Count the documents of one record."""
        return 0

    def record_ids(self, kind: str, record_ids: Collection[int]) -> Select[Any] | None:
        """Select the id of the record of each document; None when records of this kind have none."""
        return None

    def per_patient(self, patients: Select[tuple[int]]) -> Mapping[str, Mapping[int, int]]:
        """Count the documents on live records: kind -> patient -> count, for these patients."""
        return {}

    def find(self, number: int) -> EntityFile | None:
        """Return the document with this id, or None. The caller authorizes."""
        return None

    def document_id(self, number: int) -> int | None:
        """Return the id of the stored document that an id in a list means; None while it is an additional one."""
        return number

    def refers_to(self, kind: str, record_id: ColumnElement[int]) -> ColumnElement[bool]:
        """Whether the feature still needs the row of a record, so that it cannot be deleted permanently."""
        return false()

    def forget(self, files: Sequence[EntityFile]) -> Sequence[str]:
        """In the transaction that deletes stored documents permanently, delete what they were made from.

        Returns the released keys, whose files go after the commit.
        """
        return ()

    def figures(self) -> Sequence[Figure]:
        """Return the feature's numbers for operators."""
        return ()
