"""Search over all documents, records and patients that the actor can see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import select

from medfiles import permissions
from medfiles.antivirus.policy import is_blocked
from medfiles.audit import event_log
from medfiles.audit.event_log import AuditTarget
from medfiles.database.session import db
from medfiles.models import EntityFile, Patient, RecordMixin
from medfiles.permissions import Action
from medfiles.record_types.declared import RecordType
from medfiles.search import excerpts, query
from medfiles.search.excerpts import Box, Excerpt
from medfiles.search.index import DOCUMENT, PATIENT, RECORD
from medfiles.search.query import Hit, SearchQuery, terms_of
from medfiles.service import Service

SEARCH = "search"  # audit action


@dataclass(frozen=True)
class Result:
    """A document, record or patient that was found.

    record   the record, or the document's; None for a patient
    file     the document; None for a record or patient
    excerpt  the words around the hit, unless they are only in the title or the actor may not read the document
    """

    kind: str
    patient: Patient
    level: Action
    day: date
    record_type: RecordType | None = None
    record: RecordMixin | None = None
    file: EntityFile | None = None
    excerpt: Excerpt | None = None

    @property
    def title(self) -> str:
        if self.file is not None:
            return self.file.file_name
        if self.record_type is not None and self.record is not None:
            return self.record_type.title_of(self.record)
        return self.patient.full_name

    @property
    def subject_id(self) -> int:
        row = self.file or self.record or self.patient
        return row.id


@dataclass(frozen=True)
class Results:
    items: Sequence[Result] = ()
    total: int | None = 0  # None on later pages
    next: str | None = None  # cursor of the next page


@dataclass
class SearchService(Service):
    def search(self, wanted: SearchQuery, limit: int) -> Results:
        """Return a page of what matches, the best first. An event is logged for each patient who is in it."""
        with self.operation(SEARCH, patient_id=wanted.patient):
            found = query.page(self.registry, self.actor, wanted, limit)
            items = self._results(found.hits)
        for patient_id in dict.fromkeys(item.patient.id for item in items):
            patient = next(item.patient for item in items if item.patient.id == patient_id)
            name = patient.full_name
            event_log.record_read(self.actor, SEARCH, AuditTarget(patient_id, name=name))
        return Results(tuple(items), found.total, found.next)

    def marks(self, file_id: int, page: int, q: str) -> Sequence[Box]:
        """Return the boxes of a query's words on a page of a document; none if the actor may not preview it."""
        with self.operation("preview", file_id=file_id) as target:
            file = self.authorized_file(file_id, Action.VIEW, target)
        terms = terms_of(q)
        return excerpts.boxes(file.sha256, page, terms) if terms and self._may_preview(file) else ()

    def _results(self, hits: Sequence[Hit]) -> Sequence[Result]:
        patients = self._patients({hit.patient_id for hit in hits})
        files = _rows(EntityFile, [hit.subject_id for hit in hits if hit.kind == DOCUMENT])
        records = self._records(hits, files)
        readable = {number: file for number, file in files.items() if self._may_preview(file)}
        of_documents = [hit for hit in hits if hit.kind == DOCUMENT and hit.subject_id in readable]
        texts = excerpts.page_excerpts(
            {hit.subject_id: (readable[hit.subject_id].sha256, hit.terms) for hit in of_documents}
        )
        items = []
        for hit in hits:
            if hit.patient_id not in patients:
                continue
            patient, level = patients[hit.patient_id]
            if hit.kind == PATIENT:
                items.append(Result(PATIENT, patient, level, hit.day))
                continue
            record_type = self.registry[hit.entity_type]
            file = files.get(hit.subject_id) if hit.kind == DOCUMENT else None
            record = records.get((hit.entity_type, file.entity_id if file else hit.subject_id))
            if record is None or record.patient_id != hit.patient_id or (hit.kind == DOCUMENT and file is None):
                continue  # deleted or moved to another patient since
            cut = self._excerpt(hit, record_type, record, file, texts)
            items.append(Result(hit.kind, patient, level, hit.day, record_type, record, file, cut))
        return items

    def _excerpt(
        self,
        hit: Hit,
        record_type: RecordType,
        record: RecordMixin,
        file: EntityFile | None,
        texts: Mapping[int, Excerpt],
    ) -> Excerpt | None:
        if file is not None:
            if not self._may_preview(file):
                return None
            return texts.get(file.id) or excerpts.excerpt(file.description or "", hit.terms)
        fields = [field.name for field in record_type.fields if field.name != record_type.title_field]
        values = (getattr(record, name) for name in fields)
        cuts = (excerpts.excerpt(value, hit.terms) for value in values if isinstance(value, str))
        return next((cut for cut in cuts if cut), None)

    def _may_preview(self, file: EntityFile) -> bool:
        return "preview" in self.registry[file.entity_type].operations and not is_blocked(file, self.actor.user_id)

    def _patients(self, ids: set[int]) -> Mapping[int, tuple[Patient, Action]]:
        allowed = permissions.levels(self.actor).subquery()
        columns = permissions.seen_columns(self.actor.only_patient is not None)
        rows = select(allowed.c.level, Patient, *columns).join(allowed, allowed.c.patient_id == Patient.id)
        found = db.session.execute(rows.where(Patient.id.in_(ids)), permissions.parameters(self.actor)) if ids else ()
        return {patient.id: (permissions.seen(patient, *seen), Action(level)) for level, patient, *seen in found}

    def _records(self, hits: Sequence[Hit], files: Mapping[int, EntityFile]) -> Mapping[tuple[str, int], RecordMixin]:
        keys = {(hit.entity_type, hit.subject_id) for hit in hits if hit.kind == RECORD}
        keys |= {(file.entity_type, file.entity_id) for file in files.values()}
        found: dict[tuple[str, int], RecordMixin] = {}
        for record_type in self.registry.every:
            rows = _rows(record_type.model, [number for name, number in keys if name == record_type.name])
            found |= {(record_type.name, number): row for number, row in rows.items()}
        return found


def _rows(model: Any, ids: Sequence[int]) -> dict[int, Any]:
    """Return these rows by id, in one statement if there are any."""
    return {row.id: row for row in db.session.scalars(select(model).where(model.id.in_(ids)))} if ids else {}
