"""Verify a migration independently: compare every older file with the document made from it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from sqlalchemy import func, or_, select

from medfiles import permissions
from medfiles.clock import now
from medfiles.content import DocumentContent, opened
from medfiles.database.session import db
from medfiles.errors import MedfilesError
from medfiles.legacy import ids, log, unmigrated
from medfiles.legacy.inventory import Inventory
from medfiles.legacy.source import LegacyFile, Source
from medfiles.models import EntityFile, LegacySource, Patient, PatientShare, User
from medfiles.permissions import Actor
from medfiles.services import Services
from medfiles.storage import digest

BATCH = 100


@dataclass
class Count:
    """Numbers of a user's or patient's older files: in total, moved, not moved, and permanently deleted."""

    files: int = 0
    moved: int = 0
    stay: int = 0
    deleted: int = 0


@dataclass
class Verdict:
    """The result of a verification. `leaks` lists accounts that see documents without access to the patient."""

    total: Count = field(default_factory=Count)
    users: dict[int | None, Count] = field(default_factory=dict)
    patients: dict[int | None, Count] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems and not self.leaks

    def counts_of(self, file: LegacyFile) -> Sequence[Count]:
        user = self.users.setdefault(file.user, Count())
        return self.total, user, self.patients.setdefault(file.patient, Count())


@dataclass(frozen=True)
class People:
    """The owners of this installation's patients, and mappings from older ids to new ones."""

    owners: Mapping[int, int]
    results: Mapping[int | None, int | None]
    patients: Mapping[int | None, int | None]
    users: Mapping[int | None, int | None]


@dataclass
class Verifier:
    services: Services
    source: Source
    known: LegacySource
    found: Inventory
    verdict: Verdict = field(default_factory=Verdict)

    def verify(self, report: Callable[[int], None] = lambda done: None) -> Verdict:
        files, done = self.source.files(), 0
        while batch := list(islice(files, BATCH)):
            self._verify(batch)
            report(done := done + len(batch))
        self._count_here()
        self.verdict.leaks.extend(self._leaks())
        return self.verdict

    def _verify(self, batch: Sequence[LegacyFile]) -> None:
        numbers = [file.id for file in batch]
        rows = db.session.scalars(select(EntityFile).where(EntityFile.legacy_id.in_(numbers))).all()
        documents, known = {row.legacy_id: row for row in rows}, log.ids(self.known, "file", numbers)
        people = self._people(batch, rows)
        db.session.expunge_all()
        db.session.rollback()
        staying = self.found.staying(numbers)
        for file in batch:
            if (document := documents.get(file.id)) is not None:
                self._count(file, "moved")
                self.verdict.problems += [f"File {file.id} {words}" for words in self._wrong(file, document, people)]
            elif file.id in known:
                self._count(file, "deleted")
            else:
                self._count(file, "stay")
                if file.id not in staying:
                    self.verdict.problems.append(f"File {file.id} was not moved.")

    def _count(self, file: LegacyFile, what: str) -> None:
        for count in self.verdict.counts_of(file):
            count.files += 1
            setattr(count, what, getattr(count, what) + 1)

    def _people(self, batch: Sequence[LegacyFile], rows: Sequence[EntityFile]) -> People:
        query = select(Patient.id, Patient.user_id).where(Patient.id.in_([row.patient_id for row in rows]))
        return People(
            dict(db.session.execute(query).all()),
            log.new_ids(self.known, "lab-result", [file.lab_result for file in batch]),
            log.new_ids(self.known, "patient", [file.patient for file in batch]),
            log.new_ids(self.known, "user", [file.user for file in batch]),
        )

    def _wrong(self, file: LegacyFile, document: EntityFile, people: People) -> Iterator[str]:
        owner = people.owners.get(document.patient_id)
        here = (document.entity_type, document.entity_id, document.patient_id, owner)
        there = (
            unmigrated.KIND,
            people.results.get(file.lab_result),
            people.patients.get(file.patient),
            people.users.get(file.user),
        )
        if here != there:
            yield "belongs to a different lab result, patient or user than before."
        if ids.document_id(file.id) != document.id:
            yield "cannot be found by its old ID."
        new = hash_of(opened(document, self.services.storages))
        if new != document.sha256:
            yield "has different content from when it was moved." if new else "cannot be read in its new location."
        old = hash_of_file(file, self.source)
        if old != document.sha256:
            yield "has different content in its old location." if old else "cannot be read in its old location."

    def _count_here(self) -> None:
        """Check that each patient has exactly as many moved documents as were counted."""
        query = select(EntityFile.patient_id, func.count()).where(EntityFile.legacy_id.is_not(None))
        here = dict(db.session.execute(query.group_by(EntityFile.patient_id)).all())
        db.session.rollback()
        new = log.new_ids(self.known, "patient", self.verdict.patients)
        there: dict[int | None, int] = {}
        for patient, count in self.verdict.patients.items():
            there[new.get(patient)] = there.get(new.get(patient), 0) + count.moved
        for patient_id in sorted({*here, *(one for one in there if one is not None)}):
            if here.get(patient_id, 0) != there.get(patient_id, 0):
                counts = f"{here.get(patient_id, 0)} documents, but {there.get(patient_id, 0)} were moved"
                self.verdict.problems.append(f"Patient {patient_id} has {counts}.")

    def _leaks(self) -> Iterator[str]:
        """Find accounts that, by the product's own query, see moved documents but neither own nor share the patient."""
        for user_id, email in db.session.execute(select(User.id, User.email).order_by(User.id)).all():
            lasts = or_(PatientShare.expires_at.is_(None), PatientShare.expires_at > now())
            given = select(PatientShare.patient_id).where(PatientShare.user_id == user_id, lasts)
            owned = select(Patient.id).where(Patient.user_id == user_id)
            query = select(func.count(EntityFile.id)).where(
                EntityFile.legacy_id.is_not(None),
                EntityFile.patient_id.in_(permissions.patients_for(Actor(user_id, email))),
                EntityFile.patient_id.not_in(owned),
                EntityFile.patient_id.not_in(given),
            )
            if count := db.session.scalar(query):
                yield f"User {user_id} has access to {count} documents of other users’ patients."
        db.session.rollback()


def hash_of(document: DocumentContent) -> str | None:
    """Return the SHA-256 of a document's stored bytes, or None if they cannot be read."""
    try:
        return digest(document.read())[0]
    except (MedfilesError, OSError):
        return None


def hash_of_file(file: LegacyFile, source: Source) -> str | None:
    """Return the SHA-256 of an older file's bytes, or None if they cannot be read."""
    return hash_of(DocumentContent(EntityFile(id=file.id, file_path=file.path), source.folder))
